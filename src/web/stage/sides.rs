//! Which two files a difference is of: what was asked for, else what changed since the reader's vote, else what ran on the
//! stage before, else one file alone.

use serde_json::Value;

use super::{Scene, changes};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::facts::{StageRecord, Vote};
use crate::domain::time::Timestamp;
use crate::service::diff::SideName;
use crate::web::Failure;
use crate::web::present::Judged;
use crate::web::view::format::Time;
use crate::web::view::forms::Choice;

/// A side as addresses name it: `staging:1`, and its kind if that is not the page's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub stage: String,
    pub version: i64,
    pub kind: ArtifactKind,
}

impl Side {
    pub fn of(record: &StageRecord, file: &Artifact) -> Self {
        Self { stage: record.stage.name.clone(), version: file.version, kind: file.kind }
    }

    fn parse(text: &str, kind: ArtifactKind) -> Option<Self> {
        let name = SideName::parse(text)?;
        Some(Self { stage: name.stage, version: name.version?, kind: name.kind.unwrap_or(kind) })
    }

    /// As addresses name it, on a page about `kind`.
    pub fn text(&self, kind: ArtifactKind) -> String {
        if self.kind == kind {
            format!("{}:{}", self.stage, self.version)
        } else {
            format!("{}:{}:{}", self.stage, self.version, self.kind)
        }
    }

    pub fn name(&self) -> SideName {
        SideName { stage: self.stage.clone(), version: Some(self.version), kind: Some(self.kind) }
    }

    /// "staging v1".
    pub fn words(&self) -> String {
        format!("{} v{}", self.stage, self.version)
    }
}

/// How addresses say that there is no other side: the file alone.
pub const NONE: &str = "none";

/// Why these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Asked,
    /// What changed since the reader voted.
    SinceVote(Timestamp),
    /// Nothing changed in this file since then.
    AsAtVote(Timestamp),
    /// The file was not there then.
    NewSinceVote(Timestamp),
    Before,
    Alone,
}

/// Two files, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    pub kind: ArtifactKind,
    /// None: the other one alone.
    pub from: Option<Side>,
    /// None: there is no file of the kind.
    pub to: Option<Side>,
    pub why: Why,
}

/// What the reader's last vote was for, where that is other evidence than there is now.
pub struct Voted<'a> {
    pub vote: &'a Vote,
    pub evidence: &'a Value,
}

impl Sides {
    /// Finds both sides.
    ///
    /// # Errors
    /// Not found for names that are none.
    pub fn find(
        stage: &Judged,
        kind: ArtifactKind,
        (from, to): (Option<&str>, Option<&str>),
        voted: Option<&Voted<'_>>,
    ) -> Result<Self, Failure> {
        let record = &stage.facts.this;
        let named = |text: &str| Side::parse(text, kind).ok_or_else(Failure::not_found);
        let newest = record.newest(kind);
        let to = match to {
            Some(text) => Some(named(text)?),
            None => newest.map(|file| Side::of(record, file)),
        };
        let (from, why) = match from {
            Some(NONE) => (None, Why::Asked),
            Some(text) => (Some(named(text)?), Why::Asked),
            None => match (voted, newest) {
                (Some(voted), Some(newest)) => since(stage, voted, newest),
                _ => match before(stage, kind) {
                    Some(side) => (Some(side), Why::Before),
                    None => (None, Why::Alone),
                },
            },
        };
        Ok(Self { kind, from, to, why })
    }
}

fn since(stage: &Judged, voted: &Voted<'_>, newest: &Artifact) -> (Option<Side>, Why) {
    let at = voted.vote.at;
    match changes::file_of(voted.evidence, newest.kind, &newest.filename) {
        None => (None, Why::NewSinceVote(at)),
        Some((version, digest)) => {
            let side = Side { stage: stage.name().to_owned(), version, kind: newest.kind };
            let same = digest == newest.sha256.to_string();
            (Some(side), if same { Why::AsAtVote(at) } else { Why::SinceVote(at) })
        }
    }
}

/// What ran on the stage before, or stands there.
fn before(stage: &Judged, kind: ArtifactKind) -> Option<Side> {
    let previous = stage.facts.previous.as_ref()?;
    let ran = previous.last_upgrade().and_then(|run| previous.as_of(run, kind));
    Some(Side::of(previous, ran.or_else(|| previous.newest(kind))?))
}

/// Every version of the kind up to this stage, newest first; and for SQL its opposite, which undoes it.
pub fn choices(scene: &Scene, kind: ArtifactKind, voted: Option<&Voted<'_>>) -> Vec<Choice> {
    let now = scene.stage.now();
    let opposite = match kind {
        ArtifactKind::UpgradeSql => Some(ArtifactKind::DowngradeSql),
        ArtifactKind::DowngradeSql => Some(ArtifactKind::UpgradeSql),
        _ => None,
    };
    let mut choices = Vec::new();
    for record in scene.dossier.stages.iter().rev() {
        let mut versions: Vec<&Artifact> = record.artifacts.iter().filter(|a| a.kind == kind).collect();
        versions.sort_by_key(|file| std::cmp::Reverse(file.version));
        let ran = record.last_upgrade().and_then(|run| Some((run, record.as_of(run, kind)?.version)));
        for (place, file) in versions.iter().enumerate() {
            let mine = voted.filter(|_| record.stage.name == scene.stage.name()).and_then(|voted| {
                let (version, _) = changes::file_of(voted.evidence, kind, &file.filename)?;
                (version == file.version).then_some(voted.vote.at)
            });
            let note = match (mine, ran) {
                (Some(at), _) => format!(", you voted {}", Time::short(at, now).words),
                (None, Some((run, version))) if version == file.version => {
                    format!(", ran {}", Time::short(run.started_at, now).words)
                }
                _ if place == 0 => ", current".to_owned(),
                _ => String::new(),
            };
            let side = Side::of(record, file);
            choices.push(Choice::new(side.text(kind), format!("{}{note}", side.words())));
        }
    }
    let undoes = opposite.and_then(|kind| scene.stage.facts.this.newest(kind));
    if let Some(file) = undoes {
        let side = Side::of(&scene.stage.facts.this, file);
        let words = format!("{} of {}", file.kind.label(), side.words());
        choices.push(Choice::new(side.text(kind), words));
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_stage_and_a_version() {
        let kind = ArtifactKind::UpgradeSql;
        let side = Side::parse("pre-prod:12", kind).unwrap();
        assert_eq!((side.stage.as_str(), side.version, side.kind), ("pre-prod", 12, kind));
        assert_eq!(side.text(kind), "pre-prod:12");
        assert_eq!(side.text(ArtifactKind::Other), "pre-prod:12:upgrade-sql");
        assert_eq!(Side::parse("pre-prod:12:upgrade-sql", ArtifactKind::Other), Some(side));
        for wrong in ["", "staging", "staging:", "staging:x", "staging:1.5", "staging:1:sql"] {
            assert_eq!(Side::parse(wrong, kind), None, "{wrong}");
        }
    }
}
