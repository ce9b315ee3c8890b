//! `countersign backup`: one file with everything, made while the portal runs.

use std::path::PathBuf;

use clap::Args;

use super::{AdminError, Settings};
use crate::store::{Db, Engine, OpenOptions};
use crate::telemetry;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    settings: Settings,
    /// The file to make; it must not exist yet.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) async fn run(options: &Options) -> Result<(), AdminError> {
    let config = options.settings.load(&[])?;
    let _ = telemetry::start(config.log_format, "warn");
    let db = Db::open(config.database.reveal(), OpenOptions::default()).await?;
    if db.engine() == Engine::Postgres {
        return Err(AdminError::Usage(
            "the database is on PostgreSQL: use its own tools, such as pg_dump --format=custom --file=FILE"
                .to_owned(),
        ));
    }
    let path = options
        .output
        .to_str()
        .ok_or_else(|| AdminError::Usage("the file’s name is not UTF-8".to_owned()))?;
    // The copy holds what only the portal may read. SQLite writes into an empty file that is there already.
    let file = private().open(path).map_err(AdminError::io(path))?;
    db.copy_to(path).await?;
    db.close().await;
    file.sync_all().map_err(AdminError::io(path))?;
    let bytes = file.metadata().map_err(AdminError::io(path))?.len();
    println!("{path}, {bytes} bytes. Keep {} with it.", config.grant_key_path().display());
    Ok(())
}

/// How to make a file that is new, and nobody else's.
fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
