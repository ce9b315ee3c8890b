//! What people do in the portal's own pages: accounts, tokens, incidents, freezes, policies, the log.

use countersign::domain::user::{Role, Scope};
use jiff::SignedDuration;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{Anonymous, PASSWORD};

/// The id in the first address of this form.
fn id_in<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split(after).next().expect("its end")
}

on_both_engines! {
    async fn administrators_look_after_accounts_and_nobody_else_does(engine: Engine) {
        let app = TestApp::start(engine).await;
        let root = app.person("Root", &[Role::Admin]).await;
        let ben = app.person("Ben", &[Role::Board]).await;
        for role in [Role::Engineer, Role::Board, Role::Auditor] {
            let somebody = app.person(&format!("A {role}"), &[role]).await;
            assert_eq!(somebody.get("/admin/users").await.status, 403, "{role}");
            let add = [("name", "X"), ("email", "x@example.org"), ("role", "admin")];
            assert_eq!(somebody.post("/admin/users", &add).await.status, 403, "{role}");
        }
        let people = root.get("/admin/users").await;
        assert!(people.text.contains("5 accounts active, 0 deactivated"), "{}", people.text);
        let row = people.text.split("data-user=\"ben@example.org\"").nth(1).expect("Ben's row");
        let id = id_in(row, "/admin/users/", "/").to_owned();

        let roles = root.post(&format!("/admin/users/{id}/roles"), &[("role", "auditor")]).await;
        assert_eq!((roles.status, roles.location()), (303, "/admin/users"));
        assert!(root.get("/admin/users").await.text.contains("Ben: Auditor."));
        let account = ben.get("/account").await;
        assert!(account.text.contains("ben@example.org. Auditor."), "the next request has the new roles");

        let reset = root.post(&format!("/admin/users/{id}/reset"), &[]).await;
        assert_eq!(reset.status, 200);
        assert_eq!(ben.get("/account").await.status, 303, "a reset ends sessions");
        let link = id_in(&reset.text, "id=\"new-link\">", "<").strip_prefix(&app.base).expect("our address");
        assert_eq!(app.anonymous().get(link).await.status, 200);

        let closed = root.post(&format!("/admin/users/{id}/deactivate"), &[]).await;
        assert_eq!(closed.status, 303);
        assert_eq!(app.anonymous().sign_in(&ben.email, PASSWORD).await.status, 401);
        assert_eq!(app.anonymous().get(link).await.status, 404, "a closed account's link is nothing");

        let own = root.get("/admin/users").await;
        let own = own.text.split("data-user=\"root@example.org\"").nth(1).expect("Root's row");
        let own = id_in(own, "/admin/users/", "/").to_owned();
        let last = root.post(&format!("/admin/users/{own}/deactivate"), &[]).await;
        assert_eq!(last.status, 409, "{}", last.text);
        assert!(last.text.contains("href=\"/\"") || last.text.contains("Back"), "{}", last.text);

        let taken = root.post("/admin/users", &[("name", "Ben"), ("email", "BEN@example.org"), ("role", "board")]).await;
        assert_eq!(taken.status, 422);
        assert!(taken.text.contains("There is an account with this email address already."), "{}", taken.text);
        assert!(taken.text.contains("value=\"BEN@example.org\""), "what was typed is kept");
        for path in ["/admin/users/x/reset", "/admin/users/01a20393-faa2-7c8f-bc38-5390fe768e78/reset"] {
            assert_eq!(root.post(path, &[]).await.status, 404, "{path}");
        }
    }

    async fn a_token_is_shown_once_and_can_be_revoked(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let none = ada.post("/account/tokens", &[("name", ""), ("days", "90")]).await;
        assert_eq!(none.status, 422);
        assert!(none.text.contains("The token was not made") && none.text.contains("Choose at least one scope."));
        let form = [("name", "ci"), ("days", "90"), ("scope", "apply"), ("scope", "tickets:read")];
        let made = ada.post("/account/tokens", &form).await;
        assert_eq!((made.status, made.header("cache-control")), (200, "no-store"));
        let secret = id_in(&made.text, "id=\"new-token\">", "<").to_owned();
        assert!(secret.starts_with("csp_") && secret.len() == 54, "{secret}");
        let actor = app.services.bearer_actor(&secret).await.expect("a good token");
        assert!(actor.may(Scope::Apply) && !actor.may(Scope::AuditRead));
        let account = ada.get("/account").await;
        assert!(account.text.contains("tickets:read, apply") && !account.text.contains(&secret), "{}", account.text);

        let id = id_in(&account.text, "/account/tokens/", "/revoke").to_owned();
        let eve = app.person("Eve", &[Role::Engineer]).await;
        assert_eq!(eve.post(&format!("/account/tokens/{id}/revoke"), &[]).await.status, 404);
        assert!(app.services.bearer_actor(&secret).await.is_ok());
        assert_eq!(ada.post(&format!("/account/tokens/{id}/revoke"), &[]).await.status, 303);
        assert!(app.services.bearer_actor(&secret).await.is_err());
        assert!(ada.get("/account").await.text.contains("<span class=\"dim\">revoked</span>"));
    }

    async fn signing_out_everywhere_ends_every_session(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let there: Anonymous = app.anonymous();
        there.sign_in(&ada.email, PASSWORD).await;
        assert_eq!(ada.get("/account").await.text.matches("data-l=\"Since\"").count(), 2);
        assert_eq!(ada.post("/account/sign-out-everywhere", &[]).await.status, 303);
        assert_eq!(there.get("/account").await.status, 303);
        assert_eq!(ada.get("/account").await.status, 303);
    }

    async fn an_incident_is_declared_seen_everywhere_and_resolved(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let auditor = app.person("Aud", &[Role::Auditor]).await;
        assert!(ada.get("/incidents").await.text.contains("No incident is open."));
        let bad = ada.post("/incidents", &[("application", "trading-backend"), ("title", "x")]).await;
        assert_eq!(bad.status, 422);
        assert!(bad.text.contains("The incident was not declared") && bad.text.contains("<title>Error: Incidents"));
        let form = [("application", "trading-backend"), ("title", "Fills are late")];
        assert_eq!(auditor.post("/incidents", &form).await.status, 403);
        assert!(!auditor.get("/incidents").await.text.contains("<button class=\"btn no\">Declare incident"));
        assert_eq!(ada.post("/incidents", &form).await.status, 303);
        let page = ada.get("/incidents").await;
        assert!(page.text.contains("<b>INC-1</b>, trading-backend: Fills are late"), "{}", page.text);
        assert!(ada.get("/account").await.text.contains(">INC-1</a> is open for trading-backend"), "in the strip");
        let id = id_in(&page.text, "/incidents/", "/resolve").to_owned();
        assert_eq!(ada.post(&format!("/incidents/{id}/resolve"), &[]).await.status, 303);
        let again = ada.post(&format!("/incidents/{id}/resolve"), &[]).await;
        assert_eq!(again.status, 409);
        assert!(again.text.contains("INC-1 is resolved already."), "{}", again.text);
        let page = ada.get("/incidents").await;
        assert!(page.text.contains("<b>INC-1</b>, trading-backend: Fills are late. Open since"), "{}", page.text);
        assert!(page.text.contains("No incident is open."));
    }

    async fn a_freeze_is_declared_and_ended(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let ben = app.person("Ben", &[Role::Board]).await;
        let form = |starts, ends| {
            [("application", ""), ("environment", "production"), ("starts_at", starts), ("ends_at", ends), ("reason", "Year end")]
        };
        for (starts, ends, words) in [
            ("2025-12-24T00:00", "2025-12-23T00:00", "The freeze has to end after it starts."),
            ("soon", "2025-12-23T00:00", "Write a day and a time"),
        ] {
            let bad = ben.post("/freezes", &form(starts, ends)).await;
            assert_eq!(bad.status, 422);
            assert!(bad.text.contains(words) && bad.text.contains(&format!("value=\"{starts}\"")), "{}", bad.text);
        }
        assert_eq!(ben.post("/freezes", &form("2025-11-20T13:00", "2025-11-21T00:00")).await.status, 303);
        let page = ben.get("/freezes").await;
        assert!(page.text.contains("All applications, production") && page.text.contains(">Cancel<"), "{}", page.text);
        assert!(page.text.contains("of all applications, production from"), "in the strip: {}", page.text);
        app.clock.advance(SignedDuration::from_mins(61));
        // Idle for too long by now.
        ben.browser.sign_in(&ben.email, PASSWORD).await;
        let ben = crate::support::client::Person::of(ben.browser, &ben.email).await;
        let page = ben.get("/freezes").await;
        assert!(page.text.contains(">End now<"), "{}", page.text);
        let id = id_in(&page.text, "/freezes/", "/end").to_owned();
        assert_eq!(ben.post(&format!("/freezes/{id}/end"), &[]).await.status, 303);
        assert!(ben.get("/freezes").await.text.contains("Ended early by Ben."));
    }

    async fn policies_are_read_with_what_changed(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Auditor]).await;
        assert!(ada.get("/policies").await.text.contains("No policy has been applied yet."));
        app.runbook().await;
        let stricter = countersign::domain::policy::RUNBOOK.replacen("quorum = 2", "quorum = 3", 1);
        app.services.apply_policy(None, &stricter).await.unwrap();
        let list = ada.get("/policies").await;
        assert!(list.text.contains("href=\"/policies/trading-backend/staging\">staging</a>"), "{}", list.text);
        assert!(list.text.contains("Tuesday 14:00 UTC for 2h, 3 approvals, watched for 24 h"), "{}", list.text);
        let page = ada.get("/policies/trading-backend/staging").await;
        assert!(page.text.contains("Against version 1") && page.text.contains("version 2"), "{}", page.text);
        assert!(page.text.contains("quorum = <") || page.text.contains("quorum = 3"), "{}", page.text);
        let first = ada.get("/policies/trading-backend/staging?version=1").await;
        assert!(first.status == 200 && !first.text.contains("Against version"));
        for missing in ["/policies/trading-backend/nowhere", "/policies/other/staging", "/policies/trading-backend/staging?version=9"] {
            assert_eq!(ada.get(missing).await.status, 404, "{missing}");
        }
    }

    async fn the_log_is_searched_and_opened(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Auditor]).await;
        let ben = app.person("Ben", &[Role::Engineer]).await;
        ben.post("/account/tokens", &[("name", "ci"), ("days", "0"), ("scope", "apply")]).await;
        let all = ada.get("/audit").await;
        assert!(all.text.contains("made an API token") && all.text.contains("The operator"), "{}", all.text);
        assert!(all.text.contains("that is the number of the newest"), "{}", all.text);
        let of_ben = ada.get("/audit?q=BEN").await;
        assert!(of_ben.text.contains("<b>Ben</b> made an API token") && !of_ben.text.contains("<b>Ada</b> "), "{}", of_ben.text);
        let tokens = ada.get("/audit?kind=api-token").await;
        assert!(tokens.text.contains("1 entry") && !tokens.text.contains("signed in<"), "{}", tokens.text);
        assert!(ada.get("/audit?q=CHG-7").await.text.contains("No entry matches."));
        assert!(ada.get("/audit?q=%25").await.text.contains("No entry matches."), "a percent sign is a percent sign");
        let entry = ada.get("/audit?entry=1").await;
        assert!(entry.text.contains("Entry 1</h2>") && entry.text.contains("&#34;seq&#34;:1,"), "{}", entry.text);
        assert_eq!(ada.get("/audit?entry=99999").await.status, 404);
    }
}
