//! Every page, at a desk and on a phone: reachable, readable by axe's rules, silent in the console.

use countersign::domain::user::{Role, Scope};
use serde_json::json;

use crate::driver::{DESK, Driver, PHONE, Tab};
use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::PASSWORD;

const PAGES: [&str; 15] = [
    "/",
    "/tickets",
    "/tickets/new",
    "/tickets/CHG-1",
    "/tickets/CHG-1/stages/production",
    "/tickets/CHG-1/stages/staging/decide",
    "/tickets/CHG-1/stages/staging/diff",
    "/tickets/CHG-1/stages/staging/token",
    "/tickets/CHG-1/stages/staging/run",
    "/tickets/CHG-1/completion",
    "/incidents",
    "/freezes",
    "/policies",
    "/audit",
    "/account",
];

async fn look(tab: &Tab, path: &str, what: &str) {
    assert!(tab.goto(path).await < 400, "{path}: {}", tab.body().await);
    let name = if path == "/" { "queue" } else { &path[1..] };
    tab.screenshot(&format!("{}-{what}", name.replace('/', "-"))).await;
    assert_eq!(tab.axe().await, [] as [String; 0], "{path} {what}");
}

on_both_engines! {
    async fn every_page_is_accessible_at_a_desk_and_on_a_phone(engine: Engine) {
        let app = TestApp::start(engine).await;
        app.runbook().await;
        let everything = app.person("Priya Nair", &[Role::Engineer, Role::Board, Role::Admin]).await;
        let ci = app.api(&everything, Scope::ALL).await;
        let ticket = json!({
            "application": "trading-backend", "title": "Add notional to trades", "kind": "normal",
            "description": "", "release_tag": "v2", "prior_release_tag": "v1",
            "from_revision": "d48b1e9c5f62", "to_revision": "0c7e5d1b94fa",
        });
        assert_eq!(ci.post("/tickets", &ticket).await.status, 201);
        let driver = Driver::start().await;
        for (window, what) in [(DESK, "1440"), (PHONE, "390")] {
            let tab = driver.open(&app.base, window).await;
            look(&tab, "/sign-in", what).await;
            tab.sign_in(&everything.email, PASSWORD).await;
            for path in PAGES {
                look(&tab, path, what).await;
            }
            look(&tab, "/admin/users", what).await;
        }
        driver.stop().await;
    }
}
