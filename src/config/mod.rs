//! What an operator can set: defaults ← `countersign.toml` ← `COUNTERSIGN_*` in the environment.
//!
//! Reading is pure (the caller hands over the environment), and every fault is reported at once.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

use crate::secret::Secret;

mod network;
mod read;

pub use network::{IpRange, NotAnIpRange, NotAnOrigin, Origin, client_address};
use read::{Reader, number_between, one, seconds};

/// The file that is read from the working directory if the operator names no other.
pub const DEFAULT_FILE: &str = "countersign.toml";

/// Every setting. In the environment a name is in capitals, behind `COUNTERSIGN_`.
pub const KEYS: [&str; 12] = [
    "data_dir",
    "database",
    "header_read_timeout",
    "listen",
    "log_format",
    "log_level",
    "max_log_bytes",
    "max_upload_bytes",
    "public_origin",
    "session_idle",
    "session_max",
    "trusted_proxy",
];

const MIB: u64 = 1024 * 1024;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The settings of a server, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite:…` or `postgres://…`; may hold a password.
    pub database: Secret<String>,
    pub listen: SocketAddr,
    /// How browsers reach the portal, where that is not `listen` itself.
    pub public_origin: Option<Origin>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxy: Vec<IpRange>,
    /// Where the grant key and the like are kept.
    pub data_dir: PathBuf,
    pub max_upload_bytes: u64,
    pub max_log_bytes: u64,
    /// A session ends this long after its last request,
    pub session_idle: SignedDuration,
    /// and this long after signing in at the latest.
    pub session_max: SignedDuration,
    pub log_format: LogFormat,
    /// A level, or directives such as `info,countersign=debug`.
    pub log_level: String,
    /// How long a client may take to send the head of a request.
    pub header_read_timeout: Duration,
}

impl Config {
    /// Reads the settings from a file, if one is named, and from the given environment, whose variables win. An empty
    /// variable counts as not set; variables that are not ours are skipped.
    ///
    /// # Errors
    /// With every fault there is: unknown names, values that can't be, and settings that are unsafe together.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigFaults> {
        let mut reader = Reader::new(file, env);
        let config = Self {
            database: reader.take("database", Secret::new("sqlite:countersign.db".to_owned()), database),
            listen: reader.take("listen", SocketAddr::from(([127, 0, 0, 1], 8080)), |raw| {
                one(raw)?
                    .parse()
                    .map_err(|_| "is not an address with a port, such as 127.0.0.1:8080".to_owned())
            }),
            public_origin: reader.take("public_origin", None, |raw| {
                one(raw)?.parse().map(Some).map_err(|fault: NotAnOrigin| fault.to_string())
            }),
            trusted_proxy: reader.take("trusted_proxy", Vec::new(), |raw| {
                raw.iter().map(|text| text.parse().map_err(|fault: NotAnIpRange| fault.to_string())).collect()
            }),
            data_dir: reader.take("data_dir", PathBuf::from("."), |raw| Ok(PathBuf::from(one(raw)?))),
            max_upload_bytes: reader
                .take("max_upload_bytes", 10 * MIB, |raw| number_between(raw, 1024, 256 * MIB)),
            max_log_bytes: reader.take("max_log_bytes", 5 * MIB, |raw| number_between(raw, 1024, 256 * MIB)),
            session_idle: reader.take("session_idle", SignedDuration::from_hours(12), length),
            session_max: reader.take("session_max", SignedDuration::from_hours(7 * 24), length),
            log_format: reader.take("log_format", LogFormat::Text, |raw| match one(raw)? {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("is neither text nor json".to_owned()),
            }),
            log_level: reader.take("log_level", "info".to_owned(), log_level),
            header_read_timeout: reader.take("header_read_timeout", Duration::from_secs(10), |raw| {
                seconds(raw, 1, 120).map(Duration::from_secs)
            }),
        };
        config.refuse_unsafe_combinations(&mut reader);
        reader.finish(config)
    }

    /// Whether browsers reach the portal by https: then cookies are `Secure` and named `__Host-…`.
    pub fn secure_cookies(&self) -> bool {
        self.public_origin.as_ref().is_some_and(Origin::is_https)
    }

    /// The file of the key that signs grants.
    pub fn grant_key_path(&self) -> PathBuf {
        self.data_dir.join("grant.key")
    }

    fn refuse_unsafe_combinations(&self, reader: &mut Reader) {
        if self.session_idle > self.session_max {
            reader.fault("session_idle", "is longer than session_max");
        }
        // A value that couldn't be read has its own fault; judging its default would add a false one.
        if reader.is_faulty(&["listen", "public_origin", "trusted_proxy"]) {
            return;
        }
        let local = self.listen.ip().to_canonical().is_loopback();
        let missing = match (self.secure_cookies(), self.trusted_proxy.is_empty()) {
            (true, false) => None,
            (true, true) => Some("trusted_proxy (the proxy’s address)"),
            (false, false) => Some("public_origin (https://…)"),
            (false, true) => Some("public_origin (https://…) and trusted_proxy (the proxy’s address)"),
        };
        if let Some(missing) = missing
            && !local
        {
            let message = format!(
                "{} can be reached from other machines, and passwords would cross the network unencrypted. Listen on \
                 127.0.0.1, or put a proxy that speaks https in front and set {missing}",
                self.listen
            );
            reader.fault("listen", message);
        } else if let Some(origin) = &self.public_origin
            && !origin.is_https()
            && !origin.is_loopback()
        {
            reader
                .fault("public_origin", "must begin with https:// unless it is this machine’s own localhost");
        }
    }
}

/// The value is never part of a fault: it may hold a password.
fn database(raw: &[String]) -> Result<Secret<String>, String> {
    let url = one(raw)?;
    if ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        Ok(Secret::new(url.to_owned()))
    } else {
        Err("is neither sqlite:FILE nor postgres://…".to_owned())
    }
}

/// From a minute to a year.
fn length(raw: &[String]) -> Result<SignedDuration, String> {
    let seconds = seconds(raw, 60, 366 * 24 * 3600)?;
    Ok(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

fn log_level(raw: &[String]) -> Result<String, String> {
    let text = one(raw)?;
    tracing_subscriber::EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|_| {
        "is not a level (error, warn, info, debug, trace) or a list such as info,countersign=debug".into()
    })
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with the settings. Never carries the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The setting's name; empty if the file as a whole is at fault.
    pub key: String,
    pub source: Source,
    /// What is wrong, to be read after the setting's name.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, source, message } = self;
        if key.is_empty() { write!(f, "{source} {message}") } else { write!(f, "{key} ({source}) {message}") }
    }
}

/// Everything that is wrong with the settings, one line each. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(faults))]
pub struct ConfigFaults {
    pub faults: Vec<ConfigFault>,
}

fn lines(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
