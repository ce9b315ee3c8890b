use super::*;
use crate::clock::PlayedClock;
use crate::domain::facts::Choice;
use crate::domain::queue::{Ask, Asked};
use crate::domain::run::Health;
use crate::domain::ticket::TicketKind;
use crate::service::testing::on_both_engines;
use crate::service::tests::scene::{Scene, at, content};

on_both_engines! {
    everybody_is_asked_for_what_only_they_can_give,
    counting_costs_the_same_for_one_ticket_and_for_many,
}

async fn ask(scene: &Scene<'_>, who: &Actor) -> Option<Asked> {
    let dossier = scene.services.dossier(who, scene.ticket).await.unwrap();
    let stages = judged(&dossier).unwrap();
    let seen: Vec<Seen<'_>> = stages.iter().map(|(facts, report)| Seen { facts, report }).collect();
    let found = asked(&seen, who);
    let counted = scene.services.queue_count(who).await.unwrap();
    assert_eq!(counted, usize::from(found.is_some()), "the badge says what the queue says: {found:?}");
    found
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what the queue answers")]
fn of(stage: &str, ask: Ask) -> Option<Asked> {
    Some(Asked { stage: stage.to_owned(), ask })
}

async fn everybody_is_asked_for_what_only_they_can_give(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let (priya, daniel, marta) = (&scene.priya, &scene.daniel, &scene.marta);
    assert!(matches!(ask(&scene, priya).await, Some(Asked { ask: Ask::Attach { .. }, .. })));
    assert_eq!(ask(&scene, daniel).await, None, "there is nothing to sign yet");

    scene.attach("staging", &scene.kit("staging")).await;
    assert!(matches!(ask(&scene, daniel).await, Some(Asked { ask: Ask::Accept { .. }, .. })));
    assert_eq!(ask(&scene, priya).await, of("staging", Ask::Attest { items: 2 }));
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    assert_eq!(ask(&scene, priya).await, None, "it is the board's turn");
    let sign = |have, again| of("staging", Ask::Sign { have, need: 2, again });
    assert_eq!(ask(&scene, daniel).await, sign(0, false));

    scene.vote(daniel, "staging", Choice::Approve).await.unwrap();
    assert_eq!(ask(&scene, daniel).await, None, "nobody is asked twice");
    assert_eq!(ask(&scene, marta).await, sign(1, false));
    assert_eq!(ask(&scene, &scene.admin).await, None, "an administrator opens no gate");
    scene.attach("staging", &scene.kit("staging").with_comment("again")).await;
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    assert_eq!(ask(&scene, daniel).await, sign(0, true));
    scene.vote(daniel, "staging", Choice::Reject).await.unwrap();
    assert_eq!(ask(&scene, marta).await, None, "a rejection is the engineers' to answer");
    assert_eq!(ask(&scene, priya).await, of("staging", Ask::Revise { by: "daniel".to_owned() }));

    scene.vote(daniel, "staging", Choice::Approve).await.unwrap();
    scene.vote(marta, "staging", Choice::Approve).await.unwrap();
    assert_eq!(ask(&scene, priya).await, None, "only time is in the way");
    clock.set(at("2025-11-18T14:30:00Z"));
    assert_eq!(ask(&scene, priya).await, of("staging", Ask::Release));
    scene.apply("staging").await;
    assert_eq!(ask(&scene, priya).await, of("staging", Ask::Verify));
    scene.smoke("staging").await;
    assert!(matches!(ask(&scene, priya).await, Some(Asked { stage, .. }) if stage == "production"));
    clock.set(at("2025-11-19T15:00:00Z"));
    assert_eq!(ask(&scene, priya).await, of("staging", Ask::Judge));
    scene.judge("staging", Health::Healthy).await.unwrap();

    scene.prepare("production").await;
    clock.set(at("2025-11-20T14:30:00Z"));
    scene.apply("production").await;
    scene.smoke("production").await;
    scene.clock.advance(jiff::SignedDuration::from_hours(1));
    scene.judge("production", Health::Healthy).await.unwrap();
    assert_eq!(ask(&scene, priya).await, of("production", Ask::Complete));
    services.complete_ticket(priya, scene.ticket, "Done.", None).await.unwrap();
    assert_eq!(ask(&scene, priya).await, None);
}

async fn counting_costs_the_same_for_one_ticket_and_for_many(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let spent = async || {
        let before = services.queries();
        let count = services.queue_count(&scene.priya).await.unwrap();
        (count, services.queries() - before)
    };
    let (one, first) = spent().await;
    assert_eq!((one, spent().await), (1, (1, 1)), "while nothing happens one query is enough");
    for _ in 0..4 {
        let content = content(TicketKind::Normal);
        services.file_ticket(&scene.priya, "trading-backend", content).await.unwrap();
    }
    assert_eq!(spent().await, (5, first), "a new ticket is seen at once, and costs nothing more");
    clock.advance(jiff::SignedDuration::from_secs(16));
    assert_eq!(spent().await, (5, first), "time alone moves gates too");
}
