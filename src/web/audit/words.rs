//! What an audit event says, in a few words.

use crate::web::view::forms::Choice;

/// The areas that events belong to, for the filter.
const AREAS: [(&str, &str); 15] = [
    ("ticket", "Tickets"),
    ("artifact", "Artifacts"),
    ("checklist", "Checklist"),
    ("finding", "Findings"),
    ("thread", "Threads"),
    ("vote", "Votes"),
    ("token", "Apply tokens"),
    ("run", "Runs"),
    ("stage", "Verdicts"),
    ("incident", "Incidents"),
    ("freeze", "Freezes"),
    ("policy", "Policies"),
    ("user", "Accounts"),
    ("session", "Sessions"),
    ("api-token", "API tokens"),
];

pub(super) fn areas() -> Vec<Choice> {
    let all = std::iter::once(Choice::new("", "Any"));
    all.chain(AREAS.map(|(area, words)| Choice::new(area, words))).collect()
}

/// The area itself, if it is one.
pub(super) fn area(name: &str) -> Option<&'static str> {
    AREAS.iter().map(|(area, _)| *area).find(|area| *area == name)
}

/// What happened. A kind that has no words here is said as it is spelled in the log.
pub(super) fn what(kind: &str) -> String {
    let words = match kind {
        "api-token.created" => "made an API token",
        "api-token.revoked" => "revoked an API token",
        "artifact.downloaded" => "downloaded an artifact",
        "artifact.read" => "marked an artifact as read",
        "artifact.uploaded" => "uploaded an artifact",
        "checklist.attested" => "ticked a checklist item",
        "finding.accepted" => "accepted a finding",
        "freeze.declared" => "declared a freeze",
        "freeze.ended" => "ended a freeze",
        "incident.declared" => "declared an incident",
        "incident.resolved" => "resolved an incident",
        "policy.applied" => "applied a policy",
        "run.finished" => "finished a run",
        "run.late-report" => "reported on a run too late",
        "run.lost" => "gave a silent run up as lost",
        "run.settled" => "settled a run",
        "session.ended" => "ended a session",
        "session.started" => "signed in",
        "sign-in.failed" => "noted a failed sign-in",
        "stage.judged" => "judged a stage",
        "thread.answered" => "answered in a thread",
        "thread.opened" => "opened a thread",
        "ticket.abandoned" => "abandoned a ticket",
        "ticket.completed" => "completed a ticket",
        "ticket.edited" => "edited a ticket",
        "ticket.filed" => "filed a ticket",
        "ticket.policy-moved" => "moved a ticket to a newer policy",
        "token.expired" => "let an apply token expire",
        "token.redeemed" => "redeemed an apply token",
        "token.refused" => "refused an apply token",
        "token.released" => "released an apply token",
        "token.reuse" => "refused a second use of an apply token",
        "token.revoked" => "revoked an apply token",
        "user.added" => "added an account",
        "user.deactivated" => "deactivated an account",
        "user.enrolled" => "set a password with a one-time link",
        "user.password-changed" => "changed a password",
        "user.reset" => "made a new one-time link",
        "user.roles-changed" => "changed roles",
        "vote.recorded" => "voted",
        other => return other.replace(['.', '-'], " "),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_of_the_filter_is_one_of_ours() {
        assert_eq!(area("vote"), Some("vote"));
        assert_eq!(area("vote%"), None);
        assert_eq!(area(""), None);
        assert_eq!(areas().len(), AREAS.len() + 1);
    }

    #[test]
    fn a_new_kind_is_said_as_it_is_spelled() {
        assert_eq!(what("vote.recorded"), "voted");
        assert_eq!(what("thing.newly-done"), "thing newly done");
    }
}
