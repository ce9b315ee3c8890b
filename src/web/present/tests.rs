use super::*;
use crate::clock::PlayedClock;
use crate::domain::facts::Choice;
use crate::domain::run::Health;
use crate::domain::ticket::{Emergency, TicketContent, TicketKind};
use crate::service::Services;
use crate::service::testing::run;
use crate::service::tests::scene::{Scene, at, content};
use crate::web::view::parts::{Signed, Verdict};
use crate::web::view::state::State;

macro_rules! scenes {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::run!(Sqlite, $name); }
        )+}
    };
}

scenes! {
    the_first_screen_says_whether_why_who_and_when,
    an_emergency_says_what_it_waives,
    buttons_are_what_the_server_would_do,
    a_stale_signature_says_what_came_after_it,
    after_a_run_the_page_speaks_of_the_run,
    statements_for_earlier_evidence_are_offered_again,
}

/// What is loaded for this reader: whether they may sign is part of it.
async fn stages(scene: &Scene<'_>, reader: &Actor) -> Vec<Judged> {
    Judged::all(&scene.services.dossier(reader, scene.ticket).await.unwrap()).unwrap()
}

async fn staging(scene: &Scene<'_>, reader: &Actor) -> Judged {
    stages(scene, reader).await.swap_remove(0)
}

fn words(verdict: &Verdict) -> String {
    let reading = verdict.reading.as_ref();
    let reading = reading.map(|r| format!(" | {}: {} {}", r.label, r.value, r.note)).unwrap_or_default();
    let html = format!("{} {} {}{reading}", verdict.question, verdict.answer, verdict.reason);
    text(&html)
}

/// What a reader sees of some HTML.
fn text(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' => inside = false,
            letter if !inside => out.push(letter),
            _ => {}
        }
    }
    out.replace("&#38;", "&")
}

async fn the_first_screen_says_whether_why_who_and_when(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let empty = verdict::verdict(&staging(&scene, &scene.priya).await, &scene.priya);
    assert_eq!(empty.state, State::Who);
    let said = words(&empty);
    assert!(said.starts_with("Can CHG-1 be applied to staging? Not yet 4 of 9 gates are blocked."), "{said}");
    assert!(said.contains("Three wait for people: you and the board."), "{said}");
    assert!(said.contains("Earliest apply: Tue 18 Nov, 14:00 UTC in 2 h, if everybody acts"), "{said}");

    scene.prepare("staging").await;
    let only_time = verdict::verdict(&staging(&scene, &scene.priya).await, &scene.priya);
    assert_eq!(only_time.state, State::Time);
    let said = words(&only_time);
    assert!(said.contains("1 of 9 gates is blocked. One waits for time and needs nobody."), "{said}");

    clock.set(at("2025-11-18T14:30:00Z"));
    let incident =
        services.declare_incident(&scene.priya, "trading-backend", "Orders are late").await.unwrap();
    let stopped = verdict::verdict(&staging(&scene, &scene.priya).await, &scene.priya);
    assert_eq!((stopped.state, stopped.answer.as_str()), (State::Stop, "Stopped"));
    assert!(words(&stopped).contains("INC-1 is open: Orders are late."), "{}", words(&stopped));
    services.resolve_incident(&scene.priya, incident.id).await.unwrap();

    let ready = verdict::verdict(&staging(&scene, &scene.priya).await, &scene.priya);
    assert_eq!((ready.state, ready.answer.as_str()), (State::Open, "Ready"));
    assert!(words(&ready).contains("The window closes: Tue 18 Nov, 16:00 UTC"), "{}", words(&ready));
}

async fn an_emergency_says_what_it_waives(services: &Services, clock: &PlayedClock) {
    let emergency = Emergency { reason: "Fills are lost since 09:00.".to_owned(), incident: None };
    let content = TicketContent { emergency: Some(emergency), ..content(TicketKind::Emergency) };
    let scene = Scene::with(services, clock, content).await;
    scene.prepare("staging").await;
    let stage = staging(&scene, &scene.priya).await;
    let said = words(&verdict::verdict(&stage, &scene.priya));
    assert!(said.contains("Ready Every gate is open or lawfully waived. Waived: window."), "{said}");
    let board = gates::board(&stage, &scene.daniel);
    let window = board.rows().iter().find(|row| row.key == "window").unwrap();
    assert_eq!((window.state, window.lead.as_str()), (State::Stale, "Waived for an emergency."));
    assert!(window.rest.to_string().contains("The window opens Tue 18 Nov, 14:00 UTC."), "{}", window.rest);
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let alerts = about::alerts(&dossier, &stage);
    let said = text(&alerts[0].text.to_string());
    assert!(said.contains("Fills are lost") && said.contains("Waived at this moment: window."), "{said}");
}

async fn buttons_are_what_the_server_would_do(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let names = async |who: &Actor| -> Vec<(String, Option<String>)> {
        let stages = stages(&scene, who).await;
        let actions = actions::of_stage(&stages, &stages[0], who);
        assert!(actions.iter().filter(|action| action.primary).count() <= 1);
        actions.into_iter().map(|action| (action.text, action.refused)).collect()
    };
    assert_eq!(
        names(&scene.priya).await,
        [("Release apply token".to_owned(), Some("4 gates of 9 are blocked.".to_owned()))]
    );
    assert_eq!(
        names(&scene.daniel).await,
        [("Approve or reject".to_owned(), Some("The evidence is not complete yet.".to_owned()))]
    );
    assert_eq!(names(&scene.admin).await, []);

    scene.prepare("staging").await;
    assert_eq!(names(&scene.daniel).await[1], ("Your signature".to_owned(), None));
    clock.set(at("2025-11-18T14:30:00Z"));
    assert_eq!(names(&scene.priya).await[1], ("Release apply token".to_owned(), None));
    scene.release("staging").await.unwrap();
    assert_eq!(names(&scene.priya).await[1], ("Apply token".to_owned(), None));

    let stage = staging(&scene, &scene.priya).await;
    let rows = files::rows(&stage, &scene.priya);
    assert!(rows.iter().any(|row| row.kind == "upgrade-sql" && row.may_upload));
    assert!(!rows.iter().any(|row| row.kind == "smoke-report"), "there is no run to prove");
    assert!(!files::rows(&stage, &scene.daniel).iter().any(|row| row.may_upload));
    assert_eq!(
        files::upload_warning(&stage).unwrap(),
        "Uploading any file of the evidence makes daniel’s and marta’s approvals stale and revokes the apply token."
    );
}

async fn a_stale_signature_says_what_came_after_it(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    let kinds = |signatures: &crate::web::view::parts::Signatures| -> Vec<Signed> {
        signatures.rows.iter().map(|row| row.kind).collect()
    };
    let stage = staging(&scene, &scene.marta).await;
    let before = signatures::signatures(&stage, &scene.marta);
    assert_eq!(kinds(&before), [Signed::Approved, Signed::Missing]);
    assert_eq!(before.rows[1].name, "Second signature");
    assert_eq!(before.rows[1].actions.len(), 1, "she can sign");
    assert!(signatures::signatures(&stage, &scene.priya).rows[1].actions.is_empty(), "she cannot");

    clock.advance(jiff::SignedDuration::from_mins(5));
    let upgrade = scene.kit("staging").with_comment("again").upgrade;
    let kind = ArtifactKind::UpgradeSql;
    scene.upload("staging", kind, "upgrade.sql", upgrade.as_bytes()).await.unwrap();
    let after = signatures::signatures(&staging(&scene, &scene.daniel).await, &scene.daniel);
    assert_eq!(kinds(&after), [Signed::Missing, Signed::Missing, Signed::Stale]);
    let about = text(&after.rows[2].about.to_string());
    assert!(about.starts_with("Stale: Upgrade SQL v2 came after it, Tue 18 Nov, 12:05"), "{about}");
}

async fn after_a_run_the_page_speaks_of_the_run(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    clock.set(at("2025-11-18T14:30:00Z"));
    scene.apply("staging").await;
    let said = async |who: &Actor| {
        let stage = staging(&scene, who).await;
        (words(&verdict::verdict(&stage, who)), rail::placed(&stage, who).1)
    };
    let (verdict, place) = said(&scene.priya).await;
    assert!(verdict.starts_with("Has CHG-1 been applied to staging? Applied Smoke checks"), "{verdict}");
    assert_eq!(place, "Applied, smoke checks missing");
    scene.smoke("staging").await;
    scene.clock.advance(jiff::SignedDuration::from_hours(20));
    let stages = stages(&scene, &scene.priya).await;
    let track = rail::rail(&stages, "production", &scene.priya);
    assert_eq!(track.legs[0].stops[3].note, "20 h of 24 h, until Wed 14:30");
    assert_eq!(track.legs[0].stops[3].progress.as_ref().unwrap().value, 1200);
    assert!(track.legs[1].current && !track.legs[0].current);
    assert_eq!(gates::pips(&stages[0]).passing(), 9, "what was applied had every gate open");
    assert!(!stages[0].report.applicable(), "and could not be applied again");
    let then = stages[0].as_applied().expect("the evidence of the run, put together again");
    let signed = signatures::signatures(&then, &nobody());
    let kinds: Vec<Signed> = signed.rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Signed::Approved, Signed::Approved]);
    assert!(signed.rows.iter().all(|row| row.actions.is_empty()), "what is over has no buttons");
    let ticks = checklist::preflight(&then, &nobody());
    assert_eq!(ticks.counted(), "7 of 7 done");
    assert!(ticks.sections.iter().flat_map(|s| &s.rows).all(|row| row.attest.is_none() && !row.may_undo));

    clock.set(at("2025-11-19T15:00:00Z"));
    assert_eq!(said(&scene.priya).await.1, "Applied, waits for a verdict");
    scene.judge("staging", Health::Unhealthy).await.unwrap();
    let (verdict, place) = said(&scene.daniel).await;
    assert!(verdict.contains("Unhealthy Applied, and judged unhealthy."), "{verdict}");
    assert_eq!(place, "Judged unhealthy");
}

async fn statements_for_earlier_evidence_are_offered_again(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.tick_all("staging").await;
    let rows = async |who: &Actor| {
        let list = checklist::preflight(&staging(&scene, who).await, who);
        list.sections.into_iter().flat_map(|section| section.rows).collect::<Vec<_>>()
    };
    let row =
        async |who: &Actor| rows(who).await.into_iter().find(|row| row.item == "release-frozen").unwrap();
    let stated = row(&scene.priya).await;
    assert_eq!(stated.state, State::Open);
    assert!(stated.may_undo && stated.attest.is_none());
    assert!(!row(&scene.daniel).await.may_undo);

    scene.attach("staging", &scene.kit("staging").with_comment("again")).await;
    let again = row(&scene.priya).await;
    assert_eq!(again.state, State::Stale);
    assert_eq!(again.attest.unwrap().note.value, "seen", "what was said need not be typed again");
    assert!(row(&scene.daniel).await.attest.is_none());
}
