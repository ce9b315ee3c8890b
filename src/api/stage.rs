//! A stage as JSON, with its files, checklist and runs.

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::domain::artifact::{self, Artifact, ArtifactFacts, ArtifactKind};
use crate::domain::checklist::{self, ItemStatus};
use crate::domain::digest::Digest;
use crate::domain::dossier::Dossier;
use crate::domain::facts::Facts;
use crate::domain::gate::{self, GateReport};
use crate::domain::id::{RunId, UserId};
use crate::domain::phase::{Phase, phase};
use crate::domain::run::{Health, Run};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;

use super::runs::RunBody;

/// A ticket's passage through one environment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StageBody {
    #[schema(example = "staging")]
    name: String,
    /// 0 for the first environment of the pipeline.
    position: i64,
    #[schema(value_type = String, example = "preparing")]
    phase: Phase,
    /// Raised by every change of the evidence and by every ended run.
    generation: i64,
    /// SHA-256 over everything that an approval covers.
    #[schema(value_type = String)]
    evidence_digest: Digest,
    /// Whether an upgrade could be released at this moment.
    applicable: bool,
    gates_open: usize,
    gates: usize,
    /// The files that stand.
    artifacts: Vec<ArtifactBody>,
    /// Findings that block and that nobody has accepted.
    blocking_findings: usize,
    blocking_threads: usize,
    approvals: ApprovalsBody,
    checklist: Vec<ItemBody>,
    /// Items that are ticked after a run.
    smoke: Vec<ItemBody>,
    /// Of the outstanding apply token.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<Timestamp>,
    /// The latest run of either direction.
    last_run: Option<RunBody>,
    observation: Option<ObservationBody>,
}

/// How the votes on the current evidence stand.
#[derive(Debug, Serialize, ToSchema)]
struct ApprovalsBody {
    quorum: u32,
    approvals: Vec<VoterBody>,
    rejections: Vec<VoterBody>,
    /// Approvals of evidence that is no longer current.
    stale: usize,
    /// Approvals by people who touched the change or left the board.
    not_counted: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct VoterBody {
    name: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What people say of the last upgrade.
#[derive(Debug, Serialize, ToSchema)]
struct ObservationBody {
    #[schema(value_type = String, format = "uuid")]
    run: RunId,
    /// The first moment at which `healthy` may be said.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    smoke_passed: bool,
    #[schema(value_type = Option<String>, example = "healthy")]
    verdict: Option<Health>,
    note: Option<String>,
    by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// One version of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactBody {
    #[schema(value_type = String, example = "upgrade-sql")]
    kind: ArtifactKind,
    filename: String,
    version: i64,
    /// Of the bytes.
    #[schema(value_type = String)]
    sha256: Digest,
    /// Of SQL: its digest in normal form, which a fresh render is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "sqlnorm1:sha256:…")]
    sql_digest: Option<SqlDigest>,
    bytes: i64,
    uploaded_by: PersonBody,
    #[schema(value_type = String, format = DateTime)]
    uploaded_at: Timestamp,
    /// The run that it tells of: smoke reports and monitoring snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    run: Option<RunId>,
    /// What keeps the portal from reading it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// An account, by its id and its name of today.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonBody {
    #[schema(value_type = String, format = "uuid")]
    pub id: UserId,
    pub name: String,
}

/// A checklist item as it stands for the current evidence.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that a program asks for by name"
)]
pub(super) struct ItemBody {
    #[schema(example = "release-frozen")]
    key: String,
    label: String,
    /// Stated by a person; else evidence decides.
    attested: bool,
    /// No API token can state it.
    session_only: bool,
    done: bool,
    /// What evidence says, where it decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Stated through an API token of that person.
    via_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

impl ArtifactBody {
    pub fn of(artifact: &Artifact) -> Self {
        let (sql_digest, problem) = match &artifact.facts {
            ArtifactFacts::Sql(sql) => (
                Some(sql.sqlnorm1.map_or(SqlDigest::Raw(artifact.sha256), SqlDigest::Norm1)),
                sql.problem.clone(),
            ),
            ArtifactFacts::Unreadable { problem } => (None, Some(problem.clone())),
            ArtifactFacts::Report(report) => (None, report.problem.clone()),
            ArtifactFacts::History(history) => (None, history.problem.clone()),
            ArtifactFacts::Manifest(_)
            | ArtifactFacts::Backup(_)
            | ArtifactFacts::Smoke(_)
            | ArtifactFacts::Opaque => (None, None),
        };
        Self {
            kind: artifact.kind,
            filename: artifact.filename.clone(),
            version: artifact.version,
            sha256: artifact.sha256,
            sql_digest,
            bytes: artifact.bytes,
            uploaded_by: PersonBody { id: artifact.uploaded_by, name: artifact.uploaded_by_name.clone() },
            uploaded_at: artifact.uploaded_at,
            run: artifact.run,
            problem,
        }
    }
}

impl ItemBody {
    fn of(item: ItemStatus) -> Self {
        let (note, by, via_token, at) = match item.tick {
            Some(tick) => (Some(tick.note), Some(tick.by_name), tick.via.is_some(), Some(tick.at)),
            None => (None, None, false, None),
        };
        Self {
            key: item.key,
            label: item.label,
            attested: item.attested,
            session_only: item.session_only,
            done: item.done,
            why: item.why,
            note,
            by,
            via_token,
            at,
        }
    }
}

/// Every item of a stage: those before a run, and those after it.
pub(super) fn items(facts: &Facts) -> (Vec<ItemBody>, Vec<ItemBody>) {
    let bodies = |items: Vec<ItemStatus>| items.into_iter().map(ItemBody::of).collect();
    (bodies(checklist::preflight(facts)), bodies(checklist::smoke(&facts.this)))
}

/// The item of this key.
pub(super) fn item(facts: &Facts, key: &str) -> Option<ItemBody> {
    let (preflight, smoke) = items(facts);
    preflight.into_iter().chain(smoke).find(|item| item.key == key)
}

/// One stage of a ticket.
pub(super) fn one(dossier: &Dossier, name: &str) -> Result<StageBody, Problem> {
    of(&dossier.facts(name).ok_or_else(|| Problem::not_found("stage"))?)
}

/// A stage by its facts, looked at for an upgrade.
pub(super) fn of(facts: &Facts) -> Result<StageBody, Problem> {
    let report = gate::evaluate(facts).map_err(|e| Problem::internal(e.to_string()))?;
    let record = &facts.this;
    let (checklist, smoke) = items(facts);
    let last = record.runs.iter().max_by_key(|r| r.act);
    let threads = record.threads.iter().filter(|t| t.blocking && t.resolved_at.is_none());
    let token = record.tokens.iter().find(|t| t.outstanding(facts.now));
    Ok(StageBody {
        name: record.stage.name.clone(),
        position: record.stage.position,
        phase: phase(facts, &report),
        generation: record.stage.generation,
        evidence_digest: report.evidence.digest,
        applicable: report.applicable(),
        gates_open: report.open_count(),
        gates: report.gates.len(),
        artifacts: artifact::current(&record.artifacts).into_iter().map(ArtifactBody::of).collect(),
        blocking_findings: record.findings.iter().filter(|f| f.blocks()).count(),
        blocking_threads: threads.count(),
        approvals: approvals(&report),
        checklist,
        smoke,
        token_expires_at: token.map(|t| t.expires_at),
        last_run: last.map(|run| RunBody::of(run, facts)),
        observation: record.last_upgrade().map(|run| observation(facts, run)),
    })
}

fn approvals(report: &GateReport) -> ApprovalsBody {
    let names = |votes: &[crate::domain::facts::Vote]| {
        votes.iter().map(|v| VoterBody { name: v.name.clone(), at: v.at }).collect()
    };
    ApprovalsBody {
        quorum: report.quorum,
        approvals: names(&report.tally.approvals),
        rejections: names(&report.tally.rejections),
        stale: report.tally.stale.len(),
        not_counted: report.tally.barred.len(),
    }
}

fn observation(facts: &Facts, run: &Run) -> ObservationBody {
    let record = &facts.this;
    let last = record.observations.iter().filter(|o| o.run == run.id).max_by_key(|o| o.at);
    ObservationBody {
        run: run.id,
        until: record.watched_until(run),
        smoke_passed: record.smoke_passed(run),
        verdict: record.health(run),
        note: last.map(|o| o.note.clone()),
        by: last.map(|o| o.by_name.clone()),
        at: last.map(|o| o.at),
    }
}
