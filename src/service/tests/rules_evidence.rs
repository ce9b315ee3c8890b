//! RULES 1 to 3: what a vote is bound to, and what voids it.

use serde_json::Value;

use super::replay;
use super::scene::{Scene, at, refused};
use crate::clock::PlayedClock;
use crate::demo::kit::Kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Facts};
use crate::domain::id::{IncidentId, RunId};
use crate::domain::ticket::{Emergency, TicketKind};
use crate::domain::user::Role;
use crate::service::Services;
use crate::service::testing::on_both_engines;

on_both_engines! {
    rule_01_every_field_of_the_list_is_in_the_digest_and_nothing_else,
    rule_01_the_canonical_bytes_are_stored_with_vote_token_and_run,
    rule_02_a_then_b_then_a_revives_no_vote,
    rule_02_every_change_and_every_ended_run_raises_the_generation,
    rule_03_voting_waits_for_nothing_but_complete_evidence,
    rule_03_whatever_voids_votes_revokes_the_token,
    rule_03_withdrawing_is_possible_at_any_time,
}

/// What is changed, and how.
type Edit<'e> = (&'e str, &'e dyn Fn(&mut Facts));

fn digest(facts: &Facts) -> Digest {
    evidence::of(facts).unwrap().digest
}

async fn rule_01_every_field_of_the_list_is_in_the_digest_and_nothing_else(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.staging().await;
    scene.prepare("production").await;
    scene.upload("production", ArtifactKind::Other, "note.txt", b"see the wiki").await.unwrap();
    let facts = scene.facts("production").await;
    let canonical: Value = serde_json::from_str(&evidence::of(&facts).unwrap().canonical).unwrap();
    assert_eq!(canonical["tag"], "evidence/1");
    assert_eq!(
        canonical["previous_stage"]["sql_digest"],
        Kit::upgrade_digest(&scene.kit("staging")).to_string()
    );
    let kinds: Vec<&str> =
        canonical["artifacts"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "upgrade-sql",
            "downgrade-sql",
            "dry-run-report",
            "migration-history",
            "migration-manifest",
            "backup-manifest",
            "other"
        ]
    );
    let emergency = || Emergency { reason: "it burns".to_owned(), incident: None };
    let some_id = uuid::Uuid::from_u128(7);
    let inside: [Edit<'_>; 23] = [
        ("ticket", &|f| f.ticket.number.0 += 1),
        ("stage", &|f| f.this.stage.name.push('x')),
        ("generation", &|f| f.this.stage.generation += 1),
        ("kind", &|f| f.ticket.content.kind = TicketKind::Standard),
        ("emergency", &|f| f.ticket.content.emergency = Some(emergency())),
        ("release tag", &|f| f.ticket.content.release_tag.push('x')),
        ("prior release tag", &|f| f.ticket.content.prior_release_tag.push('x')),
        ("from", &|f| f.ticket.content.from_revision.push('x')),
        ("to", &|f| f.ticket.content.to_revision.push('x')),
        ("database", &|f| f.this.policy.database = Some("trades".to_owned())),
        ("policy version", &|f| f.policy_version += 1),
        ("policy sha256", &|f| f.policy_sha256.0[0] ^= 1),
        ("previous run", &|f| f.previous.as_mut().unwrap().runs[0].id = RunId(some_id)),
        ("previous SQL", &|f| f.previous.as_mut().unwrap().runs[0].sql_digest.push('x')),
        ("previous rolled back", &|f| f.previous = None),
        ("artifact kind", &|f| f.this.artifacts[0].kind = ArtifactKind::Other),
        ("artifact name", &|f| f.this.artifacts[0].filename.push('x')),
        ("artifact version", &|f| f.this.artifacts[0].version += 1),
        ("artifact sha256", &|f| f.this.artifacts[0].sha256.0[31] ^= 1),
        ("an artifact less", &|f| drop(f.this.artifacts.remove(0))),
        ("a finding less", &|f| {
            f.this.findings.iter_mut().find(|x| x.accepted.is_some()).unwrap().accepted = None;
        }),
        ("another finding", &|f| {
            f.this.findings.iter_mut().find(|x| x.accepted.is_some()).unwrap().id.0 = some_id;
        }),
        ("the file's note", &|f| f.this.artifacts.last_mut().unwrap().sha256.0[0] ^= 1),
    ];
    let own = digest(&facts);
    for (what, edit) in inside {
        let mut other = facts.clone();
        edit(&mut other);
        assert_ne!(digest(&other), own, "{what} is in the digest");
    }
    let mut urgent = facts.clone();
    urgent.ticket.content.emergency = Some(emergency());
    for (what, edit) in [
        ("reason", &(|e: &mut Emergency| e.reason.push('x')) as &dyn Fn(&mut Emergency)),
        ("incident", &|e| e.incident = Some(IncidentId(some_id))),
    ] {
        let mut other = urgent.clone();
        edit(other.ticket.content.emergency.as_mut().unwrap());
        assert_ne!(digest(&other), digest(&urgent), "the emergency's {what} is in the digest");
    }
    let outside: [Edit<'_>; 7] = [
        ("ticks", &|f| f.this.ticks.clear()),
        ("votes", &|f| f.this.votes.clear()),
        ("title", &|f| f.ticket.content.title.push('x')),
        ("description", &|f| f.ticket.content.description.push('x')),
        ("links", &|f| f.ticket.content.external_links.push("https://x".to_owned())),
        ("time", &|f| f.now = f.now + jiff::SignedDuration::from_hours(1)),
        ("open findings", &|f| f.this.findings.retain(|x| x.accepted.is_some())),
    ];
    for (what, edit) in outside {
        let mut other = facts.clone();
        edit(&mut other);
        assert_eq!(digest(&other), own, "{what} is not in the digest");
    }
    for kind in [ArtifactKind::SmokeReport, ArtifactKind::MonitoringSnapshot, ArtifactKind::RunLog] {
        let mut other = facts.clone();
        let mut file = other.this.artifacts[0].clone();
        file.kind = kind;
        other.this.artifacts.push(file);
        assert_eq!(digest(&other), own, "{kind} is not in the digest");
    }
    replay::check(services).await;
}

async fn rule_01_the_canonical_bytes_are_stored_with_vote_token_and_run(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.apply("staging").await;
    let facts = scene.facts("staging").await;
    let (votes, tokens, runs) = (&facts.this.votes, &facts.this.tokens, &facts.this.runs);
    let named = votes.iter().map(|v| v.evidence).chain([tokens[0].evidence, runs[0].evidence]);
    let named: Vec<Digest> = named.collect();
    assert_eq!(named.len(), 4);
    for digest in named {
        assert_eq!(digest, tokens[0].evidence);
        assert_eq!(Digest::of(services.evidence(digest).await.unwrap().as_bytes()), digest);
    }
    replay::check(services).await;
}

async fn rule_02_a_then_b_then_a_revives_no_vote(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    let a = scene.kit("staging");
    let sql = |kit: &Kit| kit.upgrade.clone().into_bytes();
    let seen = digest(&scene.facts("staging").await);
    let same = scene.upload("staging", ArtifactKind::UpgradeSql, "upgrade.sql", &sql(&a)).await.unwrap();
    assert_eq!((same.created, same.version), (false, 1), "bytes of the newest version change nothing");
    assert_eq!(digest(&scene.facts("staging").await), seen);
    let b = a.clone().with_comment("b");
    for (kit, version) in [(&b, 2), (&a, 3)] {
        let up = scene.upload("staging", ArtifactKind::UpgradeSql, "upgrade.sql", &sql(kit)).await.unwrap();
        assert_eq!((up.created, up.version), (true, version), "older bytes are a version of their own");
    }
    let facts = scene.facts("staging").await;
    assert_ne!(digest(&facts), seen);
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    let report = scene.gates("staging").await;
    assert_eq!((report.tally.approvals.len(), report.tally.stale.len()), (0, 2));
    clock.set(at("2025-11-18T14:10:00Z"));
    assert_eq!(scene.shut("staging").await, ["approvals"]);
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    // Other files are told apart by their names.
    for (name, version) in [("a.txt", 1), ("b.txt", 2)] {
        let up = scene.upload("staging", ArtifactKind::Other, name, b"same").await.unwrap();
        assert_eq!((up.created, up.version), (true, version));
    }
    assert!(!scene.upload("staging", ArtifactKind::Other, "a.txt", b"same").await.unwrap().created);
    replay::check(services).await;
}

async fn rule_02_every_change_and_every_ended_run_raises_the_generation(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let generation = async || scene.facts("staging").await.this.stage.generation;
    assert_eq!(generation().await, 1);
    scene.attach("staging", &scene.kit("staging")).await;
    assert_eq!(generation().await, 7, "six files");
    scene.accept_all("staging").await;
    let accepted = generation().await;
    assert!(accepted > 7);
    let ticket = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket;
    services.edit_ticket(&scene.priya, scene.ticket, ticket.version, ticket.content).await.unwrap();
    assert_eq!(generation().await, accepted + 1, "an edit");
    scene.repolicy("observe = \"24h\"", "observe = \"25h\"").await;
    assert_eq!(generation().await, accepted + 2, "another policy");
    scene.agree("staging").await;
    assert_eq!(generation().await, accepted + 2, "ticks and votes are not evidence");
    clock.set(at("2025-11-18T14:10:00Z"));
    scene.apply("staging").await;
    assert_eq!(generation().await, accepted + 3, "a run that ended");
    replay::check(services).await;
}

async fn rule_03_voting_waits_for_nothing_but_complete_evidence(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    assert_eq!(refused(scene.vote(&scene.daniel, "staging", Choice::Approve).await), "evidence-incomplete");
    scene.attach("staging", &scene.kit("staging")).await;
    services.declare_incident(&scene.priya, "trading-backend", "Orders are late").await.unwrap();
    let shut = scene.shut("staging").await;
    assert_eq!(shut, ["checklist", "review", "approvals", "incidents", "window"]);
    for board in [&scene.daniel, &scene.marta] {
        scene.vote(board, "staging", Choice::Approve).await.unwrap();
    }
    assert_eq!(scene.shut("staging").await, ["checklist", "review", "incidents", "window"]);
    replay::check(services).await;
}

async fn rule_03_whatever_voids_votes_revokes_the_token(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    for what in ["withdraw", "reject", "upload", "edit", "policy"] {
        let released = scene.release("staging").await.unwrap();
        assert!(scene.outstanding("staging").await);
        match what {
            "withdraw" => scene.vote(&scene.marta, "staging", Choice::Withdraw).await.unwrap(),
            "reject" => scene.vote(&scene.marta, "staging", Choice::Reject).await.unwrap(),
            "upload" => {
                scene.upload("staging", ArtifactKind::Other, "note.txt", b"more").await.map(drop).unwrap();
            }
            "edit" => {
                let ticket = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket;
                let (version, content) = (ticket.version, ticket.content);
                services.edit_ticket(&scene.priya, scene.ticket, version, content).await.unwrap();
            }
            _ => scene.repolicy("observe = \"24h\"", "observe = \"25h\"").await,
        }
        assert!(!scene.outstanding("staging").await, "{what}");
        assert_eq!(refused(scene.redeem(&released, None).await), "token-revoked", "{what}");
        scene.tick_all("staging").await;
        for board in [&scene.daniel, &scene.marta] {
            scene.vote(board, "staging", Choice::Approve).await.unwrap();
        }
    }
    replay::check(services).await;
}

async fn rule_03_withdrawing_is_possible_at_any_time(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    services.set_roles(None, scene.marta.user, [Role::Auditor].into()).await.unwrap();
    scene.vote(&scene.marta, "staging", Choice::Withdraw).await.unwrap();
    assert_eq!(refused(scene.vote(&scene.marta, "staging", Choice::Withdraw).await), "nothing-to-withdraw");
    services.set_roles(None, scene.marta.user, [Role::Board].into()).await.unwrap();
    scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
    let released = scene.release("staging").await.unwrap();
    scene.redeem(&released, None).await.unwrap();
    scene.vote(&scene.daniel, "staging", Choice::Withdraw).await.unwrap();
    replay::check(services).await;
}
