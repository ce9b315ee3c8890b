//! The accept loop.
//!
//! Our own, because the framework's holds half-sent requests open for ever. A connection has a deadline for each request's
//! head and one for taking the answer, there is a cap on connections, and the end is orderly.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::stall::Impatient;
use super::{AppState, router};
use crate::sweeper;
use crate::web::session::Peer;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 1024;

/// How long requests under way may take at the end.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may leave an answer untaken.
const STALL: Duration = Duration::from_mins(1);

/// Serves until `shutdown` is done; then lets requests under way finish and closes the database.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let sweeper = tokio::spawn(sweeper::run(state.services.clone(), {
        let metrics = state.metrics.clone();
        move |lost| {
            metrics.lost_runs(lost);
            metrics.upkeep();
        }
    }));
    accept(listener, &state, shutdown).await;
    sweeper.abort();
    state.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn accept(listener: TcpListener, state: &AppState, shutdown: impl Future<Output = ()> + Send) {
    let app = router(state);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(state.header_read_timeout).max_headers(100);
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: those who are here have to go first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let app = app.clone();
        let service = service_fn(move |request| answer(app.clone(), Peer(peer), request));
        let connection = http.serve_connection(TokioIo::new(Impatient::new(stream, STALL)), service);
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    tracing::info!(connections = open.count(), "stopping");
    if tokio::time::timeout(GRACE, open.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
}

async fn answer(
    app: Router,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    request.extensions_mut().insert(peer);
    app.oneshot(request).await
}

/// Done when the process is asked to end: by ctrl-c, or by SIGTERM as service managers do.
pub async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
