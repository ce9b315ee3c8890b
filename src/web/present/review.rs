//! Findings and threads as the reviewers see them.

use super::Judged;
use super::files::address;
use crate::domain::artifact::{self, Artifact, ArtifactKind, Finding};
use crate::domain::id::{ArtifactId, ThreadId};
use crate::domain::time::Timestamp;
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::service::contents::Rehearsal;
use crate::web::view::format::Time;
use crate::web::view::forms::Input;
use crate::web::view::prose::Prose;
use crate::web::view::review::{FindingRow, NewThread, Post, Severity, Thread};
use crate::web::view::state::{State, Status};

/// A contribution to a thread, as stored.
#[derive(Clone, Debug)]
pub struct Said {
    pub thread: ThreadId,
    pub by: String,
    pub at: Timestamp,
    pub text: String,
}

fn file(stage: &Judged, id: ArtifactId) -> Option<&Artifact> {
    stage.facts.this.artifacts.iter().find(|artifact| artifact.id == id)
}

/// The weight of a finding, for pages.
pub const fn severity(severity: artifact::Severity) -> Severity {
    match severity {
        artifact::Severity::Block => Severity::Blocking,
        artifact::Severity::Warn => Severity::Warning,
        artifact::Severity::Note => Severity::Note,
    }
}

/// A rule's key in words: "drop column".
pub fn rule_words(rule: &str) -> String {
    rule.replace('-', " ")
}

/// Findings that the page of a stage lists.
const MOST_LISTED: usize = 100;

/// The findings of the files that stand: what blocks first, then by file and line; not more than a page holds.
pub fn findings(stage: &Judged, reader: &Actor) -> Vec<FindingRow> {
    let mut found: Vec<&Finding> = stage.facts.this.findings.iter().collect();
    found.sort_by_key(|finding| !finding.blocks());
    found.into_iter().take(MOST_LISTED).map(|one| finding(stage, reader, one)).collect()
}

/// How many findings [`findings`] leaves to the pages of their files.
pub fn more_findings(stage: &Judged) -> usize {
    stage.facts.this.findings.len().saturating_sub(MOST_LISTED)
}

/// The same findings with what the dry run measured about their statements.
pub fn measured(mut rows: Vec<FindingRow>, rehearsal: Option<&Rehearsal>) -> Vec<FindingRow> {
    let Some(rehearsal) = rehearsal else { return rows };
    for row in &mut rows {
        row.facts = row.id.parse().map_or_else(|_| Vec::new(), |id| rehearsal.facts_of(id).to_vec());
    }
    rows
}

/// One finding, with the form where the reader may accept it.
pub fn finding(stage: &Judged, reader: &Actor, finding: &Finding) -> FindingRow {
    let place = file(stage, finding.artifact).map_or_else(Prose::new, |file| {
        let lines = if finding.last_line > finding.line {
            format!("{}, lines {} to {}", file.filename, finding.line, finding.last_line)
        } else {
            format!("{}, line {}", file.filename, finding.line)
        };
        let page = address(stage, file.kind, file.version);
        Prose::new().link(lines, format!("{page}#L{}", finding.line))
    });
    let accepted = finding.accepted.as_ref().map(|acceptance| {
        Prose::new()
            .strong(if acceptance.counts { "Accepted" } else { "Accepted, which does not count any more," })
            .text(format!(" by {}, ", acceptance.by_name))
            .time(Time::short(acceptance.at, stage.now()))
            .text(format!(": “{}”", acceptance.note.trim()))
    });
    let may = finding.severity == artifact::Severity::Block
        && stage.may(reader, &Action::AcceptFinding { finding: finding.id, note: "." }).is_ok();
    FindingRow {
        id: finding.id.to_string(),
        severity: severity(finding.severity),
        title: rule_words(&finding.rule),
        place,
        why: finding.why.clone(),
        advice: finding.advice.clone(),
        facts: Vec::new(),
        accepted,
        accept: may.then(Input::default),
    }
}

/// "2 blocking, 1 accepted, 3 more".
pub fn findings_note(stage: &Judged) -> String {
    let all = &stage.facts.this.findings;
    let blocking = all.iter().filter(|finding| finding.blocks()).count();
    let accepted = all.iter().filter(|finding| finding.is_accepted()).count();
    let rest = all.len() - blocking - accepted;
    let parts: Vec<String> = [(blocking, "blocking"), (accepted, "accepted"), (rest, "to read")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

/// The threads of a stage with what was said in them, in order.
pub fn threads(stage: &Judged, reader: &Actor, said: &[Said]) -> Vec<Thread> {
    stage.facts.this.threads.iter().map(|one| thread(stage, reader, one, said)).collect()
}

/// One thread.
pub fn thread(stage: &Judged, reader: &Actor, thread: &artifact::Thread, said: &[Said]) -> Thread {
    let now = stage.now();
    let title = file(stage, thread.artifact).map_or_else(
        || Prose::from("On a file of this stage"),
        |file| {
            let page = format!("{}#L{}", address(stage, file.kind, file.version), thread.line);
            Prose::from("On ")
                .link(format!("{} v{}, line {}", file.filename, file.version, thread.line), page)
        },
    );
    let resolved = thread.resolved_at.is_some();
    let status = match (thread.resolved_at, &thread.resolved_by_name) {
        (Some(at), by) => {
            let by = by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
            Status::new(State::Open, Prose::from(format!("Resolved{by}, ")).time(Time::short(at, now)))
        }
        (None, _) if thread.blocking => Status::new(State::Who, "Open"),
        (None, _) => Status::new(State::Idle, "Open"),
    };
    let may = |action: &Action<'_>| stage.may(reader, action).is_ok();
    Thread {
        id: thread.id.to_string(),
        title,
        blocking: thread.blocking,
        status,
        resolved,
        posts: said
            .iter()
            .filter(|post| post.thread == thread.id)
            .map(|post| Post { by: post.by.clone(), at: Time::long(post.at, now), text: post.text.clone() })
            .collect(),
        may_reply: !resolved && may(&Action::ReplyThread(thread.id)),
        may_resolve: may(&Action::SettleThread { thread: thread.id, resolve: true, note: "." }),
        may_reopen: may(&Action::SettleThread { thread: thread.id, resolve: false, note: "" }),
        reply: Input::default(),
        back: String::new(),
        quote: Some(thread.quote.trim().to_owned()).filter(|quote| !quote.is_empty()),
    }
}

/// "1 open of 3".
pub fn threads_note(stage: &Judged) -> String {
    let all = &stage.facts.this.threads;
    let open = all.iter().filter(|thread| thread.resolved_at.is_none()).count();
    if all.is_empty() { "none".into() } else { format!("{open} open of {}", all.len()) }
}

/// The form that opens a thread on the newest upgrade SQL, where the reader may.
pub fn new_thread(stage: &Judged, reader: &Actor) -> Option<NewThread> {
    let file = stage.facts.this.newest(ArtifactKind::UpgradeSql)?;
    stage.may(reader, &Action::OpenThread).ok()?;
    let version = u32::try_from(file.version).ok()?;
    Some(NewThread {
        about: Some((file.kind.as_str().to_owned(), version, 1)),
        text: Input::default(),
        back: String::new(),
    })
}
