//! What the story is made of: acts with their time, to be played in the order of time.

use super::cast::Who;
use super::kit::Kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::{Choice, Intent};
use crate::domain::run::{Health, Outcome};
use crate::domain::ticket::TicketContent;
use crate::domain::time::Timestamp;
use crate::service::incidents::FreezeInput;

/// Something that somebody does at some time.
#[derive(Debug)]
pub(super) struct Act {
    pub at: Timestamp,
    /// The name that the story has for the ticket, where the act is on one.
    pub ticket: &'static str,
    /// The stage, where the act is on one.
    pub stage: &'static str,
    pub by: Who,
    pub deed: Deed,
}

/// What is done.
#[derive(Debug)]
pub(super) enum Deed {
    File {
        application: &'static str,
        content: TicketContent,
        /// The name that the story has for the incident that an emergency ends.
        incident: Option<&'static str>,
    },
    /// Files of a kit: those of these kinds, or all if none is named.
    Attach {
        kit: Kit,
        only: &'static [ArtifactKind],
    },
    Upload {
        kind: ArtifactKind,
        name: &'static str,
        text: String,
    },
    /// Every finding that is in the way.
    Accept {
        note: &'static str,
    },
    /// Every attested preflight item.
    Tick {
        note: String,
    },
    Discuss(Talk),
    Vote {
        choice: Choice,
        comment: &'static str,
    },
    Release {
        intent: Intent,
    },
    /// By the pipeline: redeem, write the log, end.
    Run {
        log: String,
        outcome: Outcome,
        before: String,
        after: String,
    },
    /// By the pipeline: redeem, and go on past the end of the story.
    Begin {
        log: String,
    },
    Judge {
        verdict: Health,
        note: &'static str,
    },
    Abandon {
        reason: &'static str,
    },
    Complete {
        notes: String,
    },
    Declare {
        incident: &'static str,
        application: &'static str,
        title: &'static str,
    },
    Resolve {
        incident: &'static str,
    },
    Freeze(FreezeInput),
}

/// A thread on the upgrade SQL.
#[derive(Debug)]
pub(super) struct Talk {
    /// Text of the line that it hangs on.
    pub line: &'static str,
    pub blocking: bool,
    pub body: &'static str,
    pub answers: &'static [(Who, &'static str)],
    /// Whether whoever opened it resolves it in the end.
    pub resolved: bool,
}
