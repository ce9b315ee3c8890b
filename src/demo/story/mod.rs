//! The story that the demo tells: five weeks of three applications, dated back from now.

use jiff::SignedDuration;

use super::act::{Act, Deed, Talk};
use super::cast::Who;
use super::kit::{BadKit, Kit};
use super::play::DemoError;
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::{Choice, Intent};
use crate::domain::policy::{Policy, RUNBOOK};
use crate::domain::run::{Health, Outcome};
use crate::domain::ticket::{TicketContent, TicketKind};
use crate::domain::time::Timestamp;

mod others;
mod trading;

/// The instants that everything hangs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub now: Timestamp,
    /// Starts of windows of the trading backend's staging: the latest whose run has been watched for long enough by now,
    /// and those one and two weeks before.
    pub tuesdays: [Timestamp; 3],
}

impl Times {
    /// The times of a story that ends at `now`.
    pub fn before(now: Timestamp) -> Result<Self, DemoError> {
        let policy = Policy::parse(RUNBOOK).map_err(|_| DemoError::Missing("the runbook's policy"))?;
        let staging = policy.environment("staging").ok_or(DemoError::Missing("staging"))?;
        let watched = now - hours(28);
        let spans = staging.windows.spans_between(now - hours(60 * 24), watched);
        let latest = spans.map(|span| span.start).last().ok_or(DemoError::Missing("a window of staging"))?;
        Ok(Self { now, tuesdays: [latest, latest - hours(7 * 24), latest - hours(14 * 24)] })
    }

    /// When everybody gets an account: before anything else.
    pub fn beginning(&self) -> Timestamp {
        self.tuesdays[2] - hours(6 * 24)
    }

    pub fn ago(&self, minutes: i64) -> Timestamp {
        self.now - mins(minutes)
    }
}

/// Everything that happens, in no order.
pub(super) fn acts(times: &Times) -> Result<Vec<Act>, BadKit> {
    let mut acts = trading::acts(times)?;
    acts.extend(others::acts(times)?);
    Ok(acts)
}

const fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

const fn mins(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// One ticket's acts.
struct Line {
    ticket: &'static str,
    stage: &'static str,
    acts: Vec<Act>,
}

/// Something to be filed.
struct Request {
    application: &'static str,
    title: &'static str,
    description: &'static str,
}

impl Line {
    /// A ticket that `by` files at this time.
    fn filed(name: &'static str, at: Timestamp, by: Who, kit: &Kit, request: &Request) -> Self {
        let content = content(kit, at, request);
        Self::with(name, at, by, Deed::File { application: request.application, content, incident: None })
    }

    fn with(name: &'static str, at: Timestamp, by: Who, filing: Deed) -> Self {
        let mut line = Self { ticket: name, stage: "", acts: Vec::new() };
        line.act(at, by, filing);
        line
    }

    /// What follows is about this stage.
    const fn on(&mut self, stage: &'static str) -> &mut Self {
        self.stage = stage;
        self
    }

    fn act(&mut self, at: Timestamp, by: Who, deed: Deed) -> &mut Self {
        self.acts.push(Act { at, ticket: self.ticket, stage: self.stage, by, deed });
        self
    }

    /// The whole kit is attached, findings are accepted after a while, and then the items ticked.
    fn reviewed(&mut self, at: Timestamp, by: Who, board: Who, kit: &Kit) -> &mut Self {
        let kit = kit.rehearsed(self.stage, at);
        let tag = format!("Checked against the tag {}.", tag(at));
        self.act(at, by, Deed::Attach { kit, only: &[] })
            .act(
                at + mins(31),
                board,
                Deed::Accept { note: "Agreed with the desk heads; the backup covers it." },
            )
            .act(at + mins(43), by, Deed::Tick { note: tag })
    }

    /// Signed one after the other, from an hour after the evidence on.
    fn signed(&mut self, at: Timestamp, votes: &[(Who, &'static str)]) -> &mut Self {
        for ((by, comment), n) in votes.iter().zip(0_i64..) {
            self.act(at + mins(58 + 27 * n), *by, Deed::Vote { choice: Choice::Approve, comment });
        }
        self
    }

    /// Released and applied; nobody has looked at it since.
    fn ran(&mut self, at: Timestamp, by: Who, kit: &Kit) -> Result<&mut Self, BadKit> {
        let run = Deed::Run {
            log: kit.log(&kit.to)?,
            outcome: Outcome::Succeeded,
            before: kit.from.clone(),
            after: kit.to.clone(),
        };
        Ok(self.act(at, by, Deed::Release { intent: Intent::Upgrade }).act(at + mins(1), by, run))
    }

    /// Released and applied, with the smoke tests passed.
    fn applied(&mut self, at: Timestamp, by: Who, kit: &Kit) -> Result<&mut Self, BadKit> {
        let text = kit.smoke(at + mins(7), None);
        let smoke = Deed::Upload { kind: ArtifactKind::SmokeReport, name: "smoke.xml", text };
        Ok(self.ran(at, by, kit)?.act(at + mins(8), by, smoke))
    }

    /// Half an hour of figures, as they came from the dashboards.
    fn monitored(&mut self, at: Timestamp, by: Who) -> &mut Self {
        let upload = Deed::Upload {
            kind: ArtifactKind::MonitoringSnapshot,
            name: "monitoring.csv",
            text: figures(at),
        };
        self.act(at, by, upload)
    }

    fn healthy(&mut self, at: Timestamp, by: Who, note: &'static str) -> &mut Self {
        self.act(at, by, Deed::Judge { verdict: Health::Healthy, note })
    }
}

fn content(kit: &Kit, at: Timestamp, request: &Request) -> TicketContent {
    TicketContent {
        title: request.title.to_owned(),
        description: request.description.to_owned(),
        kind: TicketKind::Normal,
        release_tag: tag(at),
        prior_release_tag: tag(at - hours(14 * 24)),
        from_revision: kit.from.clone(),
        to_revision: kit.to.clone(),
        authors: Vec::new(),
        emergency: None,
        external_links: Vec::new(),
    }
}

/// The tag of a release that was frozen on this day.
fn tag(at: Timestamp) -> String {
    at.to_jiff().strftime("v%Y.%m.%d").to_string()
}

/// Figures of the half hour before: quiet ones.
fn figures(until: Timestamp) -> String {
    let mut csv = "time,p95_ms,errors_per_min,trades_per_min\n".to_owned();
    for minute in 0..30_i64 {
        let at = until - mins(30 - minute);
        let (p95, trades) = (41 + minute * 7 % 11, 380 + minute * 13 % 47);
        csv = format!("{csv}{at},{p95},{},{trades}\n", i64::from(minute == 3));
    }
    csv
}
