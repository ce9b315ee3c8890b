//! The evidence digest: everything that an approval covers, as one canonical list (RULES 1).

use serde::Serialize;

use super::artifact::ArtifactKind;
use super::digest::{Digest, canonical_json};
use super::facts::Facts;
use super::id::{FindingId, IncidentId, RunId, TicketNumber};
use super::run::RunStatus;
use super::ticket::TicketKind;

#[derive(Serialize)]
struct Canonical<'a> {
    tag: &'static str,
    ticket: TicketNumber,
    stage: &'a str,
    generation: i64,
    kind: TicketKind,
    emergency: Option<CanonicalEmergency<'a>>,
    release_tag: &'a str,
    prior_release_tag: &'a str,
    from_revision: &'a str,
    to_revision: &'a str,
    database: Option<&'a str>,
    policy: CanonicalPolicy,
    previous_stage: Option<CanonicalPrevious<'a>>,
    artifacts: Vec<CanonicalArtifact<'a>>,
    accepted_findings: Vec<FindingId>,
}

#[derive(Serialize)]
struct CanonicalEmergency<'a> {
    reason: &'a str,
    incident: Option<IncidentId>,
}

#[derive(Serialize)]
struct CanonicalPolicy {
    version: i64,
    sha256: Digest,
}

#[derive(Serialize)]
struct CanonicalPrevious<'a> {
    run: RunId,
    sql_digest: &'a str,
}

#[derive(Serialize)]
struct CanonicalArtifact<'a> {
    kind: ArtifactKind,
    filename: &'a str,
    version: i64,
    sha256: Digest,
}

/// The canonical bytes of a stage's evidence and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub digest: Digest,
    /// RFC 8785 JSON, kept with every vote, token and run.
    pub canonical: String,
}

/// The evidence of these facts.
///
/// # Errors
/// Never for facts that came out of the database: every value has a JSON form. The error is passed on rather than hidden.
pub fn of(facts: &Facts) -> Result<Evidence, serde_json::Error> {
    let content = &facts.ticket.content;
    let mut accepted: Vec<FindingId> = facts.this.accepted_findings().map(|f| f.id).collect();
    accepted.sort();
    let canonical = Canonical {
        tag: "evidence/1",
        ticket: facts.ticket.number,
        stage: &facts.this.stage.name,
        generation: facts.this.stage.generation,
        kind: content.kind,
        emergency: content
            .emergency
            .as_ref()
            .map(|e| CanonicalEmergency { reason: &e.reason, incident: e.incident }),
        release_tag: &content.release_tag,
        prior_release_tag: &content.prior_release_tag,
        from_revision: &content.from_revision,
        to_revision: &content.to_revision,
        database: facts.this.policy.database.as_deref(),
        policy: CanonicalPolicy { version: facts.policy_version, sha256: facts.policy_sha256 },
        previous_stage: facts.previous.as_ref().and_then(|previous| {
            let run = previous.standing_upgrade()?;
            (run.status == RunStatus::Succeeded)
                .then_some(CanonicalPrevious { run: run.id, sql_digest: &run.sql_digest })
        }),
        artifacts: facts
            .this
            .evidence_files()
            .into_iter()
            .map(|a| CanonicalArtifact {
                kind: a.kind,
                filename: &a.filename,
                version: a.version,
                sha256: a.sha256,
            })
            .collect(),
        accepted_findings: accepted,
    };
    let bytes = canonical_json(&canonical)?;
    let digest = Digest::of(&bytes);
    // RFC 8785 output is UTF-8 by definition; the lossless branch is the only one taken.
    let canonical = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Evidence { digest, canonical })
}
