//! How a command is told which portal to speak to, and as whom. Secrets come from a file or the environment only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Portal, address};
use crate::client::output::Failure;
use crate::secret::Secret;
use crate::secret::token::{PlainToken, TokenKind};

/// Where help lists what every command takes.
const HEADING: &str = "Portal";

/// Which portal, and as whom.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// The portal's address, such as `https://countersign.example.org`.
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_URL", hide_env_values = true, help_heading = HEADING)]
    url: Option<String>,
    /// A file with the API token; else it comes from the variable `COUNTERSIGN_API_TOKEN`.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_API_TOKEN_FILE", hide_env_values = true, help_heading = HEADING)]
    api_token_file: Option<PathBuf>,
    /// Certificates of the authority that the portal's certificate comes from, in PEM; else this machine's.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CA_FILE", hide_env_values = true, help_heading = HEADING)]
    ca_file: Option<PathBuf>,
    /// Speak plain HTTP to another machine, where everybody on the way can read the API token.
    #[arg(long, env = "COUNTERSIGN_ALLOW_HTTP", hide_env_values = true, value_parser = FalseyValueParser::new(),
          help_heading = HEADING)]
    allow_http: bool,
}

impl Connection {
    /// Makes ready to speak to the portal; nothing is sent yet.
    ///
    /// # Errors
    /// When the address, the token or the certificates can't be used.
    pub fn open(&self) -> Result<Portal, Failure> {
        let url = self.url.as_deref().ok_or_else(|| {
            Failure::usage("Which portal? Set COUNTERSIGN_URL, such as https://countersign.example.org.")
        })?;
        let address = address::parse(url, self.allow_http)?;
        let token = self.token()?;
        let roots = match &self.ca_file {
            Some(path) => RootCerts::from(certificates(path)?),
            None => RootCerts::PlatformVerifier,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A token goes nowhere but where it was meant to go.
            .max_redirects(0)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_send_body(Some(Duration::from_mins(5)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .timeout_recv_body(Some(Duration::from_mins(5)));
        let config = if address.loopback { config.proxy(None) } else { config };
        Ok(Portal { agent: config.build().new_agent(), base: address.base, token })
    }

    fn token(&self) -> Result<Secret<String>, Failure> {
        let text = match &self.api_token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?,
            None => std::env::var("COUNTERSIGN_API_TOKEN").map_err(|_| {
                Failure::usage(
                    "An API token is needed: set COUNTERSIGN_API_TOKEN, or COUNTERSIGN_API_TOKEN_FILE.",
                )
            })?,
        };
        let text = text.trim();
        PlainToken::parse(TokenKind::Api, text)
            .map_err(|why| Failure::usage(format!("COUNTERSIGN_API_TOKEN: {why}.")))?;
        Ok(Secret::new(text.to_owned()))
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let pem = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Failure::usage(format!("{} holds no certificate in PEM.", path.display())));
    }
    Ok(found)
}
