//! Abuse cases about votes, people and policy, as far as the use cases decide them; the names are those of the threat
//! model.

use base64::Engine as _;

use super::replay;
use super::scene::{Scene, at, code, content, refused};
use crate::clock::PlayedClock;
use crate::domain::artifact::ArtifactKind;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Intent};
use crate::domain::policy::RUNBOOK;
use crate::domain::run::{Health, RunVerdict};
use crate::domain::ticket::{Emergency, TicketKind};
use crate::domain::user::{Actor, Role};
use crate::service::artifacts::Upload;
use crate::service::incidents::FreezeInput;
use crate::service::review::{Ballot, NewThread};
use crate::service::testing::{new_user, on_both_engines, password, person};
use crate::service::{ServiceError, Services};

on_both_engines! {
    a01_an_author_approves_through_no_path,
    a05_an_approval_is_of_one_ticket_one_stage_and_one_policy,
    a06_a_vote_from_a_stale_page_is_refused,
    a07_a_voter_who_left_stops_counting_at_release_and_at_redemption,
    a08_a_withdrawn_vote_and_a_live_token_never_meet,
    a09_a_token_does_nothing_that_wants_a_person,
    a10_an_administrator_opens_no_gate,
    a10_an_emergency_still_takes_two_other_people,
    a11_another_policy_binds_only_when_the_ticket_moves_and_then_voids_votes,
    d09_who_was_demoted_or_closed_acts_no_more_with_the_old_session,
}

async fn a01_an_author_approves_through_no_path(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let roles = [Role::Engineer, Role::Board, Role::Admin];
    let author = person(services, "author@example.com", &roles).await;
    let upload =
        Upload { kind: ArtifactKind::Other, filename: "n.txt".to_owned(), bytes: b"n".as_slice().into() };
    services.upload(&author, scene.ticket, "production", upload).await.unwrap();
    scene.attach("staging", &scene.kit("staging")).await;
    assert_eq!(refused(scene.vote(&author, "staging", Choice::Approve).await), "not-eligible");
    for finding in scene.facts("staging").await.this.findings.iter().filter(|f| f.blocks()) {
        let accept = services.accept_finding(&author, scene.ticket, "staging", finding.id, "fine").await;
        assert_eq!(refused(accept), "not-eligible");
    }
    // Voting first and touching the change afterwards is no way round either.
    scene.accept_all("staging").await;
    let late = person(services, "late@example.com", &roles).await;
    scene.vote(&late, "staging", Choice::Approve).await.unwrap();
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    let upload =
        Upload { kind: ArtifactKind::Other, filename: "n.txt".to_owned(), bytes: b"m".as_slice().into() };
    services.upload(&late, scene.ticket, "production", upload).await.unwrap();
    scene.tick_all("staging").await;
    clock.set(at("2025-11-18T14:10:00Z"));
    let report = scene.gates("staging").await;
    assert_eq!((report.tally.approvals.len(), report.tally.barred.len()), (1, 1));
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    replay::check(services).await;
}

async fn a05_an_approval_is_of_one_ticket_one_stage_and_one_policy(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    let twin = scene.another(content(TicketKind::Normal)).await;
    twin.attach("staging", &scene.kit("staging")).await;
    scene.attach("production", &scene.kit("staging")).await;
    assert_eq!(twin.gates("staging").await.tally.approvals, [], "the same bytes on another ticket");
    assert_eq!(scene.gates("production").await.tally.approvals, [], "and on another stage");
    let seen = evidence::of(&scene.facts("staging").await).unwrap().digest;
    let ballot = Ballot { choice: Choice::Approve, seen, comment: String::new(), acknowledged: true };
    let proof = services.reauthenticate(&scene.daniel, &password()).await.unwrap();
    let replayed = services.vote(&scene.daniel, proof, twin.ticket, "staging", ballot).await;
    assert_eq!(refused(replayed), "evidence-changed");
    replay::check(services).await;
}

async fn a06_a_vote_from_a_stale_page_is_refused(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    let seen = evidence::of(&scene.facts("staging").await).unwrap().digest;
    scene.upload("staging", ArtifactKind::Other, "n.txt", b"one more thing").await.unwrap();
    for choice in [Choice::Approve, Choice::Reject] {
        let ballot = Ballot { choice, seen, comment: "no".to_owned(), acknowledged: true };
        let proof = services.reauthenticate(&scene.daniel, &password()).await.unwrap();
        let stale = services.vote(&scene.daniel, proof, scene.ticket, "staging", ballot).await;
        assert_eq!(refused(stale), "evidence-changed", "{choice}");
    }
    assert!(scene.facts("staging").await.this.votes.is_empty(), "nothing is recorded");
    // Another's proof is nobody's.
    let ballot = Ballot { choice: Choice::Approve, seen, comment: String::new(), acknowledged: true };
    let proof = services.reauthenticate(&scene.daniel, &password()).await.unwrap();
    assert!(services.vote(&scene.marta, proof, scene.ticket, "staging", ballot).await.is_err());
    replay::check(services).await;
}

async fn a07_a_voter_who_left_stops_counting_at_release_and_at_redemption(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    services.set_roles(None, scene.marta.user, [Role::Auditor].into()).await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "gates-closed", "demoted");
    services.set_roles(None, scene.marta.user, [Role::Board].into()).await.unwrap();
    services.deactivate_user(None, scene.daniel.user).await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "gates-closed", "deactivated");
    assert!(scene.outstanding("staging").await);
    services.revoke_token(&scene.priya, scene.ticket, "staging", None).await.unwrap();
    let shut = scene.shut("staging").await;
    assert_eq!(
        shut,
        ["checklist", "review", "approvals"],
        "what Daniel accepted stops counting as his vote does"
    );
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    replay::check(services).await;
}

async fn a08_a_withdrawn_vote_and_a_live_token_never_meet(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    for round in 0..12 {
        let (first, second) = if round % 2 == 0 {
            let (a, b) =
                tokio::join!(scene.vote(&scene.marta, "staging", Choice::Withdraw), scene.release("staging"));
            (a, b.map(drop))
        } else {
            let (b, a) =
                tokio::join!(scene.release("staging"), scene.vote(&scene.marta, "staging", Choice::Withdraw));
            (a, b.map(drop))
        };
        first.unwrap();
        if let Err(error) = second {
            assert_eq!(code(&error), "gates-closed");
        }
        assert!(!scene.outstanding("staging").await, "round {round}");
        scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
    }
    replay::check(services).await;
}

async fn a09_a_token_does_nothing_that_wants_a_person(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let roles = [Role::Engineer, Role::Board, Role::Admin];
    let owner = person(services, "owner@example.com", &roles).await;
    let token = super::scene::pipeline(services, &owner).await;
    scene.ready().await;
    let number = scene.ticket;
    let (kind, body) = (ArtifactKind::UpgradeSql, "Why?".to_owned());
    let thread = NewThread { kind, version: 1, line: 1, blocking: true, body };
    assert_eq!(refused(services.reauthenticate(&token, &password()).await), "session-only");
    let seen = evidence::of(&scene.facts("staging").await).unwrap().digest;
    for choice in [Choice::Approve, Choice::Reject, Choice::Withdraw] {
        let ballot = Ballot { choice, seen, comment: "x".to_owned(), acknowledged: true };
        let proof = services.reauthenticate(&owner, &password()).await.unwrap();
        let vote = services.vote(&token, proof, number, "staging", ballot).await;
        assert_eq!(refused(vote), "session-only", "{choice}");
    }
    let finding = scene.facts("staging").await.this.findings[0].id;
    let accept = services.accept_finding(&token, number, "staging", finding, "fine").await;
    assert_eq!(refused(accept), "session-only");
    assert_eq!(
        refused(services.open_thread(&token, number, "staging", thread.clone()).await),
        "session-only"
    );
    let open = services.open_thread(&scene.marta, number, "staging", thread).await.unwrap();
    assert_eq!(refused(services.reply(&token, number, "staging", open, "x").await), "session-only");
    assert_eq!(
        refused(services.settle_thread(&token, number, "staging", open, true, "Looked at.").await),
        "session-only"
    );
    services.settle_thread(&scene.marta, number, "staging", open, true, "Looked at.").await.unwrap();
    let run = scene.redeem(&scene.release("staging").await.unwrap(), None).await.unwrap().run;
    clock.advance(jiff::SignedDuration::from_secs(60));
    let settled = services.settle_run(&token, run, RunVerdict::Applied, None, "seen").await;
    assert_eq!(refused(settled), "session-only");
    assert_eq!(refused(services.apply_policy(Some(&token), RUNBOOK).await), "session-only");
    let new = new_user("new@example.com", &[Role::Board]);
    assert_eq!(refused(services.add_user(Some(&token), new, None).await), "session-only");
    assert_eq!(refused(services.deactivate_user(Some(&token), owner.user).await), "session-only");
    replay::check(services).await;
}

async fn a10_an_administrator_opens_no_gate(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let admin = &scene.admin;
    scene.vote(&scene.marta, "staging", Choice::Withdraw).await.unwrap();
    assert_eq!(refused(scene.vote(admin, "staging", Choice::Approve).await), "needs-role");
    let release = services.release(admin, scene.ticket, "staging", Intent::Upgrade).await;
    assert_eq!(refused(release), "needs-role");
    let tick = services.tick(admin, scene.ticket, "staging", "release-frozen", true, "").await;
    assert_eq!(refused(tick), "needs-role");
    let judge = services.observe(admin, scene.ticket, "staging", Health::Healthy, "").await;
    assert_eq!(refused(judge), "needs-role");
    let mut roles: Vec<Role> = Role::ALL.to_vec();
    roles.retain(|r| *r != Role::Board);
    let everything = person(services, "root@example.com", &roles).await;
    let release = services.release(&everything, scene.ticket, "staging", Intent::Upgrade).await;
    assert_eq!(refused(release), "gates-closed", "an engineer, and still one vote short");
    assert_eq!(scene.shut("staging").await, ["approvals"]);
    replay::check(services).await;
}

async fn a10_an_emergency_still_takes_two_other_people(services: &Services, clock: &PlayedClock) {
    let mut urgent = content(TicketKind::Emergency);
    let reason = "Orders are refused since noon.".to_owned();
    urgent.emergency = Some(Emergency { reason, incident: None });
    let scene = Scene::with(services, clock, urgent).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    assert_eq!(refused(scene.release("staging").await), "gates-closed");
    scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
    let released = scene.release("staging").await.unwrap();
    let redeemed = scene.redeem(&released, None).await.unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&redeemed.grant).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    assert!(String::from_utf8(payload).unwrap().contains("\"waived\":[\"window\"]"), "marked in the grant");
    replay::check(services).await;
}

async fn a11_another_policy_binds_only_when_the_ticket_moves_and_then_voids_votes(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    scene.vote(&scene.marta, "staging", Choice::Withdraw).await.unwrap();
    let weak = RUNBOOK.replace("quorum = 2", "quorum = 1");
    for who in [&scene.priya, &scene.daniel] {
        assert_eq!(refused(services.apply_policy(Some(who), &weak).await), "needs-role");
    }
    services.apply_policy(None, &weak).await.unwrap();
    assert_eq!(scene.shut("staging").await, ["approvals"], "the ticket is on the policy it was filed on");
    services.move_policy(&scene.priya, scene.ticket).await.unwrap();
    assert_eq!(scene.gates("staging").await.tally.approvals, [], "consent was to other rules");
    assert_eq!(refused(services.move_policy(&scene.priya, scene.ticket).await), "policy-current");
    replay::check(services).await;
}

async fn d09_who_was_demoted_or_closed_acts_no_more_with_the_old_session(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    services.set_roles(None, scene.priya.user, [Role::Auditor].into()).await.unwrap();
    for gone in [false, true] {
        if gone {
            services.deactivate_user(None, scene.priya.user).await.unwrap();
        }
        let who: &Actor = &scene.priya;
        assert!(who.has(Role::Engineer), "as the request began");
        let why = |outcome: Result<(), ServiceError>| {
            assert_eq!(refused(outcome), if gone { "not-signed-in" } else { "needs-role" });
        };
        let stated = content(TicketKind::Normal);
        why(services.file_ticket(who, "trading-backend", stated.clone()).await.map(drop));
        why(scene.upload("staging", ArtifactKind::Other, "n.txt", b"n").await.map(drop));
        why(services.tick(who, scene.ticket, "staging", "release-frozen", true, "").await);
        why(scene.release("staging").await.map(drop));
        why(services.abandon_ticket(who, scene.ticket, "no").await);
        why(services.declare_incident(who, "trading-backend", "Late").await.map(drop));
        let version = services.dossier(&scene.daniel, scene.ticket).await.unwrap().ticket.version;
        why(services.edit_ticket(who, scene.ticket, version, stated).await);
    }
    services.set_roles(None, scene.daniel.user, [Role::Auditor].into()).await.unwrap();
    let freeze = FreezeInput {
        application: None,
        environment: None,
        starts_at: at("2025-12-24T00:00:00Z"),
        ends_at: at("2025-12-27T00:00:00Z"),
        reason: "Holidays".to_owned(),
    };
    assert_eq!(refused(services.declare_freeze(&scene.daniel, freeze).await), "needs-role");
    replay::check(services).await;
}
