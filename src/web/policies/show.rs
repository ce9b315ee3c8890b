//! `GET /policies/{application}/{environment}`: one version, and what it changed.

use axum::extract::State;
use serde::Deserialize;

use super::{changes, list, words};
use crate::web::error::{Failure, Page};
use crate::web::extract::{Path, Query};
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::code::{self, FileLine};
use crate::web::view::format::{Dig, Time};
use crate::web::view::pages::policies::{PolicyPage, PolicyVersion};
use crate::web::view::parts::Facts;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::{frame, paths, respond};

#[derive(Deserialize)]
pub(super) struct Asked {
    version: Option<i64>,
}

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((application, environment)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Page {
    let text = site.services.policy_version(&application, asked.version).await?;
    let policy = list::parsed(&text)?;
    let rules = policy.environment(&environment).ok_or_else(Failure::not_found)?;
    let before = match text.version {
        1 => None,
        version => Some(site.services.policy_version(&application, Some(version - 1)).await?),
    };
    let now = site.services.now();
    let here = format!("/policies/{}/{}", paths::encoded(&application), paths::encoded(&environment));
    let versions = site.services.policy_versions(&application, None).await?;
    let title = format!("Policy of {environment}, version {}", text.version);
    respond::page(&PolicyPage {
        shell: frame::shell(&site, &reader, title, Nav::Menu).await?,
        version: u32::try_from(text.version).unwrap_or(u32::MAX),
        applied: Prose::from("Applied ")
            .time(Time::long_utc(text.created_at, now))
            .text(format!(" by {}", text.created_by_name.as_deref().unwrap_or("the operator"))),
        digest: Dig::full(text.sha256),
        lines: (1..)
            .zip(code::lines(&text.toml))
            .map(|(number, code)| FileLine { number, code, notes: Vec::new() })
            .collect(),
        diff_title: format!("Against version {}", text.version - 1),
        diff: before.map(|before| {
            let caption = format!("Version {} compared with version {}", before.version, text.version);
            changes::diff(&before.toml, &text.toml, caption)
        }),
        facts: Facts { rows: words::facts(rules), ruled: true },
        versions: versions
            .iter()
            .map(|version| PolicyVersion {
                text: format!("Version {}", version.version),
                href: format!("{here}?version={}", version.version),
                current: version.version == text.version,
                note: Time::long(version.created_at, now).into(),
            })
            .collect(),
        application,
        environment,
    })
}
