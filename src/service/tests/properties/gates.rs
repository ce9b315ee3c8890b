//! The oracle's nine gates.

use jiff::SignedDuration;

use super::action::Place;
use super::model::{Content, EMERGENCY, Model, PREFLIGHT, STANDARD, hours};
use crate::demo::kit;
use crate::domain::facts::{Choice, Intent};
use crate::domain::gate::GateStatus;
use crate::domain::run::{Method, RunStatus};
use crate::domain::time::Timestamp;

/// Snapshots and dry runs are good for this long.
const FRESH: i64 = 72;

/// Why a gate is shut: for good, or only until somebody may set it aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shut {
    hard: bool,
    soft: bool,
}

fn hard(hard: bool) -> Shut {
    Shut { hard, soft: false }
}

/// Tuesday and Thursday of the week that everything is counted from, at 14:00 UTC.
const OPENS: [&str; 2] = ["2025-11-18T14:00:00Z", "2025-11-20T14:00:00Z"];

/// The window of a stage that is open now, or else the next one.
pub(super) fn window(stage: usize, length: i64, now: Timestamp) -> (Timestamp, Timestamp) {
    let first: Timestamp = OPENS[stage].parse().unwrap();
    let mut start = first - hours(2 * 168);
    while start + hours(length) <= now {
        start = start + hours(168);
    }
    (start, start + hours(length))
}

impl Model {
    fn fresh(&self, at: Timestamp) -> bool {
        at <= self.now && self.now < at + hours(FRESH)
    }

    /// Where the way back begins.
    fn actual(&self, at: Place, intent: Intent) -> &str {
        let standing = self.standing(at).filter(|_| intent != Intent::Upgrade);
        standing.map_or(kit::TO, |run| self.left_at(run, usize::MAX))
    }

    fn downgrade_fits(&self, at: Place, intent: Intent) -> bool {
        let actual = self.actual(at, intent);
        self.newest(at, 1) == Some(Content::Downgrade) && actual == kit::TO
    }

    fn dry_run_passed(&self, at: Place, intent: Intent) -> bool {
        let Some(Content::Report { variant, place, taken, passed }) = self.newest(at, 2) else {
            return false;
        };
        let snapshot = self.newest(at, 5).is_none_or(|backup| backup == Content::Backup { place, taken });
        let actual = self.actual(at, intent);
        passed
            && (intent != Intent::Upgrade || self.newest(at, 0) == Some(Content::Upgrade(variant)))
            && self.newest(at, 1) == Some(Content::Downgrade)
            && snapshot
            && [kit::TO, kit::FROM].contains(&actual)
            && self.fresh(taken)
            && self.fresh(taken + SignedDuration::from_mins(30))
    }

    fn reviewed(&self, at: Place) -> bool {
        let stage = self.stage(at);
        let findings = stage
            .findings
            .values()
            .flatten()
            .all(|(_, blocks, accepted)| !blocks || self.counts(at, *accepted));
        findings && stage.threads.iter().all(|(_, blocks, resolved, _)| !blocks || *resolved)
    }

    fn checked(&self, at: Place, intent: Intent) -> bool {
        let stage = self.stage(at);
        let ticked =
            PREFLIGHT[at.stage].iter().all(|item| stage.ticks.get(item) == Some(&(stage.epoch, true)));
        let snapshot = matches!(self.newest(at, 5), Some(Content::Backup { taken, .. }) if self.fresh(taken));
        let forward = matches!(self.newest(at, 0), Some(Content::Upgrade(_)));
        let rendered = (forward || intent != Intent::Upgrade)
            && self.newest(at, 4) == Some(Content::Manifest)
            && self.downgrade_fits(at, intent);
        let restoring = intent == Intent::Rollback(Method::Restore);
        ticked
            && self.newest(at, 3) == Some(Content::History)
            && (restoring || (snapshot && rendered && self.dry_run_passed(at, intent)))
            && self.reviewed(at)
    }

    pub fn quorum(&self, ticket: usize) -> usize {
        let policy = self.policy(ticket);
        if self.tickets[ticket].kind == STANDARD { policy.standard } else { policy.quorum }
    }

    /// How many people's approvals count, and whether somebody rejects.
    pub fn tally(&self, at: Place) -> (usize, bool) {
        let now = self.evidence(at);
        let votes = self.standing_votes(at);
        let current = |choice| votes.values().filter(move |v| v.choice == choice && v.evidence == now);
        let approvals = current(Choice::Approve).filter(|v| !self.barred(at.ticket, v.account)).count();
        (approvals, current(Choice::Reject).count() > 0)
    }

    fn approved(&self, at: Place) -> bool {
        let (approvals, rejected) = self.tally(at);
        approvals >= self.quorum(at.ticket) && !rejected
    }

    fn previous(&self, at: Place, rollback: bool) -> Shut {
        let Some(stage) = at.stage.checked_sub(1) else { return Shut::default() };
        let before = Place { stage, ..at };
        let standing = self
            .standing(before)
            .filter(|run| self.runs[*run].status == RunStatus::Succeeded && !self.half_undone(*run));
        let Some(run) = standing else { return Shut { hard: !rollback, soft: rollback } };
        let well = self.smoke_passed(before, run) && self.stage(before).health.get(&run) == Some(&true);
        // Staging is watched for a day.
        let soaking = self.runs[run].finished.is_some_and(|end| self.now < end + hours(24));
        Shut { hard: !well && !rollback, soft: soaking || (!well && rollback) }
    }

    fn one_run(&self, at: Place, intent: Intent, mine: Option<usize>) -> bool {
        let here = |place: Place| place.stage == at.stage;
        let possible = match intent {
            Intent::Upgrade => self.standing(at).is_none(),
            Intent::Rollback(_) => {
                let last = self.runs_at(at).next_back();
                let undone = self.standing(at);
                let since = |run: usize| {
                    let place = self.runs[run].at;
                    here(place)
                        && place.ticket != at.ticket
                        && self.standing(place) == Some(run)
                        && undone.is_some_and(|undone| self.runs[run].started > self.runs[undone].started)
                };
                undone.is_some()
                    && !last.is_some_and(|run| self.awaits_verdict(run))
                    && !(0..self.runs.len()).any(since)
            }
        };
        let tokens =
            (0..self.tokens.len()).any(|t| Some(t) != mine && here(self.tokens[t].at) && self.outstanding(t));
        let runs = (0..self.runs.len()).any(|r| here(self.runs[r].at) && self.unsettled(r));
        self.tickets[at.ticket].open && possible && !tokens && !runs
    }

    /// Every gate of a stage, in SPEC's order. `mine` is the token being redeemed.
    pub fn gates(&self, at: Place, intent: Intent, mine: Option<usize>) -> [GateStatus; 9] {
        let ticket = &self.tickets[at.ticket];
        let rollback = intent != Intent::Upgrade;
        let rides = self.rides(at, intent);
        let open: Vec<usize> = (0..self.incidents.len()).filter(|i| self.incidents[*i]).collect();
        let named = |incident: &&usize| rollback || ticket.incident == Some(**incident);
        let frozen = self.freezes.iter().any(|(stage, start, end)| {
            stage.is_none_or(|stage| stage == at.stage) && *start <= self.now && self.now < *end
        });
        let (opens, _) = window(at.stage, self.policy(at.ticket).window, self.now);
        let restoring = intent == Intent::Rollback(Method::Restore);
        let shut = [
            hard(!rides && !self.checked(at, intent)),
            hard(!rides && !restoring && !self.dry_run_passed(at, intent)),
            hard(!rides && !self.reviewed(at)),
            hard(!rides && !self.approved(at)),
            self.previous(at, rollback),
            Shut {
                hard: !open.iter().all(|incident| named(&incident)),
                soft: open.iter().any(|incident| named(&incident)),
            },
            Shut { hard: false, soft: frozen },
            Shut { hard: false, soft: self.now < opens },
            hard(!self.one_run(at, intent, mine)),
        ];
        let lawful = rollback || ticket.kind == EMERGENCY;
        shut.map(|shut| match shut {
            Shut { hard: true, .. } => GateStatus::Blocked,
            Shut { soft: true, .. } if lawful => GateStatus::Waived,
            Shut { soft: true, .. } => GateStatus::Blocked,
            Shut { .. } => GateStatus::Open,
        })
    }

    pub fn applicable(&self, at: Place, intent: Intent, mine: Option<usize>) -> bool {
        self.gates(at, intent, mine).iter().all(|gate| *gate != GateStatus::Blocked)
    }

    /// Nothing that voters have to see is missing.
    pub fn complete(&self, at: Place) -> bool {
        let before = at.stage.checked_sub(1).map(|stage| Place { stage, ..at });
        (0..6).all(|kind| self.newest(at, kind).is_some())
            && (before.is_none_or(|before| self.standing(before).is_some()) || self.standing(at).is_some())
    }

    /// The SQL is another than what ran on the stage before.
    pub fn differs(&self, at: Place) -> bool {
        let Some(stage) = at.stage.checked_sub(1) else { return false };
        let Some(run) = self.last_upgrade(Place { stage, ..at }) else { return false };
        self.newest(at, 0).is_some_and(|here| here != Content::Upgrade(self.runs[run].variant))
    }
}
