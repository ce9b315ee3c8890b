//! `Idempotency-Key` on what is no redemption.

use serde_json::json;

use super::portal::{Portal, new_ticket};

crate::on_both_engines! {
    async fn a_repeated_post_acts_once(engine: Engine) {
        let portal = Portal::open(engine).await;
        let call = || portal.call("POST", "/tickets").key("file-1");
        let first = call().json(&new_ticket()).send().await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""), "{}", first.text());
        let again = call().json(&new_ticket()).send().await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("content-type"), "application/json");
        let list = portal.call("GET", "/tickets").send().await.json();
        assert_eq!(list["items"].as_array().expect("tickets").len(), 1);
    }

    async fn rule_16_another_request_under_the_same_key_is_refused(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        let mut other = new_ticket();
        other["title"] = json!("Another title");
        assert_eq!(portal.call("POST", "/tickets").key("k").json(&new_ticket()).send().await.status, 201);
        portal.call("POST", "/tickets").key("k").json(&other).send().await.problem(422, "idempotency-mismatch");
        let path = format!("/tickets/{number}/stages/staging/checklist/release-frozen");
        portal.call("POST", &path).key("k").json(&new_ticket()).send().await.problem(422, "idempotency-mismatch");
        // The key belongs to the API token: somebody else's is another one.
        let token = portal.token_of(&portal.engineer, countersign::domain::user::Scope::ALL).await;
        let answer = portal.call("POST", "/tickets").bearer(&token).key("k").json(&other).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    async fn a_failure_gives_the_key_back(engine: Engine) {
        let portal = Portal::open(engine).await;
        let mut wrong = new_ticket();
        wrong["title"] = json!("");
        portal.call("POST", "/tickets").key("k").json(&wrong).send().await.problem(422, "invalid");
        let answer = portal.call("POST", "/tickets").key("k").json(&new_ticket()).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    async fn two_at_once_act_once(engine: Engine) {
        let portal = Portal::open(engine).await;
        let calls = (0..6).map(|_| portal.call("POST", "/tickets").key("k").json(&new_ticket()).send());
        for answer in futures_util::future::join_all(calls).await {
            if answer.status != 201 {
                answer.problem(409, "idempotency-in-progress");
            }
        }
        let list = portal.call("GET", "/tickets").send().await.json();
        assert_eq!(list["items"].as_array().expect("tickets").len(), 1);
    }

    async fn what_is_no_key_is_refused(engine: Engine) {
        let portal = Portal::open(engine).await;
        for key in ["two words", "é", &"x".repeat(201)] {
            let answer = portal.call("POST", "/tickets").key(key).json(&new_ticket()).send().await;
            answer.problem(400, "bad-idempotency-key");
        }
        let longest = "x".repeat(200);
        let answer = portal.call("POST", "/tickets").key(&longest).json(&new_ticket()).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}
