//! Filing, editing, abandoning and completing tickets; moving them to another policy; lists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::change::{Lock, still};
use super::{ServiceError, Services};
use crate::domain::digest::Digest;
use crate::domain::facts::Stage;
use crate::domain::id::{ApplicationId, EnvironmentId, PolicyVersionId, StageId, TicketId, TicketNumber};
use crate::domain::refusal::Refusal;
use crate::domain::ticket::{
    FieldFault, Ticket, TicketContent, TicketOutcome, TicketState, author_spellings, spelling, text_rule,
};
use crate::domain::transition::{TicketAction, decide_ticket};
use crate::domain::user::{Actor, Role, Scope};
pub use crate::store::listing::{Filter, Line, StageLine};
use crate::store::{Tx, decisions, listing, tickets, users};

pub use crate::store::decisions::Completion;

/// A listed ticket with its stages.
#[derive(Clone, Debug)]
pub struct TicketLine {
    pub ticket: Line,
    pub stages: Vec<StageLine>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct TicketPage {
    pub lines: Vec<TicketLine>,
    /// Number after which the next page begins, if there is one.
    pub next: Option<i64>,
}

impl Services {
    /// Files an open ticket on the newest policy of its application.
    ///
    /// # Errors
    /// Refused for whoever is no engineer; invalid with every fault of every field.
    pub async fn file_ticket(
        &self,
        actor: &Actor,
        application: &str,
        content: TicketContent,
    ) -> Result<TicketNumber, ServiceError> {
        may_file(actor)?;
        let mut faults = content.check().err().unwrap_or_default();
        let mut tx = self.db.write().await?;
        let actor = &still(&mut tx, actor, self.now()).await?;
        may_file(actor)?;
        let target = tickets::target(&mut tx, application).await?;
        let Some(target) = target else {
            faults.insert(
                0,
                FieldFault {
                    field: "application",
                    message: format!(
                        "There is no application “{}” with a policy.",
                        application.chars().take(60).collect::<String>()
                    ),
                },
            );
            return Err(ServiceError::Invalid { faults });
        };
        if let Some(incident) = content.emergency.as_ref().and_then(|e| e.incident)
            && !tickets::incident_concerns(&mut tx, incident, target.application_id).await?
        {
            faults.push(FieldFault {
                field: "emergency_incident",
                message: "This names no incident of the application.".to_owned(),
            });
        }
        if !faults.is_empty() {
            return Err(ServiceError::Invalid { faults });
        }
        let now = self.now();
        let ticket = Ticket {
            id: TicketId(self.env.uuid()),
            number: TicketNumber(tickets::next_number(&mut tx, "ticket").await?),
            version: 1,
            application: target.application_id,
            application_name: application.to_owned(),
            policy_version: target.policy_version_id,
            state: TicketState::Open,
            outcome: None,
            content,
            requester: actor.user,
            requester_name: actor.name.clone(),
            requested_via: actor.token(),
            created_at: now,
            updated_at: now,
        };
        tickets::insert(&mut tx, &ticket).await?;
        self.insert_stages(&mut tx, ticket.id, target.application_id, target.policy_version_id, &[]).await?;
        tickets::add_contributor(&mut tx, ticket.id, actor.person, "filed", now).await?;
        self.note_authors(&mut tx, ticket.id, &[&ticket.content.authors]).await?;
        let event = self
            .event("ticket.filed", Some(actor))
            .of_ticket(&ticket)
            .with("application", target.application_id.to_string())
            .with("policy_version", target.version)
            .with("content_sha256", content_digest(&ticket.content)?.to_string());
        let event = self.with_text(event, &ticket.content.title);
        tx.commit(&[event]).await?;
        Ok(ticket.number)
    }

    /// A stage for each environment of the policy that isn't `known`.
    async fn insert_stages(
        &self,
        tx: &mut Tx,
        ticket: TicketId,
        application: ApplicationId,
        policy: PolicyVersionId,
        known: &[EnvironmentId],
    ) -> Result<(), ServiceError> {
        let policy = self.policies.get(tx, policy).await?;
        for (environment, name, _) in tickets::environments(tx, application).await? {
            let position = policy.policy.environments.iter().position(|e| e.name == name);
            let Some(position) = position.filter(|_| !known.contains(&environment)) else { continue };
            let stage = Stage {
                id: StageId(self.env.uuid()),
                environment,
                name,
                position: i64::try_from(position).unwrap_or(i64::MAX),
                generation: 1,
            };
            tickets::insert_stage(tx, ticket, &stage).await?;
        }
        Ok(())
    }

    /// Keeps as contributors whoever is named as an author: who was one can't be taken off by another edit.
    async fn note_authors(
        &self,
        tx: &mut Tx,
        ticket: TicketId,
        lists: &[&[String]],
    ) -> Result<(), ServiceError> {
        let named: BTreeSet<String> =
            lists.iter().copied().flatten().flat_map(|author| author_spellings(author)).collect();
        if named.is_empty() {
            return Ok(());
        }
        for (person, name, email) in users::names(tx).await? {
            if named.contains(&spelling(&name)) || named.contains(&spelling(&email)) {
                tickets::add_contributor(tx, ticket, person, "authored", self.now()).await?;
            }
        }
        Ok(())
    }

    /// Replaces what the ticket states, before the first run. `version` is the ticket's version that the editor saw.
    pub async fn edit_ticket(
        &self,
        actor: &Actor,
        number: TicketNumber,
        version: i64,
        content: TicketContent,
    ) -> Result<(), ServiceError> {
        content.check().map_err(|faults| ServiceError::Invalid { faults })?;
        let mut change = self.change(actor, number, Lock::Gates).await?;
        decide_ticket(&change.dossier.all_facts(), &change.actor, TicketAction::Edit)?;
        // Locking raised the version by one.
        if Some(change.ticket().version) != version.checked_add(1) {
            return Err(ServiceError::conflict(
                "ticket-changed",
                "Somebody changed the ticket after you opened it. Nothing was recorded; compare and save again.",
            ));
        }
        if let Some(incident) = content.emergency.as_ref().and_then(|e| e.incident) {
            let application = change.ticket().application;
            if !tickets::incident_concerns(&mut change.tx, incident, application).await? {
                return Err(ServiceError::field(
                    "emergency_incident",
                    "This names no incident of the application.",
                ));
            }
        }
        let mut ticket = change.ticket().clone();
        let (before, after) = (content_digest(&ticket.content)?, content_digest(&content)?);
        let authors = std::mem::take(&mut ticket.content.authors);
        ticket.content = content;
        self.note_authors(&mut change.tx, ticket.id, &[&authors, &ticket.content.authors]).await?;
        tickets::update_content(&mut change.tx, &ticket).await?;
        tickets::raise_all_generations(&mut change.tx, ticket.id).await?;
        tickets::add_contributor(&mut change.tx, ticket.id, change.actor.person, "edited", change.now)
            .await?;
        let stages: Vec<StageId> = change.dossier.stages.iter().map(|s| s.stage.id).collect();
        for stage in stages {
            change.revoke(self, stage, "the ticket was edited").await?;
        }
        let event = self
            .event("ticket.edited", Some(&change.actor))
            .of_ticket(&ticket)
            .with("before_sha256", before.to_string())
            .with("after_sha256", after.to_string());
        change.record(event);
        self.commit(change).await
    }

    /// Moves the ticket to the newest policy of its application: every vote becomes stale.
    pub async fn move_policy(&self, actor: &Actor, number: TicketNumber) -> Result<i64, ServiceError> {
        let mut change = self.change(actor, number, Lock::Gates).await?;
        let name = change.ticket().application_name.clone();
        let target = tickets::target(&mut change.tx, &name).await?.ok_or(ServiceError::NotFound("policy"))?;
        let newest = target.policy_version_id == change.ticket().policy_version;
        decide_ticket(&change.dossier.all_facts(), &change.actor, TicketAction::MovePolicy { newest })?;
        let id = change.ticket().id;
        tickets::set_policy(&mut change.tx, id, target.policy_version_id).await?;
        tickets::raise_all_generations(&mut change.tx, id).await?;
        let stages: Vec<StageId> = change.dossier.stages.iter().map(|s| s.stage.id).collect();
        for stage in stages {
            change.revoke(self, stage, "the policy changed").await?;
        }
        // An environment that the policy has gained is a stage that the ticket has to pass.
        let known: Vec<EnvironmentId> = change.dossier.stages.iter().map(|s| s.stage.environment).collect();
        let application = change.ticket().application;
        self.insert_stages(&mut change.tx, id, application, target.policy_version_id, &known).await?;
        let event = self
            .event("ticket.policy-moved", Some(&change.actor))
            .of_ticket(change.ticket())
            .with("from_version", change.dossier.policy_version)
            .with("to_version", target.version);
        change.record(event);
        self.commit(change).await?;
        Ok(target.version)
    }

    /// Gives a change up.
    pub async fn abandon_ticket(
        &self,
        actor: &Actor,
        number: TicketNumber,
        reason: &str,
    ) -> Result<(), ServiceError> {
        text_rule(reason, 0, 2_000, true).map_err(|m| ServiceError::field("reason", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        decide_ticket(&change.dossier.all_facts(), &change.actor, TicketAction::Abandon { reason })?;
        let id = change.ticket().id;
        tickets::set_state(&mut change.tx, id, TicketState::Abandoned, None).await?;
        let stages: Vec<StageId> = change.dossier.stages.iter().map(|s| s.stage.id).collect();
        for stage in stages {
            change.revoke(self, stage, "the ticket was abandoned").await?;
        }
        let event = self.event("ticket.abandoned", Some(&change.actor)).of_ticket(change.ticket());
        let event = self.with_text(event, reason);
        change.record(event);
        self.commit(change).await
    }

    /// Files the completion notes and closes the ticket.
    pub async fn complete_ticket(
        &self,
        actor: &Actor,
        number: TicketNumber,
        notes: &str,
        retrospective: Option<&str>,
    ) -> Result<TicketOutcome, ServiceError> {
        text_rule(notes, 0, 50_000, true).map_err(|m| ServiceError::field("notes", m))?;
        text_rule(retrospective.unwrap_or_default(), 0, 50_000, true)
            .map_err(|m| ServiceError::field("retrospective", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let action = TicketAction::Complete { notes, retrospective };
        let outcome = decide_ticket(&change.dossier.all_facts(), &change.actor, action)?
            .ok_or_else(|| ServiceError::Internal("a completion without an outcome".to_owned()))?;
        let id = change.ticket().id;
        tickets::set_state(&mut change.tx, id, TicketState::Completed, Some(outcome)).await?;
        let stages: Vec<StageId> = change.dossier.stages.iter().map(|s| s.stage.id).collect();
        for stage in stages {
            change.revoke(self, stage, "the ticket was completed").await?;
        }
        let (by, now) = (change.actor.user, change.now);
        decisions::insert_completion(&mut change.tx, id, outcome, notes, retrospective, by, now).await?;
        let event = self
            .event("ticket.completed", Some(&change.actor))
            .of_ticket(change.ticket())
            .with("outcome", outcome.as_str());
        let text = match retrospective {
            Some(more) if !more.is_empty() => format!("{notes}\n\nRetrospective\n\n{more}"),
            Some(_) | None => notes.to_owned(),
        };
        let event = self.with_text(event, &text);
        change.record(event);
        self.commit(change).await?;
        Ok(outcome)
    }

    /// The notes that closed a ticket.
    pub async fn completion(&self, id: TicketId) -> Result<Option<decisions::Completion>, ServiceError> {
        let mut read = self.db.glance().await?;
        Ok(decisions::completion(&mut read, id).await?)
    }

    /// Tickets, newest first, and the number after which the next page begins, if there is one. `limit` is at most 100.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_lines(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<(Vec<Line>, Option<i64>), ServiceError> {
        let limit = limit.clamp(1, 100);
        let mut read = self.db.glance().await?;
        let mut lines = listing::list(&mut read, filter, i64::try_from(limit + 1).unwrap_or(101)).await?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next = if more { lines.last().map(|l| l.number.0) } else { None };
        Ok((lines, next))
    }

    /// The same with the stages of each.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_tickets(&self, filter: &Filter, limit: usize) -> Result<TicketPage, ServiceError> {
        let (lines, next) = self.list_lines(filter, limit).await?;
        let ids: Vec<TicketId> = lines.iter().map(|l| l.id).collect();
        let mut stages = {
            let mut read = self.db.glance().await?;
            listing::stage_lines(&mut read, &ids).await?
        };
        let lines = lines
            .into_iter()
            .map(|ticket| {
                let own = stages.extract_if(.., |s| s.ticket_id == ticket.id).collect();
                TicketLine { ticket, stages: own }
            })
            .collect();
        Ok(TicketPage { lines, next })
    }

    /// The newest open tickets of each of these applications, at most `each`, by the application's name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn newest_open(
        &self,
        applications: &BTreeSet<&str>,
        each: usize,
    ) -> Result<BTreeMap<String, Vec<TicketNumber>>, ServiceError> {
        let names: Vec<&str> = applications.iter().copied().collect();
        let mut found: BTreeMap<String, Vec<TicketNumber>> =
            names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        let mut read = self.db.glance().await?;
        for (application, number) in listing::newest_open(&mut read, &names, each).await? {
            found.entry(application).or_default().push(number);
        }
        Ok(found)
    }

    /// Dossiers of open tickets for somebody's queue, at most `limit`: emergencies, their own, then the newest.
    pub async fn open_dossiers(
        &self,
        actor: &Actor,
        limit: usize,
    ) -> Result<Vec<crate::domain::dossier::Dossier>, ServiceError> {
        let mut read = self.db.read().await?;
        let ids = listing::open_ids(&mut read, actor.user, i64::try_from(limit).unwrap_or(50)).await?;
        let now = self.now();
        let which = crate::store::dossier::Which::These(&ids);
        Ok(crate::store::dossier::load(&mut read, &self.policies, which, &[actor.user], now).await?)
    }
}

fn may_file(actor: &Actor) -> Result<(), Refusal> {
    if !actor.has(Role::Engineer) {
        return Err(Refusal::NeedsRole(&[Role::Engineer]));
    }
    if !actor.may(Scope::TicketsWrite) {
        return Err(Refusal::NeedsScope(Scope::TicketsWrite));
    }
    Ok(())
}

fn content_digest(content: &TicketContent) -> Result<Digest, ServiceError> {
    Ok(Digest::of(&crate::domain::digest::canonical_json(&json!(content))?))
}
