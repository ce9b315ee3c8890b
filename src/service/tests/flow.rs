//! The runbook, from a filed ticket to completion notes.

use super::replay;
use super::scene::{Scene, at, code};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::earliest::Earliest;
use crate::domain::facts::Choice;
use crate::domain::run::{Health, Outcome};
use crate::domain::ticket::TicketOutcome;
use crate::service::Services;
use crate::service::testing::{log, on_both_engines};

on_both_engines! {
    the_runbook_is_played_from_ticket_to_completion,
}

async fn the_runbook_is_played_from_ticket_to_completion(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    assert_eq!(scene.shut("staging").await, ["checklist", "dry-run", "approvals", "window"]);

    scene.attach("staging", &scene.kit("staging")).await;
    assert_eq!(scene.shut("staging").await, ["checklist", "review", "approvals", "window"]);
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    assert_eq!(scene.shut("staging").await, ["approvals", "window"]);
    assert_eq!(scene.gates("staging").await.earliest, Earliest::At(at("2025-11-18T14:00:00Z")));

    let own = scene.vote(&scene.priya, "staging", Choice::Approve).await.unwrap_err();
    assert_eq!(code(&own), "needs-role");
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    assert_eq!(scene.shut("staging").await, ["approvals", "window"]);

    let again = scene.kit("staging").with_comment("second render");
    scene.attach("staging", &again).await;
    let report = scene.gates("staging").await;
    assert_eq!((report.tally.approvals.len(), report.tally.stale.len()), (0, 1));
    scene.accept_all("staging").await;
    scene.tick_all("staging").await;
    for board in [&scene.daniel, &scene.marta] {
        scene.vote(board, "staging", Choice::Approve).await.unwrap();
    }
    assert_eq!(scene.shut("staging").await, ["window"]);
    assert_eq!(code(&scene.release("staging").await.unwrap_err()), "gates-closed");

    clock.set(at("2025-11-18T14:00:00Z"));
    let released = scene.release("staging").await.unwrap();
    assert_eq!(released.expires_at, at("2025-11-18T14:30:00Z"));
    let redeemed = scene.redeem(&released, Some("k1")).await.unwrap();
    assert!(scene.redeem(&released, Some("k1")).await.unwrap().replayed);
    for key in [Some("k2"), None] {
        assert_eq!(code(&scene.redeem(&released, key).await.unwrap_err()), "already-redeemed");
    }
    scene.finish(redeemed.run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    assert_eq!(code(&scene.judge("staging", Health::Healthy).await.unwrap_err()), "smoke-not-passed");
    scene.smoke("staging").await;
    assert_eq!(code(&scene.judge("staging", Health::Healthy).await.unwrap_err()), "observation-too-early");
    clock.set(at("2025-11-19T14:00:00Z"));
    scene.judge("staging", Health::Healthy).await.unwrap();

    scene.prepare("production").await;
    assert_eq!(scene.shut("production").await, ["window"]);
    clock.set(at("2025-11-20T14:00:00Z"));
    let incident =
        services.declare_incident(&scene.priya, "trading-backend", "Orders are late").await.unwrap();
    assert_eq!(scene.shut("production").await, ["incidents"]);
    services.resolve_incident(&scene.priya, incident.id).await.unwrap();
    scene.apply("production").await;
    scene.smoke("production").await;
    let early = services.complete_ticket(&scene.priya, scene.ticket, "Done.", None).await.unwrap_err();
    assert_eq!(code(&early), "stages-unfinished");
    clock.set(at("2025-11-20T14:30:00Z"));
    scene.judge("production", Health::Healthy).await.unwrap();
    let outcome = services.complete_ticket(&scene.priya, scene.ticket, "Done.", None).await.unwrap();
    assert_eq!(outcome, TicketOutcome::Promoted);
    let events = log(services).await;
    for kind in ["token.released", "token.redeemed", "token.reuse", "run.finished", "ticket.completed"] {
        assert!(events.iter().any(|e| e == kind), "{kind} in {events:?}");
    }
    replay::check(services).await;
}
