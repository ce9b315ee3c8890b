//! What every answer carries.

use countersign::domain::user::Role;
use reqwest::Method;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::Answer;

const POLICY: &str = "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; script-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

fn check(path: &str, answer: &Answer) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name} of {path}");
    }
    assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
    assert!(answer.header("strict-transport-security").is_empty(), "plain HTTP: {path}");
    assert!(answer.header("content-encoding").is_empty(), "{path}");
    assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
    let kept = if path.starts_with("/static/") && answer.status == 200 { "immutable" } else { "no-store" };
    assert!(answer.header("cache-control").contains(kept), "{path}: {}", answer.header("cache-control"));
}

on_both_engines! {
    async fn every_answer_carries_the_headers(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let root = app.person("Root", &[Role::Admin, Role::Engineer]).await;
        let style = root.get("/account").await;
        let style = style.text.split("href=\"/static/css/app.").nth(1).and_then(|rest| rest.split('"').next());
        let style = format!("/static/css/app.{}", style.expect("a style sheet"));
        let mut seen = std::collections::BTreeSet::new();
        for path in [
            "/sign-in", "/account", "/admin/users", "/incidents", "/freezes", "/policies",
            "/policies/trading-backend/staging", "/audit", "/nowhere", "/enrol/x", "/static/nothing.css", &style, "/healthz",
            "/readyz", "/metrics", "/api/v1/nowhere", "/api/v1/tickets", "/audit?q=%FF", "/sign-out",
        ] {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::TRACE] {
                let request = root.browser.request(method.clone(), path).header("accept-encoding", "gzip, br");
                let answer = Answer::of(request).await;
                check(path, &answer);
                assert!(seen.insert(answer.header("x-request-id").to_owned()), "an id twice");
            }
            assert!(app.anonymous().get(path).await.status < 500, "{path}");
        }
        let answer = Answer::of(root.browser.request(Method::GET, "/healthz").header("x-request-id", "mine")).await;
        assert_ne!(answer.header("x-request-id"), "mine");
    }

    async fn rule_29_over_https_cookies_are_bound_to_the_host(engine: Engine) {
        let settings = [("public_origin", "https://changes.example.org"), ("trusted_proxy", "127.0.0.1")];
        let app = TestApp::start_with(engine, &settings).await;
        let page = app.anonymous().get("/sign-in").await;
        let cookie = page.cookie("__Host-csvisitor").expect("a visitor's cookie");
        for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        assert_eq!(page.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
    }

    async fn figures_name_routes_and_not_paths(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.anonymous().get("/enrol/csi_secret").await;
        app.anonymous().get("/no/such/page").await;
        let odd = Method::from_bytes(b"BREW").unwrap();
        Answer::of(app.anonymous().request(odd, "/healthz")).await;
        let figures = app.anonymous().get("/metrics").await;
        assert!(figures.header("content-type").starts_with("text/plain; version=0.0.4"));
        for line in [
            "countersign_http_requests_total{method=\"GET\",route=\"/enrol/{token}\",status=\"404\"} 1",
            "countersign_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
            "countersign_http_requests_total{method=\"other\",route=\"/healthz\",status=\"405\"} 1",
            "countersign_db_queries_total ",
            "countersign_http_request_duration_seconds_bucket",
        ] {
            assert!(figures.text.contains(line), "{line} in {}", figures.text);
        }
        assert!(!figures.text.contains("secret") && !figures.text.contains("/no/such"), "{}", figures.text);
    }
}
