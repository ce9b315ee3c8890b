//! Who may call what: every call of the table, by everybody.

use countersign::api::{ACCESS, Access};
use countersign::domain::user::{Role, Scope};
use countersign::service::api_tokens::NewApiToken;
use serde_json::json;

use super::portal::{Portal, new_ticket};

/// An address for a path of the table: of things that are there or not, which must not matter.
fn address(path: &str) -> String {
    let known = path
        .replace("{number}", "CHG-1")
        .replace("{stage}", "staging")
        .replace("{kind}", "upgrade-sql")
        .replace("{item}", "release-frozen")
        .replace("{key}", "deploy-7")
        .replace("{id}", "01930000-0000-7000-8000-000000000000");
    assert!(!known.contains('{'), "{known}");
    known
}

crate::on_both_engines! {
    async fn rule_25_nobody_gets_further_than_the_table_says(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let session = portal.services.sign_in(
            "ada@example.org",
            countersign::secret::password::PlainPassword::given("a tall ship and a star".to_owned()),
            std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            "test",
        ).await.expect("a session").token.reveal().to_owned();
        let new = NewApiToken { name: "old".to_owned(), scopes: Scope::ALL.iter().copied().collect(), expires_at: None };
        let (id, revoked) = portal.services.create_api_token(&portal.engineer, new).await.expect("a token");
        let revoked = revoked.reveal().to_owned();
        portal.services.revoke_api_token(None, id).await.expect("revoked");
        let mut single = Vec::new();
        for scope in Scope::ALL {
            single.push((*scope, portal.token_of(&portal.engineer, &[*scope]).await));
        }
        for (method, path, access) in ACCESS {
            let call = || portal.anonymous(method, &address(path));
            let Access::AnyOf(scopes) = access else {
                assert_eq!(call().send().await.status, 200, "{method} {path}");
                continue;
            };
            let bare = call().send().await;
            bare.problem(401, "bad-bearer");
            assert!(bare.header("www-authenticate").starts_with("Bearer "), "{method} {path}");
            for header in [
                format!("Basic {}", portal.token),
                portal.token.clone(),
                "Bearer".to_owned(),
                "Bearer csp_x".to_owned(),
                format!("Bearer {session}"),
                format!("Bearer {revoked}"),
                format!("Bearer {}x", portal.token),
            ] {
                call().header("authorization", &header).send().await.problem(401, "bad-bearer");
            }
            // A cookie of somebody who is signed in opens nothing here.
            for name in ["countersign", "session", "__Host-session", "__Host-countersign"] {
                let cookie = format!("{name}={session}");
                call().header("cookie", &cookie).send().await.problem(401, "bad-bearer");
            }
            for (scope, token) in &single {
                let answer = call().bearer(token).send().await;
                if scopes.contains(scope) {
                    assert!(answer.status != 401 && answer.status != 403, "{method} {path} {scope}: {}", answer.text());
                } else {
                    answer.problem(403, "missing-scope");
                    assert!(answer.header("www-authenticate").contains("insufficient_scope"));
                }
            }
        }
    }

    async fn a_scope_does_not_replace_a_role(engine: Engine) {
        let portal = Portal::open(engine).await;
        let auditor = portal.person("eve@example.org", &[Role::Auditor]).await;
        let token = portal.token_of(&auditor, Scope::ALL).await;
        let answer = portal.call("POST", "/tickets").bearer(&token).json(&new_ticket()).send().await;
        answer.problem(403, "needs-role");
        let number = portal.file().await;
        for (method, path) in [
            ("PUT", format!("/tickets/{number}/stages/staging/artifacts/upgrade-sql")),
            ("POST", format!("/tickets/{number}/stages/staging/apply-tokens")),
        ] {
            let answer = portal.call(method, &path).bearer(&token).body("").send().await;
            answer.problem(403, "needs-role");
        }
        let incident = json!({"application": "trading-backend", "title": "Orders are late"});
        portal.call("POST", "/incidents").bearer(&token).json(&incident).send().await.problem(403, "needs-role");
        let freeze = json!({
            "starts_at": "2026-12-20T00:00:00Z", "ends_at": "2026-12-27T00:00:00Z", "reason": "Year end",
        });
        portal.call("POST", "/freezes").json(&freeze).send().await.problem(403, "needs-role");
        // Its owner's end is its own.
        portal.services.deactivate_user(None, auditor.user).await.expect("deactivated");
        portal.call("GET", "/tickets").bearer(&token).send().await.problem(401, "bad-bearer");
    }

    async fn there_is_no_way_to_vote(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        let token = portal.token_of(&portal.board[0], Scope::ALL).await;
        for name in ["votes", "vote", "decide", "approvals", "approve"] {
            let path = format!("/tickets/{number}/stages/staging/{name}");
            let answer = portal.call("POST", &path).bearer(&token).json(&json!({"choice": "approve"})).send().await;
            answer.problem(404, "no-route");
        }
    }
}
