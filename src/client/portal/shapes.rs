//! The parts of the portal's answers that commands look at. Fields that nobody here needs are skipped.

use serde::Deserialize;

use crate::client::output::Blocker;
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::run::{Direction, Method, RunStatus};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::ticket::TicketState;
use crate::domain::time::Timestamp;

/// Every gate of a stage at one instant.
#[derive(Clone, Debug, Deserialize)]
pub struct Gates {
    pub applicable: bool,
    pub evaluated_at: Timestamp,
    pub earliest: Earliest,
    pub from_revision: String,
    pub to_revision: String,
    pub presents: Option<Presents>,
    #[serde(rename = "gates")]
    pub all: Vec<Gate>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Earliest {
    At(Timestamp),
    Why(String),
}

/// What redeeming a token has to present.
#[derive(Clone, Debug, Deserialize)]
pub struct Presents {
    pub kind: ArtifactKind,
    pub version: i64,
    pub sha256: Digest,
    pub sql_digest: SqlDigest,
    pub manifest_sha256: Option<Digest>,
    pub database: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Gate {
    pub key: String,
    pub label: String,
    pub status: String,
    pub reason: String,
    pub cleared_by: Option<String>,
    pub blockers: Vec<Blocker>,
}

impl Gate {
    pub fn blocked(&self) -> bool {
        self.status == "blocked"
    }
}

impl Gates {
    /// Everything that shuts a gate, each with its gate's name.
    pub fn blockers(&self) -> Vec<Blocker> {
        let named = |gate: &Gate| {
            let key = gate.key.clone();
            gate.blockers.clone().into_iter().map(move |b| Blocker { gate: Some(key.clone()), ..b })
        };
        self.all.iter().filter(|gate| gate.blocked()).flat_map(named).collect()
    }

    pub fn gate(&self, key: &str) -> Option<&Gate> {
        self.all.iter().find(|gate| gate.key == key)
    }
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
pub struct Ticket {
    pub number: TicketNumber,
    pub title: String,
    pub kind: String,
    pub state: TicketState,
    pub application: String,
    pub from_revision: String,
    pub to_revision: String,
    pub release_tag: String,
    pub requester: Person,
    pub stages: Vec<Stage>,
    #[serde(default)]
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Alarm {
    pub stage: Option<String>,
    pub kind: String,
    pub at: Timestamp,
}

/// A ticket's passage through one environment.
#[derive(Clone, Debug, Deserialize)]
pub struct Stage {
    pub name: String,
    pub phase: String,
    pub last_run: Option<Run>,
}

/// One execution.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub ticket: TicketNumber,
    pub stage: String,
    pub direction: Direction,
    pub method: Option<Method>,
    pub status: RunStatus,
    pub sql_digest: SqlDigest,
    pub redeemed_by: String,
    pub revision_after: Option<String>,
    pub log_bytes: u64,
    pub log_cut: bool,
}

/// One version of a file of a stage.
#[derive(Clone, Debug, Deserialize)]
pub struct Artifact {
    pub kind: ArtifactKind,
    pub filename: String,
    pub version: i64,
    pub sha256: Digest,
    /// Whether this version stands.
    pub current: bool,
}

/// A list that is answered whole, or one page of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// What an upload came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Uploaded {
    pub version: i64,
    pub sha256: Digest,
}

/// How far a run's log has come.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct LogState {
    pub next: u64,
    pub cut: bool,
}
