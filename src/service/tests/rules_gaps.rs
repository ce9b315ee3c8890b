//! Where rules meet: cases that each rule alone seems to settle, and that a hostile reader found open.

use super::replay;
use super::scene::{Scene, content, pipeline, refused};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::Blocker;
use crate::domain::facts::{Choice, Intent, Purpose};
use crate::domain::gate;
use crate::domain::run::{Health, Method, Outcome, RunVerdict};
use crate::domain::ticket::{Emergency, TicketKind};
use crate::domain::user::Role;
use crate::service::testing::{on_both_engines, person};
use crate::service::{ServiceError, Services};

on_both_engines! {
    rule_04_who_was_named_an_author_stays_one,
    rule_04_an_author_is_known_however_the_name_is_typed,
    rule_23_an_acceptance_counts_as_long_as_its_authors_word,
    rule_12_smoke_before_the_end_of_a_run_proves_nothing,
    rule_13_an_emergency_is_watched_in_its_last_stage,
    rule_14_what_is_stated_says_how,
    rule_16_a_key_that_opened_one_run_opens_no_other,
    rule_17_partly_is_neither_end,
    rule_20_a_rollback_waits_for_what_was_applied_since,
    a_pipeline_clears_away_no_incident_of_others,
    a_ticket_passes_the_environments_of_the_policy_that_it_moves_to,
    a_run_writes_its_own_log,
}

async fn rule_04_who_was_named_an_author_stays_one(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let named = scene.facts("staging").await.ticket.content;
    let name_daniel = async |authors: &[&str]| {
        let version = services.dossier(&scene.priya, scene.ticket).await.unwrap().ticket.version;
        let authors = authors.iter().map(|&author| author.to_owned()).collect();
        let content = crate::domain::ticket::TicketContent { authors, ..named.clone() };
        services.edit_ticket(&scene.priya, scene.ticket, version, content).await.unwrap();
    };
    name_daniel(&[&scene.daniel.name]).await;
    name_daniel(&[]).await;
    scene.attach("staging", &scene.kit("staging")).await;
    assert_eq!(refused(scene.vote(&scene.daniel, "staging", Choice::Approve).await), "not-eligible");
    scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
}

async fn rule_04_an_author_is_known_however_the_name_is_typed(services: &Services, clock: &PlayedClock) {
    let first = Scene::new(services, clock).await;
    let zoe = person(services, "zoé.o@example.com", &[Role::Board]).await;
    for typed in ["zoe\u{301}.o@example.com", "ZOÉ.O@EXAMPLE.COM; ines@elsewhere", "Zo <zoé.o@example.com >"]
    {
        let mut stated = content(TicketKind::Normal);
        stated.authors = vec![typed.to_owned()];
        let scene = first.another(stated).await;
        scene.attach("staging", &scene.kit("staging")).await;
        assert_eq!(refused(scene.vote(&zoe, "staging", Choice::Approve).await), "not-eligible", "{typed}");
    }
    let blank = |c: char| format!("Zoé{c}Odum");
    assert_eq!(
        crate::domain::ticket::spelling(&blank('\u{a0}')),
        crate::domain::ticket::spelling(&blank(' '))
    );
}

async fn rule_23_an_acceptance_counts_as_long_as_its_authors_word(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.prepare("staging").await;
    assert_eq!(scene.shut("staging").await, ["window"]);
    let findings = scene.facts("staging").await.this.findings;
    let accepted: Vec<_> =
        findings.iter().filter_map(|f| f.accepted.as_ref().map(|a| (f.id, a.by))).collect();
    let (finding, by) = accepted[0];
    services.set_roles(None, by, [Role::Auditor].into()).await.unwrap();
    assert!(scene.shut("staging").await.contains(&"review"), "who accepted it has left the board");
    clock.advance(jiff::SignedDuration::from_secs(1));
    let other = if by == scene.daniel.user { &scene.marta } else { &scene.daniel };
    services.accept_finding(other, scene.ticket, "staging", finding, "Known and taken.").await.unwrap();
    for (finding, _) in &accepted[1..] {
        services.accept_finding(other, scene.ticket, "staging", *finding, "Known and taken.").await.unwrap();
    }
    assert!(!scene.shut("staging").await.contains(&"review"));
    replay::check(services).await;
}

async fn rule_12_smoke_before_the_end_of_a_run_proves_nothing(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    let early = scene.upload("staging", ArtifactKind::SmokeReport, "smoke.xml", kit::SMOKE.as_bytes()).await;
    assert_eq!(refused(early.map(drop)), "run-unsettled");
    scene.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
    scene.smoke("staging").await;
}

async fn rule_13_an_emergency_is_watched_in_its_last_stage(services: &Services, clock: &PlayedClock) {
    let mut urgent = content(TicketKind::Emergency);
    urgent.emergency = Some(Emergency { reason: "Orders are lost since noon.".to_owned(), incident: None });
    let scene = Scene::with(services, clock, urgent).await;
    for stage in ["staging", "production"] {
        scene.prepare(stage).await;
        scene.apply(stage).await;
        scene.smoke(stage).await;
        if stage == "staging" {
            scene.judge(stage, Health::Healthy).await.unwrap();
        }
    }
    assert_eq!(refused(scene.judge("production", Health::Healthy).await), "observation-too-early");
    clock.advance(jiff::SignedDuration::from_mins(30));
    scene.judge("production", Health::Healthy).await.unwrap();
    replay::check(services).await;
}

async fn rule_14_what_is_stated_says_how(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let tick = async |done, note| {
        services.tick(&scene.priya, scene.ticket, "staging", "release-frozen", done, note).await
    };
    assert_eq!(refused(tick(true, " ").await), "text-missing");
    tick(true, "v2025.11.06").await.unwrap();
    tick(false, "").await.unwrap();
}

async fn rule_16_a_key_that_opened_one_run_opens_no_other(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let first = scene.release("staging").await.unwrap();
    let run = scene.redeem(&first, Some("deploy-7")).await.unwrap().run;
    scene.finish(run, Outcome::Failed, Some(kit::FROM)).await.unwrap();
    scene.tick_all("staging").await;
    scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    scene.vote(&scene.marta, "staging", Choice::Approve).await.unwrap();
    let second = scene.release("staging").await.unwrap();
    let other = scene.redeem(&second, Some("deploy-7")).await;
    assert!(matches!(other, Err(ServiceError::Mismatch { code: "idempotency-mismatch", .. })), "{other:?}");
    assert!(scene.outstanding("staging").await, "the token is not used up by that");
    assert!(scene.redeem(&first, Some("deploy-7")).await.unwrap().replayed);
    scene.redeem(&second, Some("deploy-8")).await.unwrap();
}

async fn rule_17_partly_is_neither_end(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.ready().await;
    let released = scene.release("staging").await.unwrap();
    let run = scene.redeem(&released, None).await.unwrap().run;
    scene.finish(run, Outcome::Partial, None).await.unwrap();
    for end in [kit::FROM, kit::TO] {
        let said = services.settle_run(&scene.priya, run, RunVerdict::Partly, Some(end), "Looked.").await;
        assert_eq!(refused(said), "revision");
    }
    services.settle_run(&scene.priya, run, RunVerdict::NotApplied, None, "Looked.").await.unwrap();
}

async fn rule_20_a_rollback_waits_for_what_was_applied_since(services: &Services, clock: &PlayedClock) {
    let first = Scene::new(services, clock).await;
    first.ready().await;
    first.apply("staging").await;
    clock.advance(jiff::SignedDuration::from_mins(5));
    let second = first.another(content(TicketKind::Normal)).await;
    second.prepare("staging").await;
    second.apply("staging").await;
    let since = async || {
        let dossier = services.dossier(&first.priya, first.ticket).await.unwrap();
        let intent = Intent::Rollback(Method::Restore);
        let facts = dossier.facts_for("staging", Purpose::Release, intent).unwrap();
        let report = gate::evaluate(&facts).unwrap();
        report.blocked().flat_map(|gate| gate.blockers.clone()).collect::<Vec<_>>()
    };
    assert_eq!(since().await, [Blocker::AppliedSince { ticket: second.ticket }]);
    assert_eq!(refused(first.roll_back("staging", Method::Restore).await), "gates-closed");
    second.undo("staging", Method::Restore).await;
    assert_eq!(since().await, []);
    first.undo("staging", Method::Downgrade).await;
    replay::check(services).await;
}

async fn a_pipeline_clears_away_no_incident_of_others(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let declared =
        services.declare_incident(&scene.daniel, "trading-backend", "Orders are late").await.unwrap();
    let robot = pipeline(services, &scene.priya).await;
    assert_eq!(refused(services.resolve_incident(&robot, declared.id).await), "session-only");
    services.resolve_incident(&scene.priya, declared.id).await.unwrap();
    let own = services.declare_incident(&robot, "trading-backend", "The deployment failed").await.unwrap();
    services.resolve_incident(&robot, own.id).await.unwrap();
}

async fn a_ticket_passes_the_environments_of_the_policy_that_it_moves_to(
    services: &Services,
    clock: &PlayedClock,
) {
    let scene = Scene::new(services, clock).await;
    let source = crate::domain::policy::RUNBOOK;
    let production = source.rfind("[[environment]]").unwrap();
    let third = source[production..].replacen("name = \"production\"", "name = \"disaster-recovery\"", 1);
    scene.repolicy(source, &format!("{source}\n{third}")).await;
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let stages: Vec<&str> = dossier.stages.iter().map(|stage| stage.stage.name.as_str()).collect();
    assert_eq!(stages, ["staging", "production", "disaster-recovery"]);
}

async fn a_run_writes_its_own_log(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let forged = scene.upload("staging", ArtifactKind::RunLog, "run.log", b"all went well").await;
    assert_eq!(refused(forged.map(drop)), "written-by-run");
}
