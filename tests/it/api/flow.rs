//! A ticket's whole life, as a pipeline lives it.

use serde_json::{Value, json};

use super::portal::{Portal, SMOKE};

/// Runs the last released token of a stage to its end and answers the run.
async fn run(portal: &Portal, number: &str, stage: &str, end: Value) -> Value {
    let released = portal.release(number, stage).await;
    assert_eq!(portal.phase(number, stage).await, "released");
    let redeemed = portal.redeem(&released).await;
    assert_eq!(portal.phase(number, stage).await, "running");
    let id = redeemed["run"]["id"].as_str().expect("an id").to_owned();
    let answer = portal.call("POST", &format!("/runs/{id}/finish")).json(&end).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn success() -> Value {
    json!({
        "outcome": "succeeded", "exit_code": 0,
        "revision_before": "d48b1e9c5f62", "revision_after": "0c7e5d1b94fa",
    })
}

async fn judge_healthy(portal: &Portal, number: &str, stage: &str) -> Value {
    let smoke = format!("/tickets/{number}/stages/{stage}/artifacts/smoke-report?filename=smoke.xml");
    let answer = portal.call("PUT", &smoke).body(SMOKE).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(portal.phase(number, stage).await, "observing");
    let observe = format!("/tickets/{number}/stages/{stage}/observation");
    let healthy = json!({"verdict": "healthy", "note": "latency as before"});
    let early = portal.call("POST", &observe).json(&healthy).send().await;
    early.problem(409, "observation-too-early");
    let length = if stage == "staging" { 24 * 60 } else { 30 };
    portal.clock.advance(jiff::SignedDuration::from_mins(length));
    let answer = portal.call("POST", &observe).json(&healthy).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

crate::on_both_engines! {
    async fn a_change_goes_from_filing_to_completion(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        assert_eq!(number, "CHG-1");
        assert_eq!(portal.phase(&number, "staging").await, "preparing");
        portal.prepare(&number, "staging", "2026-11-22").await;
        assert_eq!(portal.phase(&number, "staging").await, "ready");

        let gates = portal.call("GET", "/tickets/CHG-1/stages/staging/gates").send().await.json();
        assert_eq!(gates["applicable"], false, "{gates}");
        assert_eq!(gates["earliest"], json!({"at": "2026-11-24T14:00:00Z"}));
        let keys: Vec<&str> =
            gates["gates"].as_array().expect("gates").iter().filter_map(|g| g["key"].as_str()).collect();
        assert_eq!(keys, [
            "checklist", "dry-run", "review", "approvals", "previous-stage", "incidents", "freeze", "window",
            "single-run",
        ]);
        let window = &gates["gates"][7];
        assert_eq!(window["status"], "blocked");
        assert_eq!(window["clears_at"], "2026-11-24T14:00:00Z");
        assert_eq!(window["blockers"][0]["code"], "window-closed");

        let closed = portal.call("POST", "/tickets/CHG-1/stages/staging/apply-tokens").send().await;
        let problem = closed.problem(409, "gates-closed");
        assert_eq!(problem["blockers"][0]["gate"], "window");
        assert_eq!(problem["blockers"][0]["clears_at"], "2026-11-24T14:00:00Z");
        assert_eq!(problem["evidence_digest"], gates["evidence_digest"]);

        portal.now_is("2026-11-24T14:05:00Z");
        let ended = run(&portal, &number, "staging", success()).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        assert_eq!(portal.phase(&number, "staging").await, "verifying");
        let stage = judge_healthy(&portal, &number, "staging").await;
        assert_eq!(stage["phase"], "healthy");
        assert_eq!(stage["observation"]["verdict"], "healthy");

        let early = json!({"notes": "done"});
        let unfinished = portal.call("POST", "/tickets/CHG-1/completion").json(&early).send().await;
        unfinished.problem(409, "stages-unfinished");

        portal.now_is("2026-11-26T14:05:00Z");
        portal.prepare(&number, "production", "2026-11-25").await;
        let ended = run(&portal, &number, "production", success()).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        judge_healthy(&portal, &number, "production").await;

        let notes = json!({"notes": "Promoted without a hitch."});
        let answer = portal.call("POST", "/tickets/CHG-1/completion").json(&notes).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ticket = answer.json();
        assert_eq!(ticket["state"], "completed");
        assert_eq!(ticket["outcome"], "promoted");
        assert_eq!(ticket["completion"]["notes"], "Promoted without a hitch.");
        let again = portal.call("POST", "/tickets/CHG-1/completion").json(&notes).send().await;
        again.problem(409, "ticket-not-open");
        // Nothing of it went unrecorded.
        let log = portal.log().await;
        for kind in ["ticket.filed", "artifact.uploaded", "vote.recorded", "token.redeemed", "ticket.completed"] {
            assert!(log.iter().any(|k| k == kind), "{kind} is missing in {log:?}");
        }
    }

    async fn a_failed_run_and_a_rollback_have_their_phases(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        portal.prepare(&number, "staging", "2026-11-22").await;
        portal.now_is("2026-11-24T14:05:00Z");
        let failed = json!({
            "outcome": "failed", "exit_code": 1,
            "revision_before": "d48b1e9c5f62", "revision_after": "d48b1e9c5f62",
        });
        let ended = run(&portal, &number, "staging", failed).await;
        assert_eq!(ended["status"], "failed", "{ended}");
        assert_eq!(portal.phase(&number, "staging").await, "failed");

        let other = portal.file().await;
        portal.prepare(&other, "staging", "2026-11-22").await;
        let ended = run(&portal, &other, "staging", success()).await;
        assert_eq!(ended["direction"], "upgrade");
        portal.now_is("2026-11-25T03:00:00Z");
        let path = format!("/tickets/{other}/stages/staging/apply-tokens");
        let missing = portal.call("POST", &path).json(&json!({"direction": "rollback"})).send().await;
        assert_eq!(missing.problem(422, "invalid")["errors"][0]["field"], "method");
        let gates = format!("/tickets/{other}/stages/staging/gates?direction=rollback&method=downgrade");
        let gates = portal.call("GET", &gates).send().await.json();
        assert_eq!(gates["applicable"], true, "{gates}");
        assert_eq!(gates["gates"][7]["status"], "waived");
        let intent = json!({"direction": "rollback", "method": "downgrade"});
        let released = portal.call("POST", &path).json(&intent).send().await;
        assert_eq!(released.status, 201, "{}", released.text());
        let released = released.json();
        assert_eq!(released["artifact"]["kind"], "downgrade-sql");
        let id = portal.redeem(&released).await["run"]["id"].as_str().expect("an id").to_owned();
        let back = json!({
            "outcome": "succeeded", "exit_code": 0,
            "revision_before": "0c7e5d1b94fa", "revision_after": "d48b1e9c5f62",
        });
        let answer = portal.call("POST", &format!("/runs/{id}/finish")).json(&back).send().await;
        assert_eq!(answer.json()["status"], "succeeded", "{}", answer.text());
        assert_eq!(portal.phase(&other, "staging").await, "rolled-back");
    }

    async fn a_run_tells_of_itself_and_nobody_else_may(engine: Engine) {
        let portal = Portal::open(engine).await;
        let number = portal.file().await;
        portal.prepare(&number, "staging", "2026-11-22").await;
        portal.now_is("2026-11-24T14:05:00Z");
        let released = portal.release(&number, "staging").await;
        let redeemed = portal.redeem(&released).await;
        let id = redeemed["run"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(redeemed["run"]["lease_until"], "2026-11-24T14:06:00Z");

        let log = format!("/runs/{id}/log");
        let answer = portal.call("POST", &format!("{log}?offset=0")).body("hello ").send().await;
        let first = answer.json();
        assert_eq!((&first["next"], &first["cut"], &first["status"]), (&json!(6), &json!(false), &json!("running")));
        // A piece sent again is kept once; a gap is refused.
        let answer = portal.call("POST", &format!("{log}?offset=0")).body("hello world").send().await;
        assert_eq!(answer.json()["next"], 11);
        portal.call("POST", &format!("{log}?offset=40")).body("x").send().await.problem(409, "log-gap");
        portal.call("POST", &format!("{log}?offset=x")).body("x").send().await.problem(400, "bad-query");
        portal.call("POST", &log).body("x").send().await.problem(400, "bad-query");
        let cut = portal.call("POST", &format!("{log}?offset=11")).body(vec![b'x'; 1 << 16]).send().await.json();
        assert_eq!((&cut["next"], &cut["cut"]), (&json!(1 << 16), &json!(true)));

        portal.now_is("2026-11-24T14:05:50Z");
        let beat = portal.call("POST", &format!("/runs/{id}/heartbeat")).send().await.json();
        assert_eq!(beat["lease_until"], "2026-11-24T14:06:50Z");

        // Another token of the same person may; one of another person may not.
        let second = portal.token_of(&portal.engineer, countersign::domain::user::Scope::ALL).await;
        let answer = portal.call("POST", &format!("/runs/{id}/heartbeat")).bearer(&second).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let other = portal.token_of(&portal.board[0], countersign::domain::user::Scope::ALL).await;
        for (path, body) in [
            (format!("/runs/{id}/heartbeat"), json!(null)),
            (format!("/runs/{id}/finish"), success()),
        ] {
            let answer = portal.call("POST", &path).bearer(&other).json(&body).send().await;
            answer.problem(403, "not-redeemer");
        }
        portal.now_is("2026-11-24T14:07:00Z");
        let late = portal.call("POST", &format!("/runs/{id}/heartbeat")).send().await;
        late.problem(409, "run-unknown");
        assert_eq!(portal.call("GET", &format!("/runs/{id}")).send().await.json()["status"], "unknown");
        let late = portal.call("POST", &format!("/runs/{id}/finish")).json(&success()).send().await.json();
        assert_eq!(late["status"], "unknown", "{late}");
        portal.call("GET", "/runs/0190-nonsense").send().await.problem(404, "not-found");
        portal.call("GET", "/runs/01930000-0000-7000-8000-000000000000").send().await.problem(404, "not-found");
    }
}
