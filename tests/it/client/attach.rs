//! Files: what stands there already is not sent again, and smoke reports and notes find their way.

use countersign::demo::kit;
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::user::Scope;
use jiff::SignedDuration;
use serde_json::json;

use super::console::{Console, Staging};
use super::dry_run_scene::python;
use crate::on_both_engines;
use crate::support::play::Play;

on_both_engines! {
    async fn the_same_bytes_are_one_version(engine: Engine) {
        let play = Play::new(engine).await;
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await;
        let files = play.kit("staging").files().expect("a kit");
        let sql = &files[0];
        let path = console.file("upgrade.sql", &sql.bytes);
        let attach = ["attach", "CHG-1", "--stage", "staging", "--kind", "upgrade-sql", &path, "--json"];
        let first = console.run(&attach).await.ended(0).json();
        assert_eq!((&first["version"], &first["new"]), (&json!(1), &json!(true)), "{first}");
        let again = console.run(&attach).await.ended(0).json();
        assert_eq!((&again["version"], &again["new"]), (&json!(1), &json!(false)), "{again}");
        console.file("upgrade.sql", format!("{}\n-- more", String::from_utf8_lossy(&sql.bytes)));
        let other = console.run(&attach).await.ended(0).json();
        assert_eq!((&other["version"], &other["new"]), (&json!(2), &json!(true)), "{other}");
        let facts = play.facts("staging").await;
        assert_eq!(facts.this.artifacts.len(), 2);
        assert!(facts.this.artifacts.iter().all(|a| a.filename == "upgrade.sql"));
        for (more, code, words) in [
            (&["--kind", "upgrade", "x"][..], 2, "kind of artifact"),
            (&["--kind", "other", "/no/such/file"], 1, "/no/such/file"),
            (&["--kind", "other", "/"], 2, "is not a file"),
        ] {
            let arguments = [&["attach", "CHG-1", "--stage", "staging"], more].concat();
            console.run(&arguments).await.ended(code).complaining(words);
        }
        let missing = console.run(&["attach", "CHG-1", "--stage", "nowhere", "--kind", "other", &path]).await;
        missing.ended(1).complaining("Check the ticket's number, the stage's name and COUNTERSIGN_URL.");
    }

    async fn a_report_of_the_same_rehearsal_is_news_only_when_the_old_one_is_too_old(engine: Engine) {
        let mut play = Play::new(engine).await;
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await;
        let kit = play.kit("staging");
        play.attach("staging", &kit).await;
        let path = |kit: &countersign::demo::kit::Kit| {
            let files = kit.files().expect("a kit");
            let report = files.into_iter().find(|file| file.kind == ArtifactKind::DryRunReport).expect("a report");
            console.file("report.json", &report.bytes)
        };
        let versions = async |play: &Play| {
            let facts = play.facts("staging").await;
            facts.this.artifacts.iter().filter(|a| a.kind == ArtifactKind::DryRunReport).count()
        };
        let report = |path: String| async move { path };
        let mut later = kit.clone();
        later.finished_at = kit.finished_at + SignedDuration::from_mins(30);
        let file = report(path(&later)).await;
        let attach = ["attach", "CHG-1", "--stage", "staging", "--kind", "dry-run-report", &file];
        assert!(console.run(&attach).await.ended(0).stdout.contains("stands already as version 1"));
        assert_eq!(versions(&play).await, 1);
        play.at("2025-11-21T12:00:00Z").await;
        later.finished_at = play.app.services.now();
        path(&later);
        console.run(&attach).await.ended(0);
        assert_eq!(versions(&play).await, 2);
    }

    async fn smoke_and_notes_close_the_ticket(engine: Engine) {
        if python().is_none() {
            return;
        }
        let mut staging = Staging::approved(engine).await;
        staging.play.apply("staging").await;
        let smoke = |script: &'static str, more: &'static [&'static str]| {
            let mut arguments = vec!["smoke", "CHG-1", "--stage", "staging"];
            arguments.extend(more);
            arguments.extend(["--", "sh", "-c", script]);
            arguments
        };
        let console = &staging.console;
        console.file("passed.xml", kit::SMOKE);
        let told = console.run(&smoke("echo smoked", &[])).await.ended(0);
        assert!(told.stdout.contains("smoked") && told.stdout.contains("nobody has told the portal yet"), "{told:?}");
        console.run(&smoke("exit 3", &["--junit", "smoke.xml"])).await.ended(1).complaining("smoke.xml");
        console.file("smoke.xml", "<testsuites/>");
        console.run(&smoke("true", &["--junit", "smoke.xml"])).await.ended(1).complaining("The command has to write its JUnit XML there");
        let told = console.run(&smoke("exit 3", &["--json"])).await.ended(1).json();
        assert_eq!((&told["error"]["code"], &told["exit_code"]), (&serde_json::json!("smoke-failed"), &serde_json::json!(3)), "{told}");
        let told = console.run(&smoke("exit 4", &["--junit", "smoke.xml", "--json"])).await.ended(1).json();
        assert_eq!(told["exit_code"], 4, "{told}");
        let told = console.run(&smoke("cp passed.xml smoke.xml", &["--junit", "smoke.xml", "--json"])).await.ended(0).json();
        assert_eq!((&told["passed"], &told["report"]["version"]), (&json!(true), &json!(1)), "{told}");

        let observe = ["observe", "CHG-1", "--stage", "staging", "--verdict", "healthy", "--note", "quiet"];
        console.run(&observe).await.ended(3);
        staging.play.at("2025-11-19T15:00:00Z").await;
        staging.console.run(&observe).await.ended(0);
        let notes = staging.console.file("notes.md", "Promoted without a hitch.\n");
        let complete = ["complete", "CHG-1", "--notes", &notes];
        staging.console.run(&complete).await.ended(3).complaining("production");
        staging.play.at("2025-11-20T12:00:00Z").await;
        staging.play.prepare("production").await;
        staging.play.at("2025-11-20T14:30:00Z").await;
        staging.play.apply("production").await;
        staging.play.smoke("production").await;
        staging.play.at("2025-11-20T15:30:00Z").await;
        staging.play.judge("production", countersign::domain::run::Health::Healthy).await;
        let done = staging.console.run(&complete).await.ended(0);
        assert!(done.stdout.starts_with("CHG-1 is completed: promoted."), "{done:?}");
    }
}
