//! `countersign ticket new`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::client::output::{Done, Failure};
use crate::client::portal::shapes::Ticket;
use crate::client::{With, fresh_key, text_of};
use crate::domain::digest::{Digest, canonical_json};
use crate::domain::ticket::{TicketKind, TicketState};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub with: With,
    /// The system whose database is changed, by its name in policy.
    #[arg(long)]
    application: String,
    /// The change in a few words, as lists show it.
    #[arg(long)]
    title: String,
    /// normal, standard or emergency.
    #[arg(long, default_value = "normal")]
    kind: TicketKind,
    /// What changes and why.
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "description_file")]
    description: String,
    /// The description from a file, or from standard input for `-`.
    #[arg(long, value_name = "FILE")]
    description_file: Option<PathBuf>,
    /// The tag of the release that is rolled out.
    #[arg(long, value_name = "TAG")]
    release_tag: String,
    /// The tag that a rollback redeploys.
    #[arg(long, value_name = "TAG")]
    prior_release_tag: String,
    /// The full revision that the databases are at.
    #[arg(long, value_name = "REVISION")]
    from: String,
    /// The full revision that the change leads to; never `head`.
    #[arg(long, value_name = "REVISION")]
    to: String,
    /// Somebody who wrote the change, by address or name; they can't approve it. May be given several times.
    #[arg(long = "author", value_name = "WHO")]
    authors: Vec<String>,
    /// Why an emergency can't wait.
    #[arg(long, value_name = "TEXT")]
    emergency_reason: Option<String>,
    /// The incident that an emergency ends, such as INC-1.
    #[arg(long, value_name = "INCIDENT")]
    emergency_incident: Option<String>,
    /// An address elsewhere that belongs to the change. May be given several times.
    #[arg(long = "link", value_name = "URL")]
    links: Vec<String>,
    /// What makes this filing this one and no other; else the CI pipeline's id and the ticket's content.
    /// Outside CI every filing is a new one.
    #[arg(long)]
    key: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let description = match &options.description_file {
        Some(path) => text_of(path)?,
        None => options.description.clone(),
    };
    let body = json!({
        "application": options.application,
        "title": options.title,
        "kind": options.kind,
        "description": description.trim_end(),
        "release_tag": options.release_tag,
        "prior_release_tag": options.prior_release_tag,
        "from_revision": options.from,
        "to_revision": options.to,
        "authors": options.authors,
        "emergency_reason": options.emergency_reason,
        "emergency_incident": options.emergency_incident,
        "external_links": options.links,
    });
    let portal = options.with.open()?;
    let key = match &options.key {
        Some(key) => key.clone(),
        // Outside a pipeline nothing repeats itself: the same content typed again is meant again.
        None => key_of(&body, &pipeline(|name| std::env::var(name).ok())).unwrap_or_else(fresh_key),
    };
    let answer = portal.post("/tickets", &body, &key)?;
    let mut ticket: Ticket = answer.read()?;
    let mut document: Value = answer.read()?;
    if answer.replayed {
        // The answer of then; what has become of the ticket since is asked anew.
        let now = portal.download(&format!("/tickets/{}", ticket.number))?;
        (ticket, document) = (now.read()?, now.read()?);
        if ticket.state != TicketState::Open {
            let message =
                format!("{} was filed before under this key, and is {}.", ticket.number, ticket.state);
            return Err(Failure::refused("filed-before", message)
                .advise("Name another --key to file it anew.")
                .with_document(document));
        }
    }
    let filed = if answer.replayed { "filed before by this pipeline" } else { "filed" };
    let page = portal.page(&format!("/tickets/{}", ticket.number));
    Ok(Done::new(format!("{} {filed}: {}\n{page}", ticket.number, ticket.title), document))
}

/// The pipeline that this is a step of: the same for a retried job, another for another pipeline. Outside CI, nothing.
fn pipeline(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    [["GITHUB_REPOSITORY", "GITHUB_RUN_ID"], ["CI_PROJECT_ID", "CI_PIPELINE_ID"], ["BUILD_URL", "BUILD_ID"]]
        .into_iter()
        .find_map(|names| names.into_iter().map(&variable).collect::<Option<Vec<_>>>())
        .unwrap_or_default()
}

/// One key for one filing: of what is filed, and of where from. None outside a pipeline.
fn key_of(body: &Value, pipeline: &[String]) -> Option<String> {
    if pipeline.is_empty() {
        return None;
    }
    let canonical = canonical_json(&json!([body, pipeline])).unwrap_or_default();
    Some(format!("ticket-{}", Digest::of(&canonical)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retried_job_has_the_key_of_the_first_try() {
        let github = |attempt: &'static str| {
            move |name: &str| match name {
                "GITHUB_REPOSITORY" => Some("example/trading".to_owned()),
                "GITHUB_RUN_ID" => Some("77".to_owned()),
                "GITHUB_RUN_ATTEMPT" => Some(attempt.to_owned()),
                _ => None,
            }
        };
        let body = json!({"title": "x"});
        let first = key_of(&body, &pipeline(github("1")));
        assert_eq!(first, key_of(&body, &pipeline(github("2"))));
        assert_ne!(first, key_of(&json!({"title": "y"}), &pipeline(github("1"))));
        assert_eq!(key_of(&body, &pipeline(|_| None)), None);
        assert_ne!(
            first,
            key_of(&body, &pipeline(|name| (name.starts_with("CI_")).then(|| "77".to_owned())))
        );
        assert!(first.is_some_and(|key| key.len() <= 200));
    }
}
