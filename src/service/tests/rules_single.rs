//! RULES 8 to 10: one thing at a time, nine gates, and the window's edges.

use jiff::SignedDuration;

use super::replay;
use super::scene::{Scene, at, content, refused};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::blocker::GateKey;
use crate::domain::facts::{Intent, Purpose};
use crate::domain::gate::{self, GateStatus};
use crate::domain::id::ApplyTokenId;
use crate::domain::policy::RUNBOOK;
use crate::domain::run::{Method, Outcome, RunVerdict};
use crate::domain::ticket::{Emergency, TicketKind};
use crate::service::Services;
use crate::service::testing::on_both_engines;

on_both_engines! {
    rule_08_one_token_and_one_run_across_tickets_of_an_environment,
    rule_08_redeeming_ignores_only_its_own_token,
    rule_08_applied_once_until_rolled_back,
    rule_09_always_nine_gates_and_the_first_stage_has_nothing_before,
    rule_09_waived_only_if_what_was_waived_is_all_that_blocked,
    rule_10_only_redemption_has_to_be_inside_the_window,
}

/// The codes that shut `single-run` for an upgrade of staging.
async fn single_run(scene: &Scene<'_>) -> Vec<&'static str> {
    let report = scene.gates("staging").await;
    let gate = report.gate(GateKey::SingleRun).unwrap();
    gate.blockers.iter().map(crate::domain::blocker::Blocker::code).collect()
}

async fn rule_08_one_token_and_one_run_across_tickets_of_an_environment(
    services: &Services,
    clock: &PlayedClock,
) {
    let first = Scene::new(services, clock).await;
    let second = first.another(content(TicketKind::Normal)).await;
    services.apply_policy(None, &RUNBOOK.replace("trading-backend", "risk-engine")).await.unwrap();
    let mut elsewhere = first.another(content(TicketKind::Normal)).await;
    let stated = content(TicketKind::Normal);
    elsewhere.ticket = services.file_ticket(&first.priya, "risk-engine", stated).await.unwrap();
    second.prepare("staging").await;
    elsewhere.prepare("staging").await;
    first.ready().await;
    let released = first.release("staging").await.unwrap();
    assert_eq!(single_run(&second).await, ["token-outstanding"]);
    assert_eq!(single_run(&first).await, ["token-outstanding"], "not two of one stage either");
    assert_eq!(refused(second.release("staging").await), "gates-closed");
    assert_eq!(second.gates("production").await.gate(GateKey::SingleRun).unwrap().status, GateStatus::Open);
    let run = first.redeem(&released, None).await.unwrap().run;
    assert_eq!(single_run(&second).await, ["run-unsettled"]);
    assert_eq!(refused(second.release("staging").await), "gates-closed");
    clock.advance(SignedDuration::from_secs(60));
    let words = second.gates("staging").await.gate(GateKey::SingleRun).unwrap().reason.clone();
    assert!(words.contains("stopped reporting"), "unknown before anybody wrote it down: {words}");
    assert_eq!(services.sweep().await.unwrap(), 1);
    assert_eq!(refused(second.release("staging").await), "gates-closed");
    // Another application has environments of its own.
    elsewhere.apply("staging").await;
    services.settle_run(&first.priya, run, RunVerdict::NotApplied, None, "looked").await.unwrap();
    assert_eq!(single_run(&second).await, [] as [&str; 0]);
    // Released, and only expired: the next one may be released without anybody tidying up.
    second.release("staging").await.unwrap();
    clock.advance(SignedDuration::from_mins(30));
    second.release("staging").await.unwrap();
    replay::check(services).await;
}

async fn rule_08_redeeming_ignores_only_its_own_token(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let open = |token| {
        let facts = dossier.facts_for("staging", Purpose::Redeem(token), Intent::Upgrade).unwrap();
        gate::evaluate(&facts).unwrap().applicable()
    };
    assert!(open(released.id));
    assert!(!open(ApplyTokenId(uuid::Uuid::nil())), "another token is outstanding");
    for purpose in [Purpose::View, Purpose::Release] {
        let facts = dossier.facts_for("staging", purpose, Intent::Upgrade).unwrap();
        assert!(!gate::evaluate(&facts).unwrap().applicable());
    }
    replay::check(services).await;
}

async fn rule_08_applied_once_until_rolled_back(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.apply("staging").await;
    scene.agree("staging").await;
    assert_eq!(single_run(&scene).await, ["already-applied"]);
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    scene.finish(run, Outcome::Succeeded, Some(kit::FROM)).await.unwrap();
    assert_eq!(refused(scene.roll_back("staging", Method::Downgrade).await), "gates-closed", "nothing left");
    scene.agree("staging").await;
    let released = scene.release("staging").await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    scene.finish(run, Outcome::Partial, Some("e6c2b8a4f107")).await.unwrap();
    scene.agree("staging").await;
    assert_eq!(single_run(&scene).await, ["already-applied"], "half of it is there");
    replay::check(services).await;
}

async fn rule_09_always_nine_gates_and_the_first_stage_has_nothing_before(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let keys = async |stage: &str| {
        scene.gates(stage).await.gates.into_iter().map(|g| g.key.as_str()).collect::<Vec<_>>().join(" ")
    };
    let nine =
        "checklist dry-run review approvals previous-stage incidents freeze window single-run".to_owned();
    for stage in ["staging", "production"] {
        assert_eq!(keys(stage).await, nine);
    }
    let report = scene.gates("staging").await;
    let gate = report.gate(GateKey::PreviousStage).unwrap();
    assert_eq!((gate.status, gate.reason.as_str()), (GateStatus::Open, "Nothing comes before this stage."));
    scene.ready().await;
    scene.apply("staging").await;
    services.abandon_ticket(&scene.priya, scene.ticket, "no").await.unwrap_err();
    for stage in ["staging", "production"] {
        assert_eq!(keys(stage).await, nine);
    }
    replay::check(services).await;
}

async fn rule_09_waived_only_if_what_was_waived_is_all_that_blocked(
    services: &Services,
    clock: &PlayedClock,
) {
    let mut urgent = content(TicketKind::Emergency);
    let reason = "Orders are refused since noon.".to_owned();
    urgent.emergency = Some(Emergency { reason: reason.clone(), incident: None });
    let scene = Scene::with(services, clock, urgent.clone()).await;
    let status = async |key| scene.gates("staging").await.gate(key).unwrap().status;
    assert_eq!(status(GateKey::Window).await, GateStatus::Waived);
    assert_eq!(status(GateKey::Freeze).await, GateStatus::Open, "nothing is frozen, so nothing is waived");
    let named = services.declare_incident(&scene.priya, "trading-backend", "Orders fail").await.unwrap();
    assert_eq!(status(GateKey::Incidents).await, GateStatus::Blocked, "it names no incident");
    urgent.emergency = Some(Emergency { reason, incident: Some(named.id) });
    let version = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket.version;
    services.edit_ticket(&scene.priya, scene.ticket, version, urgent).await.unwrap();
    assert_eq!(status(GateKey::Incidents).await, GateStatus::Waived);
    let other = services.declare_incident(&scene.priya, "trading-backend", "Prices stop").await.unwrap();
    let report = scene.gates("staging").await;
    let gate = report.gate(GateKey::Incidents).unwrap();
    assert_eq!(gate.status, GateStatus::Blocked);
    assert_eq!(gate.blockers.len(), 1, "what shuts it is the other one: {}", gate.reason);
    services.resolve_incident(&scene.priya, other.id).await.unwrap();
    for key in [GateKey::Checklist, GateKey::DryRun, GateKey::Approvals] {
        assert_eq!(status(key).await, GateStatus::Blocked, "{key} is never waived");
    }
    clock.set(at("2025-11-18T14:10:00Z"));
    assert_eq!(status(GateKey::Window).await, GateStatus::Open, "an open window needs no waiver");
    replay::check(services).await;
}

async fn rule_10_only_redemption_has_to_be_inside_the_window(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    clock.set(at("2025-11-18T13:59:59.999999Z"));
    assert_eq!(scene.shut("staging").await, ["window"]);
    clock.set(at("2025-11-18T14:00:00Z"));
    assert_eq!(scene.shut("staging").await, [] as [&str; 0]);
    clock.set(at("2025-11-18T15:50:00Z"));
    let released = scene.release("staging").await.unwrap();
    assert_eq!(released.expires_at, at("2025-11-18T16:00:00Z"), "the window's end comes first");
    clock.set(at("2025-11-18T16:00:00Z"));
    assert_eq!(refused(scene.redeem(&released, None).await), "token-expired");
    assert_eq!(scene.shut("staging").await, ["window"]);
    clock.set(at("2025-11-18T15:59:59.999999Z"));
    let run = scene.redeem(&released, None).await.unwrap().run;
    clock.advance(SignedDuration::from_secs(59));
    services.heartbeat(&scene.ci, run).await.unwrap();
    clock.advance(SignedDuration::from_secs(59));
    let ended = scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    assert!(ended.overran, "flagged, not killed");
    replay::check(services).await;
}
