//! What every page is given: the services, and how browsers reach us.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;

use crate::clock::Env;
use crate::config::{Config, IpRange, Origin, client_address};
use crate::secret::Secret;
use crate::service::Services;

/// How many uploads are held in memory at once.
const UPLOADS_AT_ONCE: usize = 8;

/// The state of every page's handler: `State(site): State<WebState>`.
pub type WebState = Arc<Site>;

/// What every page is given.
pub struct Site {
    pub services: Services,
    pub(super) env: Env,
    public_origin: Option<Origin>,
    trusted_proxy: Vec<IpRange>,
    /// Whether browsers come by https: cookies are `Secure` and named `__Host-…` then.
    pub(super) secure: bool,
    listens_on_loopback: bool,
    pub(super) visitor_key: Secret<[u8; 32]>,
    pub(super) uploads: Arc<Semaphore>,
}

impl Site {
    /// `visitor_key` signs the forms of people who are not signed in; replicas have to share it.
    pub fn new(services: Services, env: Env, config: &Config, visitor_key: Secret<[u8; 32]>) -> Self {
        Self {
            services,
            env,
            public_origin: config.public_origin.clone(),
            trusted_proxy: config.trusted_proxy.clone(),
            secure: config.secure_cookies(),
            listens_on_loopback: config.listen.ip().to_canonical().is_loopback(),
            visitor_key,
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
        }
    }

    /// Whether browsers come by https.
    pub const fn is_https(&self) -> bool {
        self.secure
    }

    /// Whether a request that names this host is meant for us: the public origin's, or, where we listen on loopback
    /// only, this machine under any port.
    pub fn is_our_host(&self, host: &str) -> bool {
        let at = |scheme: &str| format!("{scheme}://{host}").parse::<Origin>().ok();
        let scheme = if self.secure { "https" } else { "http" };
        let public = self.public_origin.as_ref().is_some_and(|ours| at(scheme).as_ref() == Some(ours));
        public || (self.listens_on_loopback && at("http").is_some_and(|origin| origin.is_loopback()))
    }

    /// Whether the `Origin` header of a request to this host names ourselves.
    pub fn is_our_origin(&self, origin: &str, host: Option<&str>) -> bool {
        if self.public_origin.as_ref().is_some_and(|ours| ours.as_str() == origin) {
            return true;
        }
        // A form of http://localhost:8080 is as good as one of the public origin, if this is where it was sent to.
        let Some(host) = host.filter(|host| self.listens_on_loopback && self.is_our_host(host)) else {
            return false;
        };
        format!("http://{host}").parse::<Origin>().is_ok_and(|there| there.as_str() == origin)
    }

    /// How browsers reach us, for links that leave the portal: as the operator says, never as a request claims, except
    /// where we listen on this machine alone.
    pub fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match &self.public_origin {
            Some(origin) => origin.to_string(),
            None => format!("http://{}", host.filter(|host| self.is_our_host(host)).unwrap_or("localhost")),
        }
    }

    /// Where the client is, as far as it can be known.
    pub fn client(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        client_address(&self.trusted_proxy, peer, forwarded_for)
    }
}
