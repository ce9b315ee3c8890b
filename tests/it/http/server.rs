//! The accept loop: deadlines, limits, an orderly end.

use std::time::{Duration, Instant};

use countersign::domain::user::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::Person;
use crate::support::database::Engine;

/// Sends bytes as they are and reads until the portal closes the connection.
async fn spoken(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    stream.write_all(bytes).await.expect("to be heard");
    let mut answer = Vec::new();
    // A reset is an end too: what came before it counts.
    let _ =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn impatient() -> TestApp {
    TestApp::start_with(Engine::Sqlite, &[("header_read_timeout", "1s"), ("max_upload_bytes", "2048")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_and_silent_connections_are_closed() {
    let app = impatient().await;
    for sent in [
        "",
        "GET /sign-in HTTP/1.1\r\nHost: localhost\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let started = Instant::now();
        spoken(&app, sent.as_bytes()).await;
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(900) && took < Duration::from_secs(5),
            "{sent:?} took {took:?}"
        );
    }
    assert_eq!(app.anonymous().get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let app = impatient().await;
    let head = |length: &str| {
        format!(
            "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Connection: close\r\n{length}\r\n\r\n"
        )
    };
    let started = Instant::now();
    let answer = spoken(&app, head("Content-Length: 1073741824").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("can be sent here"), "{answer}");
    assert!(started.elapsed() < Duration::from_millis(900), "no byte of it was waited for");

    // Without a length: cut where the limit is.
    let mut chunked = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..400 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend_from_slice(&vec![b'a'; 0x8000]);
        chunked.extend_from_slice(b"\r\n");
    }
    let answer = spoken(&app, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "whoever is still sending can read why: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_servers_could_read_differently_are_refused() {
    let app = impatient().await;
    for head in [
        "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nabcd",
        "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        "GET /sign-in HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET /sign-in HTTP/1.1\r\n\r\n",
        "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let answer = spoken(&app, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{head:?}: {answer}");
    }
}

on_both_engines! {
    async fn a_restart_forgets_nobody(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.person("Ada", &[Role::Engineer]).await;
        let cookies = ada.browser.cookies();
        let visitor = app.anonymous();
        let token = visitor.get("/sign-in").await.csrf_of("/sign-in");
        let app = app.restart().await;
        let again = app.anonymous();
        for cookie in cookies.split("; ").chain(visitor.cookies().split("; ")) {
            again.jar.add_cookie_str(cookie, &again.base.parse().unwrap());
        }
        let ada = Person::of(again.clone(), &ada.email).await;
        assert_eq!(ada.get("/account").await.status, 200);
        let theme = again.post("/theme", &[("_csrf", token.as_str()), ("theme", "dark")]).await;
        assert_eq!(theme.status, 303, "a visitor's form outlives the server that made it");
        assert!(again.get("/account").await.text.contains("data-theme=\"dark\""));
    }
}
