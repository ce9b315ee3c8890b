//! The checker has to be able to say no: what was never lawful, or never happened, is noticed.

use crate::demo::kit;
use crate::domain::audit::Event;
use crate::domain::facts::Choice;
use crate::domain::run::Outcome;
use crate::service::Services;
use crate::service::testing::services;
use crate::service::tests::scene::Scene;
use crate::store::{Conn as _, Engine};

/// What the checker objects to.
async fn objects(services: &Services) -> Option<String> {
    let services = services.clone();
    let failed = tokio::spawn(async move { super::check(&services).await }).await.err()?;
    let said = failed.into_panic();
    let text = said.downcast_ref::<String>().cloned();
    text.or_else(|| said.downcast_ref::<&str>().map(|s| (*s).to_owned()))
}

async fn change(services: &Services, statement: &'static str) {
    let mut tx = services.db.write().await.unwrap();
    assert!(tx.sql(statement).run().await.unwrap() > 0, "{statement}");
    tx.commit_unaudited("a test forges").await.unwrap();
}

async fn say(services: &Services, event: Event) {
    services.db.write().await.unwrap().commit(&[event]).await.unwrap();
}

#[tokio::test]
async fn what_the_tables_say_beside_the_log_is_noticed() {
    for statement in [
        "UPDATE runs SET status = 'failed'",
        "UPDATE apply_tokens SET state = 'revoked' WHERE state = 'used'",
        "UPDATE audit_head SET next_seq = next_seq + 1",
        "UPDATE audit_texts SET body = body || '!'",
        "INSERT INTO tickets SELECT randomblob(16), 99, version, application_id, policy_version_id, kind, state, outcome, \
         title, description, release_tag, prior_release_tag, from_revision, to_revision, authors, external_links, \
         emergency_reason, emergency_incident, requester, requested_via, search, created_at, updated_at FROM tickets",
        "UPDATE tickets SET authors = '[\"daniel@example.com\"]'",
    ] {
        let (services, clock, _guard) = services(Engine::Sqlite).await.unwrap();
        let scene = Scene::new(&services, &clock).await;
        scene.ready().await;
        scene.apply("staging").await;
        assert_eq!(objects(&services).await, None);
        change(&services, statement).await;
        assert!(objects(&services).await.is_some(), "{statement}");
    }
}

#[tokio::test]
async fn what_was_never_lawful_is_noticed() {
    for (forgery, objection) in [
        ("two redemptions", "up once"),
        ("no votes", "no quorum"),
        ("own vote", "no quorum"),
        ("a token votes", "only people vote"),
        ("a second end", "one end"),
        ("time runs back", "time runs back"),
    ] {
        let (services, clock, _guard) = services(Engine::Sqlite).await.unwrap();
        let scene = Scene::new(&services, &clock).await;
        scene.ready().await;
        scene.apply("staging").await;
        let facts = scene.facts("staging").await;
        let (token, run) = (&facts.this.tokens[0], &facts.this.runs[0]);
        let of = |kind, who| services.event(kind, Some(who)).of_ticket(&facts.ticket).of_stage("staging");
        let evidence = token.evidence.to_string();
        let forged = match forgery {
            "two redemptions" => of("token.redeemed", &scene.ci)
                .with("token", token.id.to_string())
                .with("run", "another")
                .with("direction", "upgrade")
                .with("evidence", evidence),
            "no votes" => {
                scene.undo("staging", crate::domain::run::Method::Restore).await;
                of("token.released", &scene.priya)
                    .with("token", "another")
                    .with("direction", "upgrade")
                    .with("evidence", evidence)
                    .with("expires_at", (services.now() + jiff::SignedDuration::from_hours(1)).to_string())
            }
            "own vote" => {
                // Lawful as a record; what counts on it is not.
                scene.undo("staging", crate::domain::run::Method::Restore).await;
                scene.tick_all("staging").await;
                scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
                let facts = scene.facts("staging").await;
                let current = facts.this.votes.last().unwrap().evidence.to_string();
                let vote = of("vote.recorded", &scene.priya)
                    .with("vote", "another")
                    .with("choice", "approve")
                    .with("evidence", current.as_str());
                say(&services, vote).await;
                of("token.released", &scene.priya)
                    .with("token", "another")
                    .with("direction", "upgrade")
                    .with("evidence", current)
                    .with("expires_at", (services.now() + jiff::SignedDuration::from_hours(1)).to_string())
            }
            "a token votes" => of("vote.recorded", &scene.ci)
                .with("vote", "x")
                .with("choice", "approve")
                .with("evidence", evidence),
            "a second end" => of("run.finished", &scene.ci)
                .with("run", run.id.to_string())
                .with("status", Outcome::Failed.as_str())
                .with("revision_after", kit::FROM),
            _ => {
                clock.set("2025-11-18T13:00:00Z".parse().unwrap());
                services.event("session.ended", None)
            }
        };
        say(&services, forged).await;
        let said = objects(&services).await.unwrap_or_default();
        assert!(said.contains(objection), "{forgery}: {said}");
    }
}
