//! RULES 22 to 27: versions, declared gaps, limits, codes, and what the log may hold.

use serde_json::{Value, json};

use super::replay;
use super::scene::{Scene, at, content, refused};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::GateKey;
use crate::domain::digest::Digest;
use crate::domain::facts::Choice;
use crate::domain::run::{Health, Method, Outcome};
use crate::domain::ticket::TicketKind;
use crate::domain::user::Role;
use crate::service::artifacts::Upload;
use crate::service::incidents::FreezeInput;
use crate::service::review::NewThread;
use crate::service::testing::{on_both_engines, person};
use crate::service::tokens::Presented;
use crate::service::{Limits, ServiceError, Services};
use crate::store::{Conn as _, audit};

on_both_engines! {
    rule_22_an_unknown_version_is_kept_and_blocks_with_a_sentence,
    rule_22_the_manifests_raw_digest_is_its_digest_and_its_range_the_tickets,
    rule_23_a_downgrade_declared_not_possible_needs_an_outsider_on_the_board,
    rule_23_sql_captured_online_needs_an_outsider_on_the_board,
    rule_24_uploads_and_logs_have_limits_and_a_cut_log_says_so,
    rule_25_two_codes_for_two_kinds_of_stranger,
    rule_27_what_people_type_is_in_the_log_only_as_a_commitment,
    rule_27_erasing_the_texts_keeps_the_log_whole,
}

async fn rule_22_an_unknown_version_is_kept_and_blocks_with_a_sentence(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    clock.set(at("2025-11-18T14:10:00Z"));
    let files = scene.kit("staging").files().unwrap();
    for kind in [
        ArtifactKind::DryRunReport,
        ArtifactKind::MigrationHistory,
        ArtifactKind::MigrationManifest,
        ArtifactKind::BackupManifest,
    ] {
        scene.attach("staging", &scene.kit("staging")).await;
        let file = files.iter().find(|f| f.kind == kind).unwrap();
        let mut newer: Value = serde_json::from_slice(&file.bytes).unwrap();
        newer["version"] = json!(2);
        let bytes = serde_json_canonicalizer::to_vec(&newer).unwrap();
        assert!(scene.upload("staging", kind, &file.name, &bytes).await.unwrap().created, "{kind} is kept");
        scene.agree("staging").await;
        let report = scene.gates("staging").await;
        let sentence = "has version 2; this release reads version 1 only";
        assert!(report.blocked().any(|g| g.reason.contains(sentence)), "{kind} blocks with a sentence");
        assert_eq!(refused(scene.release("staging").await), "gates-closed", "{kind}");
    }
    replay::check(services).await;
}

async fn rule_22_the_manifests_raw_digest_is_its_digest_and_its_range_the_tickets(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let mut other: Value =
        serde_json::from_slice(include_bytes!("../../demo/data/migration-manifest.json")).unwrap();
    other["to"] = json!("f50d9e7b3a26");
    let loose = serde_json::to_vec_pretty(&other).unwrap();
    let upload = scene.upload("staging", ArtifactKind::MigrationManifest, "m.json", &loose).await;
    assert_eq!(refused(upload), "file", "not canonical");
    let bytes = serde_json_canonicalizer::to_vec(&other).unwrap();
    let manifest = [("/subject/manifest_sha256", json!(Digest::of(&bytes)))];
    scene.attach_reporting("staging", &scene.kit("staging"), &manifest).await;
    scene.upload("staging", ArtifactKind::MigrationManifest, "m.json", &bytes).await.unwrap();
    let report = scene.gates("staging").await;
    assert_eq!(report.gate(GateKey::DryRun).unwrap().blockers, [], "the report speaks of these very scripts");
    let reason = &report.gate(GateKey::Checklist).unwrap().reason;
    assert!(reason.contains("the migration manifest goes from"), "{reason}");
    replay::check(services).await;
}

const NO_WAY: &str = "-- not possible: the column's values are gone once it is dropped\n";

async fn rule_23_a_downgrade_declared_not_possible_needs_an_outsider_on_the_board(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let both = person(services, "both@example.com", &[Role::Engineer, Role::Board]).await;
    let approved = scene.kit("staging");
    scene.attach("staging", &approved).await;
    let (kind, filename) = (ArtifactKind::DowngradeSql, "down.sql".to_owned());
    let upload = Upload { kind, filename, bytes: NO_WAY.as_bytes().into() };
    services.upload(&both, scene.ticket, "staging", upload).await.unwrap();
    let facts = scene.facts("staging").await;
    let finding = facts.this.findings.iter().find(|f| f.rule == "not-possible").unwrap();
    assert!(finding.blocks());
    let note = "There is a backup.";
    let accept = async |who| services.accept_finding(who, scene.ticket, "staging", finding.id, note).await;
    assert_eq!(refused(accept(&both).await), "not-eligible", "touched the change");
    assert_eq!(refused(accept(&scene.priya).await), "needs-role");
    assert_eq!(refused(accept(&scene.admin).await), "needs-role");
    clock.set(at("2025-11-18T14:10:00Z"));
    scene.tick_all("staging").await;
    for board in [&scene.daniel, &scene.marta] {
        scene.vote(board, "staging", Choice::Approve).await.unwrap();
    }
    assert_eq!(scene.shut("staging").await, ["checklist", "review"], "approvals alone don't accept it");
    scene.agree("staging").await;
    assert_eq!(scene.shut("staging").await, [] as [&str; 0]);
    scene.apply("staging").await;
    assert_eq!(refused(scene.roll_back("staging", Method::Downgrade).await), "no-approved-file");
    scene.undo("staging", Method::Restore).await;
    // An upgrade can't be declared away.
    scene.upload("staging", ArtifactKind::UpgradeSql, "up.sql", NO_WAY.as_bytes()).await.unwrap();
    scene.agree("staging").await;
    let shut = scene.shut("staging").await;
    assert_eq!(shut, ["checklist", "dry-run"]);
    replay::check(services).await;
}

async fn rule_23_sql_captured_online_needs_an_outsider_on_the_board(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let kit = scene.kit("staging");
    let edits = [
        ("/subject/upgrade/captured_online", json!(true)),
        ("/subject/upgrade/reproducible", json!(false)),
        ("/subject/upgrade/sqlnorm1", json!(null)),
        ("/subject/steps/2/status", json!("not-possible")),
        ("/subject/steps/2/why", json!("E30: revision b reads live rows.")),
    ];
    scene.attach_reporting("staging", &kit, &edits).await;
    let facts = scene.facts("staging").await;
    let finding = facts.this.findings.iter().find(|f| f.rule == "captured-online").unwrap();
    assert!(finding.blocks() && finding.why.ends_with("says why: E30: revision b reads live rows."));
    assert!(scene.shut("staging").await.contains(&"review"));
    services.accept_finding(&scene.marta, scene.ticket, "staging", finding.id, "Read it.").await.unwrap();
    scene.accept_all("staging").await;
    assert!(!scene.shut("staging").await.contains(&"review"));
    replay::check(services).await;
}

async fn rule_24_uploads_and_logs_have_limits_and_a_cut_log_says_so(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let limits = Limits { upload: 100, log: 10, ..services.limits };
    let small = Services { limits, ..services.clone() };
    let note = |bytes: usize| Upload {
        kind: ArtifactKind::Other,
        filename: "note.txt".to_owned(),
        bytes: vec![b'x'; bytes].into(),
    };
    let outcome = small.upload(&scene.priya, scene.ticket, "staging", note(101)).await;
    assert!(matches!(outcome, Err(ServiceError::TooLarge { limit: 100 })));
    small.upload(&scene.priya, scene.ticket, "staging", note(100)).await.unwrap();
    scene.ready().await;
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    let append = async |offset, body: &'static [u8]| small.append_log(&scene.ci, run, offset, body).await;
    let first = append(0, b"abcdef").await.unwrap();
    assert_eq!((first.next, first.cut), (6, false));
    let again = append(0, b"abcdef").await.unwrap();
    assert_eq!((again.next, again.cut), (6, false), "not kept twice");
    assert_eq!(refused(append(7, b"x").await), "log-gap");
    let over = append(4, b"efghijklmn").await.unwrap();
    assert_eq!((over.next, over.cut), (10, true), "its own cap, and it says so");
    assert!(append(10, b"more").await.unwrap().cut);
    scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    assert_eq!(small.log_bytes(run).await.unwrap(), b"abcdefghij");
    assert!(services.run(&scene.priya, run).await.unwrap().0.log_cut);
    replay::check(services).await;
}

async fn rule_25_two_codes_for_two_kinds_of_stranger(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let expected = released.expected.clone();
    let presented =
        Presented { sql_digest: expected.sql_digest, manifest: expected.manifest, database: None };
    assert_eq!(refused(services.bearer_actor(released.secret.reveal()).await), "bad-token");
    assert_eq!(refused(services.bearer_actor("nonsense").await), "bad-token");
    let (_, api) = services
        .create_api_token(
            &scene.priya,
            crate::service::api_tokens::NewApiToken {
                name: "another".to_owned(),
                scopes: [crate::domain::user::Scope::Apply].into(),
                expires_at: None,
            },
        )
        .await
        .unwrap();
    let unknown = crate::secret::token::PlainToken::generate(
        crate::secret::token::TokenKind::Apply,
        &crate::clock::Env::repeatable(clock, 99),
    );
    for secret in ["nonsense", api.reveal(), unknown.reveal()] {
        let outcome = services.redeem(&scene.ci, secret, presented.clone(), None).await;
        assert!(matches!(outcome, Err(ServiceError::Unauthenticated { code: "unknown-apply-token", .. })));
    }
    replay::check(services).await;
}

/// A text that can be found again wherever it leaked to.
fn canary(place: &str) -> String {
    format!("Canary of {place} \" {{}} end")
}

/// Lets people type a canary wherever they can.
async fn type_everywhere(services: &Services, clock: &PlayedClock) {
    let mut stated = content(TicketKind::Normal);
    stated.title = canary("title");
    stated.description = canary("description");
    stated.authors = vec![canary("author")];
    let scene = Scene::with(services, clock, stated.clone()).await;
    let version = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket.version;
    services.edit_ticket(&scene.priya, scene.ticket, version, stated).await.unwrap();
    scene.ready().await;
    let (kind, body) = (ArtifactKind::UpgradeSql, canary("thread"));
    let thread = NewThread { kind, version: 1, line: 1, blocking: false, body };
    let thread = services.open_thread(&scene.marta, scene.ticket, "staging", thread).await.unwrap();
    let reply = canary("reply");
    services.reply(&scene.daniel, scene.ticket, "staging", thread, &reply).await.unwrap();
    let note = canary("tick");
    services.tick(&scene.priya, scene.ticket, "staging", "release-frozen", true, &note).await.unwrap();
    let incident =
        services.declare_incident(&scene.priya, "trading-backend", &canary("incident")).await.unwrap();
    services.resolve_incident(&scene.priya, incident.id).await.unwrap();
    let freeze = FreezeInput {
        application: None,
        environment: None,
        starts_at: at("2025-12-24T00:00:00Z"),
        ends_at: at("2025-12-27T00:00:00Z"),
        reason: canary("freeze"),
    };
    services.declare_freeze(&scene.daniel, freeze).await.unwrap();
    scene.apply("staging").await;
    scene.upload("staging", ArtifactKind::MonitoringSnapshot, &canary("file"), b"png").await.unwrap();
    let watched = canary("watch");
    services.observe(&scene.priya, scene.ticket, "staging", Health::Unhealthy, &watched).await.unwrap();
    scene.undo("staging", Method::Restore).await;
    services.complete_ticket(&scene.priya, scene.ticket, &canary("notes"), None).await.unwrap();
}

async fn rule_27_what_people_type_is_in_the_log_only_as_a_commitment(
    services: &Services,
    clock: &PlayedClock,
) {
    type_everywhere(services, clock).await;
    let mut read = services.db.read().await.unwrap();
    let entries = audit::after(&mut read, 0, 10_000).await.unwrap();
    let mut texts = Vec::new();
    for entry in &entries {
        for secret in ["Canary", "example.com", "priya", "Agreed with", "read in full"] {
            assert!(!entry.event.contains(secret), "{secret} in {}", entry.event);
        }
        let event: Value = serde_json::from_str(&entry.event).unwrap();
        if let Some(commitment) = event["text_commitment"].as_str() {
            let text = audit::text(&mut read, commitment.parse().unwrap()).await.unwrap();
            texts.push(text.expect("every commitment has its text"));
        }
    }
    drop(read);
    for place in ["title", "thread", "reply", "tick", "incident", "freeze", "file", "watch", "notes"] {
        assert!(texts.contains(&canary(place)), "{place} is behind a commitment");
    }
    replay::check(services).await;
}

async fn rule_27_erasing_the_texts_keeps_the_log_whole(services: &Services, clock: &PlayedClock) {
    type_everywhere(services, clock).await;
    let mut tx = services.db.write().await.unwrap();
    let erased = tx.sql("DELETE FROM audit_texts").run().await.unwrap();
    assert!(erased > 10);
    tx.commit_unaudited("a test of erasure").await.unwrap();
    replay::check(services).await;
    // What was never said can't be put in its place.
    for table in ["audit_events", "votes", "evidence", "artifacts"] {
        let mut tx = services.db.write().await.unwrap();
        assert!(tx.sql_owned(format!("DELETE FROM {table}")).run().await.is_err(), "{table} only grows");
    }
    replay::check(services).await;
}
