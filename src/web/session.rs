//! Who is asking: a signed-in person ([`Reader`]), or anybody ([`Visitor`]); and the cookies that tell.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use jiff::SignedDuration;

use super::error::Failure;
use super::site::{Site, WebState};
use super::view::shell::{Csrf, Flash, Theme};
use super::{csrf, respond};
use crate::domain::user::Actor;
use crate::service::ServiceError;
use crate::service::sign_in::{SessionActor, SignedIn};

/// The address at the other end of the connection, put beside every request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The cookies that we set. Over https their names begin with `__Host-`, so that no neighbouring domain can set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crumb {
    Session,
    /// What a visitor's forms are tied to.
    Visitor,
    Theme,
    /// Whether differences are shown side by side.
    View,
    /// What the last form has to say on the next page.
    Flash,
}

impl Crumb {
    fn name(self, site: &Site) -> &'static str {
        match (self, site.secure) {
            (Self::Session, true) => "__Host-csid",
            (Self::Session, false) => "csid",
            (Self::Visitor, true) => "__Host-csvisitor",
            (Self::Visitor, false) => "csvisitor",
            (Self::Theme, true) => "__Host-cstheme",
            (Self::Theme, false) => "cstheme",
            (Self::View, true) => "__Host-csview",
            (Self::View, false) => "csview",
            (Self::Flash, true) => "__Host-csflash",
            (Self::Flash, false) => "csflash",
        }
    }

    /// Its value in a request.
    pub fn of(self, site: &Site, headers: &HeaderMap) -> Option<String> {
        CookieJar::from_headers(headers).get(self.name(site)).map(|cookie| cookie.value().to_owned())
    }

    /// Puts it into a browser, until the browser is closed or for as long as is said.
    pub fn set(self, site: &Site, response: &mut Response, value: String, life: Option<SignedDuration>) {
        let mut cookie = Cookie::build((self.name(site), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(site.secure)
            .build()
            .to_string();
        if let Some(life) = life {
            let _ = write!(cookie, "; Max-Age={}", life.as_secs());
        }
        if let Ok(value) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }

    /// Takes it out of a browser.
    pub fn clear(self, site: &Site, response: &mut Response) {
        self.set(site, response, String::new(), Some(SignedDuration::ZERO));
    }
}

/// A signed-in person, with the roles of this very request. As an extractor it sends everybody else to sign in: a reader
/// of a page is led there and back; what a form wanted is not done.
#[derive(Clone, Debug)]
pub struct Reader {
    session: Arc<SessionActor>,
    pub theme: Theme,
    pub flash: Option<Flash>,
}

impl Reader {
    /// For calling services.
    pub fn actor(&self) -> &Actor {
        &self.session.actor
    }

    pub fn email(&self) -> &str {
        &self.session.email
    }

    /// The hidden field of this person's forms.
    pub fn csrf(&self) -> Csrf {
        Csrf(self.session.csrf.reveal().clone())
    }

    /// The person behind the cookies, if the session stands.
    pub async fn find(site: &Site, headers: &HeaderMap) -> Result<Option<Self>, ServiceError> {
        let Some(token) = Crumb::Session.of(site, headers) else { return Ok(None) };
        let session = site.services.session_actor(&token).await?;
        Ok(session.map(|session| Self::of(site, headers, Arc::new(session))))
    }

    fn of(site: &Site, headers: &HeaderMap, session: Arc<SessionActor>) -> Self {
        let flash = respond::flash_of(site, headers);
        Self { session, theme: theme(site, headers), flash }
    }
}

/// The outcome of the one look at the session that a request costs.
#[derive(Clone)]
struct Looked(Option<Arc<SessionActor>>);

/// The session of this request, looked up once.
pub(super) async fn session_of(
    parts: &mut Parts,
    site: &Site,
) -> Result<Option<Arc<SessionActor>>, ServiceError> {
    if let Some(Looked(found)) = parts.extensions.get::<Looked>() {
        return Ok(found.clone());
    }
    let found = match Crumb::Session.of(site, &parts.headers) {
        Some(token) => site.services.session_actor(&token).await?.map(Arc::new),
        None => None,
    };
    parts.extensions.insert(Looked(found.clone()));
    Ok(found)
}

impl FromRequestParts<WebState> for Reader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &WebState) -> Result<Self, Failure> {
        if let Some(session) = session_of(parts, site).await? {
            return Ok(Self::of(site, &parts.headers, session));
        }
        if matches!(parts.method, Method::GET | Method::HEAD) {
            let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
            return Err(Failure::sign_in_first(asked));
        }
        Err(Failure::signed_out())
    }
}

/// Anybody, before signing in. Their forms are tied to a cookie, which [`Visitor::keep`] sets.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub csrf: Csrf,
    pub theme: Theme,
    pub flash: Option<Flash>,
    /// What the browser has yet to be given.
    fresh: Option<String>,
}

impl Visitor {
    pub(super) fn of(site: &Site, headers: &HeaderMap) -> Self {
        let known = Crumb::Visitor.of(site, headers).filter(|known| known.len() == 32);
        let fresh = known.is_none().then(|| hex::encode(site.env.bytes::<16>()));
        let cookie = known.as_ref().or(fresh.as_ref()).map_or("", String::as_str);
        Self {
            csrf: Csrf(csrf::visitor_token(site, cookie)),
            theme: theme(site, headers),
            flash: respond::flash_of(site, headers),
            fresh,
        }
    }

    /// Sets the cookie that this visitor's forms are tied to, unless the browser has it.
    #[must_use]
    pub fn keep(self, site: &Site, mut response: Response) -> Response {
        if let Some(fresh) = self.fresh {
            Crumb::Visitor.set(site, &mut response, fresh, None);
        }
        response
    }
}

impl FromRequestParts<WebState> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &WebState) -> Result<Self, Failure> {
        Ok(Self::of(site, &parts.headers))
    }
}

/// Where a request comes from, and with which browser.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub agent: String,
}

impl FromRequestParts<WebState> for Client {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &WebState) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Peer>().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0.ip());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter();
        let forwarded: Vec<&str> = forwarded.filter_map(|value| value.to_str().ok()).collect();
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self {
            address: site.client(peer, Some(&forwarded.join(","))),
            agent: agent.unwrap_or_default().to_owned(),
        })
    }
}

/// Gives the browser its new session. Whatever session it had before is not taken over.
pub fn begin(site: &Site, response: &mut Response, signed_in: &SignedIn) {
    let token = signed_in.token.reveal().to_owned();
    Crumb::Session.set(site, response, token, Some(site.services.limits().session_max));
    Crumb::Visitor.clear(site, response);
}

fn theme(site: &Site, headers: &HeaderMap) -> Theme {
    Theme::named(&Crumb::Theme.of(site, headers).unwrap_or_default())
}
