//! What was said of a file, at the lines it was said of: findings, and threads that follow their line to newer versions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::domain::artifact::{Artifact, Thread};
use crate::domain::id::ArtifactId;
use crate::domain::user::Actor;
use crate::service::ServiceError;
use crate::service::contents::Rehearsal;
use crate::web::Site;
use crate::web::present::Judged;
use crate::web::present::review::{self, Said};
use crate::web::view::difference::{Entry, MarginNote, Row};
use crate::web::view::prose::Prose;
use crate::web::view::review::{NewThread, Thread as ThreadRow};
use crate::web::view::state::{State, Tag};

/// Threads are followed from so many versions, the newest first; those of others are told below.
const MOST_VERSIONS: usize = 40;

/// And from versions of so many bytes together: each is compared with what is shown.
const MOST_COMPARED: u64 = 8 * 1024 * 1024;

/// Findings beside one line; the others are on the stage's page.
const MOST_BESIDE: usize = 4;

/// Findings in the head of a page.
const MOST_CHIPS: usize = 8;

/// Room that a thread takes of a page besides its words, and a finding, in bytes.
const THREAD: usize = 2_200;
const FINDING: usize = 1_400;

/// Threads by the line they are at, counted from 1; the others are at no line any more.
#[derive(Debug, Default)]
pub struct Talk {
    pub old: BTreeMap<u32, Vec<ThreadRow>>,
    pub new: BTreeMap<u32, Vec<ThreadRow>>,
    pub loose: Vec<ThreadRow>,
    pub notes: BTreeMap<u32, Vec<MarginNote>>,
    pub chips: Vec<(Tag, u32)>,
    /// Findings that no chip is for.
    pub more: usize,
}

impl Talk {
    /// Places everything that was said of these two files, or of versions before.
    pub async fn gather(
        site: &Site,
        stage: &Judged,
        reader: &Actor,
        said: &[Said],
        (old, new): (Option<&Artifact>, &Artifact),
        back: &str,
    ) -> Result<Self, ServiceError> {
        let mut talk = Self::default();
        let is_shown = |file: &Artifact| file.id == new.id || old.is_some_and(|old| old.id == file.id);
        let is_related =
            |file: &Artifact| is_shown(file) || (file.kind == new.kind && file.stage == new.stage);
        let followed = followed(stage, |file| is_related(file) && !is_shown(file));
        for thread in &stage.facts.this.threads {
            let file = stage.facts.this.artifacts.iter().find(|a| a.id == thread.artifact);
            let Some(file) = file.filter(|file| is_related(file)) else { continue };
            let place = if is_shown(file) || followed.contains(&file.id) {
                place(site, thread, file, (old, new)).await?
            } else {
                None
            };
            let mut row = review::thread(stage, reader, thread, said);
            if let Some((is_old, line)) = place {
                let letter = if is_old { "L" } else { "R" };
                row.back = format!("{back}&at={letter}{line}");
                if file.id == if is_old { old.map_or(new.id, |old| old.id) } else { new.id } {
                    // Its statement stands right here; that of another version may read otherwise.
                    row.quote = None;
                }
                let map = if is_old { &mut talk.old } else { &mut talk.new };
                map.entry(line).or_default().push(row);
            } else {
                back.clone_into(&mut row.back);
                talk.loose.push(row);
            }
        }
        if stage.facts.this.findings.iter().any(|finding| finding.artifact == new.id) {
            let rehearsal = site.services.rehearsal(&stage.facts.this).await?;
            talk.find(stage, reader, new, rehearsal.as_ref());
        }
        Ok(talk)
    }

    fn find(&mut self, stage: &Judged, reader: &Actor, new: &Artifact, rehearsal: Option<&Rehearsal>) {
        for finding in stage.facts.this.findings.iter().filter(|finding| finding.artifact == new.id) {
            let line = u32::try_from(finding.last_line.max(finding.line)).unwrap_or(u32::MAX);
            let row = review::finding(stage, reader, finding);
            let lamp = row.state();
            let accepted = if row.accepted.is_some() { ", accepted" } else { "" };
            let beside = self.notes.entry(line).or_default();
            if lamp != State::Idle {
                if self.chips.len() < MOST_CHIPS {
                    let words = format!("{}{accepted}, line {line}", row.severity.word().to_lowercase());
                    self.chips.push((Tag::of(lamp, words), line));
                } else {
                    self.more += 1;
                }
            }
            if beside.len() == MOST_BESIDE {
                continue;
            }
            let mut text = Prose::from(format!("{} ", row.why));
            let facts = rehearsal.map(|told| told.facts_of(finding.id)).unwrap_or_default();
            if !facts.is_empty() {
                text = text.strong("In the dry run:").text(format!(" {}. ", facts.join("; ")));
            }
            text = text.text(row.advice.as_str());
            if let Some(accepted) = &finding.accepted {
                text = text.text(format!(" Accepted by {}: “{}”.", accepted.by_name, accepted.note.trim()));
            } else if row.accept.is_some() {
                let form = format!("{}#finding-{}", stage.href(), finding.id);
                text = text.text(" ").link("Accept this risk", form).text(" or reject.");
            }
            let title = format!("{}{accepted}: {}", row.severity.word(), row.title);
            beside.push(MarginNote { id: finding.id.to_string(), state: lamp, title, text });
        }
    }

    /// The lines of each side that are never folded away, with the room that what is said there takes.
    pub fn keep(&self) -> (BTreeMap<u32, usize>, BTreeMap<u32, usize>) {
        let room = |threads: &Vec<ThreadRow>| -> usize {
            let posts = threads.iter().flat_map(|thread| &thread.posts);
            THREAD * threads.len() + posts.map(|post| 2 * post.text.len() + 200).sum::<usize>()
        };
        let of = |map: &BTreeMap<u32, Vec<ThreadRow>>| -> BTreeMap<u32, usize> {
            map.iter().map(|(line, threads)| (*line, room(threads))).collect()
        };
        let mut new = of(&self.new);
        for (line, notes) in &self.notes {
            *new.entry(*line).or_default() += FINDING * notes.len();
        }
        (of(&self.old), new)
    }

    /// Puts what was said to the rows that it was said of, and the form below the line that was asked for.
    pub fn put(&mut self, entries: Vec<Entry>, mut ask: Option<((bool, u32), NewThread)>) -> Vec<Entry> {
        let mut all = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let (old, new) = match &entry.row {
                Row::Line { old, new, .. } => (*old, *new),
                Row::Pair { old, new } => {
                    (old.as_ref().map(|cell| cell.number), new.as_ref().map(|cell| cell.number))
                }
                Row::Fold { .. } | Row::Threads(_) | Row::Ask(_) => (None, None),
            };
            let mut threads = old.and_then(|line| self.old.remove(&line)).unwrap_or_default();
            threads.extend(new.and_then(|line| self.new.remove(&line)).unwrap_or_default());
            entry.notes = new.and_then(|line| self.notes.remove(&line)).unwrap_or_default();
            let asked = ask.take_if(|((is_old, line), _)| (if *is_old { old } else { new }) == Some(*line));
            entry.at = !threads.is_empty() || asked.is_some();
            all.push(entry);
            if !threads.is_empty() {
                all.push(Entry::of(Row::Threads(threads)));
            }
            if let Some((_, form)) = asked {
                all.push(Entry::of(Row::Ask(form)));
            }
        }
        all
    }
}

/// The versions with threads that are worth the work of finding their lines again.
fn followed(stage: &Judged, wanted: impl Fn(&Artifact) -> bool) -> HashSet<ArtifactId> {
    let record = &stage.facts.this;
    let has_threads = |file: &&Artifact| record.threads.iter().any(|thread| thread.artifact == file.id);
    let mut versions: Vec<&Artifact> =
        record.artifacts.iter().filter(|file| wanted(file)).filter(has_threads).collect();
    versions.sort_by_key(|file| Reverse(file.version));
    let mut bytes = 0;
    versions
        .into_iter()
        .take(MOST_VERSIONS)
        .filter(|file| {
            bytes += file.bytes.unsigned_abs();
            bytes <= MOST_COMPARED
        })
        .map(|file| file.id)
        .collect()
}

/// Where a thread's line is: whether on the old side, and its number.
async fn place(
    site: &Site,
    thread: &Thread,
    file: &Artifact,
    (old, new): (Option<&Artifact>, &Artifact),
) -> Result<Option<(bool, u32)>, ServiceError> {
    let Ok(line) = u32::try_from(thread.line) else { return Ok(None) };
    if file.id == new.id {
        return Ok(Some((false, line)));
    }
    let sides = [Some((false, new)), old.map(|old| (true, old))];
    for (is_old, there) in sides.into_iter().flatten() {
        if is_old && there.id == file.id {
            return Ok(Some((true, line)));
        }
        if there.kind != file.kind || there.stage != file.stage {
            continue;
        }
        let body = match site.services.compared(file, there).await {
            Ok(body) => body,
            Err(ServiceError::Conflict { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(found) = line.checked_sub(1).and_then(|line| body.follow(line)) {
            return Ok(Some((is_old, found + 1)));
        }
    }
    Ok(None)
}
