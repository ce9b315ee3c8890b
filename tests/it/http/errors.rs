//! What people are told when something can't be done.

use countersign::domain::user::Role;
use reqwest::Method;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::Answer;

on_both_engines! {
    async fn an_error_is_a_page_with_a_way_on(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        for path in ["/nowhere", "/tickets/CHG-1/nowhere", "/enrol", "/static/css/app.css", "/%FF", "/admin"] {
            let answer = ada.get(path).await;
            assert_eq!(answer.status, 404, "{path}");
        }
        let page = ada.get("/nowhere").await;
        assert!(page.text.contains("There is nothing here") && page.text.contains("Ada"), "{}", page.text);
        assert!(page.text.contains("Back to your queue") && !page.text.contains("class=\"refid\""), "{}", page.text);
        assert!(app.anonymous().get("/nowhere").await.text.contains("<a class=\"btn act\" href=\"/\">Sign in</a>"));

        let method = Answer::of(ada.browser.request(Method::DELETE, "/account")).await;
        assert_eq!((method.status, method.header("allow")), (405, "GET,HEAD"));
        assert!(method.text.contains("This address does not do that"), "{}", method.text);

        let packed = ada.browser.request(Method::POST, "/sign-out").header("content-encoding", "gzip").body("x");
        let packed = Answer::of(packed).await;
        assert!(packed.status == 415 && packed.text.contains("without compression"), "{}", packed.text);

        let nobody = app.anonymous().post("/sign-out", &[("_csrf", "x")]).await;
        assert_eq!(nobody.status, 401);
        assert!(nobody.text.contains("Your session has ended") && nobody.text.contains("href=\"/sign-in\""));
        let api = app.anonymous().get("/api/v1/nowhere").await;
        assert_eq!((api.status, api.header("content-type")), (404, "application/problem+json"));
    }

    async fn a_lost_database_is_told_with_a_reference_and_without_details(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        assert_eq!(ada.get("/readyz").await.status, 200);
        app.state.close().await;
        let page = ada.get("/account").await;
        assert_eq!(page.status, 500, "{}", page.text);
        let reference = format!("<code class=\"refid\">{}</code>", page.header("x-request-id"));
        assert!(page.text.contains(&reference), "{}", page.text);
        let lower = page.text.to_lowercase();
        for detail in ["pool", "sqlx", "sqlite", "postgres", "panicked", "src/"] {
            assert!(!lower.contains(detail), "{detail} in {}", page.text);
        }
        let unready = ada.get("/readyz").await;
        assert_eq!((unready.status, unready.text.as_str()), (503, "The database does not answer.\n"));
        assert_eq!(ada.get("/healthz").await.status, 200);
    }

    async fn only_our_own_host_is_answered(engine: Engine) {
        let app = TestApp::start(engine).await;
        let port = app.address.port();
        let asked = async |host: String| {
            Answer::of(app.anonymous().request(Method::GET, "/sign-in").header("host", host)).await.status
        };
        for ours in [format!("127.0.0.1:{port}"), "localhost".to_owned(), "localhost:9".to_owned(), "[::1]:80".to_owned()] {
            assert_eq!(asked(ours.clone()).await, 200, "{ours}");
        }
        for other in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:80", "a@localhost"] {
            assert_eq!(asked(other.to_owned()).await, 421, "{other}");
        }
        let settings = [("public_origin", "https://changes.example.org"), ("trusted_proxy", "127.0.0.1")];
        let app = TestApp::start_with(engine, &settings).await;
        let asked = async |host: &str, path: &str| {
            Answer::of(app.anonymous().request(Method::GET, path).header("host", host)).await.status
        };
        assert_eq!(asked("changes.example.org", "/sign-in").await, 200);
        assert_eq!(asked("changes.example.org:443", "/sign-in").await, 200);
        assert_eq!(asked("Changes.Example.org", "/sign-in").await, 200);
        assert_eq!(asked("changes.example.org:8443", "/sign-in").await, 421);
        assert_eq!(asked("10.0.0.7:8080", "/sign-in").await, 421);
        assert_eq!(asked("10.0.0.7:8080", "/healthz").await, 200, "probes come by address");
    }
}
