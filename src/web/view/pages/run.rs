//! `/tickets/CHG-1/stages/production/run`: one execution, its log, its smoke tests, its observation.

use askama::Template;

use crate::web::view::code::Code;
use crate::web::view::format::Dig;
use crate::web::view::forms::{ErrorSummary, Input};
use crate::web::view::parts::{Empty, Facts, Note, Progress, Timeline, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{Glyph, State, Status};
use crate::web::view::work::{Action, ArtifactRow, Checklist, StageRef, TicketHead};

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// `Idle` for an ordinary line; `Who` for a slow one, `Stop` for an error, `Open` for the end.
    pub state: State,
    pub code: Code,
}

/// One smoke test of the report.
#[derive(Clone, Debug)]
pub struct SmokeTest {
    pub name: String,
    pub result: Status,
    pub message: String,
    /// "38 ms".
    pub took: String,
}

/// One step of the stage, done or ahead.
#[derive(Clone, Debug)]
pub struct StepRow {
    pub state: State,
    pub text: String,
    pub by: Prose,
}

impl StepRow {
    fn glyph(&self) -> Glyph {
        self.state.named(match self.state {
            State::Open => "Done",
            State::Run => "Under way",
            State::Stop => "Failed",
            _ => "Ahead",
        })
    }
}

/// The form for a run that stopped reporting.
#[derive(Clone, Debug, Default)]
pub struct RunVerdict {
    /// `applied`, `not-applied` or `partly`. Fault id: `run-verdict`.
    pub verdict: Input,
    pub revision: Input,
    pub note: Input,
}

/// The form that ends an observation.
#[derive(Clone, Debug)]
pub struct Observation {
    /// `healthy` or `unhealthy`. Fault id: `observation-verdict`.
    pub verdict: Input,
    pub note: Input,
    /// "From 14:42, with passed smoke tests."
    pub healthy_hint: String,
}

/// The form that releases a rollback token; the answer is the token page.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// `downgrade` or `restore`. Fault id: `method`.
    pub method: Input,
    /// "Took 11 s on the snapshot; 31 rows entered since 14:11 would be lost."
    pub downgrade_hint: String,
    pub restore_hint: String,
}

/// The run page.
#[derive(Debug, Template)]
#[template(path = "pages/run.html")]
pub struct RunPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    /// The run the forms speak of; empty while there is none.
    pub run_id: String,
    /// "Production run", "Rollback of production".
    pub title: String,
    /// Who applied it, from where, when.
    pub summary: Prose,
    pub actions: Vec<Action>,
    pub alerts: Vec<Note>,
    pub errors: Option<ErrorSummary>,
    /// Its `id` is `answer`.
    pub verdict: Verdict,
    /// The observation, while it lasts.
    pub progress: Option<Progress>,
    /// Outcome, revisions before and after, exit code, heartbeat, overrun.
    pub outcome: Facts,
    pub unknown: Option<RunVerdict>,
    pub log: Vec<LogLine>,
    /// "42 s, exit 0", "cut at 2 MB".
    pub log_note: String,
    pub log_href: Option<String>,
    pub log_digest: Option<Dig>,
    pub no_log: Empty,
    pub smoke_status: Status,
    pub tests: Vec<SmokeTest>,
    /// The policy's smoke items.
    pub smoke: Checklist,
    /// One row: `smoke-report`.
    pub smoke_report: Vec<ArtifactRow>,
    /// One row: `monitoring-snapshot`.
    pub monitoring: Vec<ArtifactRow>,
    pub monitoring_note: String,
    pub steps: Vec<StepRow>,
    pub observation: Option<Observation>,
    /// What going back means here.
    pub rollback_text: Prose,
    pub rollback: Option<Rollback>,
    pub rollback_refused: Option<String>,
    pub earlier: Timeline,
}

impl RunPage {
    /// Uploads after a run make no approval stale.
    #[expect(clippy::unused_self, reason = "templates reach functions through the values they are given")]
    fn no_warning(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::code;
    use crate::web::view::pages::sample;

    fn line(state: State, text: &str) -> LogLine {
        LogLine { state, code: Code::line(text) }
    }

    fn run() -> RunPage {
        let ticket = sample::ticket();
        let row = |kind: &'static str, label: &'static str| {
            let mut row = ticket.artifacts[0].clone();
            (row.kind, row.label, row.actions) = (kind, label, vec![]);
            row
        };
        RunPage {
            shell: sample::shell(Nav::Tickets, "Production run of CHG-42"),
            head: sample::head(),
            stage: sample::stage(),
            run_id: "0198c0de-0000-7000-8000-000000000001".into(),
            title: "Production run".into(),
            summary: Prose::from("Applied by Priya Nair. Started ")
                .time(sample::time("2025-11-19T10:11:04Z"))
                .text("."),
            actions: vec![],
            alerts: vec![],
            errors: None,
            verdict: Verdict {
                state: State::Time,
                question: "Is production healthy after CHG-42?".into(),
                answer: "So far, yes".into(),
                reason: "18 min of 30 observed. Smoke tests 12 of 12.".into(),
                reading: None,
                id: "answer",
            },
            progress: Some(Progress { value: 18, max: 30, label: "Observation, 18 of 30 minutes".into() }),
            outcome: sample::facts(&[("Outcome", "succeeded"), ("Revisions", "4f1c83d0 to 9ab27d05")]),
            unknown: None,
            log: vec![
                line(State::Idle, "14:11:04 token redeemed"),
                line(State::Who, "14:11:08 ALTER TABLE positions  1.61 s"),
                line(State::Open, "14:11:46 done <ok> \u{1b}[31m"),
            ],
            log_note: "42 s, exit 0".into(),
            log_href: Some("/tickets/CHG-42/stages/production/artifacts/run-log/raw?version=1".into()),
            log_digest: Some(Dig::brief(crate::domain::digest::Digest::of(b"log"))),
            no_log: Empty::new("terminal", "Nothing has been logged yet.", "Lines appear as they arrive."),
            smoke_status: Status::new(State::Open, "12 of 12 passed"),
            tests: vec![SmokeTest {
                name: "test_risk[EQ-4]".into(),
                result: Status::new(State::Open, "Passed"),
                message: String::new(),
                took: "38 ms".into(),
            }],
            smoke: Checklist::new(
                vec![],
                vec![sample::checklist_row("risk-page", State::Who, "/risk answers", "", "not stated")],
            ),
            smoke_report: vec![row("smoke-report", "Smoke report")],
            monitoring: vec![row("monitoring-snapshot", "Monitoring snapshot")],
            monitoring_note: "1 snapshot".into(),
            steps: vec![
                StepRow { state: State::Open, text: "Applied in 42 s".into(), by: "14:11".into() },
                StepRow { state: State::Run, text: "Observation".into(), by: "to 14:42".into() },
                StepRow { state: State::Idle, text: "Completion notes".into(), by: "Priya Nair".into() },
            ],
            observation: Some(Observation {
                verdict: Input::default(),
                note: Input::default(),
                healthy_hint: "From 14:42, with passed smoke tests.".into(),
            }),
            rollback_text: Prose::from("Drops ").code("risk_limits").text("."),
            rollback: Some(Rollback {
                method: Input::default(),
                downgrade_hint: "11 s on the snapshot.".into(),
                restore_hint: "Backup of 03:00, prior tag v2025.10.29.".into(),
            }),
            rollback_refused: None,
            earlier: Timeline { rows: vec![] },
        }
    }

    #[test]
    fn a_run_shows_its_log_as_text() {
        let html = sample::check("run", &run());
        assert!(html.contains("done &#60;ok&#62; <span class=\"hid\">U+001B</span>[31m"));
        assert!(html.contains("action=\"/tickets/CHG-42/stages/production/run/observation\""));
        assert!(html.contains("action=\"/tickets/CHG-42/stages/production/rollback\""));
        assert!(html.contains("Upload…<span class=\"vh\"> Monitoring snapshot</span>"));
        assert!(!html.contains("Record verdict"), "only for a run of unknown outcome");
        assert_eq!(code::lines("a\nb\n").count(), 2);
    }

    #[test]
    fn an_unknown_run_asks_a_person() {
        let mut page = run();
        page.unknown = Some(RunVerdict {
            verdict: Input::wrong("partly", "Say at which revision the database is."),
            ..RunVerdict::default()
        });
        page.rollback = None;
        page.rollback_refused = Some("Blocked: a verdict comes first.".into());
        page.log.clear();
        let html = sample::check("run-unknown", &page);
        for choice in ["applied", "not-applied"] {
            assert!(html.contains(&format!("name=\"verdict\" value=\"{choice}\">")));
        }
        assert!(html.contains("name=\"verdict\" value=\"partly\" checked>"));
        assert!(!html.contains("/rollback\"") && html.contains("a verdict comes first"));
        assert!(html.contains("Nothing has been logged yet."));
    }
}
