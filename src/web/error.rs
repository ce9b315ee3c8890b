//! What a person sees when something can't be done. The one place that turns a [`ServiceError`] into a page.
//!
//! A handler answers with a [`Failure`], which is data; [`pages`], around all pages, draws it with the reader's own frame
//! and the operation's id, and writes the cause to the log once.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::session::{Crumb, Reader, Visitor};
use super::site::{Site, WebState};
use super::view::pages::error::{ErrorPage, RefusedPage};
use super::view::prose::Prose;
use super::view::shell::Nav;
use super::view::state::{State as Lamp, Status};
use super::view::work::Action;
use super::{frame, paths, respond};
use crate::domain::blocker::Blocker;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::ticket::FieldFault;
use crate::service::ServiceError;

/// What a page's handler answers.
pub type Page = Result<Response, Failure>;

/// The id of this operation: in the answer's `x-request-id`, in every log line, on the page of an error.
#[derive(Clone, Debug)]
pub struct OperationId(pub Arc<str>);

/// Why a page can't be answered as asked. Cheap to pass on; drawn by [`pages`].
#[derive(Clone, Debug)]
pub struct Failure(Box<Told>);

#[derive(Clone, Debug, Default)]
struct Told {
    status: StatusCode,
    /// Instead of the words that hold for any page with this status.
    title: Option<String>,
    what: Option<Prose>,
    blockers: Vec<Status>,
    /// In seconds.
    retry_after: Option<u64>,
    /// Lead the reader here instead of telling anything.
    see_other: Option<String>,
    /// For the log alone.
    cause: Option<String>,
}

impl Failure {
    /// The page of a status, in the words that hold for any page.
    pub fn of(status: StatusCode) -> Self {
        Self(Box::new(Told { status, ..Told::default() }))
    }

    /// There is nothing at this address.
    pub fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND)
    }

    /// Leads a reader to the door, and back afterwards.
    pub fn sign_in_first(asked: &str) -> Self {
        let mut failure = Self::of(StatusCode::UNAUTHORIZED);
        failure.0.see_other = Some(paths::sign_in(paths::ours(asked)));
        failure
    }

    /// Nobody, or nobody any more, sent a form that only a signed-in person can send.
    pub fn signed_out() -> Self {
        Self::of(StatusCode::UNAUTHORIZED)
            .title("Your session has ended")
            .what("Nothing has been changed. Sign in and do it again; what you typed is still there if you go back.")
    }

    /// A form that doesn't fit the page it should come from.
    pub fn unreadable(what: impl Into<Prose>) -> Self {
        Self::of(StatusCode::BAD_REQUEST).title("This could not be read").what(what)
    }

    /// Fields that the page's form doesn't have, has twice, or has not.
    pub fn unprocessable(what: impl Into<Prose>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY).title("This form does not fit its page").what(what)
    }

    /// Sent by another site, or by a page of an older session.
    pub fn foreign() -> Self {
        Self::of(StatusCode::FORBIDDEN).title("This form was not sent by our page").what(
            "Nothing has been changed. The form came from another site, or from a page of an older session. Open the \
             page again and repeat it there.",
        )
    }

    /// A fault of the portal; the cause is for the log.
    pub fn internal(cause: impl Into<String>) -> Self {
        let mut failure = Self::of(StatusCode::INTERNAL_SERVER_ERROR);
        failure.0.cause = Some(cause.into());
        failure
    }

    /// More than `limit` bytes.
    pub fn too_large(limit: u64) -> Self {
        let limit = super::view::format::bytes(limit);
        Self::of(StatusCode::PAYLOAD_TOO_LARGE)
            .what(format!("Nothing has been stored. At most {limit} can be sent here."))
    }

    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    #[must_use]
    pub fn what(mut self, what: impl Into<Prose>) -> Self {
        self.0.what = Some(what.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Writes the cause to the log, if there is one. To be done once, by whoever answers.
    pub fn log(&self, operation: &str) {
        if let Some(cause) = &self.0.cause {
            tracing::error!(operation, status = self.0.status.as_u16(), cause, "a request failed");
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if let Some(there) = &self.0.see_other {
            return respond::see_other(there);
        }
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let told = |status, title: &str| Self::of(status).title(title).what(error.to_string());
        match &error {
            ServiceError::Refused(refusal) => refused(refusal),
            ServiceError::Invalid { .. } => {
                told(StatusCode::UNPROCESSABLE_ENTITY, "An answer needs a change")
            }
            ServiceError::NotFound(_) => told(StatusCode::NOT_FOUND, "There is nothing here"),
            ServiceError::Conflict { .. } => told(StatusCode::CONFLICT, "This was not recorded"),
            ServiceError::Gone { .. } => told(StatusCode::GONE, "This is over"),
            ServiceError::Mismatch { .. } => told(StatusCode::UNPROCESSABLE_ENTITY, "This was not recorded"),
            ServiceError::Unauthenticated { .. } => told(StatusCode::UNAUTHORIZED, "Sign in first"),
            ServiceError::TooLarge { limit } => Self::too_large(*limit),
            ServiceError::Throttled { seconds } => {
                let minutes = super::view::format::plural(seconds.div_ceil(60), "minute", "minutes");
                let mut failure = Self::of(StatusCode::TOO_MANY_REQUESTS)
                    .what(format!("Nothing has been changed. Try again in {minutes}."));
                failure.0.retry_after = Some(*seconds);
                failure
            }
            ServiceError::ClockBehind => told(StatusCode::SERVICE_UNAVAILABLE, "The clock can’t be trusted"),
            ServiceError::Busy => {
                let mut failure = Self::of(StatusCode::SERVICE_UNAVAILABLE);
                failure.0.retry_after = Some(1);
                failure
            }
            ServiceError::Store(_) | ServiceError::Internal(_) => Self::internal(chain(&error)),
        }
    }
}

fn refused(refusal: &Refusal) -> Failure {
    let (status, title) = match refusal.kind() {
        RefusalKind::Forbidden => (StatusCode::FORBIDDEN, "You can’t do this"),
        RefusalKind::Conflict => (StatusCode::CONFLICT, "This was not recorded"),
        RefusalKind::NotFound => (StatusCode::NOT_FOUND, "There is nothing here"),
        RefusalKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "An answer needs a change"),
    };
    let mut failure = Failure::of(status).title(title).what(refusal.to_string());
    failure.0.blockers = blockers(refusal);
    failure
}

/// What keeps a refused act, for a page.
pub fn blockers(refusal: &Refusal) -> Vec<Status> {
    refusal.blockers().iter().map(Blocker::words).map(|words| Status::new(Lamp::Stop, words)).collect()
}

/// The faults of fields, where that is what went wrong: the handler then shows its form again. Everything else goes on.
pub fn faults(error: ServiceError) -> Result<Vec<FieldFault>, Failure> {
    match error {
        ServiceError::Invalid { faults } => Ok(faults),
        ServiceError::Refused(Refusal::NeedsText { field, why }) => {
            Ok(vec![FieldFault { field, message: why.to_owned() }])
        }
        other => Err(other.into()),
    }
}

/// An error and what it comes from, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Around all pages: draws what failed, and takes a message out of the browser once it was shown.
pub async fn pages(State(site): State<WebState>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let mut response = next.run(request).await;
    let told = response.extensions_mut().remove::<Failure>();
    let failure = match told {
        Some(failure) => failure,
        None if is_bare(&response) => Failure::of(response.status()),
        None => {
            if response.status() == StatusCode::OK && is_html(&response) && asked.has_flash(&site) {
                Crumb::Flash.clear(&site, &mut response);
            }
            return response;
        }
    };
    let mut page = asked.draw(&site, failure).await;
    // What the router said of itself: the methods of an address.
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allow);
    }
    page
}

/// An error without words of its own, such as the router's 404 and 405.
fn is_bare(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error()) && response.body().size_hint().exact() == Some(0)
}

fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// What drawing a failure needs of the request that it answers.
struct Asked {
    method: Method,
    /// Cookies and `Referer` alone.
    headers: HeaderMap,
    operation: Option<OperationId>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let mut headers = HeaderMap::new();
        for name in [header::COOKIE, header::REFERER] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let operation = request.extensions().get::<OperationId>().cloned();
        Self { method: request.method().clone(), headers, operation }
    }

    fn has_flash(&self, site: &Site) -> bool {
        Crumb::Flash.of(site, &self.headers).is_some_and(|flash| !flash.is_empty())
    }

    fn back(&self) -> &str {
        paths::back(self.headers.get(header::REFERER).and_then(|value| value.to_str().ok()))
    }

    async fn draw(&self, site: &Site, failure: Failure) -> Response {
        let operation = self.operation.as_ref().map_or("", |id| &id.0);
        failure.log(operation);
        let told = *failure.0;
        let shell = self.shell(site).await;
        let drawn = if told.status == StatusCode::CONFLICT && self.method == Method::POST {
            let mut page = RefusedPage {
                shell,
                title: told.title.unwrap_or_else(|| "This has changed meanwhile".to_owned()),
                what: told.what.unwrap_or_else(|| "Nothing has been recorded.".into()),
                changes: Vec::new(),
                blockers: told.blockers,
                again: None,
                back: self.back().to_owned(),
            };
            page.shell.title.clone_from(&page.title);
            respond::html(told.status, &page)
        } else {
            let reference = if told.status.is_server_error() { operation } else { "" };
            let mut page = ErrorPage::of(shell, told.status.as_u16(), reference);
            if let Some(title) = told.title {
                page.shell.title.clone_from(&title);
                page.title = title;
            }
            if let Some(what) = told.what {
                page.what = what;
            }
            if told.status == StatusCode::UNAUTHORIZED {
                page.actions = vec![Action::new("Sign in", paths::sign_in(self.back())).primary()];
            }
            respond::html(told.status, &page)
        };
        let mut response = drawn.unwrap_or_else(|error| {
            tracing::error!(operation, %error, "the page of an error could not be drawn");
            respond::plain(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here, not with you.\n")
        });
        if let Some(seconds) = told.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// The frame of whoever asked; a visitor's, if even that can't be found out.
    async fn shell(&self, site: &Site) -> super::view::shell::Shell {
        let reader = Reader::find(site, &self.headers).await.ok().flatten();
        if let Some(mut reader) = reader {
            reader.flash = None;
            if let Ok(shell) = frame::shell(site, &reader, "", Nav::Menu).await {
                return shell;
            }
        }
        frame::visitor_shell(site, &Visitor::of(site, &self.headers), "")
    }
}
