//! RULES 5 to 7: what no policy lowers, and which digests bind.

use serde_json::json;

use super::replay;
use super::scene::{Scene, at, refused};
use crate::clock::PlayedClock;
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::GateKey;
use crate::domain::digest::Digest;
use crate::domain::facts::Choice;
use crate::domain::gate::GateStatus;
use crate::domain::sql_digest::SqlDigest;
use crate::domain::user::Role;
use crate::service::artifacts::Upload;
use crate::service::testing::{on_both_engines, person};
use crate::service::tokens::Presented;
use crate::service::{ServiceError, Services};

on_both_engines! {
    rule_05_the_weakest_policy_keeps_four_eyes_the_dry_run_and_both_files,
    rule_06_raw_digests_bind_and_a_fresh_render_is_compared,
    rule_06_the_approved_file_itself_is_accepted_only_where_no_render_can_be_compared,
    rule_07_redemption_needs_the_approved_manifest,
}

async fn rule_05_the_weakest_policy_keeps_four_eyes_the_dry_run_and_both_files(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.repolicy("quorum = 2", "quorum = 1").await;
    let both = person(services, "both@example.com", &[Role::Engineer, Role::Board, Role::Admin]).await;
    let kit = scene.kit("staging");
    for file in kit.files().unwrap() {
        let missing = refused(scene.vote(&scene.daniel, "staging", Choice::Approve).await);
        assert_eq!(missing, "evidence-incomplete", "before {}", file.kind);
        let (kind, filename) = (file.kind, file.name);
        let upload = Upload { kind, filename, bytes: file.bytes.into() };
        services.upload(&both, scene.ticket, "staging", upload).await.unwrap();
    }
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    clock.set(at("2025-11-18T14:10:00Z"));
    assert_eq!(refused(scene.vote(&both, "staging", Choice::Approve).await), "not-eligible");
    assert_eq!(scene.shut("staging").await, ["approvals"]);
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    scene.release("staging").await.unwrap();
    let mut facts = scene.facts("staging").await;
    facts.this.policy.quorum = 0;
    assert_eq!(facts.quorum(), 1, "whatever a policy says");
    replay::check(services).await;
}

async fn rule_06_raw_digests_bind_and_a_fresh_render_is_compared(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    // Another spelling of the same statements: the same sqlnorm1, other bytes. The votes and the dry run are of bytes.
    let mut other = scene.kit("staging");
    other.upgrade = format!("\n\n{}\n\n", other.upgrade);
    assert_eq!(other.upgrade_digest(), scene.kit("staging").upgrade_digest());
    let up = scene.upload("staging", ArtifactKind::UpgradeSql, "upgrade.sql", other.upgrade.as_bytes()).await;
    assert!(up.unwrap().created);
    let report = scene.gates("staging").await;
    assert_eq!(report.gate(GateKey::DryRun).unwrap().status, GateStatus::Blocked);
    assert_eq!(report.tally.approvals.len(), 0);
    scene.attach("staging", &scene.kit("staging")).await;
    scene.agree("staging").await;
    let released = scene.release("staging").await.unwrap();
    let raw = SqlDigest::Raw(released.expected.raw);
    for (sql_digest, why) in [
        (raw, "raw-digest-not-accepted"),
        (SqlDigest::Norm1(Digest::of(b"x")), "sql-digest-mismatch"),
        (SqlDigest::Raw(Digest::of(b"x")), "sql-digest-mismatch"),
    ] {
        let presented = Presented { sql_digest, manifest: released.expected.manifest, database: None };
        let outcome = services.redeem(&scene.ci, released.secret.reveal(), presented, None).await;
        assert_eq!(refused(outcome), why);
    }
    scene.redeem(&released, None).await.unwrap();
    replay::check(services).await;
}

async fn rule_06_the_approved_file_itself_is_accepted_only_where_no_render_can_be_compared(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let kit = scene.kit("staging");
    let edits = [("/subject/upgrade/reproducible", json!(false)), ("/subject/upgrade/sqlnorm1", json!(null))];
    scene.attach_reporting("staging", &kit, &edits).await;
    scene.agree("staging").await;
    clock.set(at("2025-11-18T14:10:00Z"));
    let released = scene.release("staging").await.unwrap();
    assert_eq!(released.expected.sql_digest, SqlDigest::Raw(Digest::of(kit.upgrade.as_bytes())));
    let manifest = released.expected.manifest;
    let render = Presented { sql_digest: kit.upgrade_digest(), manifest, database: None };
    let outcome = services.redeem(&scene.ci, released.secret.reveal(), render, None).await;
    assert_eq!(refused(outcome), "sql-digest-mismatch");
    scene.redeem(&released, None).await.unwrap();
    replay::check(services).await;
}

async fn rule_07_redemption_needs_the_approved_manifest(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    assert_eq!(released.expected.manifest, Some(super::scene::manifest_digest()));
    for manifest in [None, Some(Digest::of(b"other"))] {
        let presented = Presented { sql_digest: released.expected.sql_digest, manifest, database: None };
        let outcome = services.redeem(&scene.ci, released.secret.reveal(), presented, None).await;
        assert!(matches!(outcome, Err(ServiceError::Mismatch { code: "manifest-mismatch", .. })));
        assert!(scene.outstanding("staging").await, "the token is untouched");
    }
    scene.redeem(&released, None).await.unwrap();
    replay::check(services).await;
}
