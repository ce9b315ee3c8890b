//! What hangs below stages.

use super::super::StoreError;
use super::super::batch::{Answers, Batch};
use super::super::row::row;
use super::super::types::Json;
use super::Which;
use crate::domain::artifact::{Acceptance, Artifact, ArtifactFacts, ArtifactKind, Finding, Severity, Thread};
use crate::domain::digest::Digest;

use crate::domain::facts::{Choice, Stage, StageRecord, Tick, Vote};
use crate::domain::id::{
    ApiTokenId, ArtifactId, EnvironmentId, FindingId, PersonId, RunId, StageId, TicketId, UserId, VoteId,
};

use crate::domain::rule;
use crate::domain::run::{Health, Observation};

use crate::domain::time::Timestamp;

row! {
    pub(super) struct StageRow {
        pub(super) id: StageId,
        pub(super) ticket_id: TicketId,
        pub(super) environment_id: EnvironmentId,
        pub(super) position: i64,
        pub(super) generation: i64,
        pub(super) name: String,
    }
}

row! {
    struct ArtifactRow {
        id: ArtifactId,
        stage_id: StageId,
        kind: ArtifactKind,
        version: i64,
        filename: String,
        sha256: Digest,
        bytes: i64,
        facts: Json<ArtifactFacts>,
        uploaded_by: UserId,
        name: String,
        uploaded_via: Option<ApiTokenId>,
        uploaded_at: Timestamp,
        generation: i64,
        run_id: Option<RunId>,
    }
}

impl ArtifactRow {
    fn into_domain(self) -> Artifact {
        Artifact {
            id: self.id,
            stage: self.stage_id,
            kind: self.kind,
            version: self.version,
            filename: self.filename,
            sha256: self.sha256,
            bytes: self.bytes,
            facts: self.facts.0,
            uploaded_by: self.uploaded_by,
            uploaded_by_name: self.name,
            uploaded_via: self.uploaded_via,
            uploaded_at: self.uploaded_at,
            generation: self.generation,
            run: self.run_id,
        }
    }
}

row! {
    struct FindingRow {
        id: FindingId,
        stage_id: StageId,
        artifact_id: ArtifactId,
        rule: String,
        severity: Severity,
        line: i64,
        last_line: i64,
        statement: String,
        why: String,
        advice: String,
        accepted_by: Option<UserId>,
        accepted_name: Option<String>,
        accepted_person: Option<PersonId>,
        accepted_note: Option<String>,
        accepted_at: Option<Timestamp>,
    }
}

impl FindingRow {
    fn into_domain(self) -> Finding {
        let accepted = match (
            self.accepted_by,
            self.accepted_name,
            self.accepted_person,
            self.accepted_note,
            self.accepted_at,
        ) {
            (Some(by), Some(by_name), Some(person), Some(note), Some(at)) => {
                Some(Acceptance { by, by_name, person, note, at, counts: true })
            }
            _ => None,
        };
        Finding {
            id: self.id,
            artifact: self.artifact_id,
            rule: self.rule,
            severity: self.severity,
            line: self.line,
            last_line: self.last_line,
            statement: self.statement,
            why: self.why,
            advice: self.advice,
            accepted,
        }
    }
}

row! {
    struct ThreadRow {
        id: crate::domain::id::ThreadId,
        stage_id: StageId,
        artifact_id: ArtifactId,
        line: i64,
        quote: String,
        blocking: bool,
        opened_by: UserId,
        opened_by_name: String,
        opened_at: Timestamp,
        resolved_at: Option<Timestamp>,
        resolved_by_name: Option<String>,
    }
}

row! {
    struct TickRow {
        stage_id: StageId,
        item: String,
        generation: i64,
        run_id: Option<RunId>,
        done: bool,
        note: String,
        user_id: UserId,
        name: String,
        api_token_id: Option<ApiTokenId>,
        at: Timestamp,
        act: i64,
    }
}

row! {
    struct VoteRow {
        id: VoteId,
        stage_id: StageId,
        user_id: UserId,
        person_id: PersonId,
        name: String,
        choice: Choice,
        evidence: Digest,
        comment: String,
        at: Timestamp,
        act: i64,
    }
}

row! {
    struct ObservationRow {
        stage_id: StageId,
        run_id: RunId,
        verdict: Health,
        note: String,
        user_id: UserId,
        name: String,
        at: Timestamp,
    }
}

/// What hangs below stages.
pub(super) struct Parts {
    artifacts: Vec<ArtifactRow>,
    findings: Vec<FindingRow>,
    threads: Vec<ThreadRow>,
    ticks: Vec<TickRow>,
    votes: Vec<VoteRow>,
    tokens: Vec<crate::domain::run::ApplyToken>,
    runs: Vec<crate::domain::run::Run>,
    observations: Vec<ObservationRow>,
}

/// Takes the rows of one stage out of the rows of all.
fn take<T>(rows: &mut Vec<T>, belongs: impl Fn(&T) -> bool) -> Vec<T> {
    rows.extract_if(.., |row| belongs(row)).collect()
}

impl Parts {
    /// In the order of [`read`](Self::read).
    pub(super) fn ask(batch: &mut Batch<'_>, which: Which<'_>) {
        let stages = "(SELECT id FROM stages WHERE ticket_id IN (?))";
        let mut ask = |text: &str| which.ask(batch, &text.replace("(stages)", stages));
        ask(
            "SELECT a.*, u.name FROM artifacts a JOIN users u ON u.id = a.uploaded_by WHERE a.stage_id IN (stages) \
             ORDER BY a.stage_id, a.kind, a.version",
        );
        ask(
            "SELECT f.*, a.stage_id, x.user_id AS accepted_by, u.name AS accepted_name, x.person_id AS accepted_person, \
             x.note AS accepted_note, x.at AS accepted_at FROM artifacts a CROSS JOIN findings f \
             LEFT JOIN finding_acceptances x ON x.finding_id = f.id AND NOT EXISTS (SELECT 1 FROM finding_acceptances y \
             WHERE y.finding_id = f.id AND (y.at > x.at OR (y.at = x.at AND y.user_id > x.user_id))) LEFT JOIN users u ON u.id = x.user_id \
             WHERE f.artifact_id = a.id AND a.stage_id IN (stages) AND a.version = (SELECT max(b.version) \
             FROM artifacts b WHERE b.stage_id = a.stage_id AND b.kind = a.kind) ORDER BY a.stage_id, a.kind, f.ordinal",
        );
        ask("SELECT t.*, o.name AS opened_by_name, r.name AS resolved_by_name FROM threads t \
             JOIN users o ON o.id = t.opened_by LEFT JOIN users r ON r.id = t.resolved_by \
             WHERE t.stage_id IN (stages) ORDER BY t.opened_at, t.id");
        ask("SELECT k.*, u.name FROM ticks k JOIN users u ON u.id = k.user_id WHERE k.stage_id IN (stages) \
             ORDER BY k.act");
        ask("SELECT v.*, u.name FROM votes v JOIN users u ON u.id = v.user_id WHERE v.stage_id IN (stages) \
             ORDER BY v.act");
        ask(&super::super::apply_tokens::of_stages());
        ask(&super::super::runs::of_stages());
        ask(
            "SELECT o.*, u.name FROM observations o JOIN users u ON u.id = o.user_id WHERE o.stage_id IN (stages) \
             ORDER BY o.at, o.id",
        );
    }

    pub(super) fn read(answers: &mut Answers) -> Result<Self, StoreError> {
        Ok(Self {
            artifacts: answers.rows()?,
            findings: answers.rows()?,
            threads: answers.rows()?,
            ticks: answers.rows()?,
            votes: answers.rows()?,
            tokens: answers.rows()?,
            runs: answers.rows()?,
            observations: answers.rows()?,
        })
    }

    pub(super) fn take(
        &mut self,
        row: &StageRow,
        policy: &crate::domain::policy::EnvironmentPolicy,
    ) -> StageRecord {
        let id = row.id;
        let artifacts: Vec<Artifact> = take(&mut self.artifacts, |r| r.stage_id == id)
            .into_iter()
            .map(ArtifactRow::into_domain)
            .collect();
        StageRecord {
            stage: Stage {
                id,
                environment: row.environment_id,
                name: row.name.clone(),
                position: row.position,
                generation: row.generation,
            },
            policy: policy.clone(),
            findings: take(&mut self.findings, |r| r.stage_id == id)
                .into_iter()
                .map(FindingRow::into_domain)
                .filter(|f| rule::stands(f, &artifacts))
                .map(|f| Finding { severity: policy.weight(&f.rule, f.severity), ..f })
                .collect(),
            artifacts,
            threads: take(&mut self.threads, |r| r.stage_id == id)
                .into_iter()
                .map(|t| Thread {
                    id: t.id,
                    artifact: t.artifact_id,
                    line: t.line,
                    quote: t.quote,
                    blocking: t.blocking,
                    opened_by: t.opened_by,
                    opened_by_name: t.opened_by_name,
                    opened_at: t.opened_at,
                    resolved_at: t.resolved_at,
                    resolved_by_name: t.resolved_by_name,
                })
                .collect(),
            ticks: take(&mut self.ticks, |r| r.stage_id == id)
                .into_iter()
                .map(|k| Tick {
                    item: k.item,
                    generation: k.generation,
                    run: k.run_id,
                    done: k.done,
                    note: k.note,
                    by: k.user_id,
                    by_name: k.name,
                    via: k.api_token_id,
                    at: k.at,
                    act: k.act,
                })
                .collect(),
            votes: take(&mut self.votes, |r| r.stage_id == id)
                .into_iter()
                .map(|v| Vote {
                    id: v.id,
                    user: v.user_id,
                    person: v.person_id,
                    name: v.name,
                    choice: v.choice,
                    evidence: v.evidence,
                    comment: v.comment,
                    at: v.at,
                    act: v.act,
                })
                .collect(),
            tokens: take(&mut self.tokens, |r| r.stage == id),
            runs: take(&mut self.runs, |r| r.stage == id),
            observations: take(&mut self.observations, |r| r.stage_id == id)
                .into_iter()
                .map(|o| Observation {
                    run: o.run_id,
                    verdict: o.verdict,
                    note: o.note,
                    by: o.user_id,
                    by_name: o.name,
                    at: o.at,
                })
                .collect(),
        }
    }
}
