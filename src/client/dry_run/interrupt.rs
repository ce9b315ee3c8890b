//! Ctrl-C: what runs is stopped and what was made is thrown away before we go.

use crate::client::project::process::Stop;

/// A stop that Ctrl-C and a polite kill ask for. Without it they end the process at once, as usual.
pub(super) fn listen() -> Stop {
    let stop = Stop::default();
    let asked = stop.clone();
    // If no thread or handler is to be had, Ctrl-C leaves a private folder behind and nothing worse.
    let _listening = std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(asked_to_stop());
            asked.ask();
            // Whoever asks twice does not want to wait for the cleaning up.
            runtime.block_on(asked_to_stop());
            std::process::exit(130);
        }
    });
    stop
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        _ => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
