//! Releasing and redeeming over HTTP: each refusal has its status, and a secret is shown once.

use countersign::secret::grant::{GrantPublicKey, IN_TOTO};
use serde_json::json;

use super::portal::{Portal, redemption};
use crate::support::database::Engine;

async fn open_window(engine: Engine) -> (Portal, String) {
    let portal = Portal::open(engine).await;
    let number = portal.file().await;
    portal.prepare(&number, "staging", "2026-11-22").await;
    portal.now_is("2026-11-24T14:05:00Z");
    (portal, number)
}

crate::on_both_engines! {
    async fn rule_25_redeeming_tells_every_refusal_apart(engine: Engine) {
        let (portal, number) = open_window(engine).await;
        let redeem = "/apply-tokens/redeem";
        let tokens = format!("/tickets/{number}/stages/staging/apply-tokens");
        portal.call("DELETE", &tokens).send().await.problem(409, "no-token-outstanding");
        let released = portal.release(&number, "staging").await;
        let right = redemption(&released);

        let unknown = format!("csa_{}_000000", "a".repeat(43));
        for token in [unknown.as_str(), "csa_short", "", portal.token.as_str()] {
            let mut wrong = right.clone();
            wrong["token"] = json!(token);
            let answer = portal.call("POST", redeem).json(&wrong).send().await;
            answer.problem(401, "unknown-apply-token");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"countersign\"");
        }
        for (field, value, code) in [
            ("sql_digest", json!(format!("sqlnorm1:sha256:{}", "0".repeat(64))), "sql-digest-mismatch"),
            ("sql_digest", json!(format!("sha256:{}", released["artifact"]["sha256"].as_str().expect("hex"))),
                "raw-digest-not-accepted"),
            ("sql_digest", json!("sqlnorm1:sha256:zz"), "invalid"),
            ("manifest_sha256", json!(null), "manifest-mismatch"),
            ("manifest_sha256", json!("0".repeat(64)), "manifest-mismatch"),
            ("manifest_sha256", json!("0"), "invalid"),
        ] {
            let mut wrong = right.clone();
            wrong[field] = value;
            portal.call("POST", redeem).json(&wrong).send().await.problem(422, code);
        }

        let incident = json!({"application": "trading-backend", "title": "Orders are late"});
        let opened = portal.call("POST", "/incidents").json(&incident).send().await;
        assert_eq!(opened.status, 201, "{}", opened.text());
        let closed = portal.call("POST", redeem).json(&right).send().await;
        let blockers = closed.problem(409, "gates-closed")["blockers"].clone();
        assert_eq!((&blockers[0]["gate"], &blockers[0]["code"]), (&json!("incidents"), &json!("incident-open")));
        let resolved = portal.call("POST", "/incidents/INC-1/resolve").send().await;
        assert_eq!(resolved.status, 200, "{}", resolved.text());

        assert_eq!(portal.call("DELETE", &tokens).send().await.status, 204);
        portal.call("POST", redeem).json(&right).send().await.problem(410, "token-revoked");
        let released = portal.release(&number, "staging").await;
        portal.now_is("2026-11-24T14:40:00Z");
        portal.call("POST", redeem).json(&redemption(&released)).send().await.problem(410, "token-expired");

        let released = portal.release(&number, "staging").await;
        let used = redemption(&released);
        let first = portal.call("POST", redeem).json(&used).send().await;
        assert_eq!(first.status, 200, "{}", first.text());
        portal.call("POST", redeem).json(&used).send().await.problem(409, "already-redeemed");
        let ticket = portal.call("GET", &format!("/tickets/{number}")).send().await.json();
        assert_eq!(ticket["alarms"][0]["kind"], "token-reuse");

        let key = portal.anonymous("GET", "/keys/grant").send().await;
        let key = GrantPublicKey::from_pem(&key.text()).expect("a key");
        let grant = first.json()["grant"].to_string();
        let statement = key.verify(IN_TOTO, grant.as_bytes()).expect("a grant that verifies");
        let statement: serde_json::Value = serde_json::from_slice(&statement).expect("JSON");
        assert_eq!(statement["predicate"]["run"], first.json()["run"]["id"]);
    }

    async fn rule_16_a_redemption_repeated_with_its_key_is_the_same_run(engine: Engine) {
        let (portal, number) = open_window(engine).await;
        let released = portal.release(&number, "staging").await;
        let body = redemption(&released);
        let call = || portal.call("POST", "/apply-tokens/redeem").key("run-1");
        let first = call().json(&body).send().await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", first.text());
        let again = call().json(&body).send().await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{}", again.text());
        assert_eq!(first.body, again.body);
        let mut other = body.clone();
        other["database"] = json!("elsewhere");
        call().json(&other).send().await.problem(422, "idempotency-mismatch");
        let ticket = portal.call("GET", &format!("/tickets/{number}")).send().await.json();
        assert_eq!(ticket["alarms"], json!([]), "a lost answer is no leaked secret");
        portal.call("POST", "/apply-tokens/redeem").key("run-2").json(&body).send().await
            .problem(409, "already-redeemed");
    }

    async fn a_token_that_is_named_goes_and_no_other(engine: Engine) {
        let (portal, number) = open_window(engine).await;
        let path = format!("/tickets/{number}/stages/staging/apply-tokens");
        let named = |token: &serde_json::Value| format!("{path}?id={}", token["id"].as_str().expect("an id"));
        let first = portal.release(&number, "staging").await;
        assert_eq!(portal.call("DELETE", &named(&first)).send().await.status, 204);
        portal.call("POST", "/apply-tokens/redeem").json(&redemption(&first)).send().await.problem(410, "token-revoked");
        let second = portal.release(&number, "staging").await;
        // Gone already, which is what was wanted; the later one is not this caller's business.
        assert_eq!(portal.call("DELETE", &named(&first)).send().await.status, 204);
        for (query, status, code) in [
            ("id=01930000-0000-7000-8000-000000000000", 404, "unknown-token"),
            ("id=nonsense", 400, "bad-query"),
            ("which=x", 400, "bad-query"),
        ] {
            portal.call("DELETE", &format!("{path}?{query}")).send().await.problem(status, code);
        }
        let auditor = portal.person("dee@example.org", &[countersign::domain::user::Role::Auditor]).await;
        let auditor = portal.token_of(&auditor, countersign::domain::user::Scope::ALL).await;
        for token in [&first, &second] {
            portal.call("DELETE", &named(token)).bearer(&auditor).send().await.problem(403, "needs-role");
        }
        let redeemed = portal.call("POST", "/apply-tokens/redeem").json(&redemption(&second)).send().await;
        assert_eq!(redeemed.status, 200, "{}", redeemed.text());
        assert_eq!(portal.call("DELETE", &named(&second)).send().await.status, 204);
        let run = redeemed.json()["run"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(portal.call("GET", &format!("/runs/{run}")).send().await.json()["status"], "running");
    }

    async fn of_many_redemptions_one_wins(engine: Engine) {
        let (portal, number) = open_window(engine).await;
        let released = portal.release(&number, "staging").await;
        let body = redemption(&released);
        let calls = (0..8).map(|_| portal.call("POST", "/apply-tokens/redeem").json(&body).send());
        let answers = futures_util::future::join_all(calls).await;
        let mut statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn rule_16_the_secret_of_a_release_is_not_in_a_repetition(engine: Engine) {
        let (portal, number) = open_window(engine).await;
        let path = format!("/tickets/{number}/stages/staging/apply-tokens");
        let first = portal.call("POST", &path).key("release-1").send().await;
        assert_eq!(first.status, 201, "{}", first.text());
        assert_eq!(first.header("cache-control"), "no-store");
        let secret = first.json()["token"].as_str().expect("a secret").to_owned();
        assert!(secret.starts_with("csa_") && secret.len() == 54);
        let again = portal.call("POST", &path).key("release-1").send().await;
        let problem = again.problem(409, "already-released");
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!((&problem["expires_at"], &problem["token_id"]), (&first.json()["expires_at"], &first.json()["id"]));
        assert!(!again.text().contains("csa_"), "{}", again.text());
        // Without the key it is the outstanding token that stands in the way.
        let blocked = portal.call("POST", &path).send().await.problem(409, "gates-closed");
        assert_eq!(blocked["blockers"][0]["code"], "token-outstanding");
    }
}
