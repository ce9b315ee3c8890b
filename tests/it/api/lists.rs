//! Lists: filtered, in pages, at a fixed number of statements.

use countersign::domain::user::{Role, Scope};
use serde_json::{Value, json};

use super::portal::{Portal, new_ticket};

fn numbers(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().filter_map(|i| i["number"].as_str()).collect()
}

crate::on_both_engines! {
    async fn tickets_come_in_pages_and_by_filter(engine: Engine) {
        let portal = Portal::open(engine).await;
        for title in ["The first", "The second", "The third of 100%", "The fourth", "The fifth"] {
            let mut new = new_ticket();
            new["title"] = json!(title);
            assert_eq!(portal.call("POST", "/tickets").json(&new).send().await.status, 201);
        }
        let get = async |query: &str| portal.call("GET", &format!("/tickets?{query}")).send().await;
        let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
        loop {
            let page = get(&query).await.json();
            seen.extend(numbers(&page).into_iter().map(str::to_owned));
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, ["CHG-5", "CHG-4", "CHG-3", "CHG-2", "CHG-1"]);
        for (query, found) in [
            ("q=the%20FOURTH+trading", &["CHG-4"][..]), ("q=100%25", &["CHG-3"]), ("q=100_", &[]), ("q=nothing", &[]),
            ("state=completed", &[]), ("state=open&limit=1", &["CHG-5"]), ("kind=emergency", &[]),
            ("application=trading-backend&q=chg-2", &["CHG-2"]), ("application=other", &[]),
            ("requester=ada%40example.org&limit=1", &["CHG-5"]), ("requester=bob%40example.org", &[]),
            ("requester=nobody", &[]),
        ] {
            let page = get(query).await;
            assert_eq!(page.status, 200, "{query}: {}", page.text());
            assert_eq!(numbers(&page.json()), found, "{query}");
        }
        let mine = format!("requester={}&q=fourth", portal.engineer.user);
        assert_eq!(numbers(&get(&mine).await.json()), ["CHG-4"]);
        for query in ["limit=0", "limit=101", "limit=-1", "limit=x", "state=openn", "kind=x", "page=2", "limit=1&limit=2"] {
            get(query).await.problem(400, "bad-query");
        }
        for query in ["cursor=x", "cursor=CHG-1", "cursor="] {
            get(query).await.problem(400, "bad-cursor");
        }
        let many = format!("q={}", "a+".repeat(40));
        get(&many).await.problem(400, "bad-query");
    }

    async fn a_list_costs_the_same_however_long(engine: Engine) {
        let portal = Portal::open(engine).await;
        let cost = async |path: &str| {
            // The time of a token's last use is written once a minute: not in what is counted.
            portal.call("GET", path).send().await;
            let before = portal.services.queries();
            assert_eq!(portal.call("GET", path).send().await.status, 200);
            portal.services.queries() - before
        };
        portal.file().await;
        let (one, ticket) = (cost("/tickets").await, cost("/tickets/CHG-1").await);
        for _ in 0..7 {
            portal.file().await;
        }
        for kind in ["other", "upgrade-sql"] {
            for n in 0..4 {
                let path = format!("/tickets/CHG-1/stages/staging/artifacts/{kind}?filename=f{n}");
                let body = format!("SELECT {n};\nDROP TABLE t{n};\n");
                assert_eq!(portal.call("PUT", &path).body(body).send().await.status, 201);
            }
        }
        assert_eq!(cost("/tickets").await, one);
        assert_eq!(cost("/tickets/CHG-1").await, ticket);
        assert!(ticket < 40, "{ticket} statements for one ticket");
    }

    async fn incidents_and_freezes_are_declared_and_listed(engine: Engine) {
        let portal = Portal::open(engine).await;
        for n in 1..=3 {
            let new = json!({"application": "trading-backend", "title": format!("Incident {n}")});
            let answer = portal.call("POST", "/incidents").json(&new).send().await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
        let resolved = portal.call("POST", "/incidents/INC-2/resolve").send().await;
        assert_eq!(resolved.status, 200, "{}", resolved.text());
        assert_eq!(resolved.json()["resolved_by"], "ada");
        portal.call("POST", "/incidents/INC-2/resolve").send().await.problem(409, "already-resolved");
        let open = portal.call("GET", "/incidents?open=true").send().await.json();
        assert_eq!(numbers(&open), ["INC-3", "INC-1"]);
        let first = portal.call("GET", "/incidents?limit=2").send().await.json();
        assert_eq!(numbers(&first), ["INC-3", "INC-2"]);
        let next = format!("/incidents?limit=2&cursor={}", first["next_cursor"].as_str().expect("a cursor"));
        let last = portal.call("GET", &next).send().await.json();
        assert_eq!((numbers(&last), &last["next_cursor"]), (vec!["INC-1"], &json!(null)));
        let odd = json!({"application": "nobody", "title": "x"});
        let problem = portal.call("POST", "/incidents").json(&odd).send().await.problem(422, "invalid");
        assert_eq!(problem["errors"].as_array().expect("errors").len(), 2, "{problem}");

        let board = portal.token_of(&portal.board[0], &[Scope::TicketsRead, Scope::TicketsWrite]).await;
        let freeze = json!({
            "application": "trading-backend", "environment": "production",
            "starts_at": "2026-12-20T00:00:00Z", "ends_at": "2026-12-27T00:00:00+01:00", "reason": "Year end",
        });
        let declared = portal.call("POST", "/freezes").bearer(&board).json(&freeze).send().await;
        assert_eq!(declared.status, 201, "{}", declared.text());
        assert_eq!(declared.json()["ends_at"], "2026-12-26T23:00:00Z");
        let mut wrong = freeze.clone();
        wrong["starts_at"] = json!("tomorrow");
        portal.call("POST", "/freezes").bearer(&board).json(&wrong).send().await.problem(400, "bad-field");
        wrong["starts_at"] = json!("2027-12-20T00:00:00Z");
        let problem = portal.call("POST", "/freezes").bearer(&board).json(&wrong).send().await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "ends_at");
        let all = portal.call("GET", "/freezes").send().await.json();
        assert_eq!(all["items"][0], declared.json());
    }

    async fn the_audit_log_comes_line_by_line(engine: Engine) {
        let portal = Portal::open(engine).await;
        let eve = portal.person("eve@example.org", &[Role::Auditor]).await;
        let token = portal.token_of(&eve, &[Scope::AuditRead]).await;
        portal.file().await;
        let get = async |query: &str| portal.call("GET", &format!("/audit{query}")).bearer(&token).send().await;
        let whole = get("").await;
        assert_eq!(whole.header("content-type"), "application/x-ndjson");
        let text = whole.text();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(event["seq"], at + 1);
        }
        assert!(lines.last().expect("a line").contains("\"ticket.filed\""));
        // What somebody typed is not in the log, only what it hashes to.
        assert!(!text.contains("Notional"));
        let rest = get("?after=2&limit=1").await.text();
        assert_eq!(rest, format!("{}\n", lines[2]));
        assert_eq!(get(&format!("?after={}", lines.len())).await.text(), "");
        for query in ["?after=-1", "?after=x", "?limit=0", "?limit=501"] {
            get(query).await.problem(400, "bad-query");
        }
    }
}
