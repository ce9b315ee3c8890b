//! The queue, the list, filing, editing and giving up, as people do it with forms.

use countersign::domain::user::Role;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{Answer, Person};

const FIELDS: [(&str, &str); 12] = [
    ("title", "Add notional to trades"),
    ("application", "trading-backend"),
    ("release_tag", "v2025.11.06"),
    ("prior_release_tag", "v2025.10.23"),
    ("from_revision", "d48b1e9c5f62"),
    ("to_revision", "0c7e5d1b94fa"),
    ("kind", "normal"),
    ("emergency_reason", ""),
    ("emergency_incident", ""),
    ("description", "Four revisions."),
    ("authors", ""),
    ("external_links", ""),
];

/// The form with some answers put otherwise.
fn answers<'a>(other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<(&str, &str)> = FIELDS.to_vec();
    for (name, value) in other {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

async fn file(person: &Person, other: &[(&str, &str)]) -> String {
    let filed = person.post("/tickets", &answers(other)).await;
    assert_eq!(filed.status, 303, "{}", filed.text);
    filed.location().trim_start_matches("/tickets/").to_owned()
}

/// The hidden version in the form with this action.
fn version_of(page: &Answer, action: &str) -> String {
    let form = page.text.split(&format!("action=\"{action}\"")).nth(1).expect("the form");
    let value = form.split("name=\"version\" value=\"").nth(1).expect("its version");
    value.split('"').next().expect("its end").to_owned()
}

fn title(page: &Answer) -> &str {
    page.text.split("<title>").nth(1).and_then(|rest| rest.split(" ·").next()).expect("a title")
}

on_both_engines! {
    async fn a_ticket_is_filed_found_and_opened(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;

        let empty = priya.get("/tickets").await;
        assert!(empty.text.contains("No ticket has been filed yet.") && empty.text.contains("File the first one"));
        let form = priya.get("/tickets/new").await;
        assert_eq!(form.status, 200);
        assert!(form.text.contains("<button class=\"btn act\">File ticket</button>"));
        assert_eq!(marta.get("/tickets/new").await.status, 403);
        assert_eq!(marta.post("/tickets", &answers(&[])).await.status, 403);

        let number = file(&priya, &[("title", "Add <i>notional</i>")]).await;
        assert_eq!(number, "CHG-1");
        let page = priya.get("/tickets/CHG-1").await;
        assert_eq!((page.status, title(&page)), (200, "CHG-1 Add &#60;i&#62;notional&#60;/i&#62;"));
        assert!(page.text.contains("CHG-1 is filed."), "what was done is said once");
        assert!(page.text.contains("Can CHG-1 be applied to staging?") && page.text.contains(">Not yet</h2>"));
        assert_eq!(page.text.matches("data-gate=\"").count(), 9);
        let production = priya.get("/tickets/CHG-1/stages/production").await;
        assert!(production.text.contains("Can CHG-1 be applied to production?"));
        for lost in ["/tickets/CHG-2", "/tickets/CHG-1/stages/moon", "/tickets/chg-1", "/tickets/CHG-01"] {
            assert_eq!(priya.get(lost).await.status, 404, "{lost}");
        }

        for found in ["", "?q=notional", "?q=chg-1%20v2025", "?q=0c7e5d1b94fa", "?state=open&kind=normal"] {
            let list = marta.get(&format!("/tickets{found}")).await;
            assert!(list.text.contains("href=\"/tickets/CHG-1\""), "{found}");
        }
        for missed in ["?q=moon", "?state=completed", "?kind=emergency", "?application=ledger", "?q=%25"] {
            let list = marta.get(&format!("/tickets{missed}")).await;
            assert!(!list.text.contains("href=\"/tickets/CHG-1\"") && list.text.contains("No ticket "), "{missed}");
        }
        assert_eq!(marta.get("/tickets?state=ajar").await.status, 400);
    }

    async fn a_fault_keeps_everything_that_was_typed(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let sent = [("to_revision", "head"), ("kind", "emergency"), ("authors", "\"><b>Ada")];
        let back = priya.post("/tickets", &answers(&sent)).await;
        assert_eq!((back.status, title(&back)), (422, "Error: New ticket"));
        assert!(back.text.contains("The ticket was not filed: 2 answers need a change"), "{}", back.text);
        assert!(back.text.contains("<a href=\"#to_revision\">“head” moves; name the full revision instead.</a>"));
        assert!(back.text.contains("<a href=\"#emergency_reason\">"));
        for kept in [
            "value=\"Add notional to trades\"",
            "value=\"&#34;&#62;&#60;b&#62;Ada\"",
            "value=\"emergency\" checked",
            "<option value=\"trading-backend\" selected>",
            "Four revisions.</textarea>",
        ] {
            assert!(back.text.contains(kept), "{kept}");
        }
        assert!(priya.get("/tickets").await.text.contains("No ticket has been filed yet."));
        let unknown = priya.post("/tickets", &answers(&[("application", "moon")])).await;
        assert_eq!(unknown.status, 422);
        assert!(unknown.text.contains("<a href=\"#application\">There is no application “moon” with a policy.</a>"));
    }

    async fn whoever_edits_what_another_changed_is_told(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let tomasz = app.person("Tomasz Wren", &[Role::Engineer]).await;
        file(&priya, &[]).await;
        let action = "/tickets/CHG-1/edit";
        let seen = version_of(&priya.get(action).await, action);

        let theirs = version_of(&tomasz.get(action).await, action);
        let saved = tomasz.post(action, &answers(&[("title", "Theirs"), ("version", &theirs)])).await;
        assert_eq!((saved.status, saved.location()), (303, "/tickets/CHG-1"));

        let stale = priya.post(action, &answers(&[("title", "Mine"), ("version", &seen)])).await;
        assert_eq!((stale.status, title(&stale)), (409, "Error: Edit CHG-1"), "{}", stale.text);
        assert!(stale.text.contains("Tomasz Wren edited the ticket"), "what happened: {}", stale.text);
        assert!(stale.text.contains("the ticket now says “Theirs”"), "what differs");
        assert!(stale.text.contains("value=\"Mine\""), "what was typed");
        assert!(priya.get("/tickets/CHG-1").await.text.contains("<h1>Theirs</h1>"), "nothing was written");

        let again = version_of(&stale, action);
        let saved = priya.post(action, &answers(&[("title", "Mine"), ("version", &again)])).await;
        assert_eq!(saved.status, 303);
        assert!(priya.get("/tickets/CHG-1").await.text.contains("<h1>Mine</h1>"));

        let bad = answers(&[("title", ""), ("version", &again)]);
        let faulty = priya.post(action, &bad).await;
        assert_eq!((faulty.status, title(&faulty)), (422, "Error: Edit CHG-1"));
        assert_eq!(version_of(&faulty, action), again, "correcting a field must not lose another's change");
        assert_eq!(priya.post(action, &answers(&[])).await.status, 422, "a form without its version");
    }

    async fn giving_up_needs_a_reason_and_the_ticket_that_was_seen(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;
        file(&priya, &[]).await;
        let action = "/tickets/CHG-1/abandon";
        let seen = version_of(&priya.get("/tickets/CHG-1").await, action);
        assert!(!marta.get("/tickets/CHG-1").await.text.contains(action), "not hers to give up");

        let empty = priya.post(action, &[("version", &seen), ("reason", " ")]).await;
        assert_eq!(empty.status, 422);
        assert!(title(&empty).starts_with("Error: ") && empty.text.contains("Say why the change is given up."));
        let edit = "/tickets/CHG-1/edit";
        let version = version_of(&priya.get(edit).await, edit);
        assert_eq!(priya.post(edit, &answers(&[("version", &version)])).await.status, 303);
        let stale = priya.post(action, &[("version", &seen), ("reason", "no longer <needed>")]).await;
        assert_eq!(stale.status, 409);
        assert!(stale.text.contains("Priya Nair edited the ticket"), "{}", stale.text);
        assert!(stale.text.contains("no longer &#60;needed&#62;</textarea>"), "offered again as it was typed");

        let now = version_of(&stale, action);
        let gone = priya.post(action, &[("version", &now), ("reason", "no longer needed")]).await;
        assert_eq!((gone.status, gone.location()), (303, "/tickets/CHG-1"));
        let page = priya.get("/tickets/CHG-1").await;
        assert!(page.text.contains("What became of CHG-1?") && page.text.contains(">Abandoned</h2>"));
        assert!(!page.text.contains(edit) && !page.text.contains("Upload…"), "nothing can be changed any more");
        assert!(priya.get("/tickets?state=abandoned").await.text.contains("href=\"/tickets/CHG-1\""));
    }

    async fn a_newer_policy_is_moved_to_by_a_button_that_says_what_it_costs(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;
        file(&priya, &[]).await;
        let action = "/tickets/CHG-1/policy";
        let before = priya.get("/tickets/CHG-1").await;
        assert!(!before.text.contains(action), "it is on the newest");
        let newer = countersign::domain::policy::RUNBOOK.replacen("quorum = 2", "quorum = 3", 1);
        app.services.apply_policy(None, &newer).await.expect("a newer policy");

        let page = priya.get("/tickets/CHG-1").await;
        assert!(page.text.contains("The ticket is on version 1 of the policy; version 2 is the newest."));
        assert!(page.text.contains("makes every earlier approval and statement stale."));
        assert!(!marta.get("/tickets/CHG-1").await.text.contains(action));
        let seen = version_of(&page, action);
        let moved = priya.post(action, &[("version", &seen)]).await;
        assert_eq!((moved.status, moved.location()), (303, "/tickets/CHG-1"));
        let page = priya.get("/tickets/CHG-1").await;
        assert!(page.text.contains("Blocked: 0 of 3 approvals.") && !page.text.contains(action));
    }

    async fn the_queue_asks_whoever_can_give_it(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;
        let empty = priya.get("/").await;
        assert_eq!((empty.status, title(&empty)), (200, "Your queue"));
        assert!(empty.text.contains("<h1>Nothing waits for you</h1>"));
        file(&priya, &[]).await;
        file(&priya, &[("title", "Second")]).await;
        let queue = priya.get("/").await;
        assert!(queue.text.contains("<h1>Two tickets wait for you</h1>"), "{}", queue.text);
        assert!(queue.text.contains("Files are missing or out of date"));
        assert!(queue.text.contains("href=\"/tickets/CHG-1/stages/staging#artifacts\""));
        let badge = "<span class=\"n\">2<span class=\"vh\"> waiting for you</span>";
        assert!(queue.text.contains(badge) && priya.get("/tickets").await.text.contains(badge));
        let hers = marta.get("/").await;
        assert!(hers.text.contains("<h1>Nothing waits for you</h1>"), "there is nothing to sign yet");
        assert!(hers.text.contains("In preparation"), "and what comes next is shown");
    }

    async fn no_page_asks_the_database_once_per_row(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        file(&priya, &[]).await;
        let spent = async |path: &str| {
            // The badge is counted once; after that only the page itself costs anything.
            assert_eq!(priya.get(path).await.status, 200);
            let before = app.services.queries();
            assert_eq!(priya.get(path).await.status, 200);
            app.services.queries() - before
        };
        let mut before = Vec::new();
        for path in ["/", "/tickets", "/tickets/CHG-1"] {
            before.push(spent(path).await);
        }
        for number in 2..8 {
            file(&priya, &[("title", &format!("Change {number}"))]).await;
        }
        for (path, before) in ["/", "/tickets", "/tickets/CHG-1"].into_iter().zip(before) {
            assert_eq!(spent(path).await, before, "{path}");
        }
    }
}
