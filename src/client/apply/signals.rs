//! Signals: handed on to the command, which alone knows how to end in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::client::output::Failure;
use crate::client::project::process::Stop;

/// Signals that somebody sends to end a program.
#[cfg(unix)]
const ENDING: [(i32, &str); 3] =
    [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (signal_hook::consts::SIGHUP, "SIGHUP")];
#[cfg(not(unix))]
const ENDING: [(i32, &str); 2] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// From now on these signals don't end this program but are noted.
#[derive(Debug)]
pub struct Signals {
    flags: Vec<(i32, &'static str, Arc<AtomicBool>)>,
    stop: Stop,
}

impl Signals {
    pub fn catch() -> Result<Self, Failure> {
        let stop = Stop::default();
        let mut flags = Vec::new();
        for (signal, name) in ENDING {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .and_then(|_| stop.on_signal(signal))
                .map_err(|error| Failure::failed("signals", format!("{name} can’t be caught: {error}.")))?;
            flags.push((signal, name, flag));
        }
        Ok(Self { flags, stop })
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

/// Hands a signal on to a command and everything that it started.
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

/// On other systems the console tells the command itself.
#[cfg(not(unix))]
pub fn pass_on(_: &std::process::Child, _: i32) {}
