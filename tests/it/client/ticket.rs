//! Tickets from the command line: filed once, shown with the answer first, waited for.

use std::process::Command;

use countersign::domain::facts::Choice;
use countersign::domain::user::Scope;
use serde_json::json;

use super::console::{Console, WINDOW, end_of, finish};
use crate::on_both_engines;
use crate::support::play::Play;

const NEW: [&str; 15] = [
    "ticket",
    "new",
    "--application",
    "trading-backend",
    "--title",
    "Notional",
    "--release-tag",
    "v2",
    "--prior-release-tag",
    "v1",
    "--from",
    "d48b1e9c5f62",
    "--to",
    "0c7e5d1b94fa",
    "--json",
];

#[test]
fn a_wrong_command_line_is_one_document_too() {
    let countersign = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for (arguments, words) in [
        (&["ticket", "show", "--json"][..], "required arguments"),
        (&["apply", "CHG-1", "--stagee", "staging", "--json"], "unexpected argument '--stagee'"),
        (&["--json", "observe", "CHG-1"], "unexpected argument '--json'"),
        (&["ticket", "wait", "CHG-1", "--stage", "x", "--until", "never", "--json"], "invalid value 'never'"),
        (&["attach", "CHG-1", "--stage", "x", "--kind", "sql", "--json", "f"], "invalid value 'sql'"),
        (&["nonsense", "--json"], "unrecognized subcommand 'nonsense'"),
    ] {
        let (code, stdout, stderr) = countersign(arguments);
        let error: serde_json::Value =
            serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{why}: {stdout}"));
        let error = &error["error"];
        assert_eq!((code, &error["code"], &error["exit"]), (Some(2), &json!("usage"), &json!(2)), "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(
            message.contains(words) && !message.contains('\n') && !message.starts_with("error"),
            "{error}"
        );
        assert!(stderr.starts_with("error: ") && stderr.contains(words), "{stderr}");
    }
    // What follows `--` is another program's, and whoever asks for help gets that.
    let (code, stdout, stderr) = countersign(&["smoke", "CHG-1", "--", "pytest", "--json"]);
    assert!(code == Some(2) && stdout.is_empty() && stderr.contains("--stage"), "{stdout}{stderr}");
    let (code, stdout, stderr) = countersign(&["apply", "--json", "--help"]);
    assert!(
        code == Some(0) && stdout.contains("Usage: countersign apply") && stderr.is_empty(),
        "{stdout}{stderr}"
    );
    let (code, stdout, _) = countersign(&["--version"]);
    assert!(code == Some(0) && stdout.starts_with("countersign "), "{stdout}");
}

on_both_engines! {
    async fn a_retried_pipeline_files_once(engine: Engine) {
        let play = Play::new(engine).await;
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await;
        let file = async |id: &str, attempt: &str, more: &[&str]| {
            let mut command = console.command(&[&NEW[..], more].concat());
            command.env("GITHUB_REPOSITORY", "example/trading").env("GITHUB_RUN_ID", id).env("GITHUB_RUN_ATTEMPT", attempt);
            finish(command).await.ended(0).json()
        };
        let first = file("7", "1", &[]).await;
        assert_eq!((&first["number"], &first["state"]), (&json!("CHG-2"), &json!("open")), "{first}");
        assert_eq!(file("7", "2", &[]).await["number"], "CHG-2");
        assert_eq!(file("8", "1", &[]).await["number"], "CHG-3");
        assert_eq!(file("8", "1", &["--kind", "emergency", "--emergency-reason", "Fills are written late, clients notice."]).await["number"], "CHG-4");
        // An answer of then says nothing of a ticket that was abandoned since; outside a pipeline, every filing is a new one.
        let priya = play.actor(&play.priya).await;
        play.app.services.abandon_ticket(&priya, countersign::domain::id::TicketNumber(3), "Filed by mistake").await.expect("abandoned");
        let mut again = console.command(&NEW);
        again.env("GITHUB_REPOSITORY", "example/trading").env("GITHUB_RUN_ID", "8").env("GITHUB_RUN_ATTEMPT", "2");
        let ran = finish(again).await.ended(3).complaining("CHG-3 was filed before under this key, and is abandoned");
        assert_eq!(ran.json()["error"]["code"], "filed-before");
        let description = console.file("about.md", "Four revisions.\n");
        let filed = file("8", "1", &["--description-file", &description, "--author", "Ada"]).await;
        assert_eq!((&filed["description"], &filed["authors"]), (&json!("Four revisions."), &json!(["Ada"])));

        let list = console.run(&["ticket", "list", "notional", "--state", "open", "--limit", "2", "--json"]).await.ended(0).json();
        let numbers: Vec<&str> = list["items"].as_array().expect("items").iter().filter_map(|t| t["number"].as_str()).collect();
        assert_eq!((numbers, &list["more"]), (vec!["CHG-5", "CHG-4"], &json!(true)));
        let list = console.run(&["ticket", "list", "nothing", "of", "the", "kind"]).await.ended(0);
        assert_eq!(list.stdout, "No ticket is like this.\n");
        let wrong = [&NEW[..12], &["--to", "head"]].concat();
        console.run(&wrong).await.ended(1).complaining("to_revision");
    }

    async fn show_answers_first(engine: Engine) {
        let mut play = Play::new(engine).await;
        let console = Console::new(&play.app, &play.priya, &[Scope::TicketsRead]).await;
        let show = ["ticket", "show", "CHG-1", "--stage", "staging"];
        let text = console.run(&show).await.ended(0).stdout;
        for words in [
            "staging: can’t be applied now: 4 of 9 gates are shut",
            "approvals: 0 of 2 approvals. (cleared by board members who did not touch the change)",
            "window: The window opens Tue 18 Nov, 14:00 UTC. (cleared by time, by itself Tue 18 Nov, 14:00 UTC)",
            "at the earliest",
            "phase preparing",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        play.prepare("staging").await;
        play.at(WINDOW).await;
        assert!(console.run(&show).await.ended(0).stdout.contains("staging: can be applied now"));
        let json = console.run(&["ticket", "show", "CHG-1", "--json"]).await.ended(0).json();
        assert_eq!(json["ticket"]["number"], "CHG-1");
        assert_eq!(json["stages"][0]["gates"]["applicable"], true);
        assert_eq!(json["stages"][1]["stage"], "production");
        console.run(&["ticket", "show", "CHG-9"]).await.ended(1).complaining("There is no such ticket");
        console.run(&["ticket", "show", "CHG-1", "--stage", "x"]).await.ended(1).complaining("Its stages are staging, production.");
        let attest = ["ticket", "attest", "CHG-1", "--stage", "staging", "release-frozen", "--note", "v2"];
        console.run(&attest).await.ended(1).complaining("lacks the scope tickets:write").complaining("countersign token add");
        let mut command = console.command(&show);
        command.env("COUNTERSIGN_API_TOKEN", "csp_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_000000");
        let ran = finish(command).await.ended(2);
        assert!(!ran.stderr.contains("csp_003"), "{}", ran.stderr);
    }

    async fn wait_tells_changes_and_ends_with_the_gates(engine: Engine) {
        let mut play = Play::new(engine).await;
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await;
        let attest = ["ticket", "attest", "CHG-1", "--stage", "staging", "release-frozen", "--note", "v2"];
        console.run(&attest).await.ended(0);
        let wait = ["ticket", "wait", "CHG-1", "--stage", "staging", "--every", "1s", "--timeout"];
        let short = console.run(&[&wait[..], &["1s", "--json"]].concat()).await.ended(3);
        assert_eq!(short.json()["error"]["code"], "timeout");
        assert!(short.json()["error"]["blockers"].as_array().is_some_and(|all| all.len() > 3));
        assert_eq!(short.stderr.matches("window blocked").count(), 1, "told once: {}", short.stderr);

        let approved = console.command(&[&wait[..], &["5m", "--until", "approved"]].concat()).spawn().expect("the program runs");
        let whole = console.command(&[&wait[..], &["5m"]].concat()).spawn().expect("the program runs");
        play.prepare("staging").await;
        let ran = end_of(approved).await.ended(0).complaining("approvals open");
        assert!(ran.stdout.contains("CHG-1 on staging is approved"), "{}", ran.stdout);
        play.at(WINDOW).await;
        end_of(whole).await.ended(0).complaining("window open");

        play.vote(&play.daniel, "staging", Choice::Reject).await.expect("a vote");
        for target in ["approved", "applicable"] {
            let ran = console.run(&[&wait[..], &["5m", "--until", target]].concat()).await.ended(3);
            ran.complaining("by waiting").complaining("Daniel Okafor rejected this evidence");
        }
    }
}
