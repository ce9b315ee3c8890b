//! Coming in, staying in and going out.

use countersign::domain::user::Role;
use jiff::SignedDuration;
use reqwest::Method;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{Answer, PASSWORD, Person};

on_both_engines! {
    async fn a_person_signs_in_and_goes_where_they_wanted(engine: Engine) {
        let app = TestApp::start(engine).await;
        let person = app.person("Ada Obi", &[Role::Engineer]).await;
        let browser = app.anonymous();

        let sent_away = browser.get("/account?x=1").await;
        assert_eq!((sent_away.status, sent_away.location()), (303, "/sign-in?next=/account%3Fx%3D1"));
        let door = browser.get(sent_away.location()).await;
        assert_eq!(door.status, 200);
        assert!(door.text.contains("Sign in to go on") && door.text.contains("value=\"/account?x=1\""), "{}", door.text);
        assert!(door.text.contains("<label for=\"email\">Work email</label>"));
        assert!(door.text.contains("<label for=\"password\">Password</label>"));

        let csrf = door.csrf_of("/sign-in");
        let fields = [
            ("_csrf", csrf.as_str()), ("email", " Ada.Obi@Example.org "), ("password", PASSWORD), ("next", "/account?x=1"),
        ];
        let signed_in = browser.post("/sign-in", &fields).await;
        assert_eq!((signed_in.status, signed_in.location()), (303, "/account?x=1"));
        let cookie = signed_in.cookie("csid").expect("a session");
        assert!(cookie.starts_with("csid=css_"), "{cookie}");
        for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=43200"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Secure"), "plain HTTP on this machine alone");

        let account = browser.get("/account").await;
        assert_eq!(account.status, 200);
        assert!(account.text.contains("Ada Obi, ada.obi@example.org. Release engineer."), "{}", account.text);
        assert_eq!(person.get("/account").await.status, 200, "another session of the same person");
    }

    async fn whatever_is_wrong_the_answer_is_the_same(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.person("Ada", &[Role::Engineer]).await;
        let gone = app.person("Gone", &[Role::Engineer]).await;
        let gone = app.services.find_user(&gone.email).await.unwrap().unwrap();
        app.services.deactivate_user(None, gone.id).await.unwrap();
        let mut pages = Vec::new();
        for (email, password) in [
            ("ada@example.org", "not the right one"),
            ("nobody@example.org", PASSWORD),
            ("gone@example.org", PASSWORD),
            ("not an address", PASSWORD),
        ] {
            let answer = app.anonymous().sign_in(email, password).await;
            assert_eq!(answer.status, 401, "{email}");
            assert!(answer.cookie("csid").is_none());
            assert!(!answer.text.contains(password), "the password comes back");
            let error = answer.text.split("role=\"alert\"").nth(1).expect("an alert").split("</div>").next();
            pages.push(error.expect("its end").to_owned());
        }
        assert!(pages.windows(2).all(|two| two[0] == two[1]), "{pages:#?}");
    }

    async fn too_many_tries_have_to_wait(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.person("Ada", &[Role::Engineer]).await;
        let browser = app.anonymous();
        for _ in 0..10 {
            assert_eq!(browser.sign_in("ADA@example.org", "wrong wrong wrong").await.status, 401);
        }
        let refused = browser.sign_in("ada@example.org", PASSWORD).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), "900");
        assert!(refused.text.contains("Wait 15 minutes"), "{}", refused.text);
        app.clock.advance(SignedDuration::from_mins(16));
        assert_eq!(browser.sign_in("ada@example.org", PASSWORD).await.status, 303);
    }

    async fn a_session_that_was_planted_is_not_adopted(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let before = ada.browser.cookies();
        // Signing in once more, in the same browser, makes another session; the cookie from before doesn't become it.
        assert_eq!(ada.browser.sign_in(&ada.email, PASSWORD).await.status, 303);
        assert_ne!(session(&before), session(&ada.browser.cookies()));

        let victim = app.anonymous();
        let planted = "csid=css_0000000000000000000000000000000000000000000_000000";
        victim.jar.add_cookie_str(planted, &victim.base.parse().unwrap());
        assert_eq!(victim.sign_in(&ada.email, PASSWORD).await.status, 303);
        let with_planted = app.anonymous().request(Method::GET, "/account").header("cookie", planted);
        assert_eq!(Answer::of(with_planted).await.status, 303, "still nobody's");
    }

    async fn signing_out_ends_the_session_itself(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let kept = ada.browser.cookies();
        let out = ada.post("/sign-out", &[]).await;
        assert_eq!((out.status, out.location()), (303, "/sign-in"));
        assert!(out.cookie("csid").expect("cleared").contains("Max-Age=0"));
        assert_eq!(out.header("clear-site-data"), "\"cache\", \"storage\"");
        let door = ada.get("/sign-in").await;
        assert!(door.text.contains("You are signed out."), "{}", door.text);
        assert!(!ada.get("/sign-in").await.text.contains("You are signed out."), "said once");
        let replayed = app.anonymous().request(Method::GET, "/account").header("cookie", kept);
        assert_eq!(Answer::of(replayed).await.status, 303);
    }

    async fn a_changed_password_ends_the_other_sessions(engine: Engine) {
        let app = TestApp::start(engine).await;
        let here = app.person("Ada", &[Role::Engineer]).await;
        let there = app.anonymous();
        there.sign_in(&here.email, PASSWORD).await;
        let there = Person::of(there, &here.email).await;

        let next = "another ship and star";
        let form = |current, new, again| [("current", current), ("new", new), ("again", again)];
        let wrong = here.post("/account/password", &form("not it at all", next, next)).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text.contains("This is not your password."), "{}", wrong.text);
        let differs = here.post("/account/password", &form(PASSWORD, next, "something else now")).await;
        assert!(differs.status == 422 && differs.text.contains("The two are not the same."));
        let short = here.post("/account/password", &form(PASSWORD, "short", "short")).await;
        assert!(short.status == 422 && short.text.contains("aria-invalid"), "{}", short.text);
        assert_eq!(there.get("/account").await.status, 200);

        let changed = here.post("/account/password", &form(PASSWORD, next, next)).await;
        assert_eq!((changed.status, changed.location()), (303, "/account"));
        let account = here.get("/account").await;
        assert!(account.status == 200 && account.text.contains("Every other session has ended."));
        assert_eq!(there.get("/account").await.status, 303);
        let late = there.post("/account/password", &form(next, PASSWORD, PASSWORD)).await;
        assert_eq!(late.status, 401);
        assert!(late.text.contains("Your session has ended"), "{}", late.text);
        assert_eq!(app.anonymous().sign_in(&here.email, PASSWORD).await.status, 401);
        assert_eq!(app.anonymous().sign_in(&here.email, next).await.status, 303);
    }

    async fn sessions_end_by_idling_and_by_age(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        for _ in 0..13 {
            app.clock.advance(SignedDuration::from_mins(55));
            assert_eq!(ada.get("/account").await.status, 200, "used within the hour");
        }
        app.clock.advance(SignedDuration::from_mins(10));
        assert_eq!(ada.get("/account").await.status, 303, "older than twelve hours");
        let ada = Person { csrf: String::new(), ..ada };
        assert_eq!(ada.browser.sign_in(&ada.email, PASSWORD).await.status, 303);
        app.clock.advance(SignedDuration::from_mins(61));
        assert_eq!(ada.get("/account").await.status, 303, "idle for more than an hour");
    }

    async fn a_link_sets_a_password_once(engine: Engine) {
        let app = TestApp::start(engine).await;
        let (email, link) = app.invited("Priya Nair", &[Role::Board]).await;
        let browser = app.anonymous();
        let page = browser.get(&link).await;
        assert!(page.status == 200 && page.text.contains("For Priya Nair, priya.nair@example.org"));
        let fields = |password, again| [("username", "x@y"), ("password", password), ("again", again)];
        let differs = browser.submit(&link, &link, &fields(PASSWORD, "another thing")).await;
        assert!(differs.status == 422 && differs.text.contains("The two are not the same."));
        let short = browser.submit(&link, &link, &fields("short", "short")).await;
        assert!(short.status == 422 && short.text.contains("id=\"password-error\""), "{}", short.text);
        let done = browser.submit(&link, &link, &fields(PASSWORD, PASSWORD)).await;
        assert_eq!((done.status, done.location()), (303, "/"));
        assert_eq!(Person::of(browser, &email).await.get("/account").await.status, 200);

        let again = app.anonymous().get(&link).await;
        assert_eq!(again.status, 410);
        assert!(again.text.contains("This link does not work any more") && !again.text.contains("Priya"));
        let unknown = "/enrol/csi_0000000000000000000000000000000000000000000_000000";
        for wrong in [unknown, "/enrol/x", "/enrol/%00"] {
            let page = app.anonymous().get(wrong).await;
            assert_eq!(page.status, 404, "{wrong}");
        }
    }

    async fn nobody_is_led_away_after_signing_in(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        for next in ["//evil.example", "/\\evil.example", "https://evil.example/", "/\t/evil.example", "/%09/evil", "evil"] {
            let fields = [("email", ada.email.as_str()), ("password", PASSWORD), ("next", next)];
            let answer = app.anonymous().submit("/sign-in", "/sign-in", &fields).await;
            assert_eq!((answer.status, answer.location()), (303, "/"), "{next}");
        }
    }
}

fn session(cookies: &str) -> String {
    cookies.split("; ").find(|cookie| cookie.starts_with("csid=")).expect("a session").to_owned()
}
