//! The runbook in a real browser, from the filed ticket to completion notes, on both engines. The command line of a later
//! release is played by calls of the JSON API, with the digests that it would compute.

use countersign::demo::kit::{self, Kit};
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::digest::Digest;
use countersign::domain::time::Timestamp;
use countersign::domain::user::{Role, Scope};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::driver::{DESK, Driver, PLAIN, Tab};
use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::client::{ApiClient, PASSWORD, Person};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The digest of the migration manifest in a kit.
fn manifest(kit: &Kit) -> Digest {
    let files = kit.files().expect("evidence");
    let file = files.iter().find(|f| f.kind == ArtifactKind::MigrationManifest).expect("a manifest");
    Digest::of(&file.bytes)
}

/// A portal and whoever plays on it.
struct Play {
    app: TestApp,
    driver: Driver,
    engineer: Tab,
    daniel: Tab,
    marta: Tab,
    ci: ApiClient,
}

impl Play {
    async fn start(engine: crate::support::database::Engine) -> Self {
        // The clock jumps over days; sessions have to outlive that.
        let app = TestApp::start_with(engine, &[("session_idle", "7d"), ("session_max", "7d")]).await;
        app.clock.set(at("2025-11-18T12:00:00Z"));
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let daniel = app.person("Daniel Okafor", &[Role::Board]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;
        let ci = app.api(&priya, Scope::ALL).await;
        let driver = Driver::start().await;
        let tab = async |person: &Person, window| {
            let tab = driver.open(&app.base, window).await;
            tab.sign_in(&person.email, PASSWORD).await;
            tab
        };
        let engineer = tab(&priya, DESK).await;
        let daniel = tab(&daniel, DESK).await;
        // One of the board works where no script runs: every step is a plain form.
        let marta = tab(&marta, PLAIN).await;
        Self { app, driver, engineer, daniel, marta, ci }
    }

    fn kit(&self, stage: &str) -> Kit {
        let now = self.app.services.now();
        Kit::new(stage, now - SignedDuration::from_hours(2), now - SignedDuration::from_hours(1))
    }

    /// Uploads every file of a kit through the ticket page.
    async fn attach(&self, stage: &str, kit: &Kit) {
        for file in kit.files().expect("evidence") {
            self.upload(
                &format!("/tickets/CHG-1/stages/{stage}"),
                file.kind.as_str(),
                &file.name,
                file.bytes,
            )
            .await;
        }
    }

    async fn upload(&self, page: &str, kind: &str, name: &str, bytes: Vec<u8>) {
        self.engineer.goto(page).await;
        let row = format!("tr[data-kind='{kind}']");
        self.engineer.press_in(&row, "Upload…").await;
        self.engineer
            .choose(&format!("{row} input[type=file]"), name, "application/octet-stream", bytes)
            .await;
        self.engineer.press_in(&row, "Upload as").await;
    }

    /// Accepts every blocking finding as a member of the board.
    async fn accept(&self, stage: &str) {
        loop {
            self.daniel.goto(&format!("/tickets/CHG-1/stages/{stage}")).await;
            if self.daniel.count("form[action$='/accept']").await == 0 {
                return;
            }
            let form = "form[action$='/accept']";
            self.daniel
                .page
                .locator(format!("{form} input[name=note]"))
                .first()
                .fill("Nobody reads it.", None)
                .await
                .expect("a note");
            self.daniel.press_in(form, "Accept this finding").await;
        }
    }

    async fn tick(&self, stage: &str) {
        loop {
            self.engineer.goto(&format!("/tickets/CHG-1/stages/{stage}")).await;
            let form = "section[aria-labelledby=checklist] form:has(input[name=done][value=true])";
            if self.engineer.count(form).await == 0 {
                return;
            }
            let note = format!("{form} input[name=note]");
            self.engineer.page.locator(&note).first().fill("v2025.11.06", None).await.expect("a note");
            self.engineer.press_in(form, "State this").await;
        }
    }

    async fn sign(&self, who: &Tab, stage: &str, decision: &str) {
        who.goto(&format!("/tickets/CHG-1/stages/{stage}/decide")).await;
        who.check(decision).await;
        who.fill("Comment", "Read in full.").await;
        if who.count("input[name=acknowledged]").await > 0 {
            who.page.locator("input[name=acknowledged]").first().check(None).await.expect("the box");
        }
        who.fill("Password", PASSWORD).await;
        who.press("Sign and record").await;
    }

    /// The answer to the ticket page's question.
    async fn answer(&self, stage: &str) -> String {
        self.engineer.goto(&format!("/tickets/CHG-1/stages/{stage}")).await;
        self.engineer.text("section[aria-labelledby=answer] .verdict h2").await
    }

    async fn shut(&self, stage: &str) -> Vec<String> {
        let gates: Value = self.ci.get(&format!("/tickets/CHG-1/stages/{stage}/gates")).await.json();
        let shut = gates["gates"].as_array().expect("gates").iter().filter(|g| g["status"] == "blocked");
        shut.map(|g| g["key"].as_str().expect("a key").to_owned()).collect()
    }

    /// Releases a token in the browser and hands out its secret.
    async fn release(&self, stage: &str) -> String {
        self.engineer.goto(&format!("/tickets/CHG-1/stages/{stage}/token")).await;
        self.engineer.press("Release apply token").await;
        self.engineer.text("output code").await
    }

    /// What the command line does once the gates are open.
    async fn apply(&self, stage: &str, kit: &Kit) {
        let secret = self.release(stage).await;
        let body = json!({
            "token": secret,
            "sql_digest": kit.upgrade_digest(),
            "manifest_sha256": manifest(kit),
        });
        let answer = self.ci.post("/apply-tokens/redeem", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for _ in 0..2 {
            let again = self.ci.post("/apply-tokens/redeem", &body).await;
            assert_eq!((again.status, again.json()["code"].clone()), (409, json!("already-redeemed")));
        }
        let run = answer.json()["run"]["id"].as_str().expect("a run").to_owned();
        assert_eq!(self.ci.post(&format!("/runs/{run}/heartbeat"), &json!({})).await.status, 200);
        let end = json!({
            "outcome": "succeeded", "exit_code": 0, "revision_before": kit::FROM, "revision_after": kit::TO,
        });
        let finished = self.ci.post(&format!("/runs/{run}/finish"), &end).await;
        assert_eq!(finished.json()["status"], "succeeded", "{}", finished.text);
        self.upload(
            &format!("/tickets/CHG-1/stages/{stage}/run"),
            "smoke-report",
            "smoke.xml",
            kit::SMOKE.into(),
        )
        .await;
        let page = format!("/tickets/CHG-1/stages/{stage}/run");
        self.upload(&page, "monitoring-snapshot", "graphs.txt", b"latency flat".to_vec()).await;
    }

    async fn judge(&self, stage: &str) {
        self.engineer.goto(&format!("/tickets/CHG-1/stages/{stage}/run")).await;
        self.engineer.check("Healthy").await;
        self.engineer.fill("What you looked at", "Dashboards are quiet.").await;
        self.engineer.press("Record observation").await;
    }
}

on_both_engines! {
    async fn the_runbook_is_played_in_a_browser(engine: Engine) {
        let play = Play::start(engine).await;
        let engineer = &play.engineer;

        engineer.goto("/tickets/new").await;
        for (label, text) in [
            ("What changes, in a few words", "Add notional to trades"),
            ("Release tag", "v2025.11.06"),
            ("Prior release tag", "v2025.10.23"),
            ("From revision", kit::FROM),
            ("To revision", kit::TO),
        ] {
            engineer.fill(label, text).await;
        }
        engineer.press("File ticket").await;
        assert!(engineer.path().starts_with("/tickets/CHG-1"), "{}", engineer.body().await);
        assert_eq!(play.answer("staging").await, "Not yet");

        play.attach("staging", &play.kit("staging")).await;
        play.accept("staging").await;
        play.tick("staging").await;
        assert_eq!(play.shut("staging").await, ["approvals", "window"]);

        // The requester's own vote is refused, and the page says why.
        engineer.goto("/tickets/CHG-1/stages/staging/decide").await;
        assert!(!engineer.can_press("Sign and record").await);
        play.sign(&play.daniel, "staging", "Approve").await;
        assert_eq!(play.shut("staging").await, ["approvals", "window"], "one signature is not enough");

        // A new upload makes it stale.
        let again = play.kit("staging").with_comment("rendered again");
        play.attach("staging", &again).await;
        engineer.goto("/tickets/CHG-1/stages/staging").await;
        assert!(engineer.text("section[aria-labelledby=signatures]").await.contains("Stale"));
        play.accept("staging").await;
        play.tick("staging").await;
        play.sign(&play.daniel, "staging", "Approve").await;
        play.sign(&play.marta, "staging", "Approve").await;
        assert_eq!(play.shut("staging").await, ["window"]);

        // Outside the window it stays shut; inside, the token is released.
        engineer.goto("/tickets/CHG-1/stages/staging/token").await;
        assert!(!engineer.can_press("Release apply token").await);
        play.app.clock.set(at("2025-11-18T14:00:00Z"));
        assert_eq!(play.answer("staging").await, "Ready");
        play.apply("staging", &again).await;
        play.app.clock.set(at("2025-11-19T14:00:00Z"));
        play.judge("staging").await;

        // Production wants evidence of its own, and shows how its SQL differs from what ran on staging.
        assert!(play.shut("production").await.contains(&"dry-run".to_owned()));
        let fresh = play.kit("production");
        play.attach("production", &fresh).await;
        play.accept("production").await;
        play.tick("production").await;
        play.daniel.goto("/tickets/CHG-1/stages/production/decide").await;
        assert!(play.daniel.text("section[aria-labelledby=change]").await.contains("rendered again"));
        play.sign(&play.daniel, "production", "Approve").await;
        play.sign(&play.marta, "production", "Approve").await;
        play.app.clock.set(at("2025-11-20T14:00:00Z"));

        engineer.goto("/incidents").await;
        engineer.fill("What is wrong", "Orders are late").await;
        engineer.press("Declare incident").await;
        assert_eq!(play.shut("production").await, ["incidents"]);
        assert_eq!(play.answer("production").await, "Stopped");
        engineer.goto("/incidents").await;
        engineer.press("Resolve").await;
        play.apply("production", &fresh).await;
        play.app.clock.set(at("2025-11-20T14:30:00Z"));
        play.judge("production").await;

        engineer.goto("/tickets/CHG-1/completion").await;
        engineer.fill("What was done, and was it as planned?", "As planned.").await;
        engineer.press("File notes").await;
        engineer.screenshot("completion").await;
        let links = engineer.links("article.rec a").await;
        assert!(links.len() > 20, "{links:?}");
        let auditor = play.app.person("Aiko Brandt", &[Role::Auditor]).await;
        for link in &links {
            assert_eq!(auditor.get(link).await.status, 200, "{link}");
        }
        assert_eq!(play.ci.get("/tickets/CHG-1").await.json()["state"], "completed");
        play.driver.stop().await;
    }
}
