//! Which acts the oracle allows.

use super::action::{Action, End, Place, Presents, What, Who};
use super::model::{EMERGENCY, MENU, MOST_TICKETS, Model, POLICIES, PREFLIGHT, SMOKE, State};
use crate::domain::facts::{Choice, Intent};
use crate::domain::run::{Method, Outcome, RunStatus, RunVerdict};
use crate::domain::user::{Role, Scope};

/// What the oracle says of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allowed,
    /// And nothing may change.
    Refused,
    /// And only the audit log, alarms and the locks' counters may change.
    RefusedAndNoted,
    /// There is nothing that the act could be about.
    Void,
}
/// Between the ends of every run.
pub(super) const HALF: &str = "e6c2b8a4f107";

use Answer::{Allowed, Refused, RefusedAndNoted, Void};

fn only_if(allowed: bool) -> Answer {
    if allowed { Allowed } else { Refused }
}

/// The item of this number among those of a stage: its key, whether it is attested, whether it is a smoke item.
pub(super) fn item(stage: usize, number: usize) -> (&'static str, bool, bool) {
    let (before, after) = (PREFLIGHT[stage], SMOKE[stage]);
    match number {
        n if n < before.len() => (before[n], true, false),
        n if n < before.len() + after.len() => (after[n - before.len()], true, true),
        n if n.is_multiple_of(2) => ("dry-run-passed", false, false),
        _ => ("no-such-item", false, false),
    }
}

/// How a client's word is recorded, or none for a restore without its two statements.
pub(super) fn ended(
    end: End,
    intent: Intent,
    at_start: &str,
    at_end: &str,
    after: Option<&str>,
) -> Option<RunStatus> {
    if intent == Intent::Rollback(Method::Restore) && end.outcome == Outcome::Succeeded && !end.restored {
        return None;
    }
    Some(match end.outcome {
        Outcome::Succeeded if after == Some(at_end) => RunStatus::Succeeded,
        Outcome::Failed if after.is_none() || after == Some(at_start) => RunStatus::Failed,
        Outcome::Succeeded | Outcome::Failed | Outcome::Partial => RunStatus::Partial,
    })
}

impl Model {
    /// Counted from the newest.
    pub fn token(&self, pick: usize) -> Option<usize> {
        self.tokens.len().checked_sub(pick + 1)
    }

    pub fn run(&self, pick: usize) -> Option<usize> {
        self.runs.len().checked_sub(pick + 1)
    }

    pub fn answer(&self, action: &Action) -> Answer {
        if let Some(place) = action.place()
            && place.ticket >= self.tickets.len()
        {
            return Void;
        }
        match *action {
            Action::File { who, incident, .. } => self.file(who, incident),
            Action::Edit { who, ticket, incident, stale, .. } => self.edit(who, ticket, incident, stale),
            Action::Move { who, ticket } => only_if(
                self.writes(who, ticket)
                    && self.tickets[ticket].policy + 1 < self.policies.len()
                    && !self.any_unsettled(ticket),
            ),
            Action::Abandon { who, ticket } => only_if(
                self.writes(who, ticket)
                    && !self.any_unsettled(ticket)
                    && self.places(ticket).all(|at| self.standing(at).is_none()),
            ),
            Action::Complete { who, ticket, retrospective } => only_if(
                self.writes(who, ticket)
                    && !self.any_unsettled(ticket)
                    && self.closes(ticket)
                    && (retrospective || self.tickets[ticket].kind != EMERGENCY),
            ),
            Action::Upload { who, at, what } => self.upload(who, at, what),
            Action::Tick { who, at, item: number, .. } => {
                let (_, attested, smoke) = item(at.stage, number);
                let run = self.last_upgrade(at);
                let judged = !smoke || run.is_some_and(|run| !self.unsettled(run));
                only_if(self.writes(who, at.ticket) && attested && judged)
            }
            Action::Accept { who, at, pick } => {
                let mut all = self.stage(at).findings.values().flatten();
                let Some((_, _, accepted)) = all.nth(pick).copied() else { return Void };
                only_if(
                    self.is_open(at)
                        && self.may(who, &[Role::Board], None)
                        && !self.barred(at.ticket, Self::account(who))
                        && !self.counts(at, accepted),
                )
            }
            Action::Thread { who, at, .. } if self.newest(at, 0).is_some() => {
                only_if(self.is_open(at) && self.may(who, &[Role::Engineer, Role::Board], None))
            }
            Action::Settle { who, at, pick, resolve } => {
                let Some((_, _, resolved, by)) = self.stage(at).threads.get(pick) else { return Void };
                let stranger = !self.contributors(at.ticket).contains(&self.person(who));
                let mine = *by == Self::account(who) || (self.may(who, &[Role::Board], None) && stranger);
                only_if(
                    self.is_open(at)
                        && self.may(who, &[Role::Engineer, Role::Board], None)
                        && *resolved != resolve
                        && mine,
                )
            }
            Action::Vote { who, at, choice, seen, acknowledged } => {
                self.vote(who, at, choice, seen, acknowledged)
            }
            Action::Release { who, at, intent } => only_if(
                self.may(who, &[Role::Engineer], Some(Scope::Apply)) && self.applicable(at, intent, None),
            ),
            Action::Revoke { who, at } => only_if(
                self.is_open(at)
                    && self.may(who, &[Role::Engineer, Role::Board], Some(Scope::Apply))
                    && self.outstanding_at(at).is_some(),
            ),
            Action::Redeem { who, token, key, presents } => self.redeem(who, token, key, presents),
            Action::Heartbeat { who, run } => match self.run(run) {
                Some(run) => only_if(self.reports(who, run) && self.status(run) == RunStatus::Running),
                None => Void,
            },
            Action::Finish { who, run, end } => self.finish(who, run, end),
            Action::Verdict { who, run, verdict } => self.settle(who, run, verdict),
            Action::Observe { who, at, healthy } => self.observe(who, at, healthy),
            Action::Incident { who } => only_if(self.declares(who)),
            Action::Resolve { who, pick } => match self.incidents.get(pick) {
                Some(open) => {
                    let own = self.declared_by[pick] == Self::account(who);
                    only_if(*open && self.declares(who) && (own || Self::bearer(who).is_none()))
                }
                None => Void,
            },
            Action::Freeze { who, start, hours, .. } => only_if(self.freezes_by(who) && start + hours > 0),
            Action::Thaw { who, pick } => match self.freezes.get(pick) {
                Some((_, _, end)) => only_if(self.freezes_by(who) && *end > self.now),
                None => Void,
            },
            Action::Policy { who, variant } if variant < POLICIES.len() => only_if(self.administers(who)),
            Action::Roles { who, account, menu } => self.set_roles(who, account, menu),
            Action::Deactivate { who, account } => only_if(
                self.administers(who) && (!self.accounts[account].active || self.not_last_admin(account)),
            ),
            Action::Sweep | Action::Wait(_) | Action::Window { .. } => Allowed,
            Action::Thread { .. } | Action::Policy { .. } | Action::Next(_) | Action::Back(..) => Void,
        }
    }

    fn settle(&self, who: Who, run: usize, verdict: RunVerdict) -> Answer {
        let Some(run) = self.run(run) else { return Void };
        let (start, end) = self.range(run);
        let between = start != HALF && end != HALF;
        only_if(
            self.is_open(self.runs[run].at)
                && self.may(who, &[Role::Engineer, Role::Board], None)
                && self.awaits_verdict(run)
                && (verdict != RunVerdict::Partly || between),
        )
    }

    pub fn is_open(&self, at: Place) -> bool {
        self.tickets[at.ticket].open
    }

    fn writes(&self, who: Who, ticket: usize) -> bool {
        self.tickets[ticket].open && self.may(who, &[Role::Engineer], Some(Scope::TicketsWrite))
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the model")]
    pub fn places(&self, ticket: usize) -> impl Iterator<Item = Place> + use<> {
        (0..2).map(move |stage| Place { ticket, stage })
    }

    fn any_unsettled(&self, ticket: usize) -> bool {
        (0..self.runs.len()).any(|run| self.runs[run].at.ticket == ticket && self.unsettled(run))
    }

    fn declares(&self, who: Who) -> bool {
        self.may(who, &[Role::Engineer, Role::Board, Role::Admin], Some(Scope::TicketsWrite))
    }

    fn freezes_by(&self, who: Who) -> bool {
        self.may(who, &[Role::Board, Role::Admin], Some(Scope::TicketsWrite))
    }

    /// None is the operator at the command line.
    fn administers(&self, who: Option<Who>) -> bool {
        who.is_none_or(|who| self.may(who, &[Role::Admin], None))
    }

    fn not_last_admin(&self, account: usize) -> bool {
        let admin = |a: usize| self.accounts[a].active && self.accounts[a].roles.contains(&Role::Admin);
        !admin(account) || (0..self.accounts.len()).any(|other| other != account && admin(other))
    }

    fn file(&self, who: Who, incident: Option<usize>) -> Answer {
        if self.tickets.len() >= MOST_TICKETS
            || incident.is_some_and(|incident| incident >= self.incidents.len())
        {
            return Void;
        }
        only_if(self.may(who, &[Role::Engineer], Some(Scope::TicketsWrite)))
    }

    fn edit(&self, who: Who, ticket: usize, incident: Option<usize>, stale: bool) -> Answer {
        if incident.is_some_and(|incident| incident >= self.incidents.len()) {
            return Void;
        }
        let ran = self.runs.iter().any(|run| run.at.ticket == ticket);
        only_if(self.writes(who, ticket) && !ran && !stale)
    }

    /// Healthy on every stage, or rolled back wherever it ran.
    fn closes(&self, ticket: usize) -> bool {
        let undone = |at: Place| {
            self.standing(at).is_none()
                && self.runs_at(at).any(|run| {
                    self.runs[run].intent != Intent::Upgrade && self.runs[run].status == RunStatus::Succeeded
                })
        };
        let healthy = |at: Place| {
            self.standing(at).is_some_and(|run| {
                self.runs[run].status == RunStatus::Succeeded
                    && !self.half_undone(run)
                    && self.stage(at).health.get(&run) == Some(&true)
            })
        };
        let back =
            self.places(ticket).any(undone) && self.places(ticket).all(|at| self.standing(at).is_none());
        back || self.places(ticket).all(healthy)
    }

    fn upload(&self, who: Who, at: Place, what: What) -> Answer {
        let has = |kind: usize| self.newest(at, kind).is_some();
        let (evidence, readable) = match what {
            What::Again { kind } | What::First { kind } if !has(kind) => return Void,
            What::Smoke { .. } => (false, true),
            What::WrongKind => (true, false),
            _ => (true, true),
        };
        let running = self.runs_at(at).any(|run| self.unsettled(run));
        let ended = self.last_upgrade(at).is_some_and(|run| !self.unsettled(run));
        let possible = if evidence { !running } else { ended };
        only_if(
            self.is_open(at)
                && self.may(who, &[Role::Engineer], Some(Scope::ArtifactsWrite))
                && readable
                && possible,
        )
    }

    fn vote(&self, who: Who, at: Place, choice: Choice, seen: usize, acknowledged: bool) -> Answer {
        let current = seen == 0;
        let allowed = self.is_open(at)
            && match choice {
                Choice::Withdraw => {
                    let standing = self.standing_votes(at);
                    let mine = standing.get(&self.person(who));
                    self.may(who, Role::ALL, None) && mine.is_some_and(|vote| vote.choice != Choice::Withdraw)
                }
                Choice::Reject => self.may(who, &[Role::Board], None) && current,
                Choice::Approve => {
                    self.may(who, &[Role::Board], None)
                        && !self.barred(at.ticket, Self::account(who))
                        && self.complete(at)
                        && current
                        && (acknowledged || !self.differs(at))
                }
            };
        only_if(allowed)
    }

    fn redeem(&self, who: Who, pick: usize, key: u8, presents: Presents) -> Answer {
        let Some(token) = self.token(pick) else { return Void };
        let known = &self.tokens[token];
        // A backup that is put back runs no migrations, and only one policy names a database.
        let restore = known.intent == Intent::Rollback(Method::Restore);
        let fits = match presents {
            Presents::UnknownSecret => return Refused,
            Presents::Right => true,
            Presents::OtherSql | Presents::RawSql => false,
            Presents::NoManifest | Presents::OtherManifest => restore,
            Presents::NoDatabase => !known.database,
        };
        let stands = self.accounts[Self::account(who)].active;
        let bearer = Self::bearer(who);
        match known.state {
            _ if !stands => Refused,
            State::Revoked => Refused,
            State::Used => match (known.used, bearer) {
                (Some((by, first, said)), Some(bearer)) if by == bearer && first == key && key != 0 => {
                    only_if(self.same_request(token, said, presents))
                }
                _ => RefusedAndNoted,
            },
            State::Issued if self.now >= known.expires => Refused,
            State::Issued => {
                let by_token = bearer.is_some() && self.may(who, Role::ALL, Some(Scope::Apply));
                let open = self.applicable(known.at, known.intent, Some(token));
                // A key that opened one run opens no other.
                let reused = self.tokens.iter().any(|other| {
                    other.used.is_some_and(|(by, first, _)| Some(by) == bearer && first == key && key != 0)
                });
                if reused || !by_token || !open || self.evidence(known.at) != known.evidence {
                    Refused
                } else if fits {
                    Allowed
                } else {
                    RefusedAndNoted
                }
            }
        }
    }

    /// Whether two redemptions presented the same.
    fn same_request(&self, token: usize, first: Presents, now: Presents) -> bool {
        let token = &self.tokens[token];
        let same = |presents| match presents {
            Presents::NoManifest if token.intent == Intent::Rollback(Method::Restore) => Presents::Right,
            Presents::NoDatabase if !token.database => Presents::Right,
            other => other,
        };
        same(first) == same(now)
    }

    fn reports(&self, who: Who, run: usize) -> bool {
        // Any token of whoever redeemed: people are counted, and a token may go while its run is under way.
        let redeemer = super::model::BEARERS[self.runs[run].via].0;
        Self::bearer(who).is_some()
            && self.may(who, Role::ALL, Some(Scope::Apply))
            && self.person(who) == self.accounts[redeemer].person
    }

    /// From where to where a run goes.
    pub fn range(&self, run: usize) -> (String, String) {
        use crate::demo::kit::{FROM, TO};
        let Some(undone) = self.runs[run].undoes else { return (FROM.to_owned(), TO.to_owned()) };
        (self.left_at(undone, run).to_owned(), FROM.to_owned())
    }

    pub fn revision_after(&self, run: usize, after: u8) -> Option<String> {
        let (start, end) = self.range(run);
        match after {
            0 => Some(end),
            1 => Some(start),
            2 => Some(HALF.to_owned()),
            _ => None,
        }
    }

    fn finish(&self, who: Who, pick: usize, end: End) -> Answer {
        let Some(run) = self.run(pick) else { return Void };
        let (start, to) = self.range(run);
        let after = self.revision_after(run, end.after);
        let Some(status) = ended(end, self.runs[run].intent, &start, &to, after.as_deref()) else {
            return Refused;
        };
        // What comes too late is kept, and decides nothing.
        let open = matches!(self.status(run), RunStatus::Running | RunStatus::Unknown);
        let known = &self.runs[run];
        let again = known.status == status && known.after == after;
        only_if(self.reports(who, run) && (open || known.verdict || again))
    }

    pub fn settled(verdict: RunVerdict) -> RunStatus {
        match verdict {
            RunVerdict::Applied => RunStatus::Succeeded,
            RunVerdict::NotApplied => RunStatus::Failed,
            RunVerdict::Partly => RunStatus::Partial,
        }
    }

    fn observe(&self, who: Who, at: Place, healthy: bool) -> Answer {
        let Some(run) = self.last_upgrade(at) else { return Refused };
        let well = self.runs[run].status == RunStatus::Succeeded
            && self.standing(at).is_some()
            && !self.half_undone(run)
            && self.stage(at).health.get(&run) != Some(&false);
        let minutes = if at.stage == 0 { 24 * 60 } else { 30 };
        let watched = self.runs[run]
            .finished
            .is_some_and(|end| self.now >= end + jiff::SignedDuration::from_mins(minutes));
        let soon = self.tickets[at.ticket].kind == EMERGENCY && at.stage == 0;
        only_if(
            self.is_open(at)
                && self.may(who, &[Role::Engineer, Role::Board], Some(Scope::TicketsWrite))
                && well
                && (!healthy || (self.smoke_passed(at, run) && (watched || soon))),
        )
    }

    fn set_roles(&self, who: Option<Who>, account: usize, menu: usize) -> Answer {
        let own = who.is_some_and(|who| self.person(who) == self.accounts[account].person);
        let demotes = !MENU[menu].contains(&Role::Admin);
        only_if(
            self.administers(who)
                && !own
                && self.accounts[account].active
                && (!demotes || self.not_last_admin(account)),
        )
    }
}
