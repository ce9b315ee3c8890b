//! Plays a story: moves the clock to each act and has its actor do it, through the services.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::act::{Act, Deed, Talk};
use super::cast::{Cast, Who};
use super::kit::BadKit;
use crate::clock::PlayedClock;
use crate::domain::artifact::ArtifactKind;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Facts};
use crate::domain::id::{IncidentId, RunId, TicketNumber};
use crate::domain::run::Outcome;
use crate::domain::ticket::{Emergency, TicketContent};
use crate::domain::user::Actor;
use crate::service::artifacts::Upload;
use crate::service::review::{Ballot, NewThread};
use crate::service::runs::Finish;
use crate::service::tokens::{Presented, Released};
use crate::service::{ServiceError, Services};

/// Why the demo can't be made. Each would be a fault of the demo itself, or of the disk below it.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the story breaks off at {act}")]
    Act { act: String, source: Box<Self> },
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Kit(#[from] BadKit),
    #[error("evidence without a canonical form")]
    Evidence(#[from] serde_json::Error),
    #[error("the story names {0}, and there is no such thing")]
    Missing(&'static str),
}

/// Everything that the story has brought about so far.
pub(super) struct Player<'a> {
    pub services: &'a Services,
    pub clock: &'a PlayedClock,
    pub cast: &'a Cast,
    tickets: BTreeMap<&'static str, TicketNumber>,
    incidents: BTreeMap<&'static str, IncidentId>,
    released: BTreeMap<(&'static str, &'static str), Released>,
    /// The run that the story leaves running, and how long its log is.
    pub running: Option<(RunId, i64)>,
}

impl<'a> Player<'a> {
    pub const fn new(services: &'a Services, clock: &'a PlayedClock, cast: &'a Cast) -> Self {
        Self {
            services,
            clock,
            cast,
            tickets: BTreeMap::new(),
            incidents: BTreeMap::new(),
            released: BTreeMap::new(),
            running: None,
        }
    }

    /// Plays every act in the order of time. The clock never goes back: an act that takes a while delays the next.
    pub async fn play(&mut self, mut acts: Vec<Act>) -> Result<(), DemoError> {
        acts.sort_by_key(|act| act.at);
        for act in acts {
            self.clock.set(act.at.max(self.services.now()));
            let name = format!("“{}” {}, {}", act.ticket, act.stage, act.at);
            self.act(act).await.map_err(|e| DemoError::Act { act: name, source: Box::new(e) })?;
        }
        Ok(())
    }

    /// The next thing that somebody does, a little later.
    fn breathe(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn ticket(&self, name: &'static str) -> Result<TicketNumber, DemoError> {
        self.tickets.get(name).copied().ok_or(DemoError::Missing(name))
    }

    async fn facts(&self, actor: &Actor, ticket: TicketNumber, stage: &str) -> Result<Facts, DemoError> {
        let dossier = self.services.dossier(actor, ticket).await?;
        dossier.facts(stage).ok_or(DemoError::Missing("the stage"))
    }

    async fn act(&mut self, act: Act) -> Result<(), DemoError> {
        let Act { ticket: name, stage, by, deed, .. } = act;
        let services = self.services;
        let actor = self.cast.actor(by)?;
        match deed {
            Deed::File { application, content, incident } => {
                let content = self.with_incident(content, incident)?;
                let number = services.file_ticket(actor, application, content).await?;
                self.tickets.insert(name, number);
            }
            Deed::Declare { incident, application, title } => {
                let row = services.declare_incident(actor, application, title).await?;
                self.incidents.insert(incident, row.id);
            }
            Deed::Resolve { incident } => {
                let id = *self.incidents.get(incident).ok_or(DemoError::Missing(incident))?;
                services.resolve_incident(actor, id).await?;
            }
            Deed::Freeze(input) => drop(services.declare_freeze(actor, input).await?),
            Deed::Abandon { reason } => services.abandon_ticket(actor, self.ticket(name)?, reason).await?,
            Deed::Complete { notes } => {
                services.complete_ticket(actor, self.ticket(name)?, &notes, None).await?;
            }
            Deed::Release { intent } => {
                let released = services.release(actor, self.ticket(name)?, stage, intent).await?;
                self.released.insert((name, stage), released);
            }
            Deed::Judge { verdict, note } => {
                services.observe(actor, self.ticket(name)?, stage, verdict, note).await?;
            }
            Deed::Run { log, outcome, before, after } => {
                let run = self.redeem(name, stage).await?;
                self.write(run, &log).await?;
                self.breathe(41);
                let finish = Finish {
                    outcome,
                    exit_code: Some(i64::from(outcome != Outcome::Succeeded)),
                    revision_before: Some(before),
                    revision_after: Some(after),
                    backup_restored: false,
                    prior_tag_redeployed: false,
                };
                services.finish(&self.cast.pipeline, run, finish).await?;
            }
            Deed::Begin { log } => {
                let run = self.redeem(name, stage).await?;
                let written = self.write(run, &log).await?;
                self.running = Some((run, written));
            }
            Deed::Attach { .. }
            | Deed::Upload { .. }
            | Deed::Accept { .. }
            | Deed::Tick { .. }
            | Deed::Discuss(_)
            | Deed::Vote { .. } => self.review(self.ticket(name)?, stage, by, deed).await?,
        }
        Ok(())
    }

    /// What people do with the evidence.
    async fn review(&self, ticket: TicketNumber, stage: &str, by: Who, deed: Deed) -> Result<(), DemoError> {
        let services = self.services;
        let actor = self.cast.actor(by)?;
        match deed {
            Deed::Attach { kit, only } => {
                let wanted = |kind| only.is_empty() || only.contains(&kind);
                for file in kit.files()?.into_iter().filter(|file| wanted(file.kind)) {
                    self.breathe(2);
                    self.upload(actor, ticket, stage, (file.kind, &file.name, file.bytes)).await?;
                }
            }
            Deed::Upload { kind, name, text } => {
                self.upload(actor, ticket, stage, (kind, name, text.into_bytes())).await?;
            }
            Deed::Accept { note } => {
                let findings = self.facts(actor, ticket, stage).await?.this.findings;
                for finding in findings.iter().filter(|finding| finding.blocks()) {
                    self.breathe(19);
                    services.accept_finding(actor, ticket, stage, finding.id, note).await?;
                }
            }
            Deed::Tick { note } => {
                let policy = self.facts(actor, ticket, stage).await?.this.policy;
                for item in policy.preflight_items().filter(|item| item.is_attested()) {
                    self.breathe(8);
                    services.tick(actor, ticket, stage, &item.key, true, &note).await?;
                }
            }
            Deed::Discuss(talk) => self.discuss(ticket, stage, by, &talk).await?,
            Deed::Vote { choice, comment } => self.vote(ticket, stage, by, choice, comment).await?,
            _ => return Err(DemoError::Missing("such a deed of review")),
        }
        Ok(())
    }

    fn with_incident(
        &self,
        content: TicketContent,
        incident: Option<&'static str>,
    ) -> Result<TicketContent, DemoError> {
        let Some(name) = incident else { return Ok(content) };
        let incident = Some(*self.incidents.get(name).ok_or(DemoError::Missing(name))?);
        let emergency = content.emergency.map(|e| Emergency { incident, ..e });
        Ok(TicketContent { emergency, ..content })
    }

    async fn upload(
        &self,
        actor: &Actor,
        ticket: TicketNumber,
        stage: &str,
        (kind, name, bytes): (ArtifactKind, &str, Vec<u8>),
    ) -> Result<(), DemoError> {
        let upload = Upload { kind, filename: name.to_owned(), bytes: bytes.into() };
        self.services.upload(actor, ticket, stage, upload).await?;
        Ok(())
    }

    async fn discuss(
        &self,
        ticket: TicketNumber,
        stage: &str,
        by: Who,
        talk: &Talk,
    ) -> Result<(), DemoError> {
        let (services, opener) = (self.services, self.cast.actor(by)?);
        let kind = ArtifactKind::UpgradeSql;
        let (artifact, bytes) = services.artifact(opener, ticket, stage, kind, None).await?;
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().zip(1..).find(|(text, _)| text.contains(talk.line));
        let (_, line) = line.ok_or(DemoError::Missing("the line of a thread"))?;
        let body = talk.body.to_owned();
        let new = NewThread { kind, version: artifact.version, line, blocking: talk.blocking, body };
        let thread = services.open_thread(opener, ticket, stage, new).await?;
        // The last answer of a resolved thread is how it was settled.
        let (answers, settled) = match talk.answers.split_last() {
            Some((last, rest)) if talk.resolved => (rest, Some(last)),
            _ => (talk.answers, None),
        };
        for (who, answer) in answers {
            self.breathe(7 * 60);
            services.reply(self.cast.actor(*who)?, ticket, stage, thread, answer).await?;
        }
        if let Some((who, note)) = settled {
            self.breathe(7 * 60);
            services.settle_thread(self.cast.actor(*who)?, ticket, stage, thread, true, note).await?;
        }
        Ok(())
    }

    async fn vote(
        &self,
        ticket: TicketNumber,
        stage: &str,
        by: Who,
        choice: Choice,
        comment: &str,
    ) -> Result<(), DemoError> {
        let actor = self.cast.actor(by)?;
        let facts = self.facts(actor, ticket, stage).await?;
        let ballot = Ballot {
            choice,
            seen: evidence::of(&facts)?.digest,
            comment: comment.to_owned(),
            acknowledged: facts.differs_from_previous(),
        };
        let proof = self.services.reauthenticate(actor, self.cast.password(by)?).await?;
        self.services.vote(actor, proof, ticket, stage, ballot).await?;
        Ok(())
    }

    /// Presents what the released token expects, as a client does that has rendered the same SQL.
    async fn redeem(&mut self, ticket: &'static str, stage: &'static str) -> Result<RunId, DemoError> {
        self.breathe(75);
        let released = self.released.remove(&(ticket, stage)).ok_or(DemoError::Missing("the token"))?;
        let presented = Presented {
            sql_digest: released.expected.sql_digest,
            manifest: released.expected.manifest,
            database: released.expected.database,
        };
        let pipeline = &self.cast.pipeline;
        Ok(self.services.redeem(pipeline, released.secret.reveal(), presented, None).await?.run)
    }

    /// Writes the first lines of a run's log and answers its length.
    async fn write(&self, run: RunId, log: &str) -> Result<i64, DemoError> {
        Ok(self.services.append_log(&self.cast.pipeline, run, 0, log.as_bytes()).await?.next)
    }
}
