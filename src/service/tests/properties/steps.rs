//! What honest people would do next, so that sequences get somewhere.

use jiff::SignedDuration;

use super::action::{Action, End, Place, Presents, What, Wish};
use super::model::{Content, MOST_TICKETS, Model, PREFLIGHT, WHO, hours};
use super::rules::Answer;
use crate::domain::facts::{Choice, Intent};
use crate::domain::gate::GateStatus;
use crate::domain::run::{Method, Outcome, RunVerdict};

const PASSING: SignedDuration = SignedDuration::from_mins(31);

impl Model {
    /// The first of all who may do it.
    fn by_anybody(&self, act: impl Fn(usize) -> Action) -> Option<Action> {
        (0..WHO.len()).map(act).find(|action| self.answer(action) == Answer::Allowed)
    }

    /// Makes of a wish what somebody does for it.
    pub fn resolve(&self, wish: Wish) -> Action {
        match wish.act {
            Action::Next(at) => self.next(self.open_near(at)).unwrap_or(Action::Wait(PASSING)),
            Action::Back(at, method) => self.back(at, method).unwrap_or(Action::Wait(PASSING)),
            act if wish.apt && self.answer(&act) == Answer::Refused => {
                self.by_anybody(|who| act.by(who).unwrap_or(act)).unwrap_or(act)
            }
            act => act,
        }
    }

    /// The same place of another ticket, if this one is closed.
    fn open_near(&self, at: Place) -> Place {
        let closed = |ticket: usize| self.tickets.get(ticket).is_some_and(|t| !t.open);
        let ticket = if closed(at.ticket) { (0..MOST_TICKETS).find(|t| !closed(*t)) } else { None };
        Place { ticket: ticket.unwrap_or(at.ticket), ..at }
    }

    fn next(&self, at: Place) -> Option<Action> {
        if at.ticket >= self.tickets.len() {
            let kind = u8::try_from(self.tickets.len() % 3).unwrap_or_default();
            return self.by_anybody(|who| Action::File { who, kind, incident: None });
        }
        if !self.tickets[at.ticket].open {
            return None;
        }
        if let Some(action) = self.report(at) {
            return Some(action);
        }
        let gates = self.gates(at, Intent::Upgrade, None);
        if at.stage == 1 && self.standing(at).is_none() && gates[4] == GateStatus::Blocked {
            return self.next(Place { stage: 0, ..at });
        }
        if self.standing(at).is_some() {
            return self.watch(at);
        }
        self.redemption(at)
            .or_else(|| self.prepare(at))
            .or_else(|| self.clear(at))
            .or_else(|| self.by_anybody(|who| Action::Release { who, at, intent: Intent::Upgrade }))
    }

    fn back(&self, at: Place, method: Method) -> Option<Action> {
        if at.ticket >= self.tickets.len() || self.standing(at).is_none() || !self.tickets[at.ticket].open {
            return self.next(at);
        }
        self.report(at)
            .or_else(|| self.redemption(at))
            .or_else(|| self.by_anybody(|who| Action::Release { who, at, intent: Intent::Rollback(method) }))
            .or_else(|| self.prepare(at))
    }

    /// Ends what runs here, or settles it.
    fn report(&self, at: Place) -> Option<Action> {
        let run = self.runs_at(at).find(|run| self.unsettled(*run) || self.awaits_verdict(*run))?;
        let pick = self.runs.len() - 1 - run;
        if self.awaits_verdict(run) {
            return self.by_anybody(|who| Action::Verdict { who, run: pick, verdict: RunVerdict::Applied });
        }
        let end = End { outcome: Outcome::Succeeded, after: 0, restored: true };
        let beat = if self.runs[run].heard {
            None
        } else {
            self.by_anybody(|who| Action::Heartbeat { who, run: pick })
        };
        beat.or_else(|| self.by_anybody(|who| Action::Finish { who, run: pick, end }))
    }

    fn redemption(&self, at: Place) -> Option<Action> {
        let outstanding = self.outstanding_at(at)?;
        let token = self.tokens.len() - 1 - outstanding;
        // A key of its own for each token, beyond those of the wild.
        let key = u8::try_from(self.tokens.len() - token).map_or(0, |nth| nth.saturating_add(10));
        self.by_anybody(|who| Action::Redeem { who, token, key, presents: Presents::Right })
    }

    /// Smoke tests, the watch, the verdict, the notes.
    fn watch(&self, at: Place) -> Option<Action> {
        let run = self.standing(at)?;
        if !self.smoke_passed(at, run) {
            let what = What::Smoke { passed: true };
            return self.by_anybody(|who| Action::Upload { who, at, what });
        }
        match self.stage(at).health.get(&run) {
            Some(true) if at.stage == 0 => {
                let production = Place { stage: 1, ..at };
                let shut = self.gates(production, Intent::Upgrade, None)[4] == GateStatus::Blocked;
                if shut && self.standing(production).is_none() { None } else { self.next(production) }
            }
            Some(true) => {
                self.by_anybody(|who| Action::Complete { who, ticket: at.ticket, retrospective: true })
            }
            Some(false) => None,
            None => self.by_anybody(|who| Action::Observe { who, at, healthy: true }).or_else(|| {
                let watch = if at.stage == 0 { hours(24) } else { PASSING };
                Some(Action::Wait(watch))
            }),
        }
    }

    /// Files, findings, threads, ticks, votes.
    fn prepare(&self, at: Place) -> Option<Action> {
        let upload = |what| self.by_anybody(|who| Action::Upload { who, at, what });
        let fresh = |kind| upload(What::Fresh { kind, variant: 0, age: 1 });
        for kind in [0, 3, 4] {
            if self.newest(at, kind).is_none() {
                return fresh(kind);
            }
        }
        if self.newest(at, 1) != Some(Content::Downgrade) {
            return fresh(1);
        }
        let gates = self.gates(at, Intent::Upgrade, None);
        match self.newest(at, 5) {
            Some(Content::Backup { taken, .. }) if taken <= self.now && self.now < taken + hours(40) => {}
            _ => return fresh(5),
        }
        if gates[1] == GateStatus::Blocked {
            return upload(What::Matching);
        }
        let mut findings = self.stage(at).findings.values().flatten();
        if let Some(pick) = findings.position(|(_, blocks, accepted)| *blocks && !self.counts(at, *accepted))
        {
            return self.by_anybody(|who| Action::Accept { who, at, pick });
        }
        let open = |(_, blocks, resolved, _): &(_, bool, bool, usize)| *blocks && !resolved;
        if let Some(pick) = self.stage(at).threads.iter().position(open) {
            return self.by_anybody(|who| Action::Settle { who, at, pick, resolve: true });
        }
        let stage = self.stage(at);
        let ticked = |item: &&&str| stage.ticks.get(**item) != Some(&(stage.epoch, true));
        if let Some(item) = PREFLIGHT[at.stage].iter().position(|item| ticked(&item)) {
            return self.by_anybody(|who| Action::Tick { who, at, item, done: true });
        }
        let current = self.evidence(at);
        let vote = |choice| move |who| Action::Vote { who, at, choice, seen: 0, acknowledged: true };
        let votes = self.standing_votes(at);
        let stands = |person: usize, choice: Choice| {
            votes.get(&person).is_some_and(|v| v.choice == choice && v.evidence == current)
        };
        if self.tally(at).1 {
            let rejector = |who: &usize| stands(self.person(*who), Choice::Reject);
            let withdraw = (0..WHO.len()).filter(rejector).map(vote(Choice::Withdraw));
            return withdraw.into_iter().find(|action| self.answer(action) == Answer::Allowed);
        }
        if self.tally(at).0 < self.quorum(at.ticket) {
            let fresh = |who: &usize| !stands(self.person(*who), Choice::Approve);
            let approve = (0..WHO.len()).filter(fresh).map(vote(Choice::Approve));
            return approve.into_iter().find(|action| self.answer(action) == Answer::Allowed);
        }
        None
    }

    /// Incidents, freezes, the window, whoever is in the way.
    fn clear(&self, at: Place) -> Option<Action> {
        let gates = self.gates(at, Intent::Upgrade, None);
        if gates[5] == GateStatus::Blocked {
            let pick = self.incidents.iter().rposition(|open| *open)?;
            return self.by_anybody(|who| Action::Resolve { who, pick });
        }
        if gates[6] == GateStatus::Blocked {
            let pick =
                self.freezes.iter().rposition(|(_, start, end)| *start <= self.now && self.now < *end)?;
            return self.by_anybody(|who| Action::Thaw { who, pick });
        }
        if gates[7] == GateStatus::Blocked {
            return Some(Action::Window { stage: at.stage, offset: 60 });
        }
        let other = |place: &Place| *place != at && place.stage == at.stage;
        let run = (0..self.runs.len()).find(|run| other(&self.runs[*run].at) && self.unsettled(*run));
        run.and_then(|run| self.report(self.runs[run].at))
    }
}
