//! Servers in processes of their own, so that what they cost can be told from what asking costs.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use countersign::app::{self, AppState, Schema};
use countersign::clock::Env;
use countersign::config::Config;
use countersign::secret::hasher::Cost;
use countersign::telemetry;
use tokio::net::TcpListener;

use crate::Fallible;

/// The first argument of a process that serves the portal, or the bare page.
pub const PORTAL: &str = "serve-portal";
pub const BARE: &str = "serve-bare";

/// A server that ends with this value.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts this program again, as a server.
    pub fn start(kind: &str, database: &Path) -> Fallible<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(kind)
            .arg(database)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut address = String::new();
        let stdout = process.stdout.take().ok_or("a server without an output")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().parse()? })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn listener() -> Fallible<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// The portal as it is served in earnest, with the log lines of every request.
pub async fn portal(database: &Path) -> Fallible<()> {
    let folder = database.parent().ok_or("a database without a folder")?;
    let settings = [
        ("COUNTERSIGN_DATABASE".to_owned(), format!("sqlite:{}", database.display())),
        ("COUNTERSIGN_DATA_DIR".to_owned(), folder.display().to_string()),
    ];
    let config = Config::load(None, settings.into_iter())?;
    telemetry::start(config.log_format, &config.log_level)?;
    let state = AppState::open(&config, Schema::MustBeCurrent, Env::system(), Cost::Standard).await?;
    app::serve(listener().await?, state, std::future::pending()).await?;
    Ok(())
}

#[derive(serde::Deserialize)]
struct Length {
    bytes: usize,
}

/// A page that says nothing, in as many bytes as are asked for.
pub async fn bare() -> Fallible<()> {
    let page = |State(full): State<&'static str>, Query(length): Query<Length>| async move {
        Html(full.get(..length.bytes).unwrap_or(full))
    };
    let full: &'static str = "x".repeat(8 << 20).leak();
    let router = axum::Router::new().route("/", get(page)).with_state(full);
    axum::serve(listener().await?, router).await?;
    Ok(())
}
