//! What a command leaves running with its output open: which programs that is, as far as the system tells, and when it is
//! time to say so again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// When somebody who waits is told again for the first time; later ever more rarely,
const FIRST: Duration = Duration::from_mins(1);

/// but at least so often.
const RAREST: Duration = Duration::from_mins(30);

/// A program that has a file open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: i32,
    /// What it calls itself, if it says so.
    name: String,
}

/// The other programs that have this file open. Only Linux tells, and only of programs that belong to the same user.
pub fn holders(path: &Path) -> Vec<Holder> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Holder> = pids
        .filter(|pid| *pid != own && holds(*pid, &path))
        .map(|pid| Holder { pid, name: name_of(pid) })
        .collect();
    found.sort_by_key(|holder| holder.pid);
    found
}

/// Compared by name: asking for the files themselves may hang on one that lies on a network.
fn holds(pid: i32, path: &Path) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

/// Programs name themselves, so their names may hold anything.
fn name_of(pid: i32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().replace(|c: char| c.is_control(), "?")
}

/// `process 4711 (sleep)`, or what can be said where nobody tells.
pub fn words(holders: &[Holder]) -> String {
    let one = |holder: &Holder| format!("process {} ({})", holder.pid, holder.name);
    match holders {
        [] => "a process that this system does not name".to_owned(),
        all => all.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Says when to tell the same again: at once, then ever more rarely.
#[derive(Debug)]
pub struct Reminder {
    due: Option<Instant>,
    pause: Duration,
}

impl Default for Reminder {
    fn default() -> Self {
        Self { due: None, pause: FIRST }
    }
}

impl Reminder {
    /// Whether it is time; the next time is later then.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        self.due = Some(now + self.pause);
        self.pause = (self.pause * 2).min(RAREST);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn whoever_waits_is_told_at_once_and_then_ever_more_rarely() {
        let start = Instant::now();
        let mut reminder = Reminder::default();
        let told: Vec<u64> =
            (0..=125).filter(|minute| reminder.is_due(start + Duration::from_mins(*minute))).collect();
        assert_eq!(told, [0, 1, 3, 7, 15, 31, 61, 91, 121]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_has_a_file_open_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = fs::File::create(&path).unwrap();
        // This very process has it open as well.
        assert_eq!(holders(&path), []);
        let mut child = Command::new("sleep").arg("30").stdout(log.try_clone().unwrap()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = holders(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(words(&found), format!("process {pid} (sleep)"));
        assert_eq!(words(&holders(&path)), "a process that this system does not name");
    }
}
