//! RULES 20 and 21: the way back, and what can still be changed.

use base64::Engine as _;
use serde_json::{Value, json};

use super::replay;
use super::scene::{Scene, at, content, refused};
use crate::clock::PlayedClock;
use crate::demo::kit::{self, Kit};
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::{Blocker, GateKey};
use crate::domain::digest::Digest;
use crate::domain::facts::{Intent, Purpose};
use crate::domain::gate::{self, GateReport, GateStatus};
use crate::domain::run::{Method, Outcome, RunStatus, RunVerdict};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::ticket::{TicketKind, TicketOutcome};
use crate::domain::user::Role;
use crate::service::runs::Finish;
use crate::service::testing::{on_both_engines, person};
use crate::service::{ServiceError, Services};

on_both_engines! {
    rule_20_a_rollback_rides_on_the_run_it_undoes_with_its_files,
    rule_20_a_restore_presents_the_backup_and_attests_twice,
    rule_20_after_a_partial_run_the_board_decides_from_where_the_database_is,
    rule_20_after_an_unknown_run_a_verdict_then_fresh_votes,
    rule_20_a_rollback_that_got_stuck_rides_on_nothing,
    rule_20_a_production_left_half_way_can_be_rolled_back_after_staging,
    rule_20_rolled_back_wherever_it_ran_closes_as_rolled_back,
    rule_21_editing_ends_with_the_first_run,
    rule_21_the_same_history_is_read_anew_after_an_edit,
    rule_21_a_live_run_keeps_the_ticket_open,
}

const HALF: &str = "e6c2b8a4f107";

/// What a release of this rollback would be told.
async fn rollback_gates(scene: &Scene<'_>, stage: &str, method: Method) -> GateReport {
    let dossier = scene.services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let facts = dossier.facts_for(stage, Purpose::Release, Intent::Rollback(method)).unwrap();
    gate::evaluate(&facts).unwrap()
}

fn keys(report: &GateReport, status: GateStatus) -> Vec<&'static str> {
    report.gates.iter().filter(|g| g.status == status).map(|g| g.key.as_str()).collect()
}

/// Evidence of a way back from half-way: the end of the downgrade, rehearsed from there.
async fn attach_way_back(scene: &Scene<'_>, stage: &str) -> Kit {
    let mut kit = scene.kit(stage);
    let start = kit.downgrade.find(&format!("-- Running downgrade {HALF}")).unwrap();
    kit.downgrade = kit.downgrade.split_off(start);
    scene.attach_reporting(stage, &kit, &[("/subject/to", json!(HALF))]).await;
    kit
}

fn predicate(grant: &str) -> Value {
    let envelope: Value = serde_json::from_str(grant).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn rule_20_a_rollback_rides_on_the_run_it_undoes_with_its_files(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let approved = scene.kit("staging");
    scene.ready().await;
    scene.apply("staging").await;
    let run = scene.facts("staging").await.this.runs[0].clone();
    // What is uploaded afterwards was never approved.
    scene.attach("staging", &scene.kit("staging").with_comment("afterwards")).await;
    let newer = format!("-- afterwards\n{}", approved.downgrade);
    scene.upload("staging", ArtifactKind::DowngradeSql, "down.sql", newer.as_bytes()).await.unwrap();
    services.declare_incident(&scene.priya, "trading-backend", "It broke").await.unwrap();
    clock.set(at("2025-11-18T17:00:00Z"));
    let report = rollback_gates(&scene, "staging", Method::Downgrade).await;
    assert_eq!(keys(&report, GateStatus::Waived), ["incidents", "window"]);
    assert_eq!(keys(&report, GateStatus::Blocked), [] as [&str; 0]);
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    assert_eq!(released.expires_at, at("2025-11-18T17:30:00Z"), "no window, the policy's time");
    assert_eq!(released.expected.raw, Digest::of(approved.downgrade.as_bytes()));
    assert_eq!(released.expected.sql_digest, approved.downgrade_digest());
    assert_eq!(released.expected.manifest, Some(super::scene::manifest_digest()));
    let redeemed = scene.redeem(&released, None).await.unwrap();
    let statement = predicate(&redeemed.grant);
    let said = &statement["predicate"];
    assert_eq!((&said["direction"], &said["undoes"]), (&json!("rollback"), &json!(run.id)));
    assert_eq!((&said["from_revision"], &said["to_revision"]), (&json!(kit::TO), &json!(kit::FROM)));
    assert_eq!(said["approved_evidence"], json!(run.evidence));
    let people: Vec<&Value> = said["approvals"].as_array().unwrap().iter().map(|a| &a["person"]).collect();
    assert_eq!(people, [&json!(scene.daniel.person), &json!(scene.marta.person)]);
    let raw = Digest::of(approved.downgrade.as_bytes()).to_string();
    let subjects = statement["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), 6);
    assert!(subjects.iter().any(|s| s["digest"]["sha256"] == raw.as_str()), "the approved files");
    let ended = scene.finish(redeemed.run, Outcome::Succeeded, Some(kit::FROM)).await.unwrap();
    assert_eq!(ended.status, RunStatus::Succeeded);
    replay::check(services).await;
}

async fn rule_20_a_restore_presents_the_backup_and_attests_twice(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let approved = scene.kit("staging");
    scene.ready().await;
    scene.apply("staging").await;
    clock.set(at("2025-11-18T15:00:00Z"));
    scene.attach("staging", &scene.kit("staging")).await;
    let released = scene.roll_back("staging", Method::Restore).await.unwrap();
    assert_eq!(released.expected.sql_digest, approved.restore_digest(), "the backup that was approved");
    assert_eq!(released.expected.kind, ArtifactKind::BackupManifest);
    let run = scene.redeem(&released, None).await.unwrap().run;
    let finish = |restored, redeployed| Finish {
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        revision_before: None,
        revision_after: Some(kit::FROM.to_owned()),
        backup_restored: restored,
        prior_tag_redeployed: redeployed,
    };
    for (restored, redeployed) in [(false, false), (true, false), (false, true)] {
        let outcome = services.finish(&scene.ci, run, finish(restored, redeployed)).await;
        assert_eq!(refused(outcome), "backup_restored");
    }
    services.finish(&scene.ci, run, finish(true, true)).await.unwrap();
    assert!(scene.facts("staging").await.this.standing_upgrade().is_none());
    replay::check(services).await;
}

async fn rule_20_after_a_partial_run_the_board_decides_from_where_the_database_is(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.run(&scene.release("staging").await.unwrap(), Outcome::Failed, Some(HALF)).await;
    let single = |report: &GateReport| report.gate(GateKey::SingleRun).unwrap().blockers.clone();
    let report = rollback_gates(&scene, "staging", Method::Downgrade).await;
    assert_eq!(single(&report).iter().map(Blocker::code).collect::<Vec<_>>(), ["verdict-first"]);
    assert_eq!(refused(scene.roll_back("staging", Method::Downgrade).await), "gates-closed");
    services.settle_run(&scene.priya, run, RunVerdict::Partly, Some(HALF), "Two of four.").await.unwrap();
    let report = rollback_gates(&scene, "staging", Method::Downgrade).await;
    assert_eq!(single(&report), []);
    let shut = keys(&report, GateStatus::Blocked);
    assert_eq!(
        shut,
        ["checklist", "dry-run", "approvals"],
        "rehearsed from elsewhere, voted for something else"
    );
    let kit = attach_way_back(&scene, "staging").await;
    assert_eq!(refused(scene.roll_back("staging", Method::Downgrade).await), "gates-closed", "no votes yet");
    scene.agree("staging").await;
    clock.set(at("2025-11-18T18:00:00Z"));
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    assert_eq!(released.expected.sql_digest, kit.downgrade_digest());
    let redeemed = scene.redeem(&released, None).await.unwrap();
    let said = predicate(&redeemed.grant)["predicate"].clone();
    assert_eq!((&said["from_revision"], &said["to_revision"]), (&json!(HALF), &json!(kit::FROM)));
    assert_eq!(said["approvals"].as_array().unwrap().len(), 2);
    scene.finish(redeemed.run, Outcome::Succeeded, Some(kit::FROM)).await.unwrap();
    replay::check(services).await;
}

async fn rule_20_after_an_unknown_run_a_verdict_then_fresh_votes(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    clock.advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(refused(scene.roll_back("staging", Method::Restore).await), "gates-closed");
    services.settle_run(&scene.priya, run, RunVerdict::Applied, None, "All four are in.").await.unwrap();
    let report = rollback_gates(&scene, "staging", Method::Restore).await;
    assert_eq!(keys(&report, GateStatus::Blocked), ["checklist", "approvals"], "the board is asked anew");
    scene.agree("staging").await;
    scene.undo("staging", Method::Restore).await;
    replay::check(services).await;
}

async fn rule_20_a_rollback_that_got_stuck_rides_on_nothing(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.apply("staging").await;
    // It changed nothing: the way back is still the approved one.
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    let first = scene.run(&released, Outcome::Failed, Some(kit::TO)).await;
    assert_eq!(services.run(&scene.priya, first).await.unwrap().0.status, RunStatus::Failed);
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    let stuck = scene.run(&released, Outcome::Failed, Some(HALF)).await;
    assert_eq!(services.run(&scene.priya, stuck).await.unwrap().0.status, RunStatus::Partial);
    for method in [Method::Downgrade, Method::Restore] {
        assert_eq!(refused(scene.roll_back("staging", method).await), "gates-closed", "a verdict first");
    }
    services.settle_run(&scene.priya, stuck, RunVerdict::Partly, Some(HALF), "Half back.").await.unwrap();
    let shut = keys(&rollback_gates(&scene, "staging", Method::Downgrade).await, GateStatus::Blocked);
    assert_eq!(shut, ["checklist", "dry-run", "approvals"]);
    let kit = attach_way_back(&scene, "staging").await;
    scene.agree("staging").await;
    let released = scene.roll_back("staging", Method::Downgrade).await.unwrap();
    assert_eq!(released.expected.sql_digest, kit.downgrade_digest());
    let last = scene.run(&released, Outcome::Succeeded, Some(kit::FROM)).await;
    assert_eq!(services.run(&scene.priya, last).await.unwrap().0.status, RunStatus::Succeeded);
    assert!(scene.facts("staging").await.this.standing_upgrade().is_none());
    replay::check(services).await;
}

async fn rule_20_a_production_left_half_way_can_be_rolled_back_after_staging(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.staging().await;
    scene.prepare("production").await;
    clock.set(at("2025-11-20T14:00:00Z"));
    let run = scene.run(&scene.release("production").await.unwrap(), Outcome::Partial, None).await;
    services.settle_run(&scene.priya, run, RunVerdict::Partly, Some(HALF), "Two of four.").await.unwrap();
    scene.undo("staging", Method::Downgrade).await;
    attach_way_back(&scene, "production").await;
    scene.agree("production").await;
    scene.undo("production", Method::Downgrade).await;
    let outcome = services.complete_ticket(&scene.priya, scene.ticket, "Back where we were.", None).await;
    assert_eq!(outcome.unwrap(), TicketOutcome::RolledBack);
    replay::check(services).await;
}

async fn rule_20_rolled_back_wherever_it_ran_closes_as_rolled_back(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.apply("staging").await;
    let close = async |notes: &str| -> Result<TicketOutcome, ServiceError> {
        services.complete_ticket(&scene.priya, scene.ticket, notes, None).await
    };
    assert_eq!(refused(close("Given up.").await), "stages-unfinished");
    scene.undo("staging", Method::Downgrade).await;
    assert_eq!(refused(close(" ").await), "text-missing", "with notes");
    assert_eq!(close("Given up.").await.unwrap(), TicketOutcome::RolledBack);
    assert_eq!(refused(close("Again.").await), "ticket-not-open");
    replay::check(services).await;
}

async fn rule_21_editing_ends_with_the_first_run(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    let editor = person(services, "editor@example.com", &[Role::Engineer, Role::Board]).await;
    let author = person(services, "author@example.com", &[Role::Board]).await;
    let version = async || services.dossier(&editor, scene.ticket).await.unwrap().ticket.version;
    let mut stated = content(TicketKind::Standard);
    stated.release_tag = "v2".to_owned();
    stated.to_revision = "f50d9e7b3a26".to_owned();
    stated.authors = vec!["author@example.com".to_owned()];
    let stale = version().await;
    services.edit_ticket(&editor, scene.ticket, stale, stated.clone()).await.unwrap();
    assert_eq!(
        refused(services.edit_ticket(&editor, scene.ticket, stale, stated).await),
        "ticket-changed",
        "from a stale page"
    );
    let facts = scene.facts("staging").await;
    assert!(facts.contributors.contains(&editor.person) && facts.contributors.contains(&author.person));
    assert_eq!(scene.gates("staging").await.tally.approvals, [], "a new generation");
    services
        .edit_ticket(&scene.priya, scene.ticket, version().await, content(TicketKind::Normal))
        .await
        .unwrap();
    scene.attach("staging", &scene.kit("staging")).await;
    scene.agree("staging").await;
    clock.set(at("2025-11-18T14:10:00Z"));
    scene.apply("staging").await;
    let late =
        services.edit_ticket(&scene.priya, scene.ticket, version().await, content(TicketKind::Normal)).await;
    assert_eq!(refused(late), "run-happened");
    replay::check(services).await;
}

async fn rule_21_the_same_history_is_read_anew_after_an_edit(services: &Services, clock: &PlayedClock) {
    let mut wrong = content(TicketKind::Normal);
    wrong.to_revision = "f50d9e7b3a26".to_owned();
    let scene = Scene::with(services, clock, wrong).await;
    scene.attach("staging", &scene.kit("staging")).await;
    let version = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket.version;
    services.edit_ticket(&scene.priya, scene.ticket, version, content(TicketKind::Normal)).await.unwrap();
    let reason = scene.gates("staging").await.gate(GateKey::Checklist).unwrap().reason.clone();
    assert!(reason.contains("attach it again"), "{reason}");
    let files = scene.kit("staging").files().unwrap();
    let history = files.iter().find(|f| f.kind == ArtifactKind::MigrationHistory).unwrap();
    let up = scene.upload("staging", history.kind, &history.name, &history.bytes).await.unwrap();
    assert_eq!((up.created, up.version), (true, 2), "the same bytes, read for other revisions");
    let up = scene.upload("staging", history.kind, &history.name, &history.bytes).await.unwrap();
    assert!(!up.created, "and once is enough");
    scene.agree("staging").await;
    assert_eq!(scene.shut("staging").await, ["window"]);
    replay::check(services).await;
}

async fn rule_21_a_live_run_keeps_the_ticket_open(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    assert_eq!(refused(services.abandon_ticket(&scene.priya, scene.ticket, "no").await), "run-unsettled");
    scene.finish(run, Outcome::Failed, Some(kit::FROM)).await.unwrap();
    assert_eq!(refused(services.abandon_ticket(&scene.priya, scene.ticket, " ").await), "text-missing");
    scene.agree("staging").await;
    let released = scene.release("staging").await.unwrap();
    services.abandon_ticket(&scene.priya, scene.ticket, "Superseded.").await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "token-revoked");
    assert!(matches!(released.expected.sql_digest, SqlDigest::Norm1(_)));
    replay::check(services).await;
}
