//! Other programs: a clean environment, whole streams in files, and an end for all of them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asks everything that runs to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Asks for it as soon as a signal comes.
    pub fn on_signal(&self, signal: i32) -> io::Result<()> {
        signal_hook::flag::register(signal, Arc::clone(&self.0)).map(drop)
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why a program did not come to its own end.
#[derive(Debug)]
pub enum Cut {
    /// It could not be started, or its streams could not be kept.
    Io(io::Error),
    TimeLimit,
    Stopped,
}

/// Where the standard streams go.
pub struct Streams<'a> {
    pub out: &'a Path,
    pub err: &'a Path,
}

/// Runs a program to its end, in a process group of its own that is killed as a whole when the time is over.
///
/// Its standard input is a pipe that stays open as long as this process lives, so that it can tell when it is alone.
pub fn run(
    command: &mut Command,
    streams: &Streams<'_>,
    limit: Duration,
    stop: &Stop,
) -> Result<ExitStatus, Cut> {
    command.stdin(Stdio::piped());
    command.stdout(File::create(streams.out).map_err(Cut::Io)?);
    command.stderr(File::create(streams.err).map_err(Cut::Io)?);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().map_err(Cut::Io)?;
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    loop {
        match child.try_wait().map_err(Cut::Io)? {
            Some(status) => {
                // What it left running in its group must not write to the copy behind our back.
                kill_group(&child);
                return Ok(status);
            }
            None if stop.asked() => {
                kill(&mut child);
                return Err(Cut::Stopped);
            }
            None if Instant::now() >= end => {
                kill(&mut child);
                return Err(Cut::TimeLimit);
            }
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn kill(child: &mut Child) {
    kill_group(child);
    // A child that is gone already is as good as killed.
    let _gone = child.kill();
    let _status = child.wait();
}

#[cfg(unix)]
fn kill_group(child: &Child) {
    let group = rustix::process::Pid::from_child(child);
    // No such group: everything in it has ended.
    let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

#[cfg(not(unix))]
fn kill_group(_: &Child) {}
