//! Signals: handed on to the command, which alone knows how to end in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{SigId, flag};

use super::leftover::Holder;
use crate::client::output::{Exit, Failure};
use crate::client::project::process::Stop;

/// Signals that somebody sends to end a program.
#[cfg(unix)]
const ENDING: [(i32, &str); 3] =
    [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (signal_hook::consts::SIGHUP, "SIGHUP")];
#[cfg(not(unix))]
const ENDING: [(i32, &str); 2] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// From now on these signals don't end this program but are noted.
///
/// The checks stop at the first one; but they may be waiting for somebody who never answers, and then a second one ends the
/// program on the spot, until [`Self::insist`].
#[derive(Debug)]
pub struct Signals {
    flags: Vec<(i32, &'static str, Arc<AtomicBool>)>,
    stop: Stop,
    exits: Vec<SigId>,
}

impl Signals {
    pub fn catch() -> Result<Self, Failure> {
        let stop = Stop::default();
        let again = Arc::new(AtomicBool::new(false));
        let (mut flags, mut exits) = (Vec::new(), Vec::new());
        for (signal, name) in ENDING {
            let noted = Arc::new(AtomicBool::new(false));
            // In this order: the first signal finds that there was none before it.
            let exit = flag::register_conditional_shutdown(signal, Exit::Failed as i32, Arc::clone(&again))
                .and_then(|exit| flag::register(signal, Arc::clone(&again)).map(|_| exit))
                .and_then(|exit| flag::register(signal, Arc::clone(&noted)).map(|_| exit))
                .and_then(|exit| stop.on_signal(signal).map(|()| exit))
                .map_err(|error| Failure::failed("signals", format!("{name} can’t be caught: {error}.")))?;
            exits.push(exit);
            flags.push((signal, name, noted));
        }
        Ok(Self { flags, stop, exits })
    }

    /// From now on no signal ends this program, however many come: what is under way has to be told to its end.
    pub fn insist(&mut self) {
        for exit in self.exits.drain(..) {
            signal_hook::low_level::unregister(exit);
        }
    }

    /// What stops with the first of them.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Signals that came since this was asked last.
    pub fn fresh(&self) -> Vec<(i32, &'static str)> {
        let came = |flag: &Arc<AtomicBool>| flag.swap(false, Ordering::SeqCst);
        self.flags.iter().filter(|(.., flag)| came(flag)).map(|(signal, name, _)| (*signal, *name)).collect()
    }

    /// Refuses to go on where somebody wants an end.
    pub fn check(&self, what: &str) -> Result<(), Failure> {
        match self.fresh().first() {
            None => Ok(()),
            Some((_, name)) => Err(Failure::failed("interrupted", format!("Ended by {name}: {what}"))),
        }
    }
}

/// Hands a signal on to a command and everything in its group.
#[cfg(unix)]
pub fn pass_on(child: &std::process::Child, signal: i32) {
    let group = rustix::process::Pid::from_child(child);
    let signal = match signal {
        SIGINT => rustix::process::Signal::INT,
        SIGTERM => rustix::process::Signal::TERM,
        _ => rustix::process::Signal::HUP,
    };
    // A group that is gone has ended, which its exit status tells.
    let _gone = rustix::process::kill_process_group(group, signal);
}

/// Asks what a command left behind to end, whatever group that is in by now; where nobody can say what that is, the
/// command's own group. With SIGTERM: what a shell puts into the background is deaf to SIGINT.
#[cfg(unix)]
pub fn end(left: &[Holder], child: &std::process::Child) {
    if left.is_empty() {
        return pass_on(child, SIGTERM);
    }
    for pid in left.iter().filter_map(|holder| rustix::process::Pid::from_raw(holder.pid)) {
        // One that has ended meanwhile is what was wanted.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// On other systems the console tells the command itself.
#[cfg(not(unix))]
pub fn pass_on(_: &std::process::Child, _: i32) {}

/// As [`pass_on`].
#[cfg(not(unix))]
pub fn end(_: &[Holder], _: &std::process::Child) {}
