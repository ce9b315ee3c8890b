//! What is in a form: strictly read, and shown again as text.

use countersign::domain::user::Role;
use reqwest::Method;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{Answer, Person};

async fn raw(person: &Person, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let mut bytes = format!("_csrf={}&", person.csrf).into_bytes();
    bytes.extend(body.into());
    let request = person.browser.request(Method::POST, path).body(bytes);
    Answer::of(request.header("content-type", "application/x-www-form-urlencoded")).await
}

on_both_engines! {
    async fn fields_that_a_page_does_not_have_are_named(engine: Engine) {
        let app = TestApp::start(engine).await;
        let root = app.person("Root", &[Role::Admin]).await;
        for (body, named) in [
            ("name=Mallory&email=m@example.org&role=board&admin=true", "no field named admin"),
            ("name=Mallory&email=m@example.org&email=n@example.org&role=board", "more than one answer to email"),
            ("name=Mallory&role=board", "no answer to email"),
            ("name=Mallory&email=m@example.org&role=king", "The answer to role can"),
            ("name=Mallory&email=m@example.org&role=board&name=", "more than one answer to name"),
        ] {
            let answer = raw(&root, "/admin/users", body).await;
            assert_eq!(answer.status, 422, "{body}");
            assert!(answer.text.contains(named), "{body}: {}", answer.text);
        }
        for body in [&b"name=%FF&email=m@example.org"[..], b"name=M%00&email=m@example.org", b"name=%G0", b"name=\xff"] {
            let answer = raw(&root, "/admin/users", body).await;
            assert_eq!(answer.status, 400, "{body:?}");
            assert!(answer.text.contains("This could not be read"), "{}", answer.text);
        }
        assert!(app.services.find_user("m@example.org").await.unwrap().is_none());
    }

    async fn a_query_may_hold_more_but_nothing_twice(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Auditor]).await;
        assert_eq!(ada.get("/audit?utm=x&utm=y&q=Ada").await.status, 200);
        for bad in ["/audit?q=a&q=b", "/audit?cursor=x", "/audit?q=%FF", "/audit?q=%00", "/incidents?cursor=1&cursor=2"] {
            assert_eq!(ada.get(bad).await.status, 400, "{bad}");
        }
    }

    async fn names_are_text_wherever_they_are_shown(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let name = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        let root = app.person("Root", &[Role::Admin]).await;
        let fields = [("name", name), ("email", "x@example.org"), ("role", "board"), ("role", "engineer")];
        let added = root.post("/admin/users", &fields).await;
        assert_eq!(added.status, 200, "{}", added.text);
        let link = added.text.split("id=\"new-link\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
        assert!(link.starts_with(&format!("{}/enrol/csi_", app.base)), "{link}");
        let browser = app.anonymous();
        let path = link.strip_prefix(&app.base).unwrap();
        let password = crate::support::client::PASSWORD;
        let enrol = [("username", ""), ("password", password), ("again", password)];
        let mut pages = vec![browser.get(path).await];
        assert_eq!(browser.submit(path, path, &enrol).await.status, 303);
        let person = Person::of(browser, "x@example.org").await;
        let declare = [("application", "trading-backend"), ("title", name)];
        assert_eq!(person.post("/incidents", &declare).await.status, 303);
        let freeze = [
            ("application", ""), ("environment", "production"), ("starts_at", "2025-11-20T11:00"),
            ("ends_at", "2025-11-22T00:00"), ("reason", name),
        ];
        assert_eq!(person.post("/freezes", &freeze).await.status, 303);
        let token = [("name", name), ("days", "30"), ("scope", "apply")];
        pages.push(person.post("/account/tokens", &token).await);
        // Comes back with faults, and with what was typed.
        pages.push(person.post("/incidents", &[("application", name), ("title", name)]).await);
        pages.push(app.anonymous().sign_in(name, password).await);
        for path in ["/account", "/incidents", "/freezes", "/policies", "/audit", "/audit?entry=2", "/nowhere"] {
            pages.push(person.get(path).await);
        }
        pages.push(person.get(&format!("/audit?q={}", "%3Cimg src=x onerror=alert(1)%3E")).await);
        pages.push(root.get("/admin/users").await);
        for page in &pages {
            assert!(page.text.len() > 1000, "{page:?}");
            assert!(!page.text.contains("<script>alert") && !page.text.contains("<img"), "{}", page.text);
        }
        let shown = pages.iter().filter(|page| page.text.contains("&#60;script&#62;alert(1)")).count();
        assert!(shown >= 9, "the name is on {shown} pages");
    }

    async fn a_form_of_more_than_a_mebibyte_is_refused(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let answer = raw(&ada, "/theme", format!("theme={}", "x".repeat(1 << 20))).await;
        assert_eq!(answer.status, 413);
        assert!(answer.text.contains("At most 1 MB can be sent here."), "{}", answer.text);
        let many = "a=1&".repeat(600);
        assert_eq!(raw(&ada, "/theme", many).await.status, 400);
    }
}

/// A form with a file as bytes: `parts` are (name, file name, content).
async fn sent(person: &Person, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--B--\r\n");
    let request = person.browser.request(Method::POST, path).body(body);
    Answer::of(request.header("content-type", "multipart/form-data; boundary=B")).await
}

on_both_engines! {
    async fn a_form_with_a_file_is_bounded_and_proves_itself_first(engine: Engine) {
        let app = TestApp::start_with(engine, &[("max_upload_bytes", "4096")]).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        // The form is taken apart before the ticket is looked up, so none has to be there.
        let path = "/tickets/CHG-1/stages/staging/artifacts";
        let csrf = ("_csrf", None, ada.csrf.as_bytes());
        let kind = ("kind", None, &b"upgrade-sql"[..]);
        let file = ("file", Some("up.sql"), &b"SELECT 1;"[..]);
        assert_eq!(sent(&ada, path, &[csrf, kind, file]).await.status, 404, "there is no such ticket");
        for (parts, status) in [
            (vec![kind, csrf, file], 403),
            (vec![file, csrf, kind], 403),
            (vec![kind, file], 403),
            (vec![csrf, csrf, kind, file], 422),
            (vec![csrf, kind, file, file], 403),
            (vec![csrf, kind, kind, file], 422),
            (vec![csrf, kind, ("admin", None, b"1"), file], 422),
            (vec![csrf, kind, ("file", Some(""), b"")], 422),
            (vec![csrf, kind], 422),
            (vec![csrf, ("kind", None, b"\xff"), file], 400),
            (vec![csrf, ("kind", None, b"a\0b"), file], 400),
        ] {
            let answer = sent(&ada, path, &parts).await;
            assert_eq!(answer.status, status, "{parts:?}: {}", answer.text);
        }
        let large = vec![b'x'; 4097];
        let answer = sent(&ada, path, &[csrf, kind, ("file", Some("up.sql"), &large)]).await;
        assert!(answer.status == 413 && answer.text.contains("At most 4 KB can be sent here."), "{}", answer.text);
        let huge = vec![b'x'; 300 << 10];
        assert_eq!(sent(&ada, path, &[csrf, kind, ("file", Some("up.sql"), &huge)]).await.status, 413);
        let field = vec![b'x'; 65 << 10];
        assert_eq!(sent(&ada, path, &[csrf, ("kind", None, &field), file]).await.status, 413);
        let many = [vec![csrf, kind], vec![("x", None, &b"1"[..]); 40]].concat();
        assert_eq!(sent(&ada, path, &many).await.status, 413);
        let broken = ada.browser.request(Method::POST, path).header("content-type", "multipart/form-data");
        assert_eq!(Answer::of(broken.body("--B")).await.status, 400, "no boundary");
    }
}
