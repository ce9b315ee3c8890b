//! `countersign migrate`.

use super::{AdminError, Settings};
use crate::clock::Env;
use crate::store::{Db, OpenOptions, migrate};
use crate::telemetry;

pub(super) async fn run(settings: &Settings) -> Result<(), AdminError> {
    let config = settings.load(&[])?;
    let _ = telemetry::start(config.log_format, "warn");
    let db = Db::open(config.database.reveal(), OpenOptions::default()).await?;
    let applied = migrate::migrate(&db, Env::system().now()).await?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("the schema is up to date");
    }
    db.close().await;
    Ok(())
}
