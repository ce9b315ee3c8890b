//! CHG-42, as it might be on a Wednesday morning.

use super::{at, now, shell};
use crate::domain::digest::Digest;
use crate::web::view::format::{Dig, Time};
use crate::web::view::forms::Input;
use crate::web::view::pages::ticket::TicketPage;
use crate::web::view::parts::{
    Empty, Fact, Facts, GateBoard, GateRow, Leg, Link, LogRow, Mark, Note, Progress, Rail, Reading,
    Signature, Signatures, Signed, Stop, Timeline, Verdict,
};
use crate::web::view::prose::Prose;
use crate::web::view::review::{FindingRow, NewThread, Post, Severity, Thread};
use crate::web::view::shell::Nav;
use crate::web::view::state::{Pips, State, Status, Tag};
use crate::web::view::work::{
    Action, ArtifactFile, ArtifactRow, Attest, Checklist, ChecklistRow, StageRef, TicketHead,
};

pub fn head() -> TicketHead {
    TicketHead {
        number: "CHG-42".into(),
        title: "Add risk limits to positions".into(),
        kind: Tag::plain("Normal change"),
        summary: Prose::from("trading-backend, release ")
            .strong("v2025.11.06")
            .text(", revisions ")
            .code("4f1c83d0 → 9ab27d05")
            .text(" (3 migrations)"),
        filed: Prose::from("Filed by Priya Nair on ").time(time("2025-11-17T09:12:00Z")).text("."),
    }
}

pub fn stage() -> StageRef {
    StageRef {
        number: "CHG-42".into(),
        name: "production".into(),
        label: "Production".into(),
        evidence_digest: Digest::of(b"evidence").to_string(),
    }
}

pub fn time(text: &str) -> Time {
    Time::long(at(text), now())
}

fn gate(key: &'static str, state: State, lead: &str, rest: &str, who: Prose, note: &str) -> GateRow {
    GateRow { key, state, lead: lead.into(), rest: rest.into(), who, note: note.into() }
}

pub fn gates() -> GateBoard {
    let soak_over = at("2025-11-19T14:06:00Z");
    let window = at("2025-11-20T14:00:00Z");
    GateBoard::new(vec![
        gate(
            "checklist",
            State::Who,
            "Blocked: 4 of 5 items.",
            "Nobody has stated the application smoke check.",
            "Priya Nair".into(),
            "any engineer can",
        ),
        gate("dry-run", State::Open, "", "Passed for Upgrade SQL v3 on a snapshot 8 h old.", "".into(), ""),
        gate("review", State::Open, "", "No blocking finding or thread is open.", "".into(), ""),
        gate(
            "approvals",
            State::Who,
            "Blocked: 1 of 2 approvals.",
            "Daniel Okafor has signed. A second board member who touched none of the content must sign.",
            Prose::new().link("Yours to give", "/tickets/CHG-42/stages/production/decide"),
            "2 others can too",
        ),
        gate(
            "previous-stage",
            State::Time,
            "Opens today at 14:06 UTC.",
            "Staging is healthy for 20 h 54 m of 24 h.",
            Prose::new().until(Time::until(soak_over, now())),
            "",
        ),
        gate(
            "incidents",
            State::Stop,
            "Blocked: INC-7 is open.",
            "Opened by Lena Fischer on trading-backend.",
            Prose::new().link("Incidents", "/incidents"),
            "",
        ),
        gate(
            "freeze",
            State::Stale,
            "Waived:",
            "emergency changes don’t wait for the freeze.",
            "".into(),
            "",
        ),
        gate(
            "window",
            State::Time,
            "Opens Thu 14:00 UTC.",
            "Stays open for 2 h.",
            Prose::new().until(Time::until(window, now())),
            "",
        ),
        gate("single-run", State::Open, "", "Nothing else runs on this database.", "".into(), ""),
    ])
}

fn rail() -> Rail {
    let staging = Leg {
        name: "Staging".into(),
        href: "/tickets/CHG-42/stages/staging".into(),
        current: false,
        status: Status::new(State::Run, "Applied, under observation"),
        pips: Pips(vec![State::Open; 9]),
        stops: vec![
            Stop::new(State::Open, "Approved", "2 of 2, Tue 12:10"),
            Stop::new(State::Open, "Window", "Tue 14:00 to 16:00"),
            Stop::new(State::Open, "Applied", "Tue 14:06, 41 s"),
            Stop {
                progress: Some(Progress {
                    value: 1254,
                    max: 1440,
                    label: "Observation, 20 h 54 m of 24 h".into(),
                }),
                ..Stop::new(State::Run, "Observing", "20 h 54 m of 24 h, until today 14:06")
            },
        ],
    };
    let production = Leg {
        name: "Production".into(),
        href: "/tickets/CHG-42/stages/production".into(),
        current: true,
        status: Status::new(State::Who, "Waiting for your signature"),
        pips: gates().pips().clone(),
        stops: vec![
            Stop::new(State::Who, "Approval", "1 of 2"),
            Stop::new(State::Idle, "Window", "Thu 14:00 to 16:00"),
            Stop::new(State::Idle, "Apply", "one-use token"),
            Stop::new(State::Idle, "Monitor", "30 min"),
            Stop::new(State::Idle, "Complete", "notes filed"),
        ],
    };
    Rail { number: "CHG-42".into(), legs: vec![staging, production] }
}

fn verdict() -> Verdict {
    let window = at("2025-11-20T14:00:00Z");
    Verdict {
        state: State::Who,
        question: "Can CHG-42 be applied to production?".into(),
        answer: "Not yet".into(),
        reason: Prose::from("5 of 9 gates are blocked. ")
            .strong("Two wait for people:")
            .text(" you and Priya Nair. ")
            .strong("Two wait for time")
            .text(" and need nobody."),
        reading: Some(Reading {
            label: "Earliest apply".into(),
            value: Time::long_utc(window, now()).into(),
            note: Prose::new().until(Time::until(window, now())).text(", if both people act before then"),
        }),
        id: "answer",
    }
}

fn artifact(kind: &'static str, label: &'static str, filename: &str, version: u32) -> ArtifactRow {
    ArtifactRow {
        kind,
        label,
        file: Some(ArtifactFile {
            filename: filename.into(),
            version,
            earlier: (1..version)
                .rev()
                .map(|v| {
                    Link::new(
                        format!("v{v}"),
                        format!("/tickets/CHG-42/stages/production/artifacts/{kind}?version={v}"),
                    )
                })
                .collect(),
            digest: Dig::short(Digest::of(kind.as_bytes())),
            size: "6.1 KB".into(),
            by: "Priya Nair, token ci-release".into(),
            at: time("2025-11-18T11:02:00Z"),
        }),
        status: None,
        actions: vec![],
        may_upload: true,
    }
}

fn artifacts() -> Vec<ArtifactRow> {
    let mut upgrade = artifact("upgrade-sql", "Upgrade SQL", "upgrade.sql", 3);
    upgrade.actions.push(Link::new("Diff v2 to v3", "/tickets/CHG-42/stages/production/diff"));
    vec![
        upgrade,
        artifact("downgrade-sql", "Downgrade SQL", "downgrade.sql", 2),
        artifact("dry-run-report", "Dry-run report", "dry-run.json", 3),
        artifact("migration-history", "Migration history", "history.json", 1),
        ArtifactRow {
            file: None,
            status: Some(Status::new(State::Who, "Missing")),
            ..artifact("backup-manifest", "Backup manifest", "", 1)
        },
        ArtifactRow { file: None, may_upload: false, ..artifact("run-log", "Run log", "", 1) },
    ]
}

pub fn checklist_row(item: &str, state: State, text: &str, detail: &str, by: &str) -> ChecklistRow {
    ChecklistRow {
        item: item.into(),
        state,
        text: text.into(),
        detail: detail.into(),
        by: by.into(),
        attest: None,
        may_undo: false,
    }
}

fn checklist() -> Checklist {
    let automatic = vec![
        checklist_row("linear-history", State::Open, "History is linear", "One head: 9ab27d05", "Tue 11:19"),
        checklist_row("dry-run-passed", State::Open, "The dry run passed", "41.2 M rows, 38 s", "Tue 11:19"),
        checklist_row("fresh-snapshot", State::Stop, "The snapshot is fresh", "80 h old, 72 h allowed", ""),
    ];
    let mut frozen = checklist_row(
        "release-frozen",
        State::Open,
        "The release is tagged and frozen",
        "“v2025.11.06”",
        "Priya Nair, Tue 15:20",
    );
    frozen.may_undo = true;
    let mut smoke = checklist_row(
        "application-smoke",
        State::Who,
        "The application passes its smoke tests before the window",
        "Any release engineer can state it.",
        "waiting 19 h 40 m",
    );
    smoke.attest = Some(Attest { label: "Note".into(), note: Input::wrong("", "Say where it was run.") });
    Checklist::new(automatic, vec![frozen, smoke])
}

pub fn signatures() -> Signatures {
    let row = |kind, name: &str, when: Prose, about: &str| Signature {
        kind,
        name: name.into(),
        when,
        about: about.into(),
        comment: None,
        actions: vec![],
    };
    let mut daniel =
        row(Signed::Approved, "Daniel Okafor", time("2025-11-19T08:31:00Z").into(), "Change board.");
    daniel.comment = Some("Read v3 in full. 1.8 s lock on positions is fine at 14:00.".into());
    let mut missing = row(
        Signed::Missing,
        "Second signature",
        "you can sign".into(),
        "Marta Kovács (you), Paul Achterberg or Ines Duarte. Not Priya Nair, who filed the ticket.",
    );
    missing.actions = vec![Link::new("Approve or reject", "/tickets/CHG-42/stages/production/decide")];
    let stale = row(
        Signed::Stale,
        "Ines Duarte",
        time("2025-11-17T16:20:00Z").into(),
        "Stale: signed Upgrade SQL v2. Version 3 replaced it on Tue 18 Nov, 11:02.",
    );
    Signatures { rows: vec![daniel, missing, stale], two: false }
}

pub fn findings() -> Vec<FindingRow> {
    let finding = |id: &str, severity, title: &str| FindingRow {
        id: id.into(),
        severity,
        title: title.into(),
        place: Prose::new().link(
            "upgrade.sql, line 2",
            "/tickets/CHG-42/stages/production/artifacts/upgrade-sql?version=3#L2",
        ),
        why: "ADD COLUMN locks positions against reads and writes while it runs.".into(),
        advice: "Set lock_timeout, so that it gives up rather than queue trading behind it.".into(),
        facts: vec!["positions has 200 rows".into()],
        accepted: None,
        accept: None,
    };
    let mut blocking = finding("f1", Severity::Blocking, "column dropped with its data");
    blocking.accept = Some(Input::default());
    let mut accepted = finding("f2", Severity::Blocking, "row locks held to COMMIT");
    accepted.accepted =
        Some(Prose::new().strong("Accepted").text(" by Daniel Okafor, Wed 08:20: “quiet hour”"));
    vec![blocking, accepted, finding("f3", Severity::Warning, "short full lock")]
}

pub fn threads() -> Vec<Thread> {
    vec![Thread {
        id: "t1".into(),
        title: Prose::from("On upgrade.sql v3, line 29"),
        blocking: true,
        status: Status::new(State::Who, "Open"),
        resolved: false,
        posts: vec![
            Post {
                by: "Daniel Okafor".into(),
                at: time("2025-11-18T16:41:00Z"),
                text: "Nothing commits between batches.\nWho writes to positions at 14:00?".into(),
            },
            Post {
                by: "Tomasz Wren".into(),
                at: time("2025-11-19T08:20:00Z"),
                text: "The fill writer, by id.".into(),
            },
        ],
        may_reply: true,
        may_resolve: true,
        may_reopen: false,
        reply: Input::default(),
        back: String::new(),
        quote: Some("SET risk_limit_id = rl.id".into()),
    }]
}

pub fn timeline() -> Timeline {
    let row = |text: &str, icon, who: &str, what: &str, seq: &str| LogRow {
        time: time(text),
        mark: Mark::Icon(icon),
        text: Prose::new().strong(who).text(what),
        aside: seq.into(),
        digest: Some(Dig::brief(Digest::of(seq.as_bytes()))),
    };
    Timeline {
        rows: vec![
            row("2025-11-19T08:31:00Z", "pen-line", "Daniel Okafor", " approved production", "#18431"),
            row("2025-11-18T14:06:00Z", "terminal", "Priya Nair", " applied staging in 41 s", "#18377"),
            row("2025-11-18T11:02:00Z", "upload", "Priya Nair", " uploaded Upgrade SQL v3", "#18352"),
        ],
    }
}

pub fn facts(rows: &[(&str, &str)]) -> Facts {
    Facts { rows: rows.iter().map(|(term, value)| Fact::new(*term, *value)).collect(), ruled: false }
}

pub fn ticket() -> TicketPage {
    TicketPage {
        shell: shell(Nav::Tickets, "CHG-42 Add risk limits to positions"),
        head: head(),
        stage: stage(),
        version: 17,
        actions: vec![
            Action::new("Review SQL", "/tickets/CHG-42/stages/production/diff").icon("file-diff"),
            Action::new("Release apply token", "/tickets/CHG-42/stages/production/token")
                .refused("5 of 9 gates are blocked."),
            Action::new("Approve or reject", "/tickets/CHG-42/stages/production/decide").primary(),
        ],
        alerts: vec![Note::new(
            State::Stop,
            Prose::new()
                .strong("The apply token was used a second time, Wed 09:58.")
                .text(" It was refused. A secret has leaked: find out who holds it."),
        )],
        rail: rail(),
        verdict: verdict(),
        gates: gates(),
        evidence: Some(Dig::short(Digest::of(b"evidence"))),
        artifacts: artifacts(),
        upload_warning: Some("Uploading any file makes Daniel Okafor’s approval stale.".into()),
        checklist: checklist(),
        findings: findings(),
        findings_note: "1 blocking, 1 accepted".into(),
        more_findings: 0,
        no_findings: Empty::new("list-checks", "No finding.", "The analysis has read both files."),
        threads: threads(),
        threads_note: "1 open of 1".into(),
        new_thread: Some(NewThread::default()),
        timeline: timeline(),
        signatures: signatures(),
        quorum: 2,
        no_signatures: Empty::new("pen-line", "Nobody has signed.", "Signing opens with the evidence."),
        risk: Prose::from("Creates ")
            .code("risk_limits")
            .text(", adds a nullable column to ")
            .code("positions"),
        risk_lines: vec![
            Status::new(State::Who, "2 warnings: lock on positions, long backfill"),
            Status::new(State::Open, "Downgrade proven on a snapshot, 11 s"),
        ],
        facts: facts(&[("Kind", "Normal change, 2 approvals"), ("Policy", "runbook, version 3")]),
        rollback: facts(&[("Prior tag", "v2025.10.29"), ("Downgrade SQL", "v2, 11 s on a snapshot")]),
        edit: Some(Action::new("Edit", "/tickets/CHG-42/edit")),
        abandon: Some(Input::default()),
        newest_policy: Some("Version 4 asks for a monitoring snapshot. Approvals become stale.".into()),
    }
}
