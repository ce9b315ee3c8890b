//! What is asked of the database doesn't grow with what it holds.

use super::scene::{Scene, content};
use crate::clock::PlayedClock;
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::Choice;
use crate::domain::ticket::TicketKind;
use crate::service::Services;
use crate::service::review::NewThread;
use crate::service::testing::on_both_engines;
use crate::service::tickets::Filter;

on_both_engines! {
    a_list_asks_the_same_of_one_ticket_and_of_fifty, a_ticket_asks_the_same_however_much_happened_to_it,
}

/// How many statements it takes.
macro_rules! cost {
    ($services:expr, $work:expr) => {{
        let before = $services.queries();
        let _ = $work;
        $services.queries() - before
    }};
}

async fn a_list_asks_the_same_of_one_ticket_and_of_fifty(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    let filters = || {
        let words = Filter { q: vec!["notional".to_owned(), "tr".to_owned()], ..Filter::default() };
        [Filter::default(), words]
    };
    let mut few = Vec::new();
    for filter in filters() {
        assert_eq!(services.list_tickets(&filter, 50).await.unwrap().lines.len(), 1);
        few.push(cost!(services, services.list_tickets(&filter, 50).await.unwrap()));
    }
    let queue = cost!(services, services.open_dossiers(&scene.priya, 50).await.unwrap());
    for n in 2..=55 {
        let mut content = content(TicketKind::Normal);
        content.authors = vec![format!("author {n}")];
        let scene = scene.another(content).await;
        if n % 10 == 0 {
            scene.attach("staging", &scene.kit("staging")).await;
            scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
        }
    }
    for (filter, few) in filters().iter().zip(few) {
        assert_eq!(services.list_tickets(filter, 50).await.unwrap().lines.len(), 50);
        assert_eq!(cost!(services, services.list_tickets(filter, 50).await.unwrap()), few);
    }
    assert_eq!(services.open_dossiers(&scene.priya, 50).await.unwrap().len(), 50);
    // One statement more: the accounts of declared authors, however many are named.
    assert_eq!(cost!(services, services.open_dossiers(&scene.priya, 50).await.unwrap()), queue + 1);
}

async fn a_ticket_asks_the_same_however_much_happened_to_it(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let happen = async |n: i64| {
        scene.attach("staging", &scene.kit("staging").with_comment(&n.to_string())).await;
        scene.accept_all("staging").await;
        scene.tick_all("staging").await;
        let body = "Why?".to_owned();
        let thread = NewThread { kind: ArtifactKind::UpgradeSql, version: n, line: 1, blocking: false, body };
        services.open_thread(&scene.daniel, scene.ticket, "staging", thread).await.unwrap();
        for board in [&scene.daniel, &scene.marta] {
            scene.vote(board, "staging", Choice::Approve).await.unwrap();
        }
    };
    let bare = cost!(services, services.dossier(&scene.priya, scene.ticket).await.unwrap());
    happen(1).await;
    let few = cost!(services, services.dossier(&scene.priya, scene.ticket).await.unwrap());
    for n in 2..=10 {
        happen(n).await;
    }
    let record = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let staging = record.stage("staging").unwrap();
    assert_eq!((staging.votes.len(), staging.threads.len()), (20, 10));
    let many = cost!(services, services.dossier(&scene.priya, scene.ticket).await.unwrap());
    assert_eq!((bare, few), (many, many));
}
