//! Uploading files and handing them out again.

use bytes::Bytes;

use super::change::Lock;
use super::reading::{self, Found};
use super::{ServiceError, Services};
use crate::domain::artifact::{Artifact, ArtifactKind, Finding};
use crate::domain::digest::Digest;
use crate::domain::facts::StageRecord;
use crate::domain::id::{ArtifactId, FindingId, TicketNumber};
use crate::domain::refusal::Refusal;
use crate::domain::rule;
use crate::domain::sql_digest::SqlDigest;
use crate::domain::ticket::text_rule;
use crate::domain::transition::Action;
use crate::domain::user::{Actor, Role, Scope};
use crate::store::{artifacts, decisions};

/// What an upload came to.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub kind: ArtifactKind,
    pub version: i64,
    pub sha256: Digest,
    /// Of SQL: how a run presents it.
    pub sql_digest: Option<SqlDigest>,
    pub bytes: i64,
    /// False when these very bytes were the newest version already.
    pub created: bool,
}

/// A file to upload.
#[derive(Clone, Debug)]
pub struct Upload {
    pub kind: ArtifactKind,
    pub filename: String,
    pub bytes: Bytes,
}

struct Prepared {
    sha256: Digest,
    compressed: Vec<u8>,
    reading: reading::Reading,
    /// The SQL of the other direction that this was compared with.
    compared: Option<Digest>,
}

/// How often an upload is read anew because the SQL of the other direction was replaced meanwhile.
const MOST_READINGS: usize = 4;

impl Services {
    /// Adds a version of a file to a stage. Bytes equal to the newest version change nothing.
    ///
    /// # Errors
    /// Invalid when the file is not of its kind, too large when it is over the limit, refused as the domain says.
    pub async fn upload(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        upload: Upload,
    ) -> Result<Uploaded, ServiceError> {
        check_uploader(actor)?;
        let Upload { kind, filename, bytes } = &upload;
        if bytes.len() as u64 > self.limits.upload {
            return Err(ServiceError::TooLarge { limit: self.limits.upload });
        }
        if bytes.is_empty() {
            return Err(ServiceError::field("file", "The file is empty."));
        }
        check_filename(filename)?;
        for _ in 0..MOST_READINGS {
            let prepared = self.prepare(actor, number, stage, *kind, bytes).await?;
            if let Some(uploaded) = self.keep(actor, number, stage, &upload, prepared).await? {
                return Ok(uploaded);
            }
        }
        Err(ServiceError::Busy)
    }

    /// Reads a file, and compares SQL with that of the other direction as it stands.
    async fn prepare(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        kind: ArtifactKind,
        bytes: &Bytes,
    ) -> Result<Prepared, ServiceError> {
        let (content, compared) = {
            let mut read = self.db.glance().await?;
            let dossier = self.dossier_in(&mut read, actor, number).await?;
            let other = dossier.stage(stage).and_then(|record| other_direction(record, kind));
            (dossier.ticket.content, other)
        };
        let other = match compared {
            Some(sha256) => Some(self.bytes_of(sha256).await?),
            None => None,
        };
        let bytes = bytes.clone();
        off_thread(move || {
            let range = (content.from_revision.as_str(), content.to_revision.as_str());
            let reading = reading::read(kind, &bytes, range, other.as_deref())?;
            let compressed = zstd::bulk::compress(&bytes, 3).map_err(|e| e.to_string())?;
            Ok(Prepared { sha256: Digest::of(&bytes), compressed, reading, compared })
        })
        .await?
        .map_err(|message: String| ServiceError::field("file", message))
    }

    /// Keeps a file that was read; nothing if what it was compared with does not stand any more.
    async fn keep(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        upload: &Upload,
        prepared: Prepared,
    ) -> Result<Option<Uploaded>, ServiceError> {
        let Upload { kind, filename, bytes } = upload;
        let (kind, length) = (*kind, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::Upload(kind))?;
        if other_direction(&facts.this, kind) != prepared.compared {
            return Ok(None);
        }
        let stage_id = facts.this.stage.id;
        let run = if kind.is_evidence() { None } else { facts.this.last_upgrade().map(|r| r.id) };
        let digest = reading::sql_digest(&prepared.reading.facts, prepared.sha256);
        // Other files are told apart by their names. The same bytes read anew, after an edit of the revisions or by a newer
        // release, are a version of their own.
        let standing = crate::domain::artifact::current(&facts.this.artifacts);
        if let Some(newest) = standing
            .into_iter()
            .find(|a| a.kind == kind && (kind != ArtifactKind::Other || a.filename == *filename))
            && newest.sha256 == prepared.sha256
            && newest.run == run
            && newest.facts == prepared.reading.facts
        {
            return Ok(Some(Uploaded {
                kind,
                version: newest.version,
                sha256: newest.sha256,
                sql_digest: digest,
                bytes: newest.bytes,
                created: false,
            }));
        }
        let artifact = Artifact {
            id: ArtifactId(self.env.uuid()),
            stage: stage_id,
            kind,
            version: facts.this.newest(kind).map_or(1, |a| a.version + 1),
            filename: filename.clone(),
            sha256: prepared.sha256,
            bytes: length,
            facts: prepared.reading.facts,
            uploaded_by: change.actor.user,
            uploaded_by_name: change.actor.name.clone(),
            uploaded_via: change.actor.token(),
            uploaded_at: change.now,
            generation: facts.this.stage.generation + i64::from(decision.raises_generation),
            run,
        };
        artifacts::put_blob(&mut change.tx, artifact.sha256, length, &prepared.compressed).await?;
        let findings = self.name_findings(artifact.id, prepared.reading.findings);
        artifacts::insert(&mut change.tx, &artifact, &findings).await?;
        change.entail(self, stage_id, &decision, "uploaded").await?;
        let event = self
            .event("artifact.uploaded", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("kind", kind.as_str())
            .with("version", artifact.version)
            .with("sha256", artifact.sha256.to_string())
            .with("bytes", length);
        let event = self.with_text(event, &artifact.filename);
        change.record(event);
        self.commit(change).await?;
        Ok(Some(Uploaded {
            kind,
            version: artifact.version,
            sha256: artifact.sha256,
            sql_digest: digest,
            bytes: length,
            created: true,
        }))
    }

    fn name_findings(&self, artifact: ArtifactId, found: Vec<Found>) -> Vec<Finding> {
        found
            .into_iter()
            .map(|f| Finding {
                id: FindingId(self.env.uuid()),
                artifact,
                rule: f.rule.to_owned(),
                severity: f.severity,
                line: f.line,
                last_line: f.last_line,
                statement: f.statement,
                why: f.why,
                advice: f.advice.to_owned(),
                accepted: None,
            })
            .collect()
    }

    /// The bytes behind a digest, checked against it.
    ///
    /// # Errors
    /// Internal when the stored bytes are not the ones that were put there.
    pub async fn bytes_of(&self, sha256: Digest) -> Result<Bytes, ServiceError> {
        let (length, compressed) = {
            let mut read = self.db.glance().await?;
            artifacts::blob(&mut read, sha256).await?
        };
        let bytes = off_thread(move || {
            let capacity = usize::try_from(length).unwrap_or_default();
            zstd::bulk::decompress(&compressed, capacity).map_err(|e| e.to_string())
        })
        .await?
        .map_err(ServiceError::Internal)?;
        if Digest::of(&bytes) != sha256 {
            return Err(ServiceError::Internal(format!("stored bytes do not hash to {sha256}")));
        }
        Ok(Bytes::from(bytes))
    }

    /// A version of a file of a stage, the newest if none is named, with its bytes.
    pub async fn artifact(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        kind: ArtifactKind,
        version: Option<i64>,
    ) -> Result<(Artifact, Bytes), ServiceError> {
        let dossier = self.dossier(actor, number).await?;
        let record = dossier.stage(stage).ok_or(ServiceError::NotFound("stage"))?;
        let artifact = match version {
            None => record.newest(kind),
            Some(version) => record.artifacts.iter().find(|a| a.kind == kind && a.version == version),
        }
        .ok_or(ServiceError::NotFound("file"))?
        .clone();
        let bytes = self.bytes_of(artifact.sha256).await?;
        Ok((artifact, bytes))
    }

    /// The canonical bytes behind an evidence digest.
    pub async fn evidence(&self, digest: Digest) -> Result<String, ServiceError> {
        let mut read = self.db.glance().await?;
        decisions::evidence(&mut read, digest).await?.ok_or(ServiceError::NotFound("evidence"))
    }
}

fn check_uploader(actor: &Actor) -> Result<(), Refusal> {
    // Asked again under the lock; here it keeps strangers from making the portal work.
    if !actor.has(Role::Engineer) {
        return Err(Refusal::NeedsRole(&[Role::Engineer]));
    }
    if !actor.may(Scope::ArtifactsWrite) {
        return Err(Refusal::NeedsScope(Scope::ArtifactsWrite));
    }
    Ok(())
}

fn check_filename(name: &str) -> Result<(), ServiceError> {
    text_rule(name, 1, 200, false).map_err(|m| ServiceError::field("filename", m))?;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(ServiceError::field(
            "filename",
            "A file name has no slashes and does not start with a dot.",
        ));
    }
    Ok(())
}

/// The SQL of the other direction that stands on a stage.
fn other_direction(record: &StageRecord, kind: ArtifactKind) -> Option<Digest> {
    rule::counterpart(kind).and_then(|other| record.newest(other)).map(|artifact| artifact.sha256)
}

/// Runs work that takes a while where it does not hold up requests.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ServiceError::Internal(e.to_string()))
}
