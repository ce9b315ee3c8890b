//! Which files somebody has read. Nothing can be approved that was not shown: what no page shows has to be downloaded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::artifacts::off_thread;
use super::{ServiceError, Services};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::digest::Digest;
use crate::domain::facts::StageRecord;
use crate::domain::id::{PersonId, StageId, TicketNumber};
use crate::domain::reading::{self, How, Reading};
use crate::domain::user::Actor;
use crate::sql::shown;
use crate::store::readings;

/// Answers are dropped when there are more than this many.
const KEPT: usize = 10_000;

/// A file of at most so many bytes has no line that is cut; a difference spells out what is no text.
const ALWAYS_SHOWN: i64 = 2_048;

/// Whether pages show the whole of a file, by its digest: bytes never change, so neither does that.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownToShow(Arc<Mutex<HashMap<Digest, bool>>>);

impl Services {
    /// Who has read which of a stage's files.
    pub async fn readings(&self, stage: StageId) -> Result<Vec<Reading>, ServiceError> {
        let mut read = self.db.glance().await?;
        Ok(readings::of_stage(&mut read, stage).await?)
    }

    /// Notes that a signed-in person has read a version of a file, or was handed its bytes. The first time counts; an API
    /// token reads for nobody.
    ///
    /// # Errors
    /// Not found for a file that isn't there.
    pub async fn mark(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        (kind, version): (ArtifactKind, i64),
        how: How,
    ) -> Result<(), ServiceError> {
        if actor.token().is_some() {
            return Ok(());
        }
        let dossier = self.dossier(actor, number).await?;
        let record = dossier.stage(stage).ok_or(ServiceError::NotFound("stage"))?;
        let file = record.artifacts.iter().find(|a| a.kind == kind && a.version == version);
        let file = file.ok_or(ServiceError::NotFound("file"))?;
        let mut tx = self.db.write().await?;
        if !readings::insert(&mut tx, file.id, actor, how, self.now()).await? {
            return Ok(());
        }
        let act = match how {
            How::Downloaded => "artifact.downloaded",
            How::Read => "artifact.read",
        };
        let event = self
            .event(act, Some(actor))
            .of_ticket(&dossier.ticket)
            .of_stage(stage)
            .with("kind", kind.as_str())
            .with("version", version)
            .with("sha256", file.sha256.to_string());
        Ok(tx.commit(&[event]).await?)
    }

    /// Whether pages show every byte of a file: it is text, not too large, and no line of it is cut.
    pub async fn is_shown(&self, file: &Artifact) -> Result<bool, ServiceError> {
        if !reading::is_small(file) {
            return Ok(false);
        }
        // Shown whole whatever it holds, were it nothing but characters that hide: no need to look.
        if file.bytes <= ALWAYS_SHOWN {
            return Ok(true);
        }
        let known = |map: &KnownToShow| {
            map.0.lock().unwrap_or_else(PoisonError::into_inner).get(&file.sha256).copied()
        };
        if let Some(known) = known(&self.known_to_show) {
            return Ok(known);
        }
        let bytes = self.bytes_of(file.sha256).await?;
        let whole = off_thread(move || {
            std::str::from_utf8(&bytes).is_ok()
                && bytes.split(|byte| *byte == b'\n').all(|line| shown::extent(line).0 == line.len())
        })
        .await?;
        let mut map = self.known_to_show.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= KEPT {
            map.clear();
        }
        map.insert(file.sha256, whole);
        Ok(whole)
    }

    /// The files of the evidence that no page shows whole, with whether this person has downloaded each.
    pub async fn to_download(
        &self,
        record: &StageRecord,
        person: PersonId,
    ) -> Result<Vec<(Artifact, bool)>, ServiceError> {
        let mut hidden = Vec::new();
        for file in record.evidence_files() {
            if !self.is_shown(file).await? {
                hidden.push(file.clone());
            }
        }
        if hidden.is_empty() {
            return Ok(Vec::new());
        }
        let readings = self.readings(record.stage.id).await?;
        let has = |file: &Artifact| reading::when(&readings, person, file.id, How::Downloaded).is_some();
        Ok(hidden.into_iter().map(|file| (file.clone(), has(&file))).collect())
    }
}
