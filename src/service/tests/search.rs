//! Searching for tickets: words occur anywhere, literally, on both engines alike.

use super::scene::{Scene, content};
use crate::clock::PlayedClock;
use crate::domain::id::TicketNumber;
use crate::domain::ticket::TicketKind;
use crate::service::Services;
use crate::service::testing::on_both_engines;
use crate::service::tickets::Filter;

on_both_engines! { words_are_found_wherever_they_occur, an_edited_ticket_is_found_by_its_new_words }

async fn found(services: &Services, words: &[&str]) -> Vec<i64> {
    let q = words.iter().map(|word| (*word).to_owned()).collect();
    let (lines, _) = services.list_lines(&Filter { q, ..Filter::default() }, 50).await.unwrap();
    lines.iter().map(|line| line.number.0).collect()
}

async fn titled(scene: &Scene<'_>, title: &str) -> TicketNumber {
    let mut content = content(TicketKind::Normal);
    title.clone_into(&mut content.title);
    scene.another(content).await.ticket
}

async fn words_are_found_wherever_they_occur(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    for title in ["Raise a \"hard\" limit by 50%", "Größe und_so AND weiter", "Drop (a* OR b) 'quoted' C:\\d"]
    {
        titled(&scene, title).await;
    }
    for (words, numbers) in [
        (&["notional"][..], &[1][..]),
        (&["OTIONA"], &[1]),
        (&["notional", "ades"], &[1]),
        (&["notional", "limit"], &[]),
        (&["\"hard\""], &[2]),
        (&["50%"], &[2]),
        (&["5%0"], &[]),
        (&["%%%"], &[]),
        (&["ö"], &[3]),
        (&["röß"], &[3]),
        (&["GRÖßE"], &[3]),
        (&["d_s"], &[3]),
        (&["n_t"], &[]),
        (&["and"], &[3]),
        (&["(a*"], &[4]),
        (&["'quoted'", "or"], &[4]),
        (&["c:\\d"], &[4]),
        (&["to", "trade"], &[1]),
        (&["priya"], &[4, 3, 2, 1]),
        (&["zzz"], &[]),
        (&["\0\0\0"], &[]),
    ] {
        assert_eq!(found(services, words).await, numbers, "{words:?}");
    }
    let after = Filter { q: vec!["priya".to_owned()], before: Some(3), ..Filter::default() };
    let (lines, next) = services.list_lines(&after, 1).await.unwrap();
    assert_eq!((lines[0].number.0, next), (2, Some(2)));
}

async fn an_edited_ticket_is_found_by_its_new_words(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let version = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket.version;
    let mut content = content(TicketKind::Normal);
    content.title = "Widen the counterparty".to_owned();
    services.edit_ticket(&scene.priya, scene.ticket, version, content).await.unwrap();
    assert_eq!(found(services, &["counterparty"]).await, [1]);
    assert_eq!(found(services, &["notional"]).await, [0; 0]);
}
