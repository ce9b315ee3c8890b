//! The recipes of `docs/ci.md`: their shell steps are taken from the page and played on a portal.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use countersign::clock::Env;
use countersign::domain::facts::Choice;
use countersign::domain::id::TicketNumber;
use countersign::domain::policy::RUNBOOK;
use countersign::domain::run::RunStatus;
use countersign::domain::user::Scope;
use jiff::SignedDuration;

use super::console::{Console, finish, on_both_engines, python};
use crate::support::play::Play;

const PAGE: &str = include_str!("../../../docs/ci.md");

/// The scripts of the page, by the names that their first lines give.
fn scripts() -> BTreeMap<String, String> {
    let blocks = PAGE.split("```sh\n# ci/").skip(1);
    let named = blocks.filter_map(|block| block.split("```").next()?.split_once('\n'));
    named.map(|(name, script)| (name.to_owned(), script.to_owned())).collect()
}

#[test]
fn the_recipes_run_scripts_that_the_page_has() {
    let scripts = scripts();
    assert_eq!(
        scripts.keys().map(String::as_str).collect::<Vec<_>>(),
        ["apply.sh", "rehearse.sh", "wait.sh"]
    );
    for name in scripts.keys() {
        assert_eq!(PAGE.matches(&format!("sh ci/{name}")).count(), 2, "{name} in both recipes");
    }
}

/// Every variable that the client looks at is told where people look for it.
#[test]
fn every_variable_is_in_the_documentation() {
    fn variables(folder: &Path, found: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                variables(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let of_quote = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
                found.extend(text.split("\"COUNTERSIGN_").skip(1).map(of_quote));
            }
        }
    }
    let mut found = std::collections::BTreeSet::new();
    variables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client"), &mut found);
    let plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let names: Vec<&String> = found.iter().filter(plain).collect();
    assert!(names.len() >= 9, "{names:?}");
    let page = include_str!("../../../docs/configuration.md");
    let section = page.split("## The client").nth(1).expect("a section");
    for name in names {
        assert!(section.contains(&format!("| `COUNTERSIGN_{name}` |")), "{name}");
    }
}

impl Console {
    /// Runs one of the page's scripts in the project, as a runner does.
    fn step(&self, name: &str) -> Command {
        let script = scripts().remove(name).expect("a script");
        let python = python();
        let bin = Path::new(&python).parent().expect("a folder").to_owned();
        let here = self.path("bin");
        std::fs::create_dir_all(&here).expect("a folder");
        let link = here.join("countersign");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_countersign"), link).expect("a link");
        }
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(self.path("project")).env_clear();
        let path = std::env::var("PATH").expect("a path");
        command
            .env("PATH", format!("{}:{}:{path}", here.display(), bin.display()))
            .env("VIRTUAL_ENV", bin.parent().expect("a folder"))
            .env("COUNTERSIGN_URL", &self.base)
            .env("COUNTERSIGN_API_TOKEN", &self.token)
            .env("COUNTERSIGN_STATE_DIR", self.path("state"))
            .env("DATABASE_URL", &self.database_url)
            .env("CI_PROJECT_ID", "1")
            .env("CI_PIPELINE_ID", "77")
            .env("APPLICATION", "trading-backend")
            .env("STAGE", "staging")
            .env("TAG", "v2025.11.06")
            .env("PRIOR_TAG", "v2025.10.23")
            .env("FROM", "d48b1e9c5f62")
            .env("TO", "0c7e5d1b94fa")
            .env("SNAPSHOT", self.path("snapshot.db"))
            .env("TIMEOUT", "5m");
        command
    }
}

/// The runbook's policy with a window on staging that is never shut: the dry run dates itself by the machine's clock.
fn always_open() -> String {
    let usual = "windows = [{ day = \"tuesday\", start = \"14:00\", length = \"2h\", zone = \"UTC\" }]";
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let all =
        days.map(|day| format!("{{ day = \"{day}\", start = \"00:00\", length = \"24h\", zone = \"UTC\" }}"));
    assert!(RUNBOOK.contains(usual));
    RUNBOOK.replace(usual, &format!("windows = [{}]", all.join(", ")))
}

on_both_engines! {
    async fn a_change_goes_from_the_tag_to_the_database(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.app.services.apply_policy(None, &always_open()).await.expect("a policy");
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await.with_project();
        std::fs::copy(console.path("target.db"), console.path("snapshot.db")).expect("a snapshot");
        let now = |play: &Play| {
            let later = Env::system().now() + SignedDuration::from_mins(1);
            play.app.clock.set(later);
            later.to_string()
        };
        now(&play);
        finish(console.step("rehearse.sh")).await.ended(0);
        assert_eq!(std::fs::read_to_string(console.path("project").join("ticket")).expect("a number"), "CHG-2\n");
        play.ticket = TicketNumber(2);
        let versions = play.facts("staging").await.this.artifacts.len();
        assert_eq!(versions, 6);
        // A job that is run again changes nothing.
        finish(console.step("rehearse.sh")).await.ended(0);
        assert_eq!(play.facts("staging").await.this.artifacts.len(), versions);

        let at = now(&play);
        play.at(&at).await;
        play.accept_all("staging").await;
        play.tick_all("staging").await;
        let waiting = tokio::spawn(finish(console.step("wait.sh")));
        for member in [&play.daniel, &play.marta] {
            play.vote(member, "staging", Choice::Approve).await.expect("a vote");
        }
        waiting.await.expect("its end").ended(0);
        finish(console.step("apply.sh")).await.ended(0);
        assert_eq!(console.revision(), "0c7e5d1b94fa");
        let facts = play.facts("staging").await;
        let run = facts.this.last_upgrade().expect("a run");
        assert_eq!(run.status, RunStatus::Succeeded);
        assert!(facts.this.smoke_passed(run));
    }
}
