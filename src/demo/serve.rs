//! `countersign demo`: a portal on a fresh file, filled, served until somebody stops it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;

use super::play::DemoError;
use super::seed::{Seeded, seed};
use crate::app::{self, AppState, Schema, StartError};
use crate::clock::Env;
use crate::config::{Config, ConfigFaults};
use crate::secret::hasher::Cost;
use crate::telemetry;

/// What the demo can be told.
#[derive(Debug, Args)]
pub struct Options {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Keep the portal in this file, which must not exist yet. Without it, everything is removed at the end.
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
enum NoDemo {
    #[error("{0}")]
    Usage(String),
    #[error("the settings can't be used:\n{0}")]
    Config(#[from] ConfigFaults),
    #[error("the portal can't start")]
    Start(#[from] StartError),
    #[error("the portal can't be filled")]
    Story(#[from] DemoError),
    #[error("{what}")]
    Io { what: String, source: io::Error },
}

impl NoDemo {
    fn io(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.to_string(), source }
    }
}

/// Runs the demo until it is stopped. 0 done, 1 failed, 2 can't be asked like this.
pub async fn run(options: Options) -> ExitCode {
    match demo(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut told = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(deeper) = source {
                // Writing to a string can't fail.
                let _ = write!(told, ": {deeper}");
                source = deeper.source();
            }
            eprintln!("countersign: {told}");
            ExitCode::from(if matches!(error, NoDemo::Usage(_) | NoDemo::Config(_)) { 2 } else { 1 })
        }
    }
}

async fn demo(options: &Options) -> Result<(), NoDemo> {
    let env = Env::system();
    let place = Place::find(options.database.as_deref(), &env)?;
    let config = place.config(&options.listen)?;
    let _ = telemetry::start(config.log_format, "warn");
    // First of all: whoever has the port already should not wait for a story.
    let listener = TcpListener::bind(config.listen).await.map_err(NoDemo::io(config.listen))?;
    let address = listener.local_addr().map_err(NoDemo::io(config.listen))?;
    place.make()?;
    let state = AppState::open(&config, Schema::Migrate, env.clone(), Cost::Standard).await?;
    let seeded = tokio::select! {
        seeded = seed(&state.services, &env) => seeded?,
        () = app::stop_signal() => {
            state.close().await;
            return Ok(());
        }
    };
    // If nobody reads this, nobody minds.
    let _ = io::stdout().write_all(words(&seeded, address, &place).as_bytes());
    let beating = tokio::spawn(seeded.pulse.keep(state.services.clone()));
    let stopped = async {
        app::stop_signal().await;
        beating.abort();
    };
    app::serve(listener, state, stopped).await.map_err(NoDemo::io("serving"))
}

/// Where the demo's files are.
#[derive(Debug)]
struct Place {
    database: PathBuf,
    /// Of the key that signs grants.
    keys: PathBuf,
    /// Nobody asked to keep it.
    passing: bool,
}

impl Place {
    fn find(database: Option<&Path>, env: &Env) -> Result<Self, NoDemo> {
        let Some(file) = database else {
            let keys =
                std::env::temp_dir().join(format!("countersign-demo-{}", hex::encode(env.bytes::<8>())));
            return Ok(Self { database: keys.join("countersign.db"), keys, passing: true });
        };
        let mut keys = file.as_os_str().to_owned();
        keys.push(".keys");
        let keys = PathBuf::from(keys);
        for taken in [file, &keys] {
            if taken.symlink_metadata().is_ok() {
                let message = format!("{} exists already: the demo wants a file of its own", taken.display());
                return Err(NoDemo::Usage(message));
            }
        }
        Ok(Self { database: file.to_owned(), keys, passing: false })
    }

    /// The settings; those of the environment are for real portals.
    fn config(&self, listen: &str) -> Result<Config, NoDemo> {
        let text = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| NoDemo::Usage(format!("{} is not text", path.display())))
        };
        let settings = [
            ("COUNTERSIGN_LISTEN", listen.to_owned()),
            ("COUNTERSIGN_DATABASE", format!("sqlite:{}", text(&self.database)?)),
            ("COUNTERSIGN_DATA_DIR", text(&self.keys)?),
        ];
        Ok(Config::load(None, settings.into_iter().map(|(name, value)| (name.to_owned(), value)))?)
    }

    /// Makes the folder, for nobody else to read.
    fn make(&self) -> Result<(), NoDemo> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.keys).map_err(NoDemo::io(self.keys.display()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.passing {
            // What the system doesn't give back, it clears with its temporary files.
            let _ = std::fs::remove_dir_all(&self.keys);
        }
    }
}

/// Where to go and as whom.
fn words(seeded: &Seeded, address: SocketAddr, place: &Place) -> String {
    let mut people = String::new();
    for person in &seeded.people {
        let (name, email, role) = (person.name, person.email, person.role.as_str());
        // Writing to a string can't fail.
        let _ = writeln!(people, "  {name:<15} {email:<26} {:<19} {role}", person.password);
    }
    let end = if place.passing {
        "Ctrl-C stops the demo and removes it.".to_owned()
    } else {
        format!(
            "Ctrl-C stops the demo. {file} stays, and can be served again:\n  COUNTERSIGN_DATABASE=sqlite:{file} \
             COUNTERSIGN_DATA_DIR={keys} countersign serve",
            file = place.database.display(),
            keys = place.keys.display()
        )
    };
    let token = seeded.pipeline_token.reveal();
    format!(
        "Countersign is at http://{address}\n\n  {:<15} {:<26} {:<19} {}\n{people}\nPriya's release pipeline has an API \
         token:\n  curl -H 'Authorization: Bearer {token}' http://{address}/api/v1/tickets\n\n{end}\n",
        "Sign in as", "Work email", "Password", "Role"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_nobody_keeps_leaves_nothing_and_lets_nobody_in() {
        let place = Place::find(None, &Env::system()).unwrap();
        place.make().unwrap();
        std::fs::write(&place.database, "x").unwrap();
        let keys = place.keys.clone();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(keys.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        drop(place);
        assert!(!keys.exists());
    }

    #[test]
    fn a_file_that_is_there_is_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let place = Place::find(Some(&file), &Env::system()).unwrap();
        place.make().unwrap();
        let keys = place.keys.clone();
        drop(place);
        assert!(keys.exists(), "what was asked for stays");
        assert!(matches!(Place::find(Some(&file), &Env::system()), Err(NoDemo::Usage(_))), "keys are there");
        std::fs::remove_dir(&keys).unwrap();
        std::fs::write(&file, "").unwrap();
        assert!(matches!(Place::find(Some(&file), &Env::system()), Err(NoDemo::Usage(_))));
    }

    #[test]
    fn the_demo_listens_on_this_machine_only() {
        let place = Place::find(None, &Env::system()).unwrap();
        assert!(place.config("127.0.0.1:0").is_ok());
        assert!(matches!(place.config("0.0.0.0:8080"), Err(NoDemo::Config(_))));
    }
}
