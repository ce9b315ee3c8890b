//! `countersign serve`.

use clap::Args;
use tokio::net::TcpListener;

use super::{AdminError, Settings};
use crate::app::{self, AppState, Schema};
use crate::clock::Env;
use crate::secret::hasher::Cost;
use crate::telemetry;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    settings: Settings,
    /// Address and port to listen on, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How browsers reach the portal, such as <https://changes.example.org>.
    #[arg(long, value_name = "ORIGIN")]
    public_origin: Option<String>,
    /// Where the portal's keys are kept.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
}

pub(super) async fn run(options: Options) -> Result<(), AdminError> {
    let config = options.settings.load(&[
        ("listen", options.listen.as_deref()),
        ("public_origin", options.public_origin.as_deref()),
        ("data_dir", options.data_dir.as_deref()),
    ])?;
    telemetry::start(config.log_format, &config.log_level).map_err(|e| AdminError::Failed(e.to_string()))?;
    let listener = TcpListener::bind(config.listen).await.map_err(AdminError::io(config.listen))?;
    let state = AppState::open(&config, Schema::Migrate, Env::system(), Cost::Standard).await?;
    if state.services.list_users(None).await?.is_empty() {
        tracing::info!("nobody has an account yet: countersign user add --email … --name … --role admin");
    }
    app::serve(listener, state, app::stop_signal()).await.map_err(AdminError::io("serving"))
}
