//! RULES 4: whose vote counts.

use super::replay;
use super::scene::{Scene, content, pipeline, refused};
use crate::clock::PlayedClock;
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::Choice;
use crate::domain::ticket::TicketKind;
use crate::domain::user::{Actor, Role};
use crate::service::artifacts::Upload;
use crate::service::testing::{new_user, on_both_engines, password, person};
use crate::service::{ServiceError, Services};

on_both_engines! {
    rule_04_contributors_of_every_kind_cannot_approve,
    rule_04_attesting_threads_smoke_and_monitoring_do_not_disqualify,
    rule_04_accounts_that_a_contributor_shaped_cannot_approve,
    rule_04_people_are_counted_not_accounts,
    rule_04_an_api_token_dies_with_its_owner,
}

/// What keeps this person from approving staging, if anything does.
async fn bar(scene: &Scene<'_>, who: &Actor) -> Option<&'static str> {
    let outcome: Result<(), ServiceError> = scene.vote(who, "staging", Choice::Approve).await;
    if outcome.is_ok() {
        scene.vote(who, "staging", Choice::Withdraw).await.unwrap();
    }
    outcome.err().map(|e| super::scene::code(&e))
}

async fn rule_04_contributors_of_every_kind_cannot_approve(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let both = [Role::Engineer, Role::Board];
    let mut people = Vec::new();
    for name in ["files", "edits", "uploads", "owner", "mail", "named", "git", "other-stage"] {
        people.push(person(services, &format!("{name}@example.com"), &both).await);
    }
    let [files, edits, uploads, owner, mail, named, git, other] = <[Actor; 8]>::try_from(people).unwrap();
    let mut stated = content(TicketKind::Normal);
    stated.authors =
        vec![" Mail@Example.com".to_owned(), "NAMED".to_owned(), "G. <git@example.com>".to_owned()];
    let ticket = services.file_ticket(&files, "trading-backend", stated.clone()).await.unwrap();
    let mut scene = scene.another(content(TicketKind::Normal)).await;
    scene.ticket = ticket;
    let version = services.dossier(&edits, ticket).await.unwrap().ticket.version;
    services.edit_ticket(&edits, ticket, version, stated).await.unwrap();
    let ci = pipeline(services, &owner).await;
    let note = |text: &'static str| Upload {
        kind: ArtifactKind::Other,
        filename: "note.txt".to_owned(),
        bytes: text.as_bytes().into(),
    };
    services.upload(&uploads, ticket, "staging", note("a")).await.unwrap();
    services.upload(&ci, ticket, "staging", note("b")).await.unwrap();
    services.upload(&other, ticket, "production", note("c")).await.unwrap();
    scene.attach("staging", &scene.kit("staging")).await;
    for (who, why) in [
        (&files, "filed it"),
        (&edits, "edited it"),
        (&uploads, "uploaded a version that does not stand any more"),
        (&owner, "owns the token that uploaded"),
        (&other, "uploaded to another stage"),
        (&mail, "is named by address"),
        (&named, "is named by name"),
        (&git, "is named as version control names people"),
    ] {
        assert_eq!(bar(&scene, who).await, Some("not-eligible"), "{why}");
    }
    assert_eq!(bar(&scene, &scene.daniel).await, None);
    replay::check(services).await;
}

async fn rule_04_attesting_threads_smoke_and_monitoring_do_not_disqualify(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    scene.staging().await;
    let both = person(services, "both@example.com", &[Role::Engineer, Role::Board]).await;
    let file = |kind, name: &str, bytes: &'static [u8]| Upload {
        kind,
        filename: name.to_owned(),
        bytes: bytes.into(),
    };
    let smoke = file(
        ArtifactKind::SmokeReport,
        "smoke2.xml",
        br#"<testsuite tests="1"><testcase name="a"/></testsuite>"#,
    );
    services.upload(&both, scene.ticket, "staging", smoke).await.unwrap();
    let shot = file(ArtifactKind::MonitoringSnapshot, "cpu.png", b"png");
    services.upload(&both, scene.ticket, "staging", shot).await.unwrap();
    scene.attach("production", &scene.kit("production")).await;
    let (kind, body) = (ArtifactKind::UpgradeSql, "Why?".to_owned());
    let thread = crate::service::review::NewThread { kind, version: 1, line: 1, blocking: false, body };
    services.open_thread(&both, scene.ticket, "production", thread).await.unwrap();
    services.tick(&both, scene.ticket, "production", "release-frozen", true, "v1").await.unwrap();
    scene.vote(&both, "production", Choice::Approve).await.unwrap();
    assert_eq!(scene.gates("production").await.tally.approvals.len(), 1);
    replay::check(services).await;
}

async fn rule_04_accounts_that_a_contributor_shaped_cannot_approve(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let boss = person(services, "boss@example.com", &[Role::Admin, Role::Engineer]).await;
    let enrolled = async |created: crate::service::users::Created| {
        services
            .enrol(created.enrolment.reveal(), crate::service::testing::PASSWORD.to_owned())
            .await
            .unwrap();
        let desk = crate::service::testing::DESK;
        services.sign_in(&created.user.email, password(), desk, "test").await.unwrap().actor
    };
    let mut shaped = Vec::new();
    let by = |name: &str| new_user(&format!("{name}@example.com"), &[Role::Board]);
    shaped.push(enrolled(services.add_user(Some(&boss), by("created"), None).await.unwrap()).await);
    let granted = person(services, "granted@example.com", &[Role::Auditor]).await;
    services.set_roles(Some(&boss), granted.user, [Role::Board].into()).await.unwrap();
    shaped.push(granted);
    let reset = person(services, "reset@example.com", &[Role::Board]).await;
    shaped.push(enrolled(services.reset_user(Some(&boss), reset.user, None).await.unwrap()).await);
    scene.attach("staging", &scene.kit("staging")).await;
    for who in &shaped {
        assert_eq!(bar(&scene, who).await, None, "{} while boss touched nothing", who.name);
        scene.vote(who, "staging", Choice::Approve).await.unwrap();
    }
    assert_eq!(scene.gates("staging").await.tally.approvals.len(), 3);
    let ticket = services.dossier(&boss, scene.ticket).await.unwrap().ticket;
    services.edit_ticket(&boss, scene.ticket, ticket.version, ticket.content).await.unwrap();
    for who in &shaped {
        assert_eq!(bar(&scene, who).await, Some("not-eligible"), "{}", who.name);
    }
    replay::check(services).await;
}

async fn rule_04_people_are_counted_not_accounts(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let second = |of: &Actor, email: &str| {
        let mut new = new_user(email, &[Role::Board]);
        new.person = Some(of.person);
        new
    };
    let mut accounts = Vec::new();
    for (of, email) in [(&scene.daniel, "daniel2@example.com"), (&scene.priya, "priya2@example.com")] {
        let created = services.add_user(None, second(of, email), None).await.unwrap();
        services
            .enrol(created.enrolment.reveal(), crate::service::testing::PASSWORD.to_owned())
            .await
            .unwrap();
        let desk = crate::service::testing::DESK;
        accounts.push(services.sign_in(email, password(), desk, "test").await.unwrap().actor);
    }
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    scene.vote(&accounts[0], "staging", Choice::Approve).await.unwrap();
    assert_eq!(scene.gates("staging").await.tally.approvals.len(), 1, "one person with two accounts");
    assert_eq!(refused(scene.vote(&accounts[1], "staging", Choice::Approve).await), "not-eligible");
    replay::check(services).await;
}

async fn rule_04_an_api_token_dies_with_its_owner(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    services.deactivate_user(None, scene.priya.user).await.unwrap();
    assert_eq!(refused(scene.redeem(&released, None).await), "not-signed-in");
    replay::check(services).await;
}
