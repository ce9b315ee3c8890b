//! `/tickets/CHG-1/stages/production/decide`: exactly what is being approved, and the signature.

use askama::Template;

use crate::web::view::code::Diff;
use crate::web::view::format::Dig;
use crate::web::view::forms::{ErrorSummary, Input};
use crate::web::view::pages::files::Readers;
use crate::web::view::parts::{Empty, Facts};
use crate::web::view::prose::Prose;
use crate::web::view::review::FindingRow;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{Lamps, Status};
use crate::web::view::work::{StageRef, TicketHead};

/// One file of the evidence.
#[derive(Clone, Debug)]
pub struct SignedArtifact {
    pub label: &'static str,
    pub version: u32,
    pub size: String,
    pub href: String,
    /// In full.
    pub digest: Dig,
    /// "read, Wed 10:41", "not opened".
    pub read: Status,
}

/// The SQL beside what ran, or was approved, before.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// "Against what ran in staging".
    pub title: String,
    /// "The SQL is byte for byte what ran in staging." or "+18 −8 lines differ."
    pub summary: Prose,
    pub href: String,
    /// "Open the whole diff".
    pub link: &'static str,
    /// Present where the difference is small enough to stand here.
    pub diff: Option<Diff>,
}

/// What a destructive statement takes with it, from the rehearsal.
#[derive(Clone, Debug)]
pub struct Loss {
    pub statement: String,
    /// "41,207,334", or "not known".
    pub rows: String,
    pub detail: String,
}

/// The form as it was filled in. The password is never kept.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// `approve`, `reject` or `withdraw`. Fault id: `choice`.
    pub decision: Input,
    pub comment: Input,
    /// `true` if ticked.
    pub acknowledged: Input,
    pub password: Input,
}

/// The decide page.
#[derive(Debug, Template)]
#[template(path = "pages/decide.html")]
pub struct DecidePage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    /// The release tag.
    pub release: String,
    pub errors: Option<ErrorSummary>,
    /// What changed, after a vote for evidence that is no longer current. Answered with 409.
    pub stale: Option<Vec<Prose>>,
    pub artifacts: Vec<SignedArtifact>,
    /// "5 artifacts".
    pub artifacts_note: String,
    /// Revisions, tags, policy, database, emergency: the rest of what the digest covers.
    pub covers: Facts,
    /// In full.
    pub evidence: Dig,
    pub comparison: Comparison,
    pub losses: Vec<Loss>,
    pub no_losses: Empty,
    pub findings: Vec<FindingRow>,
    pub findings_note: String,
    /// Findings beyond those.
    pub more_findings: usize,
    pub no_findings: Empty,
    pub know: Vec<Status>,
    pub next: Facts,
    /// The canonical evidence, which the form sends back: its digest proves it, and a refusal can say what changed.
    pub canonical: String,
    /// Why the reader can decide nothing here: then there is no form.
    pub refused: Option<String>,
    pub answers: Decision,
    /// Why approving is not offered.
    pub cannot_approve: Option<String>,
    pub may_reject: bool,
    pub may_withdraw: bool,
    /// The sentence to tick where the SQL differs from the stage before.
    pub acknowledge: Option<String>,
    /// Why nothing can be approved yet: a file that no page shows whole was not downloaded.
    pub unseen: Option<Prose>,
    /// How far everybody has read.
    pub readers: Readers,
    pub lamps: Lamps,
    pub signer: String,
    /// "change board".
    pub signer_role: String,
    /// "You did not file this ticket or touch its content, so you may sign."
    pub signer_note: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::code::{Change, Code, DiffRow};
    use crate::web::view::forms::Fault;
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn decide() -> DecidePage {
        let artifact = |label, name: &[u8], read| SignedArtifact {
            label,
            version: 3,
            size: "6.1 KB".into(),
            href: "/tickets/CHG-42/stages/production/artifacts/upgrade-sql?version=3".into(),
            digest: Dig::full(Digest::of(name)),
            read,
        };
        let line = |change, old, new, text: &str| DiffRow::Line { change, old, new, code: Code::line(text) };
        DecidePage {
            shell: sample::shell(Nav::Tickets, "Decide on CHG-42 for production"),
            head: sample::head(),
            stage: sample::stage(),
            release: "v2025.11.06".into(),
            errors: None,
            stale: None,
            artifacts: vec![
                artifact("Upgrade SQL", b"u", Status::new(State::Open, "read, Wed 10:41")),
                artifact("Downgrade SQL", b"d", Status::new(State::Idle, "not opened")),
            ],
            artifacts_note: "2 artifacts".into(),
            covers: sample::facts(&[("Revisions", "4f1c83d0a2be to 9ab27d05c1e8"), ("Policy", "version 3")]),
            evidence: Dig::full(Digest::of(b"evidence")),
            comparison: Comparison {
                title: "Against what ran in staging".into(),
                summary: Prose::new().strong("1 line differs").text(" from the SQL that ran in staging."),
                href: "/tickets/CHG-42/stages/production/diff?from=staging:1&to=production:1".into(),
                link: "Open the whole diff",
                diff: Some(Diff {
                    caption: "upgrade.sql: staging version 1 compared with production version 3".into(),
                    rows: vec![
                        DiffRow::Fold("3 unchanged lines".into()),
                        line(Change::Removed, Some(4), None, "SET lock_timeout = '30s';"),
                        line(Change::Added, None, Some(4), "SET lock_timeout = '3s';"),
                        line(Change::Same, Some(5), Some(5), "COMMIT;"),
                    ],
                }),
            },
            losses: vec![Loss {
                statement: "DROP COLUMN margin".into(),
                rows: "41,207,334".into(),
                detail: "values that are not NULL in the snapshot".into(),
            }],
            no_losses: Empty::new("list-checks", "No statement loses data.", "So the rehearsal says."),
            findings: sample::findings(),
            findings_note: "1 blocking, 1 accepted".into(),
            more_findings: 0,
            no_findings: Empty::new("list-checks", "No finding.", "Both files were read."),
            know: vec![Status::new(State::Time, "Staging is healthy for 20 h 54 m of 24 h.")],
            next: sample::facts(&[("If you approve", "The approval gate opens with 2 of 2.")]),
            canonical: "{\"tag\":\"evidence/1\"}".into(),
            refused: None,
            answers: Decision { comment: Input::of("Fine at 14:00 <ok>"), ..Decision::default() },
            cannot_approve: None,
            may_reject: true,
            may_withdraw: true,
            acknowledge: Some("I have read how this SQL differs from what ran in staging".into()),
            unseen: None,
            readers: Readers { rows: vec![Status::new(State::Idle, "Marta has marked 1 of 2")], files: 2 },
            lamps: Lamps { have: 1, need: 2, alone: true },
            signer: "Marta Kovács".into(),
            signer_role: "change board".into(),
            signer_note: "You touched none of the content, so you may sign.".into(),
        }
    }

    #[test]
    fn the_form_carries_the_digest_its_reader_saw() {
        let html = sample::check("decide", &decide());
        let digest = Digest::of(b"evidence").to_string();
        assert!(html.contains(&format!("name=\"evidence_digest\" value=\"{digest}\"")));
        for choice in ["approve", "reject", "withdraw"] {
            assert!(html.contains(&format!("type=\"radio\" name=\"decision\" value=\"{choice}\">")));
        }
        assert!(html.contains("<button class=\"btn act\">Sign and record</button>"));
        assert!(html.contains("type=\"checkbox\" name=\"acknowledged\""));
        assert!(html.contains("name=\"evidence\" value=\"{&#34;tag&#34;:&#34;evidence/1&#34;}\""));
        assert!(
            html.contains("<tr class=\"del\">") && html.contains(">−<span class=\"vh\"> removed</span></td>")
        );
        assert!(!html.contains(" checked"), "nothing is decided for the reader");
    }

    #[test]
    fn a_wrong_password_keeps_everything_else() {
        let mut page = decide();
        page.shell.title = "Error: Decide on CHG-42".into();
        page.answers.decision = Input::of("approve");
        page.answers.password = Input::wrong("secret words", "That password is not right.");
        page.errors = Some(ErrorSummary {
            title: "Nothing was recorded: 1 answer needs a change".into(),
            faults: vec![Fault { field: "password".into(), text: "That password is not right".into() }],
            kept: "Everything else is kept as you typed it.".into(),
        });
        let html = sample::check("decide-errors", &page);
        assert!(html.contains("value=\"approve\" checked") && html.contains("Fine at 14:00 &#60;ok&#62;"));
        assert!(!html.contains("secret words"));
    }

    #[test]
    fn a_stale_vote_is_told_what_changed() {
        let mut page = decide();
        page.stale = Some(vec!["Upgrade SQL is now v4; you read v3.".into()]);
        let html = sample::check("decide-stale", &page);
        assert!(html.contains("Nothing was recorded.") && html.contains("Upgrade SQL is now v4"));
    }

    #[test]
    fn who_may_not_approve_sees_why_and_can_still_reject() {
        let mut page = decide();
        page.cannot_approve = Some("You touched this change: four eyes, always.".into());
        page.unseen = Some("Download Upgrade SQL v3 and read it.".into());
        let html = sample::check("decide-contributor", &page);
        assert!(html.contains("value=\"approve\" disabled>") && html.contains("four eyes, always."));
        assert!(html.contains("value=\"reject\">") && html.contains("Download Upgrade SQL v3 and read it."));
    }

    #[test]
    fn who_may_not_sign_gets_a_reason_and_no_form() {
        let mut page = decide();
        page.refused = Some("You uploaded Upgrade SQL v3, so another board member must sign.".into());
        let html = sample::check("decide-refused", &page);
        assert!(html.contains("disabled>Sign and record") && !html.contains("name=\"decision\""));
        assert!(html.contains("another board member must sign"));
    }
}
