//! Forms that our own pages did not send.

use countersign::domain::user::Role;
use reqwest::Method;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{Anonymous, Answer, PASSWORD, Person};

/// Every way to say where a form comes from, and whether it is let through with the right token.
fn origins(base: &str) -> Vec<(Vec<(&'static str, String)>, bool)> {
    let site = |value: &str| ("sec-fetch-site", value.to_owned());
    let origin = |value: &str| ("origin", value.to_owned());
    vec![
        (vec![], true),
        (vec![site("same-origin")], true),
        (vec![site("none")], true),
        (vec![site("same-origin"), origin(base)], true),
        (vec![origin(base)], true),
        (vec![site("cross-site")], false),
        (vec![site("same-site")], false),
        (vec![site("")], false),
        (vec![origin("null")], false),
        (vec![origin("https://evil.example")], false),
        (vec![origin(&base.replace("http:", "https:"))], false),
        (vec![origin(&format!("{base}0"))], false),
        (vec![site("same-origin"), origin("https://evil.example")], false),
        (vec![site("cross-site"), origin(base)], false),
    ]
}

async fn theme(browser: &Anonymous, csrf: &str, headers: &[(&'static str, String)]) -> Answer {
    let mut request = browser.request(Method::POST, "/theme").body(format!("_csrf={csrf}&theme=dark"));
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Answer::of(request).await
}

on_both_engines! {
    async fn rule_29_a_form_needs_the_right_origin_and_the_right_token(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let eve = app.person("Eve", &[Role::Engineer]).await;
        let visitor = app.anonymous();
        let of_visitor = visitor.get("/sign-in").await.csrf_of("/sign-in");
        for (headers, allowed) in origins(&app.base) {
            for (browser, csrf) in [(&ada.browser, &ada.csrf), (&visitor, &of_visitor)] {
                let answer = theme(browser, csrf, &headers).await;
                assert_eq!(answer.status, if allowed { 303 } else { 403 }, "{headers:?}");
                assert_eq!(answer.cookie("cstheme").is_some(), allowed, "{headers:?}");
            }
            for wrong in ["", "0", &eve.csrf, &of_visitor, &ada.csrf.to_uppercase(), &format!("{}&_csrf={}", ada.csrf, ada.csrf)] {
                let answer = theme(&ada.browser, wrong, &headers).await;
                assert_eq!(answer.status, 403, "{headers:?} {wrong}");
                assert!(answer.text.contains("This form was not sent by our page"), "{}", answer.text);
            }
        }
    }

    async fn a_visitors_token_needs_the_visitors_own_cookie(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.person("Ada", &[Role::Engineer]).await;
        let token = app.anonymous().get("/sign-in").await.csrf_of("/sign-in");
        let fields = [("_csrf", token.as_str()), ("email", "ada@example.org"), ("password", PASSWORD), ("next", "/")];
        assert_eq!(app.anonymous().post("/sign-in", &fields).await.status, 403, "no cookie at all");
        let other = app.anonymous();
        other.get("/sign-in").await;
        assert_eq!(other.post("/sign-in", &fields).await.status, 403, "another visitor's cookie");
        let without = [("email", "ada@example.org"), ("password", PASSWORD)];
        assert_eq!(other.post("/sign-in", &without).await.status, 403, "no token");
    }

    async fn nothing_that_a_form_does_can_be_done_otherwise(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer, Role::Admin]).await;
        for path in [
            "/sign-out",
            "/theme",
            "/account/password",
            "/account/tokens",
            "/account/sign-out-everywhere",
        ] {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
                let request = ada.browser.request(method.clone(), &format!("{path}?_csrf={}", ada.csrf));
                let request = request.header("x-http-method-override", "POST");
                let answer = Answer::of(request).await;
                assert_eq!(answer.status, 405, "{method} {path}");
                assert_eq!(answer.header("allow"), "POST", "{method} {path}");
            }
            for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x", ""] {
                let request = ada.browser.request(Method::POST, path).body(format!("_csrf={}", ada.csrf));
                let answer = Answer::of(request.header("content-type", kind)).await;
                assert_eq!(answer.status, 415, "{kind} {path}");
            }
        }
        assert_eq!(ada.get("/account").await.status, 200, "still signed in");
    }

    async fn a_session_does_not_lend_its_token_to_the_next(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let old = ada.csrf.clone();
        ada.browser.sign_in(&ada.email, PASSWORD).await;
        let again = Person::of(ada.browser.clone(), &ada.email).await;
        assert_ne!(old, again.csrf);
        assert_eq!(again.browser.post("/sign-out", &[("_csrf", old.as_str())]).await.status, 403);
        assert_eq!(again.post("/sign-out", &[]).await.status, 303);
    }
}
