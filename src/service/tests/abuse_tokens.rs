//! Abuse cases about tokens, runs and the audit log, as far as the use cases decide them.

use tokio::task::JoinSet;

use super::replay;
use super::scene::{Scene, at, code, content, refused};
use crate::clock::PlayedClock;
use crate::demo::kit::{self, Kit};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::facts::{Choice, Intent};
use crate::domain::policy::RUNBOOK;
use crate::domain::run::{Health, Method, Outcome};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::ticket::TicketKind;
use crate::domain::user::Role;
use crate::service::incidents::FreezeInput;
use crate::service::review::NewThread;
use crate::service::testing::{dump, log, new_user, on_both_engines};
use crate::service::tokens::{Presented, Released};
use crate::service::{ServiceError, Services};
use crate::store::{Conn as _, audit};

on_both_engines! {
    a14_what_runs_is_what_was_approved_or_nothing_runs,
    b01_the_secret_is_nowhere_in_the_database,
    b03_of_many_redeemers_one_wins,
    b05_a_clock_that_was_set_back_opens_nothing,
    b07_a_token_that_is_tried_out_is_revoked,
    b07_another_database_is_refused,
    b08_a_gate_that_shuts_after_the_release_shuts_the_redemption,
    c02_no_act_without_its_event,
    c04_what_people_type_breaks_no_line_of_the_log,
}

fn presented(released: &Released) -> Presented {
    let expected = &released.expected;
    Presented { sql_digest: expected.sql_digest, manifest: expected.manifest, database: None }
}

async fn a14_what_runs_is_what_was_approved_or_nothing_runs(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let right = presented(&released);
    let other = scene.kit("staging").with_comment("one line more");
    let downgrade = Presented { sql_digest: scene.kit("staging").downgrade_digest(), ..right.clone() };
    for wrong in [
        Presented { sql_digest: other.upgrade_digest(), ..right.clone() },
        downgrade,
        Presented { sql_digest: SqlDigest::Raw(released.expected.raw), ..right.clone() },
        Presented { manifest: Some(Digest::of(b"another env.py")), ..right.clone() },
    ] {
        let outcome = services.redeem(&scene.ci, released.secret.reveal(), wrong, Some("k")).await;
        assert!(matches!(outcome, Err(ServiceError::Mismatch { .. })), "{outcome:?}");
        assert!(scene.outstanding("staging").await, "the token is untouched");
    }
    assert_eq!(log(services).await.iter().filter(|k| *k == "token.refused").count(), 4, "each one is noted");
    services.redeem(&scene.ci, released.secret.reveal(), right, Some("k")).await.unwrap();
    replay::check(services).await;
}

async fn b07_a_token_that_is_tried_out_is_revoked(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let wrong = Presented { manifest: None, ..presented(&released) };
    for times in 1..=5 {
        assert!(scene.outstanding("staging").await, "after {} tries", times - 1);
        let outcome = services.redeem(&scene.ci, released.secret.reveal(), wrong.clone(), Some("k")).await;
        let Err(ServiceError::Mismatch { message, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(message.ends_with("the token is revoked."), times == 5, "{message}");
    }
    assert!(!scene.outstanding("staging").await);
    let outcome = scene.redeem(&released, Some("k")).await;
    assert!(matches!(outcome, Err(ServiceError::Gone { code: "token-revoked", .. })), "{outcome:?}");
    scene.release("staging").await.unwrap();
    replay::check(services).await;
}

async fn b01_the_secret_is_nowhere_in_the_database(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let secret = released.secret.reveal().to_owned();
    assert!(!format!("{released:?}").contains(&secret[4..20]), "nor in debug output");
    scene.redeem(&released, Some("key")).await.unwrap();
    refused(scene.redeem(&released, None).await);
    let everything = dump(services, &[]).await.to_lowercase();
    for form in [secret.to_lowercase(), secret[4..47].to_lowercase(), hex::encode(&secret[4..47])] {
        assert!(!everything.contains(&form));
    }
    replay::check(services).await;
}

async fn b03_of_many_redeemers_one_wins(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let mut racers = JoinSet::new();
    for racer in 0..12 {
        let (services, ci) = (services.clone(), scene.ci.clone());
        let (secret, presented) = (released.secret.reveal().to_owned(), presented(&released));
        racers.spawn(async move {
            let key = format!("racer {racer}");
            services.redeem(&ci, &secret, presented, (racer % 3 > 0).then_some(&key)).await
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    for lost in outcomes.iter().filter_map(|o| o.as_ref().err()) {
        assert!(matches!(lost, ServiceError::Busy) || code(lost) == "already-redeemed", "{lost:?}");
    }
    assert_eq!(scene.facts("staging").await.this.runs.len(), 1);
    replay::check(services).await;
}

async fn b05_a_clock_that_was_set_back_opens_nothing(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let now = services.now();
    clock.set(now - jiff::SignedDuration::from_secs(6));
    let outcome = services.redeem(&scene.ci, released.secret.reveal(), presented(&released), None).await;
    assert!(matches!(outcome, Err(ServiceError::ClockBehind)), "{outcome:?}");
    assert!(matches!(scene.release("staging").await, Err(ServiceError::ClockBehind)));
    // Replicas differ by less than that every day.
    clock.set(now - jiff::SignedDuration::from_secs(4));
    services.redeem(&scene.ci, released.secret.reveal(), presented(&released), None).await.unwrap();
}

async fn b07_another_database_is_refused(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.repolicy("observe = \"24h\"", "database = \"trades-staging\"\nobserve = \"24h\"").await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    for database in [None, Some("trades-production".to_owned())] {
        let wrong = Presented { database, ..presented(&released) };
        let outcome = services.redeem(&scene.ci, released.secret.reveal(), wrong, None).await;
        assert!(matches!(outcome, Err(ServiceError::Mismatch { code: "database-mismatch", .. })));
    }
    let right = Presented { database: Some("trades-staging".to_owned()), ..presented(&released) };
    services.redeem(&scene.ci, released.secret.reveal(), right, None).await.unwrap();
    replay::check(services).await;
}

/// Breaks one gate of production and mends it again.
async fn breaks(scene: &Scene<'_>, gate: &str, mend: bool) {
    let (services, number) = (scene.services, scene.ticket);
    match gate {
        "checklist" => {
            services
                .tick(&scene.priya, number, "production", "release-frozen", mend, "v2025.11.06")
                .await
                .unwrap();
        }
        "review" => {
            let threads = scene.facts("production").await.this.threads;
            let (kind, body) = (ArtifactKind::UpgradeSql, "Wait.".to_owned());
            let thread = NewThread { kind, version: 1, line: 1, blocking: true, body };
            match threads.first() {
                Some(open) if mend => {
                    services
                        .settle_thread(&scene.marta, number, "production", open.id, true, "Looked at.")
                        .await
                        .unwrap();
                }
                _ => {
                    services.open_thread(&scene.marta, number, "production", thread).await.map(drop).unwrap();
                }
            }
        }
        "approvals" => {
            let role = if mend { Role::Board } else { Role::Auditor };
            services.set_roles(None, scene.marta.user, [role].into()).await.map(drop).unwrap();
        }
        "incidents" => {
            let open = services.list_incidents(true, None, 10).await.unwrap().incidents;
            match open.first() {
                Some(open) => services.resolve_incident(&scene.priya, open.id).await.map(drop).unwrap(),
                None => {
                    services
                        .declare_incident(&scene.priya, "trading-backend", "Late")
                        .await
                        .map(drop)
                        .unwrap();
                }
            }
        }
        "freeze" => {
            let now = services.now();
            let freeze = FreezeInput {
                application: None,
                environment: Some("production".to_owned()),
                starts_at: now,
                ends_at: now + jiff::SignedDuration::from_hours(1),
                reason: "Wait".to_owned(),
            };
            if mend {
                let on = services.list_freezes().await.unwrap()[0].id;
                services.end_freeze(&scene.daniel, on).await.map(drop).unwrap();
            } else {
                services.declare_freeze(&scene.daniel, freeze).await.map(drop).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

async fn b08_a_gate_that_shuts_after_the_release_shuts_the_redemption(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.staging().await;
    // The snapshot is good until 14:20 of the day of the window.
    let kit = Kit::new("production", at("2025-11-17T14:20:00Z"), at("2025-11-18T12:00:00Z"));
    scene.attach("production", &kit).await;
    scene.agree("production").await;
    clock.set(at("2025-11-20T14:00:00Z"));
    let released = scene.release("production").await.unwrap();
    let shut = async || match scene.redeem(&released, None).await {
        Err(ServiceError::Refused(crate::domain::refusal::Refusal::GatesClosed(report))) => {
            report.blocked().map(|g| g.key.as_str()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    for gate in ["checklist", "review", "approvals", "incidents", "freeze"] {
        breaks(&scene, gate, false).await;
        // An open thread is also an undocumented finding.
        let expected: &[&str] = if gate == "review" { &["checklist", "review"] } else { &[gate] };
        assert_eq!(shut().await, expected);
        breaks(&scene, gate, true).await;
    }
    clock.set(at("2025-11-20T14:20:00Z"));
    assert_eq!(shut().await, ["checklist", "dry-run"], "the snapshot grew old");
    clock.set(at("2025-11-20T14:19:00Z"));
    scene.judge("staging", Health::Unhealthy).await.unwrap();
    assert_eq!(shut().await, ["previous-stage"]);
    assert!(scene.outstanding("production").await);
    // The window's end is the token's end, and a shut ticket has no token.
    clock.set(at("2025-11-20T14:30:00Z"));
    assert_eq!(refused(scene.redeem(&released, None).await), "token-expired");
    replay::check(services).await;
}

/// Takes the audit log away, or puts it back.
async fn rename_log(services: &Services, from: &str, to: &str) {
    let mut tx = services.db.write().await.unwrap();
    tx.sql_owned(format!("ALTER TABLE {from} RENAME TO {to}")).run().await.unwrap();
    tx.commit_unaudited("a test takes the log away").await.unwrap();
}

async fn c02_no_act_without_its_event(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let (number, priya, marta) = (scene.ticket, &scene.priya, &scene.marta);
    let dossier = services.dossier(priya, number).await.unwrap();
    let (kind, body) = (ArtifactKind::UpgradeSql, "Why?".to_owned());
    let thread = NewThread { kind, version: 1, line: 1, blocking: true, body };
    let freeze = FreezeInput {
        application: None,
        environment: None,
        starts_at: at("2025-12-24T00:00:00Z"),
        ends_at: at("2025-12-27T00:00:00Z"),
        reason: "Holidays".to_owned(),
    };
    let seen = ["throttles", "sessions", "api_tokens"];
    rename_log(services, "audit_events", "audit_gone").await;
    let before = dump(services, &seen).await;
    let stated = content(TicketKind::Normal);
    let version = dossier.ticket.version;
    let new = new_user("new@example.com", &[Role::Board]);
    let note = b"n".as_slice();
    let weak = RUNBOOK.replace("quorum = 2", "quorum = 1");
    let failed = [
        services.file_ticket(priya, "trading-backend", stated.clone()).await.map(drop),
        services.edit_ticket(priya, number, version, stated).await,
        services.abandon_ticket(priya, number, "no").await,
        scene.upload("staging", ArtifactKind::Other, "n.txt", note).await.map(drop),
        services.tick(priya, number, "staging", "release-frozen", false, "").await,
        services.open_thread(marta, number, "staging", thread).await.map(drop),
        scene.vote(marta, "staging", Choice::Withdraw).await,
        scene.vote(marta, "staging", Choice::Reject).await,
        services.revoke_token(priya, number, "staging", None).await,
        scene.redeem(&released, None).await.map(drop),
        services.declare_incident(priya, "trading-backend", "Late").await.map(drop),
        services.declare_freeze(marta, freeze).await.map(drop),
        services.apply_policy(None, &weak).await.map(drop),
        services.add_user(None, new, None).await.map(drop),
        services.set_roles(None, marta.user, [Role::Auditor].into()).await.map(drop),
        services.deactivate_user(None, marta.user).await.map(drop),
        services.reset_user(None, marta.user, None).await.map(drop),
    ];
    for (at, outcome) in failed.iter().enumerate() {
        assert!(matches!(outcome, Err(ServiceError::Store(_))), "{at}: {outcome:?}");
    }
    assert_eq!(dump(services, &seen).await, before, "nothing happened");
    rename_log(services, "audit_gone", "audit_events").await;
    let run = scene.redeem(&released, None).await.unwrap().run;
    rename_log(services, "audit_events", "audit_gone").await;
    let before = dump(services, &seen).await;
    assert!(scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.is_err());
    clock.advance(jiff::SignedDuration::from_secs(60));
    assert!(services.sweep().await.is_err());
    assert_eq!(dump(services, &seen).await, before);
    rename_log(services, "audit_gone", "audit_events").await;
    assert_eq!(services.sweep().await.unwrap(), 1);
    replay::check(services).await;
}

async fn c04_what_people_type_breaks_no_line_of_the_log(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let nasty = "one\r\ntwo \"}\n{\"seq\":1,\"type\":\"vote.recorded\"}";
    services.tick(&scene.priya, scene.ticket, "staging", "release-frozen", true, nasty).await.unwrap();
    let run = scene.redeem(&scene.release("staging").await.unwrap(), Some(nasty)).await.unwrap().run;
    for hostile in ["a\nb", "\u{1b}[2J", "\u{202e}evil"] {
        assert_eq!(refused(scene.finish(run, Outcome::Failed, Some(hostile)).await), "revision_after");
    }
    scene.finish(run, Outcome::Partial, Some("\"},{\"x\":\"")).await.unwrap();
    let release = services.release(&scene.priya, scene.ticket, "staging", Intent::Rollback(Method::Restore));
    assert_eq!(refused(release.await), "gates-closed");
    let mut read = services.db.read().await.unwrap();
    let entries = audit::after(&mut read, 0, 10_000).await.unwrap();
    let exported = entries.iter().map(|e| e.event.as_str()).collect::<Vec<_>>().join("\n");
    assert_eq!(exported.lines().count(), entries.len());
    assert!(exported.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    drop(read);
    replay::check(services).await;
}
