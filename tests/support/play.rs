//! The runbook's people on a running portal, with evidence that the demo's kit makes. What has a page is done through
//! pages by the tests; the rest of the play is done here through the services, as the same people.

use countersign::demo::kit::{self, Kit};
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::evidence;
use countersign::domain::facts::{Choice, Facts, Intent};
use countersign::domain::id::{RunId, TicketNumber};
use countersign::domain::run::{Health, Outcome, Run};
use countersign::domain::ticket::{Emergency, TicketContent, TicketKind};
use countersign::domain::user::{Actor, Role, Scope};
use countersign::secret::password::PlainPassword;
use countersign::service::ServiceError;
use countersign::service::api_tokens::NewApiToken;
use countersign::service::artifacts::{Upload, Uploaded};
use countersign::service::review::Ballot;
use countersign::service::runs::Finish;
use countersign::service::tokens::{Presented, Redeemed};
use jiff::SignedDuration;

use super::app::TestApp;
use super::client::{PASSWORD, Person};
use super::database::Engine;

/// A Tuesday at noon, two hours before staging's window.
pub const TUESDAY: &str = "2025-11-18T12:00:00Z";

/// People, policy, and one ticket that Priya filed on [`TUESDAY`].
pub struct Play {
    pub app: TestApp,
    /// Release engineer.
    pub priya: Person,
    /// Change board.
    pub daniel: Person,
    pub marta: Person,
    /// Reads everything.
    pub aiko: Person,
    /// Priya's pipeline.
    pub ci: Actor,
    pub ticket: TicketNumber,
}

/// What Priya files.
pub fn content() -> TicketContent {
    TicketContent {
        title: "Add notional to trades".to_owned(),
        description: "Four revisions.".to_owned(),
        kind: TicketKind::Normal,
        release_tag: "v2025.11.06".to_owned(),
        prior_release_tag: "v2025.10.23".to_owned(),
        from_revision: kit::FROM.to_owned(),
        to_revision: kit::TO.to_owned(),
        authors: Vec::new(),
        emergency: None,
        external_links: Vec::new(),
    }
}

/// The same as an emergency, which no window holds back.
pub fn emergency() -> TicketContent {
    let reason = "Fills are written late and clients see wrong positions.".to_owned();
    let emergency = Some(Emergency { reason, incident: None });
    TicketContent { kind: TicketKind::Emergency, emergency, ..content() }
}

impl Play {
    pub async fn new(engine: Engine) -> Self {
        Self::with(engine, content(), &[]).await
    }

    pub async fn with(engine: Engine, content: TicketContent, settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(engine, settings).await;
        app.clock.set(TUESDAY.parse().expect("a time"));
        app.runbook().await;
        let priya = app.person("Priya Nair", &[Role::Engineer]).await;
        let daniel = app.person("Daniel Okafor", &[Role::Board]).await;
        let marta = app.person("Marta Kovacs", &[Role::Board]).await;
        let aiko = app.person("Aiko Brandt", &[Role::Auditor]).await;
        let new = NewApiToken {
            name: "pipeline".to_owned(),
            scopes: Scope::ALL.iter().copied().collect(),
            expires_at: None,
        };
        let (_, token) = app.services.create_api_token_for(&priya.email, new).await.expect("an API token");
        let ci = app.services.bearer_actor(token.reveal()).await.expect("the pipeline");
        let play = Self { priya, daniel, marta, aiko, ci, ticket: TicketNumber(1), app };
        let filer = play.actor(&play.priya).await;
        let ticket =
            play.app.services.file_ticket(&filer, "trading-backend", content).await.expect("a ticket");
        Self { ticket, ..play }
    }

    /// Moves the clock; whoever's session ended by that signs in again.
    pub async fn at(&mut self, time: &str) {
        self.app.clock.set(time.parse().expect("a time"));
        for person in [&mut self.priya, &mut self.daniel, &mut self.marta, &mut self.aiko] {
            let browser = self.app.anonymous();
            assert_eq!(browser.sign_in(&person.email, PASSWORD).await.status, 303);
            *person = Person::of(browser, &person.email).await;
        }
    }

    /// The actor behind a browser.
    pub async fn actor(&self, person: &Person) -> Actor {
        let cookies = person.browser.cookies();
        let cookie = cookies.split("; ").find_map(|pair| pair.strip_prefix("csid=")).expect("a session");
        let session = self.app.services.session_actor(cookie).await.expect("an answer");
        session.expect("a session that stands").actor
    }

    /// `/tickets/CHG-1/stages/STAGE` and what follows.
    pub fn under(&self, stage: &str, rest: &str) -> String {
        format!("/tickets/{}/stages/{stage}{rest}", self.ticket)
    }

    pub fn kit(&self, stage: &str) -> Kit {
        let now = self.app.services.now();
        Kit::new(stage, now - SignedDuration::from_hours(2), now - SignedDuration::from_hours(1))
    }

    pub async fn upload(
        &self,
        stage: &str,
        kind: ArtifactKind,
        name: &str,
        bytes: &[u8],
    ) -> Result<Uploaded, ServiceError> {
        let upload = Upload { kind, filename: name.to_owned(), bytes: bytes.to_vec().into() };
        self.app.services.upload(&self.actor(&self.priya).await, self.ticket, stage, upload).await
    }

    pub async fn attach(&self, stage: &str, kit: &Kit) {
        for file in kit.files().expect("a kit") {
            self.upload(stage, file.kind, &file.name, &file.bytes).await.expect("an upload");
        }
    }

    pub async fn facts(&self, stage: &str) -> Facts {
        let dossier = self.app.services.dossier(&self.ci, self.ticket).await.expect("a ticket");
        dossier.facts(stage).expect("a stage")
    }

    /// The evidence digest of a stage, in hexadecimal.
    pub async fn evidence(&self, stage: &str) -> String {
        evidence::of(&self.facts(stage).await).expect("evidence").digest.to_string()
    }

    pub async fn accept_all(&self, stage: &str) {
        let daniel = self.actor(&self.daniel).await;
        for finding in self.facts(stage).await.this.findings.iter().filter(|finding| finding.blocks()) {
            let note = "Agreed with the desk heads.";
            let accepted = self.app.services.accept_finding(&daniel, self.ticket, stage, finding.id, note);
            accepted.await.expect("an accepted finding");
        }
    }

    pub async fn tick_all(&self, stage: &str) {
        let priya = self.actor(&self.priya).await;
        let facts = self.facts(stage).await;
        for item in facts.this.policy.preflight_items().filter(|item| item.is_attested()) {
            let ticked = self.app.services.tick(&priya, self.ticket, stage, &item.key, true, "seen");
            ticked.await.expect("a tick");
        }
    }

    pub async fn vote(&self, who: &Person, stage: &str, choice: Choice) -> Result<(), ServiceError> {
        let facts = self.facts(stage).await;
        let seen = evidence::of(&facts).expect("evidence").digest;
        let ballot = Ballot {
            choice,
            seen,
            comment: "read in full".to_owned(),
            acknowledged: facts.differs_from_previous(),
        };
        let actor = self.actor(who).await;
        let password = PlainPassword::given(PASSWORD.to_owned());
        let proof = self.app.services.reauthenticate(&actor, &password).await?;
        self.app.services.vote(&actor, proof, self.ticket, stage, ballot).await.map(drop)
    }

    /// Files, accepted findings and ticks: everything but the votes.
    pub async fn ready_to_vote(&self, stage: &str) {
        self.attach(stage, &self.kit(stage)).await;
        self.accept_all(stage).await;
        self.tick_all(stage).await;
    }

    /// Everything that people do before a stage can be applied.
    pub async fn prepare(&self, stage: &str) {
        self.ready_to_vote(stage).await;
        self.vote(&self.daniel, stage, Choice::Approve).await.expect("Daniel's vote");
        self.vote(&self.marta, stage, Choice::Approve).await.expect("Marta's vote");
    }

    /// Redeems a token with what the approved evidence makes a client present.
    pub async fn redeem(&self, stage: &str, intent: Intent, secret: &str) -> Result<Redeemed, ServiceError> {
        let facts = Facts { intent, ..self.facts(stage).await };
        let expected = countersign::domain::presented::expected(&facts).expect("an approved file");
        let presented = Presented {
            sql_digest: expected.sql_digest,
            manifest: expected.manifest,
            database: expected.database,
        };
        self.app.services.redeem(&self.ci, secret, presented, None).await
    }

    pub async fn log(&self, run: RunId, text: &str) {
        self.app.services.append_log(&self.ci, run, 0, text.as_bytes()).await.expect("a log");
    }

    pub async fn finish(&self, run: RunId, outcome: Outcome, after: &str) -> Run {
        let finish = Finish {
            outcome,
            exit_code: Some(i64::from(outcome != Outcome::Succeeded)),
            revision_before: Some(kit::FROM.to_owned()),
            revision_after: Some(after.to_owned()),
            backup_restored: false,
            prior_tag_redeployed: false,
        };
        self.app.services.finish(&self.ci, run, finish).await.expect("an end")
    }

    /// Applies a stage that is ready, in its window.
    pub async fn apply(&self, stage: &str) -> RunId {
        let run = self.start(stage).await;
        self.log(run, "INFO  [alembic] Running upgrade\n").await;
        self.finish(run, Outcome::Succeeded, kit::TO).await;
        run
    }

    /// Releases and redeems a token: a run is under way.
    pub async fn start(&self, stage: &str) -> RunId {
        let priya = self.actor(&self.priya).await;
        let released = self.app.services.release(&priya, self.ticket, stage, Intent::Upgrade).await;
        let released = released.expect("a token");
        self.redeem(stage, Intent::Upgrade, released.secret.reveal()).await.expect("a run").run
    }

    pub async fn smoke(&self, stage: &str) {
        let bytes = kit::SMOKE.as_bytes();
        self.upload(stage, ArtifactKind::SmokeReport, "smoke.xml", bytes).await.expect("a report");
    }

    pub async fn judge(&self, stage: &str, verdict: Health) {
        let priya = self.actor(&self.priya).await;
        let word = self.app.services.observe(&priya, self.ticket, stage, verdict, "dashboards quiet");
        word.await.expect("a verdict");
    }

    /// Staging from evidence to a healthy verdict: ends on Wednesday at 15:00.
    pub async fn staging(&mut self) {
        self.prepare("staging").await;
        self.at("2025-11-18T14:30:00Z").await;
        self.apply("staging").await;
        self.smoke("staging").await;
        self.at("2025-11-19T15:00:00Z").await;
        self.judge("staging", Health::Healthy).await;
    }
}
