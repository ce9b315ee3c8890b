//! A portal with the runbook's policy and the people who play it.

use jiff::SignedDuration;

use crate::clock::PlayedClock;
use crate::demo::kit::{self, Kit};
use crate::domain::artifact::ArtifactKind;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Facts, Intent};
use crate::domain::gate::{self, GateReport};
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::policy::RUNBOOK;
use crate::domain::run::{Health, Method, Outcome, Run};
use crate::domain::ticket::{TicketContent, TicketKind};
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Role, Scope};
use crate::service::api_tokens::NewApiToken;
use crate::service::artifacts::{Upload, Uploaded};
use crate::service::review::Ballot;
use crate::service::runs::Finish;
use crate::service::testing::{password, person, runbook};
use crate::service::tokens::{Presented, Redeemed, Released};
use crate::service::{ServiceError, Services};

/// A Tuesday at noon, two hours before staging's window.
pub(crate) const TUESDAY: &str = "2025-11-18T12:00:00Z";

pub(crate) struct Scene<'a> {
    pub services: &'a Services,
    pub clock: &'a PlayedClock,
    pub priya: Actor,
    /// Priya's pipeline.
    pub ci: Actor,
    pub daniel: Actor,
    pub marta: Actor,
    pub admin: Actor,
    pub ticket: TicketNumber,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn content(kind: TicketKind) -> TicketContent {
    TicketContent {
        title: "Add notional to trades".to_owned(),
        description: "Four revisions.".to_owned(),
        kind,
        release_tag: "v2025.11.06".to_owned(),
        prior_release_tag: "v2025.10.23".to_owned(),
        from_revision: kit::FROM.to_owned(),
        to_revision: kit::TO.to_owned(),
        authors: Vec::new(),
        emergency: None,
        external_links: Vec::new(),
    }
}

/// The stable code of an error.
pub(crate) fn code(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Refused(refusal) => refusal.code(),
        ServiceError::Conflict { code, .. }
        | ServiceError::Gone { code, .. }
        | ServiceError::Mismatch { code, .. }
        | ServiceError::Unauthenticated { code, .. } => code,
        ServiceError::Invalid { faults } => faults[0].field,
        other => panic!("{other:?}"),
    }
}

/// The code of what was refused.
pub(crate) fn refused<T>(result: Result<T, ServiceError>) -> &'static str {
    code(&result.err().expect("a refusal"))
}

impl<'a> Scene<'a> {
    /// People, policy and one ticket that Priya filed, on [`TUESDAY`].
    pub async fn new(services: &'a Services, clock: &'a PlayedClock) -> Self {
        Self::with(services, clock, content(TicketKind::Normal)).await
    }

    pub async fn with(services: &'a Services, clock: &'a PlayedClock, content: TicketContent) -> Self {
        clock.set(at(TUESDAY));
        runbook(services).await;
        let priya = person(services, "priya@example.com", &[Role::Engineer]).await;
        let daniel = person(services, "daniel@example.com", &[Role::Board]).await;
        let marta = person(services, "marta@example.com", &[Role::Board]).await;
        let admin = person(services, "admin@example.com", &[Role::Admin]).await;
        let ci = pipeline(services, &priya).await;
        let ticket = services.file_ticket(&priya, "trading-backend", content).await.unwrap();
        Self { services, clock, priya, ci, daniel, marta, admin, ticket }
    }

    /// Another ticket of the same people and application.
    pub async fn another(&self, content: TicketContent) -> Scene<'a> {
        let ticket = self.services.file_ticket(&self.priya, "trading-backend", content).await.unwrap();
        let Scene { services, clock, priya, ci, daniel, marta, admin, .. } = self;
        let (priya, ci, daniel) = (priya.clone(), ci.clone(), daniel.clone());
        Scene { services, clock, priya, ci, daniel, marta: marta.clone(), admin: admin.clone(), ticket }
    }

    /// Applies the runbook's policy with this changed, and moves the ticket to it.
    pub async fn repolicy(&self, from: &str, to: &str) {
        let toml = RUNBOOK.replace(from, to);
        assert_ne!(toml, RUNBOOK, "the policy holds {from}");
        self.services.apply_policy(None, &toml).await.unwrap();
        self.services.move_policy(&self.priya, self.ticket).await.unwrap();
    }

    pub fn kit(&self, stage: &str) -> Kit {
        let now = self.services.now();
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
        self.services.upload(&self.priya, self.ticket, stage, upload).await
    }

    pub async fn attach(&self, stage: &str, kit: &Kit) {
        for file in kit.files().unwrap() {
            self.upload(stage, file.kind, &file.name, &file.bytes).await.unwrap();
        }
    }

    pub async fn facts(&self, stage: &str) -> Facts {
        self.services.dossier(&self.priya, self.ticket).await.unwrap().facts(stage).unwrap()
    }

    pub async fn gates(&self, stage: &str) -> GateReport {
        gate::evaluate(&self.facts(stage).await).unwrap()
    }

    /// Keys of the gates that are shut.
    pub async fn shut(&self, stage: &str) -> Vec<&'static str> {
        self.gates(stage).await.blocked().map(|g| g.key.as_str()).collect()
    }

    /// Attaches a kit whose dry-run report says something else in these places.
    pub async fn attach_reporting(&self, stage: &str, kit: &Kit, edits: &[(&str, serde_json::Value)]) {
        for mut file in kit.files().unwrap() {
            if file.kind == ArtifactKind::DryRunReport {
                let mut report: serde_json::Value = serde_json::from_slice(&file.bytes).unwrap();
                for (place, value) in edits {
                    *report.pointer_mut(place).unwrap() = value.clone();
                }
                file.bytes = serde_json::to_vec(&report).unwrap();
            }
            self.upload(stage, file.kind, &file.name, &file.bytes).await.unwrap();
        }
    }

    pub async fn accept_all(&self, stage: &str) {
        for finding in self.facts(stage).await.this.findings.iter().filter(|f| f.blocks()) {
            let note = "Agreed with the desk heads.";
            self.services.accept_finding(&self.daniel, self.ticket, stage, finding.id, note).await.unwrap();
        }
    }

    pub async fn tick_all(&self, stage: &str) {
        let items: Vec<String> = self
            .facts(stage)
            .await
            .this
            .policy
            .preflight_items()
            .filter(|i| i.is_attested())
            .map(|i| i.key.clone())
            .collect();
        for item in items {
            self.services.tick(&self.priya, self.ticket, stage, &item, true, "seen").await.unwrap();
        }
    }

    pub async fn vote(&self, who: &Actor, stage: &str, choice: Choice) -> Result<(), ServiceError> {
        let facts = self.facts(stage).await;
        let seen = evidence::of(&facts).unwrap().digest;
        let acknowledged = facts.differs_from_previous();
        let ballot = Ballot { choice, seen, comment: "read in full".to_owned(), acknowledged };
        let proof = self.services.reauthenticate(who, &password()).await?;
        self.services.vote(who, proof, self.ticket, stage, ballot).await.map(drop)
    }

    /// Everything that people do before a stage can be applied.
    pub async fn prepare(&self, stage: &str) {
        self.attach(stage, &self.kit(stage)).await;
        self.agree(stage).await;
    }

    /// Everything that people do about evidence that is there.
    pub async fn agree(&self, stage: &str) {
        self.accept_all(stage).await;
        self.tick_all(stage).await;
        self.vote(&self.daniel, stage, Choice::Approve).await.unwrap();
        self.vote(&self.marta, stage, Choice::Approve).await.unwrap();
    }

    /// Staging prepared, and in its window.
    pub async fn ready(&self) {
        self.prepare("staging").await;
        self.clock.set(at("2025-11-18T14:10:00Z"));
        assert_eq!(self.shut("staging").await, [] as [&str; 0]);
    }

    pub async fn release(&self, stage: &str) -> Result<Released, ServiceError> {
        self.services.release(&self.priya, self.ticket, stage, Intent::Upgrade).await
    }

    pub async fn roll_back(&self, stage: &str, method: Method) -> Result<Released, ServiceError> {
        self.services.release(&self.priya, self.ticket, stage, Intent::Rollback(method)).await
    }

    /// Rolls a stage back to its start.
    pub async fn undo(&self, stage: &str, method: Method) -> RunId {
        let released = self.roll_back(stage, method).await.unwrap();
        let run = self.redeem(&released, None).await.unwrap().run;
        self.finish(run, Outcome::Succeeded, Some(kit::FROM)).await.unwrap();
        run
    }

    /// Redeems a token and ends its run at once.
    pub async fn run(&self, released: &Released, outcome: Outcome, after: Option<&str>) -> RunId {
        let run = self.redeem(released, None).await.unwrap().run;
        self.finish(run, outcome, after).await.unwrap();
        run
    }

    /// The token of a stage that still stands, as the database sees it.
    pub async fn outstanding(&self, stage: &str) -> bool {
        let facts = self.facts(stage).await;
        facts.this.tokens.iter().any(|t| t.outstanding(facts.now))
    }

    pub async fn redeem(&self, released: &Released, key: Option<&str>) -> Result<Redeemed, ServiceError> {
        let presented = Presented {
            sql_digest: released.expected.sql_digest,
            manifest: released.expected.manifest,
            database: None,
        };
        self.services.redeem(&self.ci, released.secret.reveal(), presented, key).await
    }

    pub async fn finish(
        &self,
        run: RunId,
        outcome: Outcome,
        after: Option<&str>,
    ) -> Result<Run, ServiceError> {
        let finish = Finish {
            outcome,
            exit_code: Some(i64::from(outcome != Outcome::Succeeded)),
            revision_before: Some(kit::FROM.to_owned()),
            revision_after: after.map(str::to_owned),
            backup_restored: true,
            prior_tag_redeployed: true,
        };
        self.services.finish(&self.ci, run, finish).await
    }

    /// Applies a stage that is ready, in its window.
    pub async fn apply(&self, stage: &str) -> RunId {
        let released = self.release(stage).await.unwrap();
        let run = self.redeem(&released, None).await.unwrap().run;
        self.finish(run, Outcome::Succeeded, Some(kit::TO)).await.unwrap();
        run
    }

    pub async fn smoke(&self, stage: &str) {
        self.upload(stage, ArtifactKind::SmokeReport, "smoke.xml", kit::SMOKE.as_bytes()).await.unwrap();
    }

    pub async fn judge(&self, stage: &str, verdict: Health) -> Result<(), ServiceError> {
        self.services.observe(&self.priya, self.ticket, stage, verdict, "dashboards quiet").await
    }

    /// Staging from evidence to a healthy verdict: ends on Wednesday, 15:00.
    pub async fn staging(&self) {
        self.prepare("staging").await;
        self.clock.set(at("2025-11-18T14:30:00Z"));
        self.apply("staging").await;
        self.smoke("staging").await;
        self.clock.set(at("2025-11-19T15:00:00Z"));
        self.judge("staging", Health::Healthy).await.unwrap();
    }
}

/// An API token with every scope, as the actor it makes.
pub(crate) async fn pipeline(services: &Services, owner: &Actor) -> Actor {
    let new = NewApiToken {
        name: "pipeline".to_owned(),
        scopes: Scope::ALL.iter().copied().collect(),
        expires_at: None,
    };
    let (_, token) = services.create_api_token(owner, new).await.unwrap();
    services.bearer_actor(token.reveal()).await.unwrap()
}

/// The digest of the migration manifest in every kit of the whole change.
pub(crate) fn manifest_digest() -> crate::domain::digest::Digest {
    let files = Kit::new("staging", at(TUESDAY), at(TUESDAY)).files().unwrap();
    let file = files.iter().find(|f| f.kind == ArtifactKind::MigrationManifest).unwrap();
    crate::domain::digest::Digest::of(&file.bytes)
}
