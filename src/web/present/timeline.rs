//! Entries of the audit log in words: who did what to which stage.

use serde_json::{Map, Value};

use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;
use crate::service::timeline::TimelineEntry;
use crate::web::view::format::{Dig, Time};
use crate::web::view::parts::{LogRow, Mark, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::state::State;

/// The log of a ticket, newest first.
pub fn timeline(entries: &[TimelineEntry], now: Timestamp) -> Timeline {
    Timeline { rows: entries.iter().map(|entry| row(entry, now)).collect() }
}

fn who(entry: &TimelineEntry) -> &str {
    entry.who.as_deref().unwrap_or("Countersign")
}

fn did(entry: &TimelineEntry) -> String {
    let via = if entry.by_token { " with an API token" } else { "" };
    format!("{}{via}", said(&entry.kind, entry.stage.as_deref().unwrap_or_default(), &entry.data))
}

/// An entry as one line of text: "Priya Nair uploaded Upgrade SQL v3 to staging, Tue 11:02".
pub fn line(entry: &TimelineEntry, now: Timestamp) -> String {
    format!("{} {}, {}", who(entry), did(entry), Time::short(entry.at, now).words)
}

fn row(entry: &TimelineEntry, now: Timestamp) -> LogRow {
    LogRow {
        time: Time::long(entry.at, now),
        mark: mark(&entry.kind, &entry.data),
        text: Prose::new().strong(who(entry)).text(format!(" {}", did(entry))),
        aside: format!("#{}", entry.seq).into(),
        digest: digest(&entry.data),
    }
}

/// What somebody did, after their name: "uploaded Upgrade SQL v3 to staging".
pub fn said(kind: &str, stage: &str, data: &Map<String, Value>) -> String {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| data.get(key).and_then(Value::as_i64).unwrap_or_default();
    let yes = |key: &str| data.get(key).and_then(Value::as_bool).unwrap_or_default();
    match kind {
        "ticket.filed" => format!("filed the ticket on policy version {}", number("policy_version")),
        "ticket.edited" => "edited the ticket; earlier signatures became stale".into(),
        "ticket.policy-moved" => format!(
            "moved the ticket from policy version {} to {}",
            number("from_version"),
            number("to_version")
        ),
        "ticket.abandoned" => "abandoned the ticket".into(),
        "ticket.completed" => match text("outcome") {
            "rolled-back" => "filed the completion notes: rolled back".into(),
            _ => "filed the completion notes: promoted".into(),
        },
        "artifact.uploaded" => {
            let label = text("kind").parse::<ArtifactKind>().map_or("a file", ArtifactKind::label);
            format!("uploaded {label} v{} to {stage}", number("version"))
        }
        "checklist.attested" if yes("done") => format!("stated {} on {stage}", text("item")),
        "checklist.attested" => format!("took back {} on {stage}", text("item")),
        "thread.opened" if yes("blocking") => {
            format!("opened a blocking thread on line {} in {stage}", number("line"))
        }
        "thread.opened" => format!("opened a thread on line {} in {stage}", number("line")),
        "thread.answered" => format!("answered a thread in {stage}"),
        "thread.resolved" => format!("resolved a thread in {stage}"),
        "thread.reopened" => format!("opened a thread again in {stage}"),
        "finding.accepted" => {
            format!("accepted the finding {} on {stage}", super::review::rule_words(text("rule")))
        }
        "vote.recorded" => match text("choice") {
            "approve" => format!("approved {stage}"),
            "reject" => format!("rejected {stage}"),
            _ => format!("withdrew their vote on {stage}"),
        },
        "token.released" if text("direction") == "rollback" => {
            format!("released a rollback token for {stage}")
        }
        "token.released" => format!("released the apply token for {stage}"),
        "token.revoked" => format!("revoked the apply token for {stage}: {}", text("why")),
        "token.expired" => "noted that an apply token expired unused".into(),
        "token.refused" => format!("was refused with the apply token for {stage}: {}", text("why")),
        "token.reuse" => format!("presented a used apply token for {stage} again"),
        "token.redeemed" if text("direction") == "rollback" => format!("began to roll back {stage}"),
        "token.redeemed" => format!("began to apply to {stage}"),
        "run.finished" => format!("finished the run on {stage}: {}", text("status")),
        "run.late-report" => format!("reported late on the run on {stage}: {}", text("outcome")),
        "run.lost" => format!("lost the run on {stage}: it stopped reporting"),
        "run.settled" => {
            format!("settled the run on {stage}: {}", text("verdict").replace('-', " "))
        }
        "stage.judged" => format!("judged {stage} {}", text("verdict")),
        other => other.replace(['.', '-'], " "),
    }
}

/// The mark beside a line: trouble in its colour, everything else as an icon.
fn mark(kind: &str, data: &Map<String, Value>) -> Mark {
    let is = |key: &str, value: &str| data.get(key).and_then(Value::as_str) == Some(value);
    match kind {
        "token.reuse" => Mark::Status(State::Stop, "Alarm"),
        "run.lost" => Mark::Status(State::Stop, "Run lost"),
        "token.refused" => Mark::Status(State::Stop, "Refused"),
        "stage.judged" if is("verdict", "healthy") => Mark::Status(State::Open, "Healthy"),
        "stage.judged" => Mark::Status(State::Stop, "Unhealthy"),
        "vote.recorded" if is("choice", "reject") => Mark::Status(State::Stop, "Rejected"),
        "run.finished" if is("status", "succeeded") => Mark::Status(State::Open, "Succeeded"),
        "run.finished" => Mark::Status(State::Stop, "Did not succeed"),
        _ => Mark::Icon(match kind.split('.').next().unwrap_or_default() {
            "artifact" => "upload",
            "checklist" => "list-checks",
            "thread" | "finding" => "message-square",
            "token" => "key-round",
            "run" => "terminal",
            _ => "pen-line",
        }),
    }
}

fn digest(data: &Map<String, Value>) -> Option<Dig> {
    let hex = data.get("sha256").or_else(|| data.get("evidence"))?.as_str()?;
    hex.parse::<Digest>().ok().map(Dig::brief)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(kind: &str, data: Value) -> String {
        let Value::Object(data) = data else { panic!("data is an object") };
        said(kind, "staging", &data)
    }

    #[test]
    fn entries_read_as_sentences() {
        use serde_json::json;
        for (kind, data, expected) in [
            (
                "artifact.uploaded",
                json!({"kind": "upgrade-sql", "version": 3}),
                "uploaded Upgrade SQL v3 to staging",
            ),
            ("vote.recorded", json!({"choice": "approve"}), "approved staging"),
            ("vote.recorded", json!({"choice": "withdraw"}), "withdrew their vote on staging"),
            (
                "checklist.attested",
                json!({"item": "release-frozen", "done": true}),
                "stated release-frozen on staging",
            ),
            (
                "checklist.attested",
                json!({"item": "release-frozen", "done": false}),
                "took back release-frozen on staging",
            ),
            ("token.released", json!({"direction": "rollback"}), "released a rollback token for staging"),
            ("run.settled", json!({"verdict": "not-applied"}), "settled the run on staging: not applied"),
            (
                "finding.accepted",
                json!({"rule": "drop-column"}),
                "accepted the finding drop column on staging",
            ),
        ] {
            assert_eq!(words(kind, data), expected);
        }
        assert_eq!(words("moon.landed-on", json!({})), "moon landed on", "an unknown kind is still readable");
    }

    #[test]
    fn trouble_has_a_shape_and_a_word() {
        let none = Map::new();
        assert!(matches!(mark("token.reuse", &none), Mark::Status(State::Stop, "Alarm")));
        assert!(matches!(mark("artifact.uploaded", &none), Mark::Icon("upload")));
    }
}
