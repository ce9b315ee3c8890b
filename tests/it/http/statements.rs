//! No page's and no call's number of statements grows with the rows it shows.

use std::collections::BTreeMap;

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::facts::Choice;
use countersign::domain::id::RunId;
use countersign::domain::run::Health;
use countersign::domain::user::{Role, Scope};
use countersign::service::incidents::FreezeInput;
use countersign::service::review::NewThread;
use jiff::SignedDuration;

use crate::on_both_engines;
use crate::support::client::{ApiClient, Person};
use crate::support::database::Engine;
use crate::support::play::{Play, content};

/// A portal, and who asks it.
struct Asked {
    play: Play,
    admin: Person,
    api: ApiClient,
    run: RunId,
}

impl Asked {
    /// One of everything, with staging applied.
    async fn new(engine: Engine) -> Self {
        let mut play = Play::new(engine).await;
        play.prepare("staging").await;
        thread(&play, 1).await;
        play.at("2025-11-18T14:30:00Z").await;
        let run = play.apply("staging").await;
        play.smoke("staging").await;
        play.at("2025-11-19T15:00:00Z").await;
        play.judge("staging", Health::Healthy).await;
        // Other SQL than what ran on staging, as in every later round.
        play.prepare("production").await;
        play.attach("production", &play.kit("production").with_comment("1")).await;
        play.accept_all("production").await;
        play.tick_all("production").await;
        play.vote(&play.daniel, "production", Choice::Approve).await.unwrap();
        let admin = play.app.person("Ada Admin", &[Role::Admin, Role::Auditor]).await;
        let api = play.app.api(&play.priya, Scope::ALL).await;
        let asked = Self { play, admin, api, run };
        asked.happen(1).await;
        asked
    }

    /// Something of every kind that lists show.
    async fn happen(&self, n: i64) {
        let services = &self.play.app.services;
        let priya = self.play.actor(&self.play.priya).await;
        let incident =
            services.declare_incident(&priya, "trading-backend", &format!("Late, {n}")).await.unwrap();
        if n % 2 == 0 {
            services.resolve_incident(&priya, incident.id).await.unwrap();
        }
        let now = services.now();
        let freeze = FreezeInput {
            application: None,
            environment: None,
            starts_at: now + SignedDuration::from_hours(24 * n),
            ends_at: now + SignedDuration::from_hours(24 * n + 1),
            reason: "Year end".to_owned(),
        };
        let admin = self.play.actor(&self.admin).await;
        services.declare_freeze(&admin, freeze).await.unwrap();
    }

    /// Every page and call that reads.
    fn places(&self) -> (Vec<String>, Vec<String>) {
        let mut pages: Vec<String> = [
            "/",
            "/tickets",
            "/tickets?q=notional",
            "/tickets?state=open&application=trading-backend",
            "/tickets/new",
            "/incidents",
            "/freezes",
            "/policies",
            "/policies/trading-backend/staging",
            "/audit",
            "/audit?area=ticket",
            "/account",
            "/admin/users",
            "/healthz",
            "/readyz",
        ]
        .map(str::to_owned)
        .into();
        let ticket = format!("/tickets/{}", self.play.ticket);
        pages.extend(["", "/completion"].map(|rest| format!("{ticket}{rest}")));
        for stage in ["staging", "production"] {
            pages.extend(["", "/decide", "/token"].map(|rest| self.play.under(stage, rest)));
        }
        let files = [
            "/artifacts/upgrade-sql",
            "/artifacts/upgrade-sql?version=1",
            "/artifacts/upgrade-sql/raw",
            "/artifacts/dry-run-report",
            "/diff",
            "/run",
            "/run/log",
            "/run/grant",
        ];
        pages.extend(files.map(|rest| self.play.under("staging", rest)));
        let mut calls: Vec<String> =
            ["/tickets", "/tickets?q=notional", "/incidents", "/freezes", "/audit"].map(str::to_owned).into();
        calls.push(ticket);
        calls.push(format!("/runs/{}", self.run));
        let files = [
            "/gates",
            "/artifacts",
            "/artifacts/upgrade-sql",
            "/diff?kind=upgrade-sql&from=staging:1&to=staging:1",
        ];
        calls.extend(files.map(|rest| self.play.under("staging", rest)));
        (pages, calls)
    }

    /// Statements per place, asked before: what is kept between requests is there.
    async fn statements(&self) -> BTreeMap<String, (u16, u64)> {
        let (pages, calls) = self.places();
        let mut counted = BTreeMap::new();
        for page in pages {
            let who = if page.starts_with("/admin") || page.starts_with("/audit") {
                &self.admin
            } else {
                &self.play.priya
            };
            let count = self.count(async || who.get(&page).await.status).await;
            counted.insert(page, count);
        }
        for call in calls {
            let count = self.count(async || self.api.get(&call).await.status).await;
            counted.insert(format!("/api/v1{call}"), count);
        }
        counted
    }

    /// The least of three: the portal sweeps every few seconds, and its statements count too.
    async fn count(&self, ask: impl AsyncFn() -> u16) -> (u16, u64) {
        let mut status = ask().await;
        let mut least = u64::MAX;
        for _ in 0..3 {
            let before = self.play.app.services.queries();
            status = ask().await;
            least = least.min(self.play.app.services.queries() - before);
        }
        (status, least)
    }
}

async fn thread(play: &Play, version: i64) {
    let daniel = play.actor(&play.daniel).await;
    let body = "Why?".to_owned();
    let new = NewThread { kind: ArtifactKind::UpgradeSql, version, line: 1, blocking: false, body };
    let opened = play.app.services.open_thread(&daniel, play.ticket, "staging", new).await.unwrap();
    play.app.services.reply(&daniel, play.ticket, "staging", opened, "Because.").await.unwrap();
}

on_both_engines! {
    async fn pages_and_calls_ask_the_same_of_few_rows_and_of_many(engine: Engine) {
        let asked = Asked::new(engine).await;
        let few = asked.statements().await;
        let refused: Vec<_> = few.iter().filter(|(_, (status, _))| *status >= 400).collect();
        assert!(refused.is_empty(), "{refused:?}");

        let play = &asked.play;
        let priya = play.actor(&play.priya).await;
        for n in 2..=12 {
            asked.happen(n).await;
            let kit = play.kit("production").with_comment(&n.to_string());
            play.attach("production", &kit).await;
            play.accept_all("production").await;
            play.tick_all("production").await;
            play.vote(&play.daniel, "production", Choice::Approve).await.unwrap();
            thread(play, 1).await;
            play.app.person(&format!("Person {n}"), &[Role::Engineer]).await;
        }
        for n in 0..55 {
            let mut content = content();
            content.title = format!("{} of desk {n}", content.title);
            play.app.services.file_ticket(&priya, "trading-backend", content).await.unwrap();
        }
        let many = asked.statements().await;
        let grown: Vec<_> = many.iter().filter(|(place, count)| few.get(*place) != Some(*count)).collect();
        let before: Vec<_> = grown.iter().map(|(place, _)| (&few[*place], *place)).collect();
        assert!(grown.is_empty(), "{grown:?} where it was {before:?}");
        let most = many.values().map(|(_, count)| *count).max();
        assert!(most.is_some_and(|most| most <= 60), "{many:?}");
    }
}
