//! Declaring a freeze.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::list;
use crate::domain::ticket::FieldFault;
use crate::domain::time::Timestamp;
use crate::service::incidents::FreezeInput;
use crate::web::error::{self, Failure, Page};
use crate::web::forms::Form;
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::Time;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::pages::incidents::DeclareFreeze;
use crate::web::view::state::State as Lamp;

#[derive(Deserialize)]
pub(super) struct New {
    application: Option<String>,
    environment: Option<String>,
    starts_at: String,
    ends_at: String,
    reason: String,
}

pub(super) async fn submit(State(site): State<WebState>, reader: Reader, Form(form): Form<New>) -> Page {
    let faults = match declare(&site, &reader, &form).await? {
        Ok(ends_at) => {
            let said = format!("Frozen until {}.", Time::long_utc(ends_at, site.services.now()).words);
            return Ok(respond::see_other_saying(&site, "/freezes", Lamp::Stop, &said));
        }
        Err(faults) => faults,
    };
    let mut page = list::page(&site, &reader).await?;
    let fault = |field| faults.iter().find(|fault| fault.field == field).map(|fault| fault.message.clone());
    let input = |field, value: String| Input { value, error: fault(field) };
    page.declare = Some(DeclareFreeze {
        application: input("application", form.application.unwrap_or_default()),
        environment: input("environment", form.environment.unwrap_or_default()),
        starts_at: input("starts_at", form.starts_at),
        ends_at: input("ends_at", form.ends_at),
        reason: input("reason", form.reason),
    });
    page.shell.title = format!("Error: {}", page.shell.title);
    page.errors = Some(ErrorSummary {
        title: "The freeze was not declared".to_owned(),
        faults: faults
            .into_iter()
            .map(|fault| Fault { field: fault.field.to_owned(), text: fault.message })
            .collect(),
        kept: "Everything else is kept as you typed it.".to_owned(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// When the freeze that now is ends; or the faults of the form.
async fn declare(
    site: &Site,
    reader: &Reader,
    form: &New,
) -> Result<Result<Timestamp, Vec<FieldFault>>, Failure> {
    let (starts_at, ends_at) = match (time("starts_at", &form.starts_at), time("ends_at", &form.ends_at)) {
        (Ok(starts_at), Ok(ends_at)) => (starts_at, ends_at),
        (starts_at, ends_at) => {
            return Ok(Err([starts_at.err(), ends_at.err()].into_iter().flatten().collect()));
        }
    };
    let input = FreezeInput {
        application: form.application.clone(),
        environment: form.environment.clone(),
        starts_at,
        ends_at,
        reason: form.reason.clone(),
    };
    match site.services.declare_freeze(reader.actor(), input).await {
        Ok(freeze) => Ok(Ok(freeze.ends_at)),
        Err(error) => error::faults(error).map(Err),
    }
}

/// Reads what a browser's `datetime-local` field gives, as UTC; a `Z` at its end is let through.
fn time(field: &'static str, text: &str) -> Result<Timestamp, FieldFault> {
    let read = text.trim().trim_end_matches('Z').parse::<DateTime>();
    let instant = read.and_then(|civil| civil.to_zoned(TimeZone::UTC)).map(|zoned| zoned.timestamp().into());
    instant.map_err(|_| FieldFault {
        field,
        message: "Write a day and a time, such as 2025-12-15T00:00.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_form_are_utc() {
        for (text, expected) in [
            ("2025-12-15T08:30", "2025-12-15T08:30:00Z"),
            (" 2025-12-15 08:30:05 ", "2025-12-15T08:30:05Z"),
            ("2025-12-15T08:30Z", "2025-12-15T08:30:00Z"),
        ] {
            assert_eq!(time("starts_at", text).unwrap().to_string(), expected);
        }
        for text in ["", "tomorrow", "2025-13-01T00:00", "2025-12-15T25:00", "08:30"] {
            assert_eq!(time("ends_at", text).unwrap_err().field, "ends_at", "{text}");
        }
    }
}
