//! The gates of a stage: why it can't be applied yet, and who can clear it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::access::Caller;
use super::input::{At, Query};
use super::problem::{BlockerBody, Problem};
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::GateKey;
use crate::domain::digest::Digest;
use crate::domain::earliest::Earliest;
use crate::domain::facts::{Facts, Intent, Purpose};
use crate::domain::gate::{self, Gate, GateReport, GateStatus};
use crate::domain::id::TicketNumber;
use crate::domain::presented;
use crate::domain::run::{Direction, Method};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;

/// What is to be applied.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IntentBody {
    /// `upgrade`, if it is not said, or `rollback`.
    #[schema(value_type = Option<String>, example = "upgrade")]
    #[param(value_type = Option<String>)]
    direction: Option<Direction>,
    /// Of a rollback: `downgrade` or `restore`.
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    method: Option<Method>,
}

impl IntentBody {
    pub fn read(self) -> Result<Intent, Problem> {
        match (self.direction.unwrap_or(Direction::Upgrade), self.method) {
            (Direction::Upgrade, None) => Ok(Intent::Upgrade),
            (Direction::Upgrade, Some(_)) => Err(Problem::field("method", "Only a rollback has a method.")),
            (Direction::Rollback, Some(method)) => Ok(Intent::Rollback(method)),
            (Direction::Rollback, None) => {
                Err(Problem::field("method", "A rollback is a downgrade or a restore."))
            }
        }
    }
}

/// Every gate of a stage at one instant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GatesBody {
    /// Whether every gate is open or waived.
    applicable: bool,
    #[schema(value_type = String)]
    evidence_digest: Digest,
    #[schema(value_type = String, format = DateTime)]
    evaluated_at: Timestamp,
    #[schema(value_type = String)]
    direction: Direction,
    #[schema(value_type = Option<String>)]
    method: Option<Method>,
    earliest: EarliestBody,
    /// Where the run starts from and leads to.
    from_revision: String,
    to_revision: String,
    /// What redeeming a token has to present; none where the evidence lacks the file that would be run.
    presents: Option<PresentsBody>,
    /// Always nine, in their one order.
    gates: Vec<GateBody>,
}

/// The file that is run and the digests that a run of it presents.
#[derive(Debug, Serialize, ToSchema)]
struct PresentsBody {
    #[schema(value_type = String, example = "upgrade-sql")]
    kind: ArtifactKind,
    version: i64,
    /// Of the file's bytes.
    #[schema(value_type = String)]
    sha256: Digest,
    /// Of a fresh render, or of the file itself where a render can't be reproduced.
    #[schema(value_type = String, example = "sqlnorm1:sha256:…")]
    sql_digest: SqlDigest,
    #[schema(value_type = Option<String>)]
    manifest_sha256: Option<Digest>,
    /// What the database has to say of itself, where policy wants it.
    database: Option<String>,
}

/// The first instant at which the stage could be applied, supposing that people act; or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EarliestBody {
    #[schema(value_type = String, format = DateTime)]
    At(Timestamp),
    Why(String),
}

/// A condition for applying.
#[derive(Debug, Serialize, ToSchema)]
struct GateBody {
    #[schema(value_type = String, example = "window")]
    key: GateKey,
    label: &'static str,
    /// `open`, `blocked` or `waived`.
    #[schema(value_type = String, example = "blocked")]
    status: GateStatus,
    /// In plain words, whatever the status.
    reason: String,
    /// Who can clear it, while it is blocked.
    cleared_by: Option<String>,
    /// When it clears by itself, if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    clears_at: Option<Timestamp>,
    /// What shuts it, or what was waived.
    blockers: Vec<BlockerBody>,
}

impl GatesBody {
    fn of(report: GateReport, facts: &Facts) -> Self {
        let (from_revision, to_revision) = facts.range();
        let presents = presented::expected(facts).map(|expected| PresentsBody {
            kind: expected.kind,
            version: expected.version,
            sha256: expected.raw,
            sql_digest: expected.sql_digest,
            manifest_sha256: expected.manifest,
            database: expected.database,
        });
        Self {
            from_revision,
            to_revision,
            presents,
            applicable: report.applicable(),
            evidence_digest: report.evidence.digest,
            evaluated_at: report.evaluated_at,
            direction: report.intent.direction(),
            method: report.intent.method(),
            earliest: match report.earliest {
                Earliest::At(at) => EarliestBody::At(at),
                Earliest::Never { why } => EarliestBody::Why(why),
            },
            gates: report.gates.into_iter().map(GateBody::of).collect(),
        }
    }
}

impl GateBody {
    fn of(gate: Gate) -> Self {
        Self {
            key: gate.key,
            label: gate.key.label(),
            status: gate.status,
            reason: gate.reason,
            cleared_by: gate.cleared_by,
            clears_at: gate.clears_at,
            blockers: gate.blockers.iter().map(|b| BlockerBody::of(None, b)).collect(),
        }
    }
}

/// Show the gates of a stage
///
/// The same function answers here, on the page, at the release of a token and at its redemption.
#[utoipa::path(get, path = "/tickets/{number}/stages/{stage}/gates", tag = "Stages",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"),
           IntentBody),
    responses((status = 200, body = GatesBody)))]
pub(super) async fn show(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
    Query(intent): Query<IntentBody>,
) -> Result<Json<GatesBody>, Problem> {
    let intent = intent.read()?;
    let dossier = api.services.dossier(&caller.0, number).await?;
    let facts =
        dossier.facts_for(&stage, Purpose::View, intent).ok_or_else(|| Problem::not_found("stage"))?;
    let report = gate::evaluate(&facts).map_err(|e| Problem::internal(e.to_string()))?;
    Ok(Json(GatesBody::of(report, &facts)))
}
