//! The demo at several times of the week: every phase is there, every gate can be judged, the log is whole.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::seed;
use crate::clock::PlayedClock;
use crate::domain::blocker::Blocker;
use crate::domain::dossier::Dossier;
use crate::domain::gate::{self, GateReport};
use crate::domain::id::TicketNumber;
use crate::domain::run::{Direction, Health, RunStatus};
use crate::domain::ticket::{TicketOutcome, TicketState};
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Role};
use crate::secret::password::PlainPassword;
use crate::service::Services;
use crate::service::testing::{DESK, log, on_both_engines, services};
use crate::store::Engine;
use crate::store::tickets::Filter;

on_both_engines! {
    every_phase_is_there,
}

/// Every ticket by its title.
async fn dossiers(services: &Services, reader: &Actor) -> BTreeMap<String, Dossier> {
    let lines = services.list_tickets(&Filter::default(), 100).await.unwrap().lines;
    let mut all = BTreeMap::new();
    for line in lines {
        let dossier = services.dossier(reader, TicketNumber(line.ticket.number.0)).await.unwrap();
        all.insert(dossier.ticket.content.title.clone(), dossier);
    }
    all
}

fn report(dossier: &Dossier, stage: &str) -> GateReport {
    gate::evaluate(&dossier.facts(stage).unwrap()).unwrap()
}

async fn every_phase_is_there(services: &Services, clock: &PlayedClock) {
    let _ = clock;
    let env = services.env.clone();
    let seeded = seed(services, &env).await.unwrap();
    let all = dossiers(services, &seeded.pulse.pipeline).await;
    for (title, d) in &all {
        println!("{} {title} {:?} {:?}", d.ticket.number, d.ticket.state, d.ticket.outcome);
        for s in &d.stages {
            let r = report(d, &s.stage.name);
            println!(
                "   {} runs {:?} health {:?} tokens {}",
                s.stage.name,
                s.runs.iter().map(|r| (r.direction, r.status_at(d.now))).collect::<Vec<_>>(),
                s.last_upgrade().and_then(|r| s.health(r)),
                s.tokens.iter().filter(|t| t.outstanding(d.now)).count()
            );
            println!(
                "   earliest {:?} tally {}/{} stale {} rej {}",
                r.earliest,
                r.tally.approvals.len(),
                r.quorum,
                r.tally.stale.len(),
                r.tally.rejections.len()
            );
            for g in &r.gates {
                if g.status != crate::domain::gate::GateStatus::Open {
                    println!("      {} {:?} {}", g.key.as_str(), g.status, g.reason);
                }
            }
            for f in &s.findings {
                println!("      finding {} {:?} l{} {}", f.rule, f.severity, f.line, f.accepted.is_some());
            }
        }
    }
    panic!();
}
