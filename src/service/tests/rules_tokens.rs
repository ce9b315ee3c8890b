//! RULES 15 to 19: who releases and redeems, answers that were lost, runs that fell silent or failed.

use jiff::SignedDuration;

use super::replay;
use super::scene::{Scene, at, content, pipeline, refused};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::blocker::GateKey;
use crate::domain::digest::Digest;
use crate::domain::run::{Health, Method, Outcome, RunStatus, RunVerdict, settle};
use crate::domain::ticket::TicketKind;
use crate::domain::user::{Actor, Role, Scope};
use crate::service::api_tokens::NewApiToken;
use crate::service::runs::Finish;
use crate::service::testing::{log, on_both_engines, person};
use crate::service::tokens::{Presented, Released};
use crate::service::{ServiceError, Services};
use crate::store::runs;

on_both_engines! {
    rule_15_engineers_release_and_any_token_with_the_scope_redeems,
    rule_15_only_the_redeemer_reports,
    rule_15_redemption_needs_the_evidence_of_the_release,
    rule_16_the_same_key_answers_the_same_and_anything_else_is_a_second_use,
    rule_17_a_lapse_is_unknown_at_once_and_only_a_person_ends_it,
    rule_17_a_late_word_after_the_verdict_is_kept_too,
    rule_17_a_heartbeat_keeps_a_run_alive_and_brings_none_back,
    rule_19_a_failed_run_verified_at_its_start_may_run_again_with_fresh_votes,
    rule_19_a_failed_run_that_names_no_revision_waits_for_a_person,
}

async fn scoped(services: &Services, owner: &Actor, scopes: &[Scope]) -> Actor {
    let scopes = scopes.iter().copied().collect();
    let new = NewApiToken { name: "other".to_owned(), scopes, expires_at: None };
    let (_, secret) = services.create_api_token(owner, new).await.unwrap();
    services.bearer_actor(secret.reveal()).await.unwrap()
}

fn presented(released: &Released) -> Presented {
    let expected = &released.expected;
    Presented { sql_digest: expected.sql_digest, manifest: expected.manifest, database: None }
}

async fn rule_15_engineers_release_and_any_token_with_the_scope_redeems(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let auditor = person(services, "auditor@example.com", &[Role::Auditor]).await;
    let narrow = scoped(services, &scene.priya, &[Scope::TicketsWrite, Scope::ArtifactsWrite]).await;
    let release = async |who: &Actor| {
        services.release(who, scene.ticket, "staging", crate::domain::facts::Intent::Upgrade).await
    };
    for who in [&scene.daniel, &auditor, &scene.admin] {
        assert_eq!(refused(release(who).await), "needs-role", "{}", who.name);
    }
    assert_eq!(refused(release(&narrow).await), "missing-scope");
    let released = release(&scene.ci).await.unwrap();
    services.revoke_token(&scene.daniel, scene.ticket, "staging", None).await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "token-revoked");
    let released = release(&scene.priya).await.unwrap();
    let redeem =
        async |who: &Actor| services.redeem(who, released.secret.reveal(), presented(&released), None).await;
    assert_eq!(refused(redeem(&scene.priya).await), "missing-scope", "a run is a token's work");
    assert_eq!(refused(redeem(&narrow).await), "missing-scope");
    redeem(&scoped(services, &auditor, &[Scope::Apply]).await).await.unwrap();
    replay::check(services).await;
}

async fn rule_15_only_the_redeemer_reports(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    let second = pipeline(services, &scene.priya).await;
    let noah = person(services, "noah@example.com", &[Role::Engineer]).await;
    let other = pipeline(services, &noah).await;
    let narrow = scoped(services, &scene.priya, &[Scope::TicketsWrite]).await;
    assert_eq!(refused(services.heartbeat(&narrow, run).await), "missing-scope");
    // A browser does not report, nor does anybody else's pipeline.
    for who in [&other, &scene.priya] {
        let finish = Finish {
            outcome: Outcome::Succeeded,
            exit_code: Some(0),
            revision_before: None,
            revision_after: Some(kit::TO.to_owned()),
            backup_restored: false,
            prior_tag_redeployed: false,
        };
        assert_eq!(refused(services.append_log(who, run, 0, b"x").await), "not-redeemer");
        assert_eq!(refused(services.heartbeat(who, run).await), "not-redeemer");
        assert_eq!(refused(services.finish(who, run, finish).await), "not-redeemer");
    }
    // Another token of whoever redeemed does: the first may be gone by now.
    for who in [&scene.ci, &second] {
        services.append_log(who, run, 0, b"x").await.unwrap();
        services.heartbeat(who, run).await.unwrap();
    }
    let first = scene.ci.token().unwrap();
    services.revoke_api_token(None, first).await.unwrap();
    assert_eq!(refused(services.heartbeat(&scene.ci, run).await), "not-signed-in");
    let scene = Scene { ci: second, ..scene };
    for _ in 0..2 {
        scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    }
    assert_eq!(log(services).await.iter().filter(|k| *k == "run.finished").count(), 1, "said twice, one end");
    assert_eq!(refused(scene.finish(run, Outcome::Failed, Some(kit::FROM)).await), "run-ended");
    replay::check(services).await;
}

async fn rule_15_redemption_needs_the_evidence_of_the_release(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.staging().await;
    scene.prepare("production").await;
    clock.set(at("2025-11-20T14:00:00Z"));
    let released = scene.release("production").await.unwrap();
    // The run on the stage before is part of production's evidence.
    scene.undo("staging", Method::Downgrade).await;
    assert_eq!(refused(scene.redeem(&released, None).await), "token-revoked");
    assert!(scene.shut("production").await.contains(&"approvals"), "and its votes are stale");
    replay::check(services).await;
}

async fn rule_16_the_same_key_answers_the_same_and_anything_else_is_a_second_use(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let first = scene.redeem(&released, Some("key")).await.unwrap();
    let events = log(services).await.len();
    let again = scene.redeem(&released, Some("key")).await.unwrap();
    assert_eq!((again.run, again.replayed), (first.run, true));
    assert_eq!(again.grant, first.grant, "the stored grant, byte for byte");
    assert_eq!(log(services).await.len(), events, "no second event");
    let other = Presented { manifest: Some(Digest::of(b"other")), ..presented(&released) };
    let outcome = services.redeem(&scene.ci, released.secret.reveal(), other, Some("key")).await;
    assert!(matches!(outcome, Err(ServiceError::Mismatch { code: "idempotency-mismatch", .. })));
    scene.finish(first.run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    assert!(scene.redeem(&released, Some("key")).await.unwrap().replayed, "also after the run");
    let stranger = pipeline(services, &scene.priya).await;
    let outcome =
        services.redeem(&stranger, released.secret.reveal(), presented(&released), Some("key")).await;
    assert_eq!(refused(outcome), "already-redeemed", "another token with the same key");
    assert_eq!(
        refused(scene.redeem(&released, None).await),
        "already-redeemed",
        "without a key it is unique"
    );
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    assert_eq!(dossier.alarms.len(), 1, "one token, one alarm");
    assert_eq!(log(services).await.iter().filter(|kind| *kind == "token.reuse").count(), 2);
    // A run without a key: its retry is refused.
    scene.undo("staging", Method::Downgrade).await;
    scene.agree("staging").await;
    let released = scene.release("staging").await.unwrap();
    scene.redeem(&released, None).await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "already-redeemed");
    replay::check(services).await;
}

async fn rule_17_a_lapse_is_unknown_at_once_and_only_a_person_ends_it(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    assert_eq!(
        refused(services.settle_run(&scene.priya, run, RunVerdict::Applied, None, "seen").await),
        "run-not-unknown"
    );
    clock.advance(SignedDuration::from_secs(60));
    let (known, facts) = services.run(&scene.priya, run).await.unwrap();
    assert_eq!((known.status, known.status_at(facts.now)), (RunStatus::Running, RunStatus::Unknown));
    assert_eq!(refused(services.heartbeat(&scene.ci, run).await), "run-unknown");
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    assert_eq!(refused(scene.roll_back("staging", Method::Restore).await), "gates-closed");
    assert_eq!(
        refused(services.complete_ticket(&scene.priya, scene.ticket, "Done.", None).await),
        "run-unsettled"
    );
    assert_eq!(refused(services.abandon_ticket(&scene.priya, scene.ticket, "no").await), "run-unsettled");
    // A late end is kept, and decides nothing.
    let late = scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    assert_eq!(late.status, RunStatus::Unknown);
    scene.finish(run, Outcome::Failed, None).await.unwrap();
    let mut read = services.db.read().await.unwrap();
    let kept = runs::late_report(&mut read, run).await.unwrap().unwrap();
    assert!(kept.contains("succeeded"), "the first late word stands: {kept}");
    drop(read);
    let kinds = log(services).await;
    for (kind, count) in [("run.lost", 1), ("run.late-report", 1), ("run.finished", 0)] {
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), count, "{kind}");
    }
    assert_eq!(services.sweep().await.unwrap(), 0, "noted already");
    let judge = async |who: &Actor, verdict, revision, note: &str| {
        services.settle_run(who, run, verdict, revision, note).await
    };
    assert_eq!(refused(judge(&scene.ci, RunVerdict::Applied, None, "seen").await), "session-only");
    assert_eq!(refused(judge(&scene.priya, RunVerdict::Applied, None, " ").await), "text-missing");
    assert_eq!(refused(judge(&scene.priya, RunVerdict::Partly, None, "seen").await), "revision");
    judge(&scene.priya, RunVerdict::NotApplied, None, "The tables are as before.").await.unwrap();
    let (known, _) = services.run(&scene.priya, run).await.unwrap();
    assert_eq!(known.status, RunStatus::Failed, "whatever the late word said");
    assert_eq!(known.revision_after.as_deref(), Some(kit::FROM));
    assert_eq!(refused(judge(&scene.priya, RunVerdict::Applied, None, "seen").await), "run-not-unknown");
    replay::check(services).await;
}

async fn rule_17_a_late_word_after_the_verdict_is_kept_too(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    clock.advance(SignedDuration::from_secs(90));
    services.settle_run(&scene.daniel, run, RunVerdict::Applied, None, "The column is there.").await.unwrap();
    assert!(log(services).await.iter().any(|k| k == "run.lost"), "the verdict wrote the lapse down first");
    let late = scene.finish(run, Outcome::Failed, Some(kit::FROM)).await.unwrap();
    assert_eq!(late.status, RunStatus::Succeeded, "the person's word decides");
    let mut read = services.db.read().await.unwrap();
    assert!(runs::late_report(&mut read, run).await.unwrap().unwrap().contains("failed"));
    drop(read);
    assert!(log(services).await.iter().any(|k| k == "run.late-report"));
    replay::check(services).await;
}

async fn rule_17_a_heartbeat_keeps_a_run_alive_and_brings_none_back(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    for _ in 0..7 {
        clock.advance(SignedDuration::from_secs(10));
        services.heartbeat(&scene.ci, run).await.unwrap();
    }
    assert_eq!(services.sweep().await.unwrap(), 0);
    clock.advance(SignedDuration::from_secs(60));
    // Somebody who read the run while it was alive comes to write only now.
    let mut tx = services.db.write().await.unwrap();
    let now = services.now();
    let until = now + SignedDuration::from_secs(60);
    assert!(!runs::extend_lease(&mut tx, run, now, until).await.unwrap());
    drop(tx);
    assert_eq!(services.sweep().await.unwrap(), 1);
    replay::check(services).await;
}

#[test]
fn rule_18_the_server_says_how_a_run_ended() {
    use Outcome::{Failed, Partial, Succeeded};
    for (said, after, recorded) in [
        (Succeeded, Some("to"), RunStatus::Succeeded),
        (Succeeded, Some("from"), RunStatus::Partial),
        (Succeeded, Some("between"), RunStatus::Partial),
        (Succeeded, None, RunStatus::Partial),
        (Failed, Some("from"), RunStatus::Failed),
        (Failed, None, RunStatus::Failed),
        (Failed, Some("between"), RunStatus::Partial),
        (Failed, Some("to"), RunStatus::Partial),
        (Partial, Some("between"), RunStatus::Partial),
        (Partial, Some("to"), RunStatus::Partial),
    ] {
        assert_eq!(settle(said, after, "from", "to"), recorded, "{said} at {after:?}");
    }
}

async fn rule_19_a_failed_run_verified_at_its_start_may_run_again_with_fresh_votes(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    scene.run(&released, Outcome::Failed, Some(kit::FROM)).await;
    assert_eq!(scene.shut("staging").await, ["checklist", "approvals"], "a new generation, nothing else");
    assert_eq!(scene.gates("staging").await.tally.stale.len(), 2);
    assert_eq!(refused(scene.judge("staging", Health::Healthy).await), "run-not-succeeded");
    scene.agree("staging").await;
    scene.apply("staging").await;
    replay::check(services).await;
}

async fn rule_19_a_failed_run_that_names_no_revision_waits_for_a_person(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let other = scene.another(content(TicketKind::Normal)).await;
    other.prepare("staging").await;
    scene.ready().await;
    let run = scene.run(&scene.release("staging").await.unwrap(), Outcome::Failed, None).await;
    scene.agree("staging").await;
    for ticket in [&scene, &other] {
        assert_eq!(ticket.shut("staging").await, ["single-run"], "nobody knows where the database is");
        let reason = ticket.gates("staging").await.gate(GateKey::SingleRun).unwrap().reason.clone();
        assert!(reason.contains("without naming the revision"), "{reason}");
        assert_eq!(refused(ticket.release("staging").await), "gates-closed");
    }
    assert_eq!(refused(services.abandon_ticket(&scene.priya, scene.ticket, "no").await), "run-unsettled");
    assert_eq!(refused(scene.roll_back("staging", Method::Restore).await), "gates-closed");
    services
        .settle_run(&scene.priya, run, RunVerdict::NotApplied, None, "Looked: at the start.")
        .await
        .unwrap();
    assert_eq!(scene.shut("staging").await, ["checklist", "approvals"], "fresh votes");
    assert_eq!(other.shut("staging").await, [] as [&str; 0]);
    scene.agree("staging").await;
    scene.apply("staging").await;
    replay::check(services).await;
}
