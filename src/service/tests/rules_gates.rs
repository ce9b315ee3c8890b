//! RULES 11 to 14: the earliest moment, soak, emergencies, the checklist.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::replay;
use super::scene::{Scene, at, content, refused};
use crate::clock::PlayedClock;
use crate::demo::kit::{self, Kit};
use crate::domain::artifact::ArtifactFacts;
use crate::domain::blocker::{Blocker, GateKey};
use crate::domain::earliest::{self, Earliest};
use crate::domain::facts::Choice;
use crate::domain::gate::GateStatus;
use crate::domain::run::{Health, Method, Outcome};
use crate::domain::ticket::{Emergency, TicketContent, TicketKind};
use crate::domain::user::{Actor, Role, Scope};
use crate::service::api_tokens::NewApiToken;
use crate::service::incidents::FreezeInput;
use crate::service::testing::{on_both_engines, person};
use crate::service::{ServiceError, Services};

on_both_engines! {
    rule_11_the_earliest_moment_or_why_there_is_none,
    rule_12_soak_counts_from_the_received_end_and_an_incident_does_not_reset_it,
    rule_12_unhealthy_needs_a_new_run_and_healthy_needs_smoke_and_time,
    rule_13_an_emergency_waives_time_and_nothing_else,
    rule_13_an_emergency_token_lives_for_the_policys_time_alone,
    rule_13_standard_has_its_own_quorum_and_waives_nothing,
    rule_14_ticks_bind_to_the_generation_and_only_preflight_feeds_the_gate,
    rule_14_a_token_attests_for_its_owner_unless_the_item_wants_a_session,
}

fn urgent(incident: Option<crate::domain::id::IncidentId>) -> TicketContent {
    let reason = "Orders are refused since noon.".to_owned();
    TicketContent { emergency: Some(Emergency { reason, incident }), ..content(TicketKind::Emergency) }
}

async fn soonest(scene: &Scene<'_>, stage: &str) -> Earliest {
    scene.gates(stage).await.earliest
}

async fn rule_11_the_earliest_moment_or_why_there_is_none(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    assert_eq!(soonest(&scene, "staging").await, Earliest::At(at("2025-11-18T14:00:00Z")), "people may act");
    // Staging this Tuesday, soaked on Wednesday, production on Thursday.
    assert_eq!(soonest(&scene, "production").await, Earliest::At(at("2025-11-20T14:00:00Z")));
    let freeze = FreezeInput {
        application: None,
        environment: Some("production".to_owned()),
        starts_at: at("2025-11-20T00:00:00Z"),
        ends_at: at("2025-11-20T15:00:00Z"),
        reason: "Audit day".to_owned(),
    };
    let freeze = services.declare_freeze(&scene.daniel, freeze).await.unwrap();
    assert_eq!(soonest(&scene, "production").await, Earliest::At(at("2025-11-20T15:00:00Z")), "mid-window");
    services.end_freeze(&scene.daniel, freeze.id).await.unwrap();
    scene.staging().await;
    // 72 hours from Monday 10:00 end on Thursday 10:00, before the window.
    let old = Kit::new("production", at("2025-11-17T10:00:00Z"), at("2025-11-18T10:00:00Z"));
    scene.attach("production", &old).await;
    let Earliest::Never { why } = soonest(&scene, "production").await else { panic!("stale evidence") };
    assert!(why.starts_with("The snapshot expires Thu") && why.contains("10:00"), "{why}");
    let mut facts = scene.facts("production").await;
    for file in &mut facts.this.artifacts {
        if let ArtifactFacts::Backup(backup) = &mut file.facts {
            backup.taken_at = at("2025-11-17T08:00:00Z");
        }
    }
    let Earliest::Never { why } = earliest::earliest(&facts) else { panic!("an older backup") };
    assert!(why.starts_with("The backup expires Thu") && why.contains("08:00"), "{why}");
    clock.set(at("2025-11-20T10:00:00Z"));
    let Earliest::Never { why } = soonest(&scene, "production").await else { panic!("stale evidence") };
    assert!(why.starts_with("The snapshot expired Thu"), "{why}");
    assert!(scene.shut("production").await.contains(&"dry-run"), "and its gate is shut");
    scene.prepare("production").await;
    assert_eq!(soonest(&scene, "production").await, Earliest::At(at("2025-11-20T14:00:00Z")));
    clock.set(at("2025-11-20T14:00:00Z"));
    scene.apply("production").await;
    let Earliest::Never { why } = soonest(&scene, "production").await else { panic!("applied") };
    assert_eq!(why, "Already applied here.");
    replay::check(services).await;
}

/// What the gate on the stage before says of production.
async fn before_production(scene: &Scene<'_>) -> Vec<Blocker> {
    scene.gates("production").await.gate(GateKey::PreviousStage).unwrap().blockers.clone()
}

async fn rule_12_soak_counts_from_the_received_end_and_an_incident_does_not_reset_it(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    clock.set(at("2025-11-18T14:10:50Z"));
    scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    clock.set(at("2025-11-18T20:00:00Z"));
    let incident = services.declare_incident(&scene.priya, "trading-backend", "Late").await.unwrap();
    assert!(scene.shut("production").await.contains(&"incidents"));
    services.resolve_incident(&scene.priya, incident.id).await.unwrap();
    scene.smoke("staging").await;
    let observing = before_production(&scene).await;
    let until = at("2025-11-19T14:10:50Z");
    assert!(observing.contains(&Blocker::PreviousObserving { stage: "staging".to_owned(), until }));
    clock.set(at("2025-11-19T14:10:49.999999Z"));
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "observation-too-early");
    clock.set(until);
    scene.judge("staging", Health::Healthy).await.unwrap();
    assert_eq!(before_production(&scene).await, []);
    replay::check(services).await;
}

async fn rule_12_unhealthy_needs_a_new_run_and_healthy_needs_smoke_and_time(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.apply("staging").await;
    clock.set(at("2025-11-19T15:00:00Z"));
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "smoke-not-passed");
    scene
        .upload(
            "staging",
            crate::domain::artifact::ArtifactKind::SmokeReport,
            "s.xml",
            br#"<testsuite tests="0"/>"#,
        )
        .await
        .map(drop)
        .unwrap();
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "smoke-not-passed", "an empty set");
    scene.smoke("staging").await;
    scene.judge("staging", Health::Healthy).await.unwrap();
    assert_eq!(before_production(&scene).await, []);
    scene.judge("staging", Health::Unhealthy).await.unwrap();
    assert_eq!(before_production(&scene).await, [Blocker::PreviousUnhealthy { stage: "staging".to_owned() }]);
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "judged-unhealthy");
    // The way out: back, and up again in the next window, with a soak of its own.
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    scene.finish(run, Outcome::Succeeded, Some(kit::FROM)).await.unwrap();
    clock.set(at("2025-11-25T14:00:00Z"));
    scene.prepare("staging").await;
    scene.apply("staging").await;
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "smoke-not-passed", "of the old run");
    scene.smoke("staging").await;
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "observation-too-early");
    clock.set(at("2025-11-26T14:00:00Z"));
    scene.judge("staging", Health::Healthy).await.unwrap();
    assert_eq!(before_production(&scene).await, []);
    replay::check(services).await;
}

async fn rule_13_an_emergency_waives_time_and_nothing_else(services: &Services, clock: &PlayedClock) {
    let scene = Scene::with(services, clock, urgent(None)).await;
    let frozen = FreezeInput {
        application: Some("trading-backend".to_owned()),
        environment: None,
        starts_at: at("2025-11-18T00:00:00Z"),
        ends_at: at("2025-11-30T00:00:00Z"),
        reason: "Year end".to_owned(),
    };
    services.declare_freeze(&scene.daniel, frozen).await.unwrap();
    scene.prepare("staging").await;
    let report = scene.gates("staging").await;
    let waived: Vec<_> =
        report.gates.iter().filter(|g| g.status == GateStatus::Waived).map(|g| g.key.as_str()).collect();
    assert_eq!(waived, ["freeze", "window"]);
    assert_eq!(report.earliest, Earliest::At(services.now()));
    let shut = scene.shut("production").await;
    assert!(shut.contains(&"previous-stage"), "a staging run is still required");
    scene.apply("staging").await;
    for (key, shut) in [("smoke", true), ("verdict", true), ("neither", false)] {
        assert_eq!(scene.shut("production").await.contains(&"previous-stage"), shut, "before {key}");
        match key {
            "smoke" => scene.smoke("staging").await,
            // Minutes after the run: only the elapsed time is waived.
            "verdict" => scene.judge("staging", Health::Healthy).await.unwrap(),
            _ => {}
        }
    }
    let report = scene.gates("production").await;
    assert_eq!(report.gate(GateKey::PreviousStage).unwrap().status, GateStatus::Waived);
    scene.prepare("production").await;
    scene.apply("production").await;
    scene.smoke("production").await;
    clock.advance(SignedDuration::from_mins(30));
    scene.judge("production", Health::Healthy).await.unwrap();
    let bare = services.complete_ticket(&scene.priya, scene.ticket, "Done.", None).await;
    assert_eq!(refused(bare), "text-missing");
    services.complete_ticket(&scene.priya, scene.ticket, "Done.", Some("We will watch it.")).await.unwrap();
    replay::check(services).await;
}

async fn rule_13_an_emergency_token_lives_for_the_policys_time_alone(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::with(services, clock, urgent(None)).await;
    scene.prepare("staging").await;
    clock.set(at("2025-11-18T15:50:00Z"));
    let released = scene.release("staging").await.unwrap();
    assert_eq!(released.expires_at, at("2025-11-18T16:20:00Z"), "the open window ends before that");
    clock.set(at("2025-11-18T16:19:59Z"));
    scene.redeem(&released, None).await.unwrap();
    // Any engineer may file one; it has to say why.
    let other = person(services, "other@example.com", &[Role::Engineer]).await;
    services.file_ticket(&other, "trading-backend", urgent(None)).await.unwrap();
    let mut silent = urgent(None);
    silent.emergency = None;
    assert_eq!(refused(services.file_ticket(&other, "trading-backend", silent).await), "emergency_reason");
    replay::check(services).await;
}

async fn rule_13_standard_has_its_own_quorum_and_waives_nothing(services: &Services, clock: &PlayedClock) {
    let scene = Scene::with(services, clock, content(TicketKind::Standard)).await;
    scene.repolicy("quorum = 2\n", "quorum = 2\nquorum_standard = 1\n").await;
    let incident = services.declare_incident(&scene.priya, "trading-backend", "Late").await.unwrap();
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    assert_eq!(scene.shut("staging").await, ["incidents", "window"]);
    services.resolve_incident(&scene.priya, incident.id).await.unwrap();
    clock.set(at("2025-11-18T14:10:00Z"));
    let report = scene.gates("staging").await;
    assert!(report.gates.iter().all(|g| g.status == GateStatus::Open), "one vote, nothing waived");
    scene.apply("staging").await;
    replay::check(services).await;
}

async fn rule_14_ticks_bind_to_the_generation_and_only_preflight_feeds_the_gate(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    let tick = async |item: &str, done| {
        services.tick(&scene.priya, scene.ticket, "staging", item, done, "seen").await
    };
    assert_eq!(refused(tick("sql-rendered", true).await), "automatic-item");
    assert_eq!(refused(tick("nothing", true).await), "unknown-item");
    assert_eq!(refused(tick("smoke-risk", true).await), "no-run", "smoke items come after a run");
    scene.tick_all("staging").await;
    assert!(!scene.shut("staging").await.contains(&"checklist"), "smoke items are open, the gate is too");
    tick("release-frozen", false).await.unwrap();
    assert!(scene.shut("staging").await.contains(&"checklist"), "taken back");
    tick("release-frozen", true).await.unwrap();
    scene.upload("staging", crate::domain::artifact::ArtifactKind::Other, "n.txt", b"n").await.unwrap();
    let facts = scene.facts("staging").await;
    assert_eq!(facts.this.preflight_tick("release-frozen"), None, "of the evidence before");
    assert!(scene.shut("staging").await.contains(&"checklist"));
    replay::check(services).await;
}

async fn rule_14_a_token_attests_for_its_owner_unless_the_item_wants_a_session(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let frozen = "key = \"release-frozen\"\nwhen = \"preflight\"\nkind = \"attested\"\n";
    scene.repolicy(frozen, &format!("{frozen}session_only = true\n")).await;
    let tick = async |who: &Actor, item: &str| -> Result<(), ServiceError> {
        services.tick(who, scene.ticket, "staging", item, true, "seen").await
    };
    tick(&scene.ci, "application-smoke").await.unwrap();
    let facts = scene.facts("staging").await;
    let known = facts.this.preflight_tick("application-smoke").unwrap();
    assert_eq!((known.by, known.via), (scene.priya.user, scene.ci.token()));
    assert_eq!(refused(tick(&scene.ci, "release-frozen").await), "session-only");
    tick(&scene.priya, "release-frozen").await.unwrap();
    let scopes: BTreeSet<Scope> = [Scope::TicketsRead, Scope::Apply].into();
    let new = NewApiToken { name: "reader".to_owned(), scopes, expires_at: None };
    let (_, secret) = services.create_api_token(&scene.priya, new).await.unwrap();
    let reader = services.bearer_actor(secret.reveal()).await.unwrap();
    assert_eq!(refused(tick(&reader, "application-smoke").await), "missing-scope");
    clock.advance(SignedDuration::from_secs(1));
    replay::check(services).await;
}
