//! The demo at several times of the week: every phase is there, every gate can be judged, the log is whole.

use std::collections::{BTreeMap, BTreeSet};

use super::{Seeded, seed};
use crate::clock::PlayedClock;
use crate::domain::blocker::GateKey;
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Choice, Intent};
use crate::domain::gate::{self, GateReport, GateStatus};
use crate::domain::run::{Health, Method, RunStatus};
use crate::domain::ticket::{TicketOutcome, TicketState};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;
use crate::secret::password::PlainPassword;
use crate::service::Services;
use crate::service::testing::{DESK, on_both_engines};
use crate::service::tests::replay;
use crate::service::tickets::Filter;

on_both_engines! {
    rule_31_on_a_thursday_before_the_window,
    rule_31_on_a_tuesday_inside_the_window,
    rule_31_on_a_wednesday_night,
    rule_31_on_a_saturday,
}

async fn rule_31_on_a_thursday_before_the_window(services: &Services, clock: &PlayedClock) {
    let demo = Demo::at(services, clock, "2025-11-20T12:00:00Z").await;
    demo.has_every_phase();
    demo.lets_everybody_in().await;
    demo.has_a_whole_log().await;
    demo.keeps_its_run_alive(clock).await;
}

async fn rule_31_on_a_tuesday_inside_the_window(services: &Services, clock: &PlayedClock) {
    Demo::at(services, clock, "2025-11-18T14:30:00Z").await.has_every_phase();
}

/// Market data's window is open, and staging's last Tuesday was yesterday: too late to have been watched for a day.
async fn rule_31_on_a_wednesday_night(services: &Services, clock: &PlayedClock) {
    Demo::at(services, clock, "2025-11-19T02:30:00Z").await.has_every_phase();
}

/// Over a change of year, and a change of the clocks in none of the zones.
async fn rule_31_on_a_saturday(services: &Services, clock: &PlayedClock) {
    Demo::at(services, clock, "2026-01-03T23:59:59Z").await.has_every_phase();
}

struct Demo<'a> {
    services: &'a Services,
    seeded: Seeded,
    /// By title.
    tickets: BTreeMap<String, Dossier>,
    now: Timestamp,
}

impl<'a> Demo<'a> {
    async fn at(services: &'a Services, clock: &PlayedClock, now: &str) -> Self {
        let now = now.parse().unwrap();
        clock.set(now);
        let seeded = seed(services, &services.env).await.unwrap();
        assert_eq!(services.now(), now, "the portal's own clock is left alone");
        let mut tickets = BTreeMap::new();
        for line in services.list_tickets(&Filter::default(), 100).await.unwrap().lines {
            let dossier = services.dossier(&seeded.pulse.pipeline, line.ticket.number).await.unwrap();
            tickets.insert(dossier.ticket.content.title.clone(), dossier);
        }
        Self { services, seeded, tickets, now }
    }

    fn ticket(&self, title: &str) -> &Dossier {
        self.tickets.get(title).unwrap_or_else(|| panic!("{title} in {:?}", self.tickets.keys()))
    }

    fn report(&self, title: &str, stage: &str) -> GateReport {
        gate::evaluate(&self.ticket(title).facts(stage).unwrap()).unwrap()
    }

    /// Gates that are shut, but for the window: whether that is open hangs on the hour.
    fn shut(&self, title: &str, stage: &str) -> Vec<&'static str> {
        let report = self.report(title, stage);
        report.blocked().map(|g| g.key).filter(|k| *k != GateKey::Window).map(GateKey::as_str).collect()
    }

    fn status(&self, title: &str, stage: &str) -> Vec<RunStatus> {
        let record = self.ticket(title).stage(stage).unwrap();
        record.runs.iter().map(|run| run.status_at(self.now)).collect()
    }

    fn has_every_phase(&self) {
        assert_eq!(self.tickets.len(), 15);
        for dossier in self.tickets.values() {
            assert!(dossier.ticket.created_at < self.now && dossier.ticket.updated_at <= self.now);
            assert!(dossier.alarms.is_empty());
            for facts in dossier.all_facts() {
                assert_eq!(gate::evaluate(&facts).unwrap().gates.len(), GateKey::ALL.len());
            }
        }
        self.has_what_people_wait_for();
        self.has_what_ran();
        self.has_what_is_over();
    }

    fn has_what_people_wait_for(&self) {
        let nothing = self.ticket("Retries for the end-of-day scheduler").stage("staging").unwrap();
        assert!(nothing.artifacts.is_empty());
        let half = "Drop legacy references, second attempt";
        assert_eq!(self.ticket(half).stage("staging").unwrap().artifacts.len(), 3);
        assert_eq!(self.shut(half, "staging"), ["checklist", "dry-run", "review", "approvals"]);

        let short = "Indexes for the audit and trade screens, scheduler retries";
        assert_eq!(self.shut(short, "staging"), ["approvals"]);
        let tally = self.report(short, "staging").tally;
        assert_eq!((tally.approvals.len(), tally.stale.len()), (1, 1));

        let rejected = self.report("Drop trades.legacy_ref on its own", "staging").tally;
        assert_eq!(rejected.rejections.len(), 1);
        assert!(
            rejected.rejections[0].choice == Choice::Reject && !rejected.rejections[0].comment.is_empty()
        );

        let production = "Store risk limits as numbers, second attempt";
        assert_eq!(self.shut(production, "production"), ["approvals"]);
        assert!(self.ticket(production).facts("production").unwrap().differs_from_previous());

        let ready = "Quotes name their venue";
        assert!(self.shut(ready, "production").is_empty());
        let window = self.report(ready, "production").gate(GateKey::Window).unwrap().status;
        let night = self.now.to_string().contains("T02:30");
        assert_eq!(window, if night { GateStatus::Open } else { GateStatus::Blocked });

        let stopped = self.report("Legal entity identifiers of counterparties", "production");
        assert_eq!(stopped.gate(GateKey::Incidents).unwrap().status, GateStatus::Blocked);
        assert_eq!(stopped.tally.approvals.len(), 2);
    }

    fn has_what_ran(&self) {
        let released = self.ticket("Remove merged counterparties now").stage("production").unwrap();
        assert!(released.tokens.iter().any(|token| token.outstanding(self.now)));
        assert!(released.runs.is_empty());
        let report = self.report("Remove merged counterparties now", "production");
        assert_eq!(report.gate(GateKey::Incidents).unwrap().status, GateStatus::Waived);

        assert_eq!(self.status("Late quotes get their venue as well", "staging"), [RunStatus::Running]);

        let unproven = self.ticket("Sessions keep the time zone of their venue").stage("staging").unwrap();
        let run = unproven.standing_upgrade().unwrap();
        assert!(run.status == RunStatus::Succeeded && !unproven.smoke_passed(run));

        let watched = self.ticket("Look up quotes by symbol, venue and time").stage("staging").unwrap();
        let run = watched.last_upgrade().unwrap();
        assert!(watched.smoke_passed(run) && watched.health(run).is_none());
        assert!(watched.watched_until(run).unwrap() > self.now);

        let partly = "Drop legacy references; indexes for the audit screens";
        assert_eq!(self.status(partly, "staging"), [RunStatus::Partial]);
        let back = Intent::Rollback(Method::Downgrade);
        let facts =
            self.ticket(partly).facts_for("staging", crate::domain::facts::Purpose::View, back).unwrap();
        let shut: Vec<&str> =
            gate::evaluate(&facts).unwrap().blocked().map(|gate| gate.key.as_str()).collect();
        assert!(shut.contains(&"dry-run") && shut.contains(&"approvals"), "{shut:?}");
    }

    fn has_what_is_over(&self) {
        let of = |title: &str| (self.ticket(title).ticket.state, self.ticket(title).ticket.outcome);
        let completed = "Keep the notional of every trade";
        assert_eq!(of(completed), (TicketState::Completed, Some(TicketOutcome::Promoted)));
        let undone = "Store risk limits as numbers";
        assert_eq!(of(undone), (TicketState::Completed, Some(TicketOutcome::RolledBack)));
        let production = self.ticket(undone).stage("production").unwrap();
        let unhealthy = production.last_upgrade().and_then(|run| production.health(run));
        assert_eq!(unhealthy, Some(Health::Unhealthy));
        let abandoned = "Risk limits, legacy references, indexes and retries in one release";
        assert_eq!(of(abandoned).0, TicketState::Abandoned);
    }

    async fn lets_everybody_in(&self) {
        let mut roles = Vec::new();
        for person in &self.seeded.people {
            let password = PlainPassword::given(person.password.clone());
            let signed_in = self.services.sign_in(person.email, password, DESK, "test").await.unwrap();
            assert!(signed_in.actor.has(person.role));
            roles.push(person.role);
        }
        assert!(Role::ALL.iter().all(|role| roles.contains(role)));
        let token = self.seeded.pipeline_token.reveal();
        assert_eq!(self.services.bearer_actor(token).await.unwrap().name, "Priya Nair");
        let incidents = self.services.list_incidents(false, None, 10).await.unwrap().incidents;
        assert_eq!(incidents.iter().filter(|i| i.resolved_at.is_some()).count(), 1);
        assert_eq!(incidents.len(), 2);
        let freezes = self.services.list_freezes().await.unwrap();
        assert!(freezes.len() == 1 && freezes[0].starts_at > self.now);
    }

    async fn has_a_whole_log(&self) {
        replay::check(self.services).await;
        let (mut last, mut seq) = (Timestamp::default(), 0);
        let mut kinds = BTreeSet::new();
        while let page = self.services.audit_events(seq, 500).await.unwrap()
            && !page.is_empty()
        {
            for entry in page {
                assert!(last <= entry.at, "{} is before what comes before it", entry.seq);
                assert!(entry.at <= self.now, "{} is still to come", entry.seq);
                (last, seq) = (entry.at, entry.seq);
                kinds.insert(entry.kind);
            }
        }
        for kind in
            ["freeze.declared", "incident.resolved", "run.finished", "ticket.abandoned", "ticket.completed"]
        {
            assert!(kinds.contains(kind), "{kind} in {kinds:?}");
        }
    }

    /// For longer than its lease.
    async fn keeps_its_run_alive(self, clock: &PlayedClock) {
        let mut pulse = self.seeded.pulse;
        let before = self.services.log_bytes(pulse.run()).await.unwrap().len();
        for _ in 0..9 {
            clock.advance(jiff::SignedDuration::from_secs(10));
            pulse.beat(self.services).await.unwrap();
        }
        let log = String::from_utf8(self.services.log_bytes(pulse.run()).await.unwrap()).unwrap();
        assert!(log.len() > before && log.ends_with("rows\n"), "{log}");
        clock.advance(jiff::SignedDuration::from_secs(61));
        assert!(pulse.beat(self.services).await.is_err(), "a run that was silent can't be revived");
    }
}
