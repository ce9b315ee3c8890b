//! The command while it runs: its output to the terminal and to the portal, signs of life, signals handed on.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Common;
use super::leftover::{self, Reminder};
use super::mask::Mask;
use super::signals::{self, Signals, pass_on};
use super::state::Slot;
use crate::client::output::{Failure, note};
use crate::client::portal::shapes::{LogState, Run};
use crate::client::portal::{Portal, PortalError};
use crate::client::project::{Project, secrets_of};
use crate::domain::id::RunId;

/// The largest piece of log that is sent at once; the portal takes 1 MiB.
const PIECE: usize = 256 * 1024;

/// How often output is looked for.
const GLANCE: Duration = Duration::from_millis(100);

/// How often output is sent.
const SENDING: Duration = Duration::from_millis(500);

/// How often sending the rest of a log is tried when the command has ended.
const LAST_TRIES: u32 = 20;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        Self::Code(status.code().unwrap_or(1))
    }

    /// As shells write it.
    pub fn exit_code(self) -> i64 {
        match self {
            Self::Code(code) => i64::from(code),
            Self::Signal(signal) => 128 + i64::from(signal),
        }
    }
}

/// Whether the portal has the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEnd {
    Whole,
    /// It went over the portal's cap.
    Cut,
    /// The portal did not take all of it.
    Missing,
}

/// Everything around a running command.
pub struct Execution<'a> {
    portal: &'a Portal,
    slot: &'a Slot,
    run: RunId,
    /// How much of the log the portal has.
    sent: u64,
    pulse: Duration,
    mask: Mask,
    /// Standard output is for the answer alone.
    quiet: bool,
}

impl<'a> Execution<'a> {
    pub(super) fn new(options: &Common, portal: &'a Portal, slot: &'a Slot, run: &Run) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let mut secrets = vec![portal.token().reveal().clone()];
        secrets.extend(variable("COUNTERSIGN_APPLY_TOKEN").map(|text| text.trim().to_owned()));
        secrets.extend(variable("PGPASSWORD"));
        let named = options.project.url_env.iter().chain(&options.project.pass_env);
        let named: Vec<String> = named.filter_map(|name| variable(name)).collect();
        secrets.extend(variable("DATABASE_URL").iter().chain(&named).flat_map(|url| secrets_of(url)));
        secrets.extend(named);
        Self {
            portal,
            slot,
            run: run.id,
            sent: run.log_bytes,
            pulse: options.pulse(),
            mask: Mask::new(secrets),
            quiet: options.on.with.json,
        }
    }

    /// Starts the command, with its output going into the log. It is in a group of its own: what is typed at the terminal
    /// reaches it once, through here. It runs where the scripts were checked, and has the database that was checked.
    pub fn start(command: &[String], project: &Project, log: File) -> Result<Child, Failure> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| Failure::usage("What is to be run?"))?;
        let refused = |error: std::io::Error| {
            Failure::failed("not-started", format!("{program} can’t be started: {error}."))
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).current_dir(project.cwd());
        if let Ok(path) = std::env::join_paths(project.search_path()) {
            command.env("PATH", path);
        }
        if let Some(url) = std::env::var_os("DATABASE_URL") {
            for name in &project.args().url_env {
                command.env(name, &url);
            }
        }
        command.stdout(log.try_clone().map_err(refused)?).stderr(log);
        crate::client::without_secrets(&mut command);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(refused)
    }

    /// Stays with the command until it has ended, and everything that it left behind with its output open.
    pub fn accompany(&self, mut child: Child, signals: &Signals) -> (Ended, LogEnd) {
        let mut ended = None;
        let mut reminder = Reminder::default();
        self.follow(|| {
            for (signal, name) in signals.fresh() {
                if ended.is_none() {
                    note(&format!("{name} is passed on to the command."));
                    pass_on(&child, signal);
                } else {
                    let left = leftover::holders(&self.slot.log_path());
                    note(&format!("{name}: what the command left running is asked to end (SIGTERM)."));
                    signals::end(&left, &child);
                }
            }
            if ended.is_none() {
                ended = match child.try_wait() {
                    Ok(status) => status.map(Ended::of),
                    // Not to be asked about any more, so it is not running.
                    Err(_) => Some(Ended::Code(1)),
                };
            }
            let end = ended?;
            if self.slot.still_running().unwrap_or(false) {
                if reminder.is_due(Instant::now()) {
                    let left = leftover::words(&leftover::holders(&self.slot.log_path()));
                    note(&format!(
                        "The command has ended, but what it started is still running and has its output open: {left}. \
                         That is waited for; Ctrl-C asks it to end."
                    ));
                }
                return None;
            }
            Some(end)
        })
    }

    /// Stays with a command that an earlier process started, until it lets its output go.
    pub fn rejoin(&self) -> LogEnd {
        let running = || self.slot.still_running().unwrap_or(false);
        let ((), log) = self.follow(|| (!running()).then_some(()));
        log
    }

    fn follow<T>(&self, mut ended: impl FnMut() -> Option<T>) -> (T, LogEnd) {
        let over = Bell::default();
        thread::scope(|scope| {
            let shown = scope.spawn(|| self.show(&over));
            let told = scope.spawn(|| self.tell(&over));
            let alive = scope.spawn(|| self.live(&over));
            let end = loop {
                if let Some(end) = ended() {
                    break end;
                }
                thread::sleep(GLANCE);
            };
            over.ring();
            let _ = (shown.join(), alive.join());
            (end, told.join().unwrap_or(LogEnd::Missing))
        })
    }

    /// The output as it comes, without secrets, for whoever watches: a terminal's text is kept elsewhere too.
    fn show(&self, over: &Bell) {
        let mut at = self.sent;
        loop {
            let last = over.rung();
            while let Ok(piece) = self.piece(at, last) {
                if piece.is_empty() {
                    break;
                }
                at += u64::try_from(piece.len()).unwrap_or(0);
                // A terminal that is gone does not concern the command.
                let _ = if self.quiet {
                    std::io::stderr().lock().write_all(&piece)
                } else {
                    std::io::stdout().lock().write_all(&piece)
                };
            }
            if last {
                return;
            }
            over.wait(GLANCE);
        }
    }

    /// The output for the portal, in pieces that have their place; what can't be sent now is sent later.
    fn tell(&self, over: &Bell) -> LogEnd {
        let mut sent = self.sent;
        let mut tries = 0;
        loop {
            let last = over.rung();
            let Ok(piece) = self.piece(sent, last) else { return LogEnd::Missing };
            if piece.is_empty() {
                if last {
                    return LogEnd::Whole;
                }
                over.wait(SENDING);
                continue;
            }
            match self.send(sent, &piece) {
                Ok(LogState { cut: true, .. }) => return LogEnd::Cut,
                Ok(LogState { next, .. }) => {
                    sent = next;
                    tries = 0;
                }
                Err(error) if error.passes() && (!last || tries < LAST_TRIES) => {
                    tries += u32::from(last);
                    thread::sleep(SENDING);
                }
                Err(error) => {
                    note(&format!("The log is not complete on the portal: {}", Failure::from(error).message));
                    return LogEnd::Missing;
                }
            }
        }
    }

    fn send(&self, offset: u64, piece: &[u8]) -> Result<LogState, PortalError> {
        self.portal.append(&format!("/runs/{}/log?offset={offset}", self.run), piece)?.read()
    }

    /// The bytes from `offset` on, without secrets. Until the command has ended, an end that may be the beginning of a secret
    /// waits for what follows.
    fn piece(&self, offset: u64, last: bool) -> std::io::Result<Vec<u8>> {
        let reach = self.mask.reach();
        let mut log = File::open(self.slot.log_path())?;
        let before = usize::try_from(offset).unwrap_or(usize::MAX).min(reach);
        log.seek(SeekFrom::Start(offset - u64::try_from(before).unwrap_or(0)))?;
        let most = u64::try_from(before + PIECE + reach).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        log.take(most).read_to_end(&mut bytes)?;
        self.mask.cover(&mut bytes);
        let waits = if last { 0 } else { self.mask.open_end(&bytes) };
        let ready = bytes.len() - waits;
        bytes.truncate(ready.min(before + PIECE));
        Ok(bytes.split_off(before.min(bytes.len())))
    }

    /// Signs of life. Their absence makes the run unknown, which a person has to settle; the command is never ended for it.
    fn live(&self, over: &Bell) {
        let mut told = false;
        while !over.wait(self.pulse) {
            match self.portal.report(&format!("/runs/{}/heartbeat", self.run), None, false) {
                Ok(_) => told = false,
                Err(error) => {
                    if !told {
                        let why = Failure::from(error.clone()).message;
                        note(&format!("The portal took no sign of life: {why} The command goes on."));
                    }
                    told = true;
                    if !error.passes() && !error.leaves_open() {
                        return;
                    }
                }
            }
        }
    }
}

/// Rung once, heard by everybody.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    fn rung(&self) -> bool {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until it rings; says whether it has rung.
    fn wait(&self, length: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, length, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
