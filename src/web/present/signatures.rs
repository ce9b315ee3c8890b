//! Signatures: given, missing, stale, withdrawn, not counted.

use super::{Judged, capital};
use crate::domain::facts::{ApprovalBar, Choice, Vote};
use crate::domain::ticket::TicketState;
use crate::domain::user::Actor;
use crate::web::view::format::{Time, and};
use crate::web::view::parts::{Link, Signature, Signatures, Signed};
use crate::web::view::prose::Prose;

/// Every person's latest vote, and a line for each signature that is missing.
pub fn signatures(stage: &Judged, reader: &Actor) -> Signatures {
    let tally = &stage.report.tally;
    let mut rows: Vec<Signature> = Vec::new();
    for vote in &tally.rejections {
        rows.push(given(stage, reader, vote, Signed::Rejected, "Rejected this evidence.".into()));
    }
    for vote in &tally.approvals {
        rows.push(given(stage, reader, vote, Signed::Approved, bound(vote)));
    }
    let need = usize::try_from(stage.report.quorum).unwrap_or(usize::MAX);
    // What has run was approved: nobody is asked any more.
    let open = stage.facts.ticket.state == TicketState::Open;
    if open && stage.facts.this.standing_upgrade().is_none() {
        for place in tally.approvals.len()..need.min(12) {
            rows.push(missing(stage, reader, place, place == tally.approvals.len()));
        }
    }
    for vote in &tally.barred {
        let bar = stage.facts.approval_bar(vote.user, vote.person);
        rows.push(given(stage, reader, vote, Signed::NotCounted, not_counted(bar).into()));
    }
    for vote in &tally.stale {
        rows.push(given(stage, reader, vote, Signed::Stale, stale(stage, vote)));
    }
    for vote in stage.facts.standing_votes() {
        match vote.choice {
            Choice::Withdraw => {
                rows.push(given(stage, reader, vote, Signed::Withdrawn, "Withdrew their vote.".into()));
            }
            Choice::Reject if vote.evidence != stage.evidence() => {
                let about = "Rejected earlier evidence, which was replaced.".into();
                rows.push(given(stage, reader, vote, Signed::Stale, about));
            }
            Choice::Reject | Choice::Approve => {}
        }
    }
    Signatures { rows, two: false }
}

fn bound(vote: &Vote) -> Prose {
    let hex = vote.evidence.to_string();
    Prose::from("Bound to evidence ").code(format!("{} {}", &hex[..4], &hex[4..8])).text(".")
}

fn given(stage: &Judged, reader: &Actor, vote: &Vote, kind: Signed, about: Prose) -> Signature {
    let mine = vote.person == reader.person && matches!(kind, Signed::Approved | Signed::Rejected);
    let open = stage.facts.ticket.state == TicketState::Open;
    let actions = if mine && open && stage.facts.this.standing_upgrade().is_none() {
        vec![Link::new("Withdraw", format!("{}/decide", stage.href()))]
    } else {
        Vec::new()
    };
    Signature {
        kind,
        name: vote.name.clone(),
        when: Time::long(vote.at, stage.now()).into(),
        about,
        comment: Some(vote.comment.clone()).filter(|comment| !comment.trim().is_empty()),
        actions,
    }
}

/// What replaced the evidence that was signed.
fn stale(stage: &Judged, vote: &Vote) -> Prose {
    let newer: Vec<String> = stage
        .facts
        .this
        .evidence_files()
        .into_iter()
        .filter(|file| file.uploaded_at > vote.at)
        .map(|file| format!("{} v{}", file.kind.label(), file.version))
        .collect();
    let last = stage.facts.this.evidence_files().into_iter().map(|file| file.uploaded_at).max();
    match last.filter(|at| *at > vote.at) {
        Some(at) => Prose::from(format!("Stale: {} came after it, ", and(&newer)))
            .time(Time::long(at, stage.now()))
            .text("."),
        None => {
            "Stale: the ticket, its policy or an accepted finding changed after it, or a run ended.".into()
        }
    }
}

const fn not_counted(bar: Option<ApprovalBar>) -> &'static str {
    match bar {
        Some(ApprovalBar::Contributor) => "Not counted: touched the content of this change.",
        Some(ApprovalBar::ShapedByContributor) => {
            "Not counted: somebody who touched this change made or changed the account."
        }
        Some(ApprovalBar::Deactivated) => "Not counted: the account is deactivated.",
        Some(ApprovalBar::TooYoung) => "Not counted: the account is younger than policy allows.",
        Some(ApprovalBar::NotOnBoard) | None => "Not counted: no member of the change board any more.",
    }
}

fn missing(stage: &Judged, reader: &Actor, place: usize, next: bool) -> Signature {
    let ordinal = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
        .get(place)
        .map_or_else(|| format!("{}th", place + 1), |word| (*word).to_owned());
    let mine = next && stage.own_vote(reader).is_none() && stage.may_approve(reader).is_ok();
    let (when, about, actions) = if mine {
        (
            "you can sign",
            "You touched none of the content.",
            vec![Link::new("Approve or reject", format!("{}/decide", stage.href()))],
        )
    } else if stage.evidence_complete() {
        ("", "A board member who touched none of the content.", Vec::new())
    } else {
        ("", "Signing opens when the evidence is complete.", Vec::new())
    };
    Signature {
        kind: Signed::Missing,
        name: capital(&format!("{ordinal} signature")),
        when: when.into(),
        about: about.into(),
        comment: None,
        actions,
    }
}
