//! Back from half-way: `rollback` starts from where the database is, and the portal wants that rehearsed and approved.

use std::process::Command;

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::facts::Choice;
use countersign::domain::run::{Direction, RunStatus, RunVerdict, TokenState};
use serde_json::json;

use super::console::{Console, Ran, Staging, finish, on_both_engines, python};

/// Between the second and the third of the change's four revisions.
const HALF: &str = "e6c2b8a4f107";
const FROM: &str = "d48b1e9c5f62";

impl Console {
    /// `countersign rollback CHG-1 --stage staging --method downgrade --release` on the project here, with Alembic.
    fn rollback(&self, more: &[&str]) -> Command {
        let (project, python) = (self.path("project"), python());
        let ini = project.join("backend/alembic.ini");
        let mut arguments =
            vec!["rollback", "CHG-1", "--stage", "staging", "--method", "downgrade", "--release"];
        arguments.extend(["--project", project.to_str().expect("text"), "--python", &python]);
        arguments.extend(more);
        arguments.extend([
            "--",
            &python,
            "-m",
            "alembic",
            "-c",
            ini.to_str().expect("text"),
            "downgrade",
            FROM,
        ]);
        self.command(&arguments)
    }
}

impl Staging {
    /// Applies only half of the change.
    async fn left_half_way(&self) {
        let ini = self.console.path("project").join("backend/alembic.ini");
        let python = python();
        let command = [&python, "-m", "alembic", "-c", ini.to_str().expect("text"), "upgrade", HALF];
        let ran = finish(self.console.apply(&["--release"], &command)).await.ended(1);
        ran.complaining(&format!(
            "is partial: the command ended with 0; of the database, it is at {HALF}, not at 0c7e5d1b94fa"
        ))
        .complaining("Record a verdict on the run’s page; a rollback starts from where the database is");
    }

    /// Tries to roll back, and asserts that nothing came of it but these words.
    async fn held_back(&self, words: &[&str]) -> Ran {
        let (tokens, runs) = (self.tokens().await.len(), self.play.facts("staging").await.this.runs.len());
        let at = self.console.revision();
        let ran = finish(self.console.rollback(&["--json"])).await.ended(3);
        for words in words {
            assert!(ran.stderr.contains(words), "“{words}” is not in {}", ran.stderr);
        }
        assert_eq!(self.console.revision(), at);
        assert_eq!(
            (self.tokens().await.len(), self.play.facts("staging").await.this.runs.len()),
            (tokens, runs)
        );
        ran
    }

    /// The way back, rehearsed from where the database is, agreed on by everybody.
    async fn approve_way_back(&self) {
        let mut kit = self.play.kit("staging");
        kit.downgrade = kit.downgrade_from(HALF).expect("a part");
        for mut file in kit.files().expect("a kit") {
            if file.kind == ArtifactKind::DryRunReport {
                let mut report: serde_json::Value = serde_json::from_slice(&file.bytes).expect("JSON");
                report["subject"]["to"] = HALF.into();
                file.bytes = serde_json::to_vec(&report).expect("JSON");
            }
            self.play.upload("staging", file.kind, &file.name, &file.bytes).await.expect("an upload");
        }
        self.play.accept_all("staging").await;
        self.play.tick_all("staging").await;
        for member in [&self.play.daniel, &self.play.marta] {
            self.play.vote(member, "staging", Choice::Approve).await.expect("a vote");
        }
    }
}

on_both_engines! {
    async fn after_a_partial_run_the_way_back_starts_where_the_database_is(engine: Engine) {
        let mut staging = Staging::approved(engine).await;
        staging.left_half_way().await;

        // A person's word on the run comes first.
        let ran = staging.held_back(&["single-run: ", "The rollback of CHG-1 on staging is held back by its gates", "Clear them on the stage’s page"]).await;
        let blockers = ran.json()["error"]["blockers"].clone();
        let codes: Vec<&str> = blockers.as_array().expect("blockers").iter().filter_map(|b| b["code"].as_str()).collect();
        assert!(codes.contains(&"verdict-first"), "{codes:?}");
        let run = staging.last_run().await.expect("a run");
        assert_eq!(run.status, RunStatus::Partial);
        let priya = staging.play.actor(&staging.play.priya).await;
        let settled = staging.play.app.services.settle_run(&priya, run.id, RunVerdict::Partly, Some(HALF), "Two of four.");
        settled.await.expect("a verdict");

        // Then a downgrade from there, rehearsed and approved: what was agreed on before speaks of another way.
        let ran = staging.held_back(&["dry-run: ", "approvals: 0 of 2 approvals."]).await;
        let blockers = ran.json()["error"]["blockers"].clone();
        assert!(blockers.as_array().expect("blockers").iter().all(|b| b["code"] != "verdict-first"), "{blockers}");
        staging.approve_way_back().await;

        // The window has nothing to say of a way back.
        staging.play.at("2025-11-18T18:00:00Z").await;
        staging.console.alembic(&["upgrade", "f50d9e7b3a26"]);
        let ran = staging.held_back(&[&format!("The database is at f50d9e7b3a26, and what was approved starts from {HALF}.")]).await;
        assert_eq!(ran.json()["error"]["code"], "other-revision");
        staging.console.alembic(&["downgrade", HALF]);
        let ran = finish(staging.console.rollback(&["--json"])).await.ended(0).json();
        assert_eq!((&ran["revision_before"], &ran["revision_after"]), (&json!(HALF), &json!(FROM)), "{ran}");
        assert_eq!(staging.console.revision(), FROM);
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.direction, run.status), (Direction::Rollback, RunStatus::Succeeded));
        let log = staging.log().await;
        assert!(log.contains(&format!("Running downgrade {HALF}")) && !log.contains("Running downgrade f50d9e7b3a26"), "{log}");

        // Once is enough.
        staging.held_back(&["single-run: "]).await;
    }

    async fn a_token_for_the_way_there_does_not_lead_back(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let mut command = staging.console.rollback(&[]);
        let arguments: Vec<String> = command.get_args().map(|a| a.to_str().expect("text").to_owned()).collect();
        let arguments: Vec<&str> =
            arguments.iter().flat_map(|a| if a == "--release" { vec!["--token-file", &token] } else { vec![a.as_str()] }).collect();
        command = staging.console.command(&arguments);
        finish(command).await.ended(3).complaining("single-run: ");
        assert_eq!(staging.tokens().await[0].state, TokenState::Issued);
        assert_eq!(staging.console.revision(), FROM);
    }
}
