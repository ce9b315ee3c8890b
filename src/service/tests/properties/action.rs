//! What anybody may try at any moment. Numbers pick among what there is, so that every sequence, and every part of
//! one, can be played.

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::domain::facts::{Choice, Intent};
use crate::domain::run::{Method, Outcome, RunVerdict};

/// One of the people and tokens of `model::WHO`.
pub(super) type Who = usize;

/// A ticket, counted among those filed so far, and one of its two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub ticket: usize,
    pub stage: usize,
}

/// A file to upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// One file of a whole kit whose snapshot is this many hours old.
    Fresh {
        kind: usize,
        variant: u8,
        age: i64,
    },
    /// The newest file of a kind once more, byte for byte.
    Again {
        kind: usize,
    },
    /// The first file of a kind, over whatever came after it.
    First {
        kind: usize,
    },
    /// The report of a dry run of the newest upgrade on the newest backup.
    Matching,
    /// The upgrade's text as downgrade.
    UpgradeAsDowngrade,
    /// A report of a dry run that failed.
    FailedReport,
    /// A backup manifest as dry-run report.
    WrongKind,
    Other {
        text: u8,
    },
    Smoke {
        passed: bool,
    },
}

/// What a redemption presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presents {
    Right,
    OtherSql,
    /// The digest of the bytes where that of the render is wanted.
    RawSql,
    NoManifest,
    OtherManifest,
    NoDatabase,
    UnknownSecret,
}

/// What a client says of a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub outcome: Outcome,
    /// 0: where it was to lead; 1: where it started; 2: in between; 3: not said.
    pub after: u8,
    pub restored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    File {
        who: Who,
        kind: u8,
        incident: Option<usize>,
    },
    Edit {
        who: Who,
        ticket: usize,
        kind: u8,
        incident: Option<usize>,
        author: Option<usize>,
        stale: bool,
    },
    Move {
        who: Who,
        ticket: usize,
    },
    Abandon {
        who: Who,
        ticket: usize,
    },
    Complete {
        who: Who,
        ticket: usize,
        retrospective: bool,
    },
    Upload {
        who: Who,
        at: Place,
        what: What,
    },
    Tick {
        who: Who,
        at: Place,
        item: usize,
        done: bool,
    },
    Accept {
        who: Who,
        at: Place,
        pick: usize,
    },
    Thread {
        who: Who,
        at: Place,
        blocking: bool,
    },
    Settle {
        who: Who,
        at: Place,
        pick: usize,
        resolve: bool,
    },
    /// `seen`: how many different states of the evidence ago the page was opened.
    Vote {
        who: Who,
        at: Place,
        choice: Choice,
        seen: usize,
        acknowledged: bool,
    },
    Release {
        who: Who,
        at: Place,
        intent: Intent,
    },
    Revoke {
        who: Who,
        at: Place,
    },
    Redeem {
        who: Who,
        token: usize,
        key: u8,
        presents: Presents,
    },
    Heartbeat {
        who: Who,
        run: usize,
    },
    Finish {
        who: Who,
        run: usize,
        end: End,
    },
    Verdict {
        who: Who,
        run: usize,
        verdict: RunVerdict,
    },
    Sweep,
    Observe {
        who: Who,
        at: Place,
        healthy: bool,
    },
    Incident {
        who: Who,
    },
    Resolve {
        who: Who,
        pick: usize,
    },
    Freeze {
        who: Who,
        stage: Option<usize>,
        start: i64,
        hours: i64,
    },
    Thaw {
        who: Who,
        pick: usize,
    },
    Policy {
        who: Option<Who>,
        variant: usize,
    },
    Roles {
        who: Option<Who>,
        account: usize,
        menu: usize,
    },
    Deactivate {
        who: Option<Who>,
        account: usize,
    },
    Wait(SignedDuration),
    /// Until the next window of a stage opens, and so many seconds more or less.
    Window {
        stage: usize,
        offset: i64,
    },
    /// Whatever honest people would do next to get this stage applied.
    Next(Place),
    /// The same, to get it rolled back.
    Back(Place, Method),
}

impl Action {
    /// The same act by somebody else; none for what nobody in particular does.
    pub fn by(mut self, other: Who) -> Option<Self> {
        match &mut self {
            Self::File { who, .. }
            | Self::Edit { who, .. }
            | Self::Move { who, .. }
            | Self::Abandon { who, .. }
            | Self::Complete { who, .. }
            | Self::Upload { who, .. }
            | Self::Tick { who, .. }
            | Self::Accept { who, .. }
            | Self::Thread { who, .. }
            | Self::Settle { who, .. }
            | Self::Vote { who, .. }
            | Self::Release { who, .. }
            | Self::Revoke { who, .. }
            | Self::Redeem { who, .. }
            | Self::Heartbeat { who, .. }
            | Self::Finish { who, .. }
            | Self::Verdict { who, .. }
            | Self::Observe { who, .. }
            | Self::Incident { who }
            | Self::Resolve { who, .. }
            | Self::Freeze { who, .. }
            | Self::Thaw { who, .. } => *who = other,
            Self::Policy { who, .. } | Self::Roles { who, .. } | Self::Deactivate { who, .. } => {
                *who = Some(other);
            }
            Self::Sweep | Self::Wait(_) | Self::Window { .. } | Self::Next(_) | Self::Back(..) => {
                return None;
            }
        }
        Some(self)
    }

    /// The ticket and stage that an act is about.
    pub fn place(&self) -> Option<Place> {
        match *self {
            Self::Edit { ticket, .. }
            | Self::Move { ticket, .. }
            | Self::Abandon { ticket, .. }
            | Self::Complete { ticket, .. } => Some(Place { ticket, stage: 0 }),
            Self::Upload { at, .. }
            | Self::Tick { at, .. }
            | Self::Accept { at, .. }
            | Self::Thread { at, .. }
            | Self::Settle { at, .. }
            | Self::Vote { at, .. }
            | Self::Release { at, .. }
            | Self::Revoke { at, .. }
            | Self::Observe { at, .. }
            | Self::Next(at)
            | Self::Back(at, _) => Some(at),
            _ => None,
        }
    }
}

/// An act that somebody tries, or, if `apt`, whoever may if they may not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub act: Action,
    pub apt: bool,
}

fn place() -> impl Strategy<Value = Place> {
    (prop_oneof![4 => Just(0_usize), 1 => 1..3_usize], prop_oneof![3 => Just(0_usize), 2 => Just(1)])
        .prop_map(|(ticket, stage)| Place { ticket, stage })
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Downgrade), Just(Method::Restore)]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => (0..6_usize, 0..2_u8, prop_oneof![6 => 1..4_i64, 1 => Just(71), 1 => Just(80), 1 => Just(-1)])
            .prop_map(|(kind, variant, age)| What::Fresh { kind, variant, age }),
        2 => (0..6_usize).prop_map(|kind| What::Again { kind }),
        2 => (0..6_usize).prop_map(|kind| What::First { kind }),
        2 => Just(What::Matching),
        1 => Just(What::UpgradeAsDowngrade),
        1 => Just(What::FailedReport),
        1 => Just(What::WrongKind),
        1 => (0..3_u8).prop_map(|text| What::Other { text }),
        2 => any::<bool>().prop_map(|passed| What::Smoke { passed }),
    ]
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![2 => Just(Intent::Upgrade), 1 => method().prop_map(Intent::Rollback)]
}

fn end() -> impl Strategy<Value = End> {
    let outcome = prop_oneof![
        2 => Just(Outcome::Succeeded),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::Partial)
    ];
    (outcome, 0..4_u8, any::<bool>()).prop_map(|(outcome, after, restored)| End { outcome, after, restored })
}

fn presents() -> impl Strategy<Value = Presents> {
    prop_oneof![
        6 => Just(Presents::Right),
        1 => Just(Presents::OtherSql),
        1 => Just(Presents::RawSql),
        1 => Just(Presents::NoManifest),
        1 => Just(Presents::OtherManifest),
        1 => Just(Presents::NoDatabase),
        1 => Just(Presents::UnknownSecret),
    ]
}

fn length() -> impl Strategy<Value = SignedDuration> {
    prop_oneof![
        3 => prop_oneof![Just(1_i64), Just(59), Just(60), Just(61), Just(600), Just(1800)],
        2 => prop_oneof![Just(2_i64 * 3600), Just(24 * 3600), Just(30 * 3600)],
    ]
    .prop_map(SignedDuration::from_secs)
}

fn verdict() -> impl Strategy<Value = RunVerdict> {
    prop_oneof![Just(RunVerdict::Applied), Just(RunVerdict::NotApplied), Just(RunVerdict::Partly)]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![4 => Just(Choice::Approve), 1 => Just(Choice::Reject), 2 => Just(Choice::Withdraw)]
}

/// Of tickets and the world around them.
fn around() -> impl Strategy<Value = Action> {
    let who = || 0..super::model::WHO.len();
    let incident = || prop::option::of(0..3_usize);
    let by = || prop_oneof![1 => Just(None), 4 => (0..super::model::WHO.len()).prop_map(Some)];
    let account = || 0..super::model::ACCOUNTS.len();
    prop_oneof![
        3 => (who(), 0..3_u8, incident()).prop_map(|(who, kind, incident)| Action::File { who, kind, incident }),
        2 => (who(), 0..3_usize, 0..3_u8, incident(), prop::option::of(account()), prop::bool::weighted(0.2)).prop_map(
            |(who, ticket, kind, incident, author, stale)| Action::Edit { who, ticket, kind, incident, author, stale }),
        2 => (who(), 0..3_usize).prop_map(|(who, ticket)| Action::Move { who, ticket }),
        1 => (who(), 0..3_usize).prop_map(|(who, ticket)| Action::Abandon { who, ticket }),
        1 => (who(), 0..3_usize, any::<bool>()).prop_map(|(who, ticket, retrospective)| Action::Complete { who, ticket, retrospective }),
        2 => who().prop_map(|who| Action::Incident { who }),
        4 => (who(), 0..3_usize).prop_map(|(who, pick)| Action::Resolve { who, pick }),
        1 => (who(), prop::option::of(0..2_usize), -1..3_i64, 1..30_i64).prop_map(
            |(who, stage, start, hours)| Action::Freeze { who, stage, start, hours }),
        2 => (who(), 0..3_usize).prop_map(|(who, pick)| Action::Thaw { who, pick }),
        2 => (by(), 0..super::model::POLICIES.len()).prop_map(|(who, variant)| Action::Policy { who, variant }),
        3 => (by(), account(), 0..super::model::MENU.len()).prop_map(|(who, account, menu)| Action::Roles { who, account, menu }),
        1 => (by(), account()).prop_map(|(who, account)| Action::Deactivate { who, account }),
    ]
}

/// Of one stage.
fn inside() -> impl Strategy<Value = Action> {
    let who = || 0..super::model::WHO.len();
    prop_oneof![
        5 => (who(), place(), what()).prop_map(|(who, at, what)| Action::Upload { who, at, what }),
        2 => (who(), place(), 0..8_usize, prop::bool::weighted(0.7))
            .prop_map(|(who, at, item, done)| Action::Tick { who, at, item, done }),
        2 => (who(), place(), 0..20_usize).prop_map(|(who, at, pick)| Action::Accept { who, at, pick }),
        1 => (who(), place(), any::<bool>()).prop_map(|(who, at, blocking)| Action::Thread { who, at, blocking }),
        3 => (who(), place(), 0..3_usize, prop::bool::weighted(0.8))
            .prop_map(|(who, at, pick, resolve)| Action::Settle { who, at, pick, resolve }),
        6 => (who(), place(), choice(), prop_oneof![3 => Just(0_usize), 1 => 1..4_usize], prop::bool::weighted(0.8))
            .prop_map(|(who, at, choice, seen, acknowledged)| Action::Vote { who, at, choice, seen, acknowledged }),
        4 => (who(), place(), intent()).prop_map(|(who, at, intent)| Action::Release { who, at, intent }),
        1 => (who(), place()).prop_map(|(who, at)| Action::Revoke { who, at }),
        6 => (who(), 0..4_usize, 0..3_u8, presents())
            .prop_map(|(who, token, key, presents)| Action::Redeem { who, token, key, presents }),
        2 => (who(), 0..3_usize).prop_map(|(who, run)| Action::Heartbeat { who, run }),
        3 => (who(), 0..3_usize, end()).prop_map(|(who, run, end)| Action::Finish { who, run, end }),
        3 => (who(), 0..3_usize, verdict()).prop_map(|(who, run, verdict)| Action::Verdict { who, run, verdict }),
        1 => Just(Action::Sweep),
        2 => (who(), place(), any::<bool>()).prop_map(|(who, at, healthy)| Action::Observe { who, at, healthy }),
    ]
}

/// Any act; about half of them lead somewhere.
pub(super) fn any_wish() -> impl Strategy<Value = Wish> {
    let act = prop_oneof![
        50 => place().prop_map(Action::Next),
        4 => (place(), method()).prop_map(|(at, method)| Action::Back(at, method)),
        26 => inside(),
        10 => around(),
        4 => length().prop_map(Action::Wait),
        2 => (0..2_usize, prop_oneof![Just(-1_i64), Just(0), Just(1799), Just(1800), Just(7199), Just(7200)])
            .prop_map(|(stage, offset)| Action::Window { stage, offset }),
    ];
    (act, any::<bool>()).prop_map(|(act, apt)| Wish { act, apt })
}
