//! `GET /policies`.

use axum::extract::State;

use crate::domain::policy::Policy;
use crate::service::policies::PolicyText;
use crate::web::error::Page;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::format::{Dig, Time, plural};
use crate::web::view::pages::policies::{PoliciesPage, PolicyRow};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::{frame, respond};

use super::words;

pub(super) async fn show(State(site): State<WebState>, reader: Reader) -> Page {
    let now = site.services.now();
    let mut rows = Vec::new();
    for summary in site.services.policies().await? {
        let text = site.services.policy_version(&summary.application, Some(summary.version)).await?;
        let policy = parsed(&text)?;
        for environment in &policy.environments {
            rows.push(PolicyRow {
                application: policy.application.clone(),
                environment: environment.name.clone(),
                href: format!("/policies/{}/{}", policy.application, environment.name),
                version: u32::try_from(text.version).unwrap_or(u32::MAX),
                digest: Dig::short(text.sha256),
                summary: words::summary(environment),
                applied: applied(&text, Time::long(text.created_at, now)),
            });
        }
    }
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    respond::page(&PoliciesPage {
        shell: frame::shell(&site, &reader, "Policies", Nav::Menu).await?,
        note: plural(count, "environment", "environments"),
        rows,
        empty: Empty::new(
            "list-checks",
            "No policy has been applied yet.",
            Prose::from("Apply one with ").code("countersign policy apply FILE").text("."),
        ),
    })
}

/// A stored policy was read when it was applied, so it can be read again.
pub(super) fn parsed(text: &PolicyText) -> Result<Policy, crate::web::Failure> {
    Policy::parse(&text.toml).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        crate::web::Failure::internal(format!("a stored policy can't be read: {first}"))
    })
}

/// "Wed 12 Nov, 09:00 by Marta Kovács".
pub(super) fn applied(text: &PolicyText, at: Time) -> Prose {
    let by = text.created_by_name.as_deref().unwrap_or("the operator");
    Prose::from(at).text(format!(" by {by}"))
}
