//! What is malformed is refused with its place, and in one shape.

use serde_json::json;

use super::portal::{Portal, new_ticket};

crate::on_both_engines! {
    async fn bodies_are_taken_exactly_or_not_at_all(engine: Engine) {
        let portal = Portal::open(engine).await;
        let post = |body: Vec<u8>| portal.call("POST", "/tickets").header("content-type", "application/json").body(body);
        for (body, code, words) in [
            (&b""[..], "bad-json", "line 1 column 0"),
            (b"{\n  \"title\": }", "bad-json", "line 2 column 12"),
            (b"[]", "bad-field", "line 1"),
            (br#"{"title": "x", "title": "y"}"#, "bad-field", "duplicate field `title`"),
            (br#"{"titel": "x"}"#, "bad-field", "unknown field `titel`"),
            (br#"{"title": 7}"#, "bad-field", "expected a string at line 1 column 11"),
            (br#"{"kind": "urgent"}"#, "bad-field", "known are: normal, standard, emergency"),
            (br#"{"title": "a\u0000b"}"#, "nul", "NUL"),
            (b"{\"title\": \"\xc3\x28\"}", "bad-json", "byte 12"),
        ] {
            let problem = post(body.to_vec()).send().await.problem(400, code);
            assert!(problem["detail"].as_str().expect("words").contains(words), "{problem}");
        }
        let valid = new_ticket().to_string().into_bytes();
        for kind in ["", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"] {
            post(valid.clone()).header("content-type", kind).send().await.problem(415, "not-json");
        }
        for encoding in ["gzip", "br", "deflate", "zstd", "GZIP"] {
            post(valid.clone()).header("content-encoding", encoding).send().await.problem(415, "encoded-body");
        }
        let utf8 = post(valid.clone()).header("content-type", "application/json; charset=utf-8").send().await;
        assert_eq!(utf8.status, 201, "{}", utf8.text());
        let mut large = new_ticket();
        large["description"] = json!("x".repeat(1 << 20));
        post(large.to_string().into_bytes()).send().await.problem(413, "too-large");
        let told = post(Vec::new()).header("content-length", "99999999999").send().await;
        told.problem(413, "too-large");
    }

    async fn every_fault_of_a_ticket_is_told_at_once(engine: Engine) {
        let portal = Portal::open(engine).await;
        let mut wrong = new_ticket();
        for (field, value) in [
            ("application", json!("nobody-knows")), ("title", json!("x")), ("from_revision", json!("head")),
            ("external_links", json!(["javascript:alert(1)"])), ("release_tag", json!("v1\u{202e}")),
            ("emergency_reason", json!("because")),
        ] {
            wrong[field] = value;
        }
        let problem = portal.call("POST", "/tickets").json(&wrong).send().await.problem(422, "invalid");
        let fields: Vec<&str> =
            problem["errors"].as_array().expect("errors").iter().filter_map(|e| e["field"].as_str()).collect();
        assert_eq!(
            fields,
            ["application", "title", "release_tag", "from_revision", "external_links", "emergency_reason"]
        );
    }

    async fn an_emergency_names_its_incident_by_number_or_id(engine: Engine) {
        let portal = Portal::open(engine).await;
        let incident = json!({"application": "trading-backend", "title": "Orders are late"});
        let incident = portal.call("POST", "/incidents").json(&incident).send().await.json();
        assert_eq!(incident["number"], "INC-1");
        let mut emergency = new_ticket();
        emergency["kind"] = json!("emergency");
        emergency["emergency_reason"] = json!("Orders fail until the column is wide enough.");
        for name in [&incident["number"], &incident["id"]] {
            emergency["emergency_incident"] = name.clone();
            let answer = portal.call("POST", "/tickets").json(&emergency).send().await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert_eq!(answer.json()["emergency_incident"], incident["id"]);
        }
        for wrong in ["INC-2", "INC-", "INC-1x", "INC-99999999999999999999", "1", "", "00000000-0000-0000-0000-000000000000"] {
            emergency["emergency_incident"] = json!(wrong);
            let problem = portal.call("POST", "/tickets").json(&emergency).send().await.problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], "emergency_incident", "{wrong}: {problem}");
        }
    }

    async fn what_names_nothing_is_not_found(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        for path in [
            "/tickets/CHG-2", "/tickets/CHG-01", "/tickets/chg-1", "/tickets/1", "/tickets/CHG-99999999999999999999",
            "/tickets/CHG--1", "/tickets/%ff", "/tickets/CHG-1/stages/nowhere/gates",
            "/tickets/CHG-1/stages/nowhere/artifacts", "/tickets/CHG-1/stages/staging/artifacts/sql",
            "/tickets/CHG-1/stages/staging/artifacts/upgrade-sql",
            "/tickets/CHG-1/stages/staging/diff?kind=upgrade-sql&from=staging:1&to=production:1",
        ] {
            portal.call("GET", path).send().await.problem(404, "not-found");
        }
        for path in ["", "/ticket", "/tickets/CHG-1/", "/tickets/CHG-1/stages", "/audit/checkpoint"] {
            portal.call("GET", path).send().await.problem(404, "no-route");
        }
        portal.call("POST", "/tickets/CHG-1/stages/nowhere/apply-tokens").send().await.problem(404, "not-found");
        portal.call("POST", "/incidents/INC-7/resolve").send().await.problem(404, "not-found");
        portal.call("POST", "/incidents/nonsense/resolve").send().await.problem(404, "not-found");
        let tick = json!({"done": true, "note": ""});
        let path = "/tickets/CHG-1/stages/staging/checklist";
        portal.call("POST", &format!("{path}/nothing")).json(&tick).send().await.problem(404, "unknown-item");
        portal.call("POST", &format!("{path}/linear-history")).json(&tick).send().await
            .problem(409, "automatic-item");
    }

    async fn other_methods_are_told_which_ones_there_are(engine: Engine) {
        let portal = Portal::open(engine).await;
        for (method, path, allow) in [
            ("DELETE", "/tickets", "GET,HEAD,POST"),
            ("PATCH", "/tickets/CHG-1", "GET,HEAD"),
            ("GET", "/apply-tokens/redeem", "POST"),
            ("OPTIONS", "/tickets", "GET,HEAD,POST"),
            ("POST", "/openapi.json", "GET,HEAD"),
        ] {
            let answer = portal.call(method, path).send().await;
            answer.problem(405, "method-not-allowed");
            let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(","), allow, "{method} {path}");
        }
    }

    async fn a_secret_in_an_address_is_refused_and_so_is_a_nul(engine: Engine) {
        let portal = Portal::open(engine).await;
        for query in [
            format!("access_token={}", portal.token), "token=x".to_owned(), "TOKEN=x".to_owned(),
            format!("q={}", portal.token), "limit=1&api_key=x".to_owned(), "q=csa_abc".to_owned(),
        ] {
            portal.call("GET", &format!("/tickets?{query}")).send().await.problem(400, "token-in-url");
            portal.anonymous("GET", &format!("/tickets?{query}")).send().await.problem(400, "token-in-url");
        }
        for path in ["/tickets?q=%00", "/tickets/CHG-1/stages/%00/gates", "/tickets?application=a%00b"] {
            portal.call("GET", path).send().await.problem(400, "nul");
        }
    }

    async fn an_act_in_the_wrong_state_is_a_conflict(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        let stage = format!("/tickets/{number}/stages/staging");
        let observation = json!({"verdict": "healthy", "note": ""});
        portal.call("POST", &format!("{stage}/observation")).json(&observation).send().await.problem(409, "no-run");
        portal.call("PUT", &format!("{stage}/artifacts/smoke-report")).body("<x/>").send().await
            .problem(422, "invalid");
        let odd = json!({"verdict": "fine"});
        portal.call("POST", &format!("{stage}/observation")).json(&odd).send().await.problem(400, "bad-field");
        portal.call("POST", &format!("{stage}/apply-tokens")).json(&json!({"method": "restore"})).send().await
            .problem(422, "invalid");
        let closed = portal.call("POST", &format!("{stage}/apply-tokens")).send().await.problem(409, "gates-closed");
        let gates: Vec<&str> =
            closed["blockers"].as_array().expect("blockers").iter().filter_map(|b| b["gate"].as_str()).collect();
        for gate in ["checklist", "dry-run", "approvals", "window"] {
            assert!(gates.contains(&gate), "{gate}: {closed}");
        }
        assert!(closed["blockers"].as_array().expect("blockers").iter().all(|b| b["cleared_by"].is_string()));
    }
}
