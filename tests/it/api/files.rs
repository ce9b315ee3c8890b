//! Uploads, downloads, comparisons.

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::digest::Digest;
use serde_json::json;

use super::portal::{Portal, file};

const STAGE: &str = "/tickets/CHG-1/stages/staging";

crate::on_both_engines! {
    async fn a_file_comes_back_byte_for_byte(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let sql = file(ArtifactKind::UpgradeSql);
        let path = format!("{STAGE}/artifacts/upgrade-sql");
        let named = format!("{path}?filename=%C3%BCp%22%20grade.sql");
        let first = portal.call("PUT", &named).body(sql).send().await;
        assert_eq!(first.status, 201, "{}", first.text());
        let body = first.json();
        assert_eq!(body["version"], 1);
        assert_eq!(body["bytes"], sql.len());
        assert_eq!(body["sha256"], Digest::of(sql).to_string());
        assert!(body["sql_digest"].as_str().expect("a digest").starts_with("sqlnorm1:sha256:"));
        let again = portal.call("PUT", &named).body(sql).send().await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        let changed = [sql, b"\n-- a note\n"].concat();
        let second = portal.call("PUT", &path).body(changed.clone()).send().await;
        assert_eq!((second.status, &second.json()["version"]), (201, &json!(2)), "{}", second.text());
        // A → B → A is a third version, not the first one again.
        let third = portal.call("PUT", &path).body(sql).send().await;
        assert_eq!((third.status, &third.json()["version"]), (201, &json!(3)), "{}", third.text());

        let newest = portal.call("GET", &path).send().await;
        assert_eq!((newest.status, &newest.body[..]), (200, sql));
        let old = portal.call("GET", &format!("{path}?version=1")).send().await;
        assert_eq!(&old.body[..], sql);
        assert_eq!(old.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(old.header("x-content-type-options"), "nosniff");
        assert_eq!(old.header("content-security-policy"), "default-src 'none'; sandbox");
        assert_eq!(
            old.header("content-disposition"),
            "attachment; filename=\"_p__grade.sql\"; filename*=UTF-8''%C3%BCp%22%20grade.sql"
        );
        assert_eq!(&portal.call("GET", &format!("{path}?version=2")).send().await.body[..], &changed[..]);
        portal.call("GET", &format!("{path}?version=4")).send().await.problem(404, "not-found");
        portal.call("GET", &format!("{path}?version=one")).send().await.problem(400, "bad-query");
        let head = portal.call("HEAD", &path).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0));

        let list = portal.call("GET", &format!("{STAGE}/artifacts")).send().await.json();
        let items: Vec<_> = list["items"].as_array().expect("files").iter()
            .map(|i| (i["version"].as_i64().expect("a version"), i["current"] == true)).collect();
        assert_eq!(items, [(1, false), (2, false), (3, true)]);
        let ticket = portal.call("GET", "/tickets/CHG-1").send().await.json();
        assert_eq!(ticket["stages"][0]["artifacts"][0]["sha256"], Digest::of(sql).to_string());
        assert_eq!(ticket["stages"][0]["artifacts"].as_array().expect("files").len(), 1);
    }

    async fn what_a_browser_could_run_is_plain_text(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let path = format!("{STAGE}/artifacts/other?filename=page.html");
        let html = "<script>alert(1)</script>";
        let put = portal.call("PUT", &path).header("content-type", "text/html").body(html).send().await;
        assert_eq!(put.status, 201, "{}", put.text());
        let got = portal.call("GET", &format!("{STAGE}/artifacts/other")).send().await;
        assert_eq!((got.text().as_str(), got.header("content-type")), (html, "text/plain; charset=utf-8"));
        let binary = portal.call("PUT", &path).body(vec![0, 159, 146, 150]).send().await;
        assert_eq!(binary.status, 201, "{}", binary.text());
        let got = portal.call("GET", &format!("{STAGE}/artifacts/other")).send().await;
        assert_eq!(got.header("content-type"), "application/octet-stream");
    }

    async fn rule_24_uploads_have_bounds(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let path = format!("{STAGE}/artifacts/other");
        let put = |body: Vec<u8>| portal.call("PUT", &path).body(body);
        assert_eq!(put(vec![b'x'; 1 << 20]).send().await.status, 201);
        put(vec![b'x'; (1 << 20) + 1]).send().await.problem(413, "too-large");
        put(Vec::new()).header("content-length", "1099511627776").send().await.problem(413, "too-large");
        put(Vec::new()).send().await.problem(422, "invalid");
        put(b"x".to_vec()).header("content-encoding", "gzip").send().await.problem(415, "encoded-body");
        put(b"x".to_vec()).header("content-type", "multipart/form-data; boundary=x").send().await
            .problem(415, "not-raw");
        for name in ["../../etc/passwd", ".hidden", "a%5Cb", "a%0Ab", ""] {
            let named = format!("{path}?filename={name}");
            let problem = portal.call("PUT", &named).body("x").send().await.problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], "filename", "{name}");
        }
        portal.call("PUT", &format!("{path}?name=x")).body("x").send().await.problem(400, "bad-query");
        for (kind, body) in [
            ("upgrade-sql", &b"SELECT \xff"[..]), ("upgrade-sql", b"SELECT 1\0;"), ("dry-run-report", b"{}"),
            ("dry-run-report", b"not json"), ("backup-manifest", b"{\"format\": \"\\u0000\"}"),
        ] {
            let answer = portal.call("PUT", &format!("{STAGE}/artifacts/{kind}")).body(body).send().await;
            answer.problem(422, "invalid");
        }
        // What a file spells as a NUL reaches no column either.
        for kind in [ArtifactKind::BackupManifest, ArtifactKind::DryRunReport, ArtifactKind::MigrationHistory] {
            let text = String::from_utf8(file(kind).to_vec()).expect("text");
            for (from, to) in [("staging, trades", "\\u0000"), ("drop trades", "\\u0000"), ("3.11.7", "\\u0000")] {
                let path = format!("{STAGE}/artifacts/{kind}");
                let answer = portal.call("PUT", &path).body(text.replace(from, to)).send().await;
                assert!([200, 201, 422].contains(&answer.status), "{kind} {from}: {}", answer.text());
            }
        }
    }

    async fn rule_22_an_unknown_version_is_kept_and_told_as_what_blocks(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let report = String::from_utf8(file(ArtifactKind::DryRunReport).to_vec()).expect("text");
        let newer = report.replacen("\"version\": 1", "\"version\": 2", 1);
        assert_ne!(newer, report);
        let sent = portal.call("PUT", &format!("{STAGE}/artifacts/dry-run-report")).body(newer).send().await;
        assert_eq!(sent.status, 201, "{}", sent.text());
        let gates = portal.call("GET", &format!("{STAGE}/gates")).send().await.json();
        let gate = gates["gates"].as_array().expect("gates").iter().find(|gate| gate["key"] == "dry-run");
        let gate = gate.expect("the dry run's gate");
        assert_eq!(gate["status"], "blocked");
        assert!(gate["reason"].as_str().is_some_and(|reason| reason.contains("version 2")), "{gate}");
    }

    async fn two_versions_are_compared(engine: Engine) {
        let portal = Portal::open(engine).await;
        portal.file().await;
        let sql = String::from_utf8(file(ArtifactKind::UpgradeSql).to_vec()).expect("text");
        let other = sql.replace("DEFAULT '3'", "DEFAULT '5'");
        for (stage, text) in [("staging", &sql), ("production", &other)] {
            let path = format!("/tickets/CHG-1/stages/{stage}/artifacts/upgrade-sql");
            assert_eq!(portal.call("PUT", &path).body(text.clone()).send().await.status, 201);
        }
        let path = "/tickets/CHG-1/stages/production/diff?kind=upgrade-sql&from=staging:1&to=production:1";
        let unified = portal.call("GET", path).header("accept", "text/x-diff").send().await;
        assert_eq!(unified.header("content-type"), "text/x-diff; charset=utf-8");
        assert!(unified.text().starts_with("--- a/upgrade-sql\tstaging v1\n+++ b/upgrade-sql\tproduction v1\n@@ "));
        assert!(unified.text().contains("DEFAULT '3'") && unified.text().contains("DEFAULT '5'"));
        let json = portal.call("GET", path).header("accept", "application/json").send().await.json();
        assert_eq!((&json["added"], &json["removed"]), (&json!(1), &json!(1)));
        assert_eq!(json["hunks"].as_array().expect("hunks").len(), 1);
        assert_eq!(json["next_hunk"], json!(null));
        let tags: Vec<&str> = json["hunks"][0]["lines"].as_array().expect("lines").iter()
            .filter_map(|l| l["tag"].as_str()).filter(|t| *t != "equal").collect();
        assert_eq!(tags, ["delete", "insert"]);
        let newest = "/tickets/CHG-1/stages/production/diff?kind=upgrade-sql&from=staging";
        assert_eq!(portal.call("GET", newest).send().await.body, unified.body);
        let same = "/tickets/CHG-1/stages/staging/diff?kind=upgrade-sql&from=staging:1";
        assert_eq!(portal.call("GET", same).send().await.text(), "");
        let wrong = "/tickets/CHG-1/stages/staging/diff?kind=upgrade-sql&from=staging:new";
        portal.call("GET", wrong).send().await.problem(422, "invalid");
        let kind = "/tickets/CHG-1/stages/staging/diff?kind=sql&from=staging";
        portal.call("GET", kind).send().await.problem(400, "bad-query");
    }
}
