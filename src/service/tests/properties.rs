//! Random sequences of acts by any mix of people and tokens, each compared with an oracle that was written from the
//! rules and not from the evaluator: it says whether the act is allowed and how every gate stands afterwards. A refused
//! act changes nothing.
//!
//! `TEST_SEED` plays other sequences than the usual ones, `TEST_LONG` many more.

mod action;
mod check;
mod gates;
mod model;
mod play;
mod rules;
mod steps;
mod world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Runtime;

use self::action::{Action, Wish, any_wish};
use self::model::Model;
use self::rules::Answer;
use self::world::World;
use crate::service::ServiceError;
use crate::service::testing::{dump, services};
use crate::store::Engine;

/// What an act that is refused and noted may write: the note, and the counters that are its locks.
const NOTES: [&str; 8] = [
    "alarms",
    "apply_tokens",
    "audit_events",
    "audit_head",
    "audit_texts",
    "environments",
    "gate_epoch",
    "tickets",
];

/// How often each kind of act was allowed, and refused.
type Tried = BTreeMap<String, (u32, u32)>;

fn name(action: &Action) -> String {
    let text = format!("{action:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let suffix = match action {
        Action::Release { intent, .. } => format!(" {}", intent.direction()),
        Action::Observe { at, .. } => format!(" {}", model::STAGES[at.stage]),
        _ => String::new(),
    };
    format!("{}{suffix}", &text[..end])
}

async fn sequence(engine: Engine, wishes: &[Wish]) -> Result<Tried, String> {
    let mut tried = Tried::new();
    let Some((services, clock, _guard)) = services(engine).await else { return Ok(tried) };
    let mut world = World::new(&services, &clock).await;
    let mut model = Model::new(services.now());
    for (number, wish) in wishes.iter().enumerate() {
        let action = model.resolve(*wish);
        if let Action::Vote { at, seen, .. } = action
            && world.shown.get(&(at.ticket, at.stage)).is_none_or(|shown| seen >= shown.len())
        {
            continue;
        }
        let told = |what: String| format!("act {number}, {action:?}: {what}");
        let answer = model.answer(&action);
        let except: &[&str] = match answer {
            Answer::Void => continue,
            Answer::RefusedAndNoted => &NOTES,
            Answer::Allowed | Answer::Refused => &[],
        };
        let before = if answer == Answer::Allowed { String::new() } else { dump(&services, except).await };
        let outcome = play::play(&mut world, &mut model, action).await;
        let count = tried.entry(name(&action)).or_default();
        match (&outcome, answer) {
            (Err(error @ (ServiceError::Store(_) | ServiceError::Internal(_) | ServiceError::Busy)), _) => {
                return Err(told(format!("failed: {error:?}")));
            }
            (Ok(()), Answer::Allowed) => count.0 += 1,
            (Err(_), Answer::Refused | Answer::RefusedAndNoted) => {
                count.1 += 1;
                if before != dump(&services, except).await {
                    return Err(told(format!("was refused ({outcome:?}) and changed something")));
                }
            }
            _ => return Err(told(format!("{outcome:?}, the oracle says {answer:?}"))),
        }
        check::check(&mut world, &model).await.map_err(told)?;
    }
    super::replay::check(&services).await;
    Ok(tried)
}

fn seed() -> [u8; 32] {
    let text = std::env::var("TEST_SEED").unwrap_or_else(|_| "countersign".to_owned());
    *crate::domain::digest::Digest::of(text.as_bytes()).as_bytes()
}

/// What is wrong with a sequence, if anything is.
fn fault(runtime: &Runtime, engine: Engine, wishes: &[Wish]) -> Result<Tried, String> {
    let played = runtime.block_on(AssertUnwindSafe(sequence(engine, wishes)).catch_unwind());
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default())
    })
}

/// Leaves out of a faulty sequence whatever it is faulty without.
fn shrink(runtime: &Runtime, engine: Engine, wishes: &mut Vec<Wish>, why: &mut String) {
    let mut step = wishes.len().next_power_of_two() / 2;
    while step > 0 {
        // From the end, since what comes after the fault matters least.
        let mut end = wishes.len();
        while end > 0 {
            let start = end.saturating_sub(step);
            let mut fewer = wishes.clone();
            fewer.drain(start..end);
            if let Err(other) = fault(runtime, engine, &fewer) {
                (*wishes, *why) = (fewer, other);
            }
            end = start.min(wishes.len());
        }
        step /= 2;
    }
}

/// Plays one sequence; a faulty one is told as short as it can be, and as it can be pasted into a test of its own.
fn played(runtime: &Runtime, engine: Engine, mut wishes: Vec<Wish>) -> Tried {
    fault(runtime, engine, &wishes).unwrap_or_else(|mut why| {
        shrink(runtime, engine, &mut wishes, &mut why);
        let lines: Vec<String> = wishes.iter().map(|wish| format!("    {wish:?},\n")).collect();
        panic!("{why}\n[\n{}]", lines.concat());
    })
}

/// Plays so many sequences, two at a time, and says how often each act was tried.
fn play_many(engine: Engine, cases: usize, length: usize) -> Tried {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed());
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sequences = vec(any_wish(), length / 2..length);
    let all: Vec<Vec<Wish>> =
        (0..cases).map(|_| sequences.new_tree(&mut runner).unwrap().current()).collect();
    let next = AtomicUsize::new(0);
    let player = || {
        let runtime = Runtime::new().unwrap();
        let mut total = Tried::new();
        while let Some(wishes) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (name, (allowed, refused)) in played(&runtime, engine, wishes.clone()) {
                let count = total.entry(name).or_default();
                *count = (count.0 + allowed, count.1 + refused);
            }
        }
        total
    };
    let (mut one, two) = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(player), scope.spawn(player));
        (one.join(), two.join())
    });
    for (name, (allowed, refused)) in two.unwrap() {
        let count = one.as_mut().unwrap().entry(name).or_default();
        *count = (count.0 + allowed, count.1 + refused);
    }
    one.unwrap()
}

fn long() -> bool {
    std::env::var_os("TEST_LONG").is_some()
}

/// Every act was both allowed and refused at some time: else the suite would prove nothing of it.
fn assert_thorough(tried: &Tried) {
    let told = tried.iter().map(|(name, (yes, no))| format!("{name} {yes}/{no}")).collect::<Vec<_>>();
    eprintln!("allowed/refused: {}", told.join(", "));
    for act in [
        "Abandon",
        "Accept",
        "Complete",
        "Deactivate",
        "Edit",
        "File",
        "Finish",
        "Freeze",
        "Heartbeat",
        "Incident",
        "Move",
        "Observe production",
        "Observe staging",
        "Policy",
        "Redeem",
        "Release rollback",
        "Release upgrade",
        "Resolve",
        "Revoke",
        "Roles",
        "Settle",
        "Thaw",
        "Thread",
        "Tick",
        "Upload",
        "Verdict",
        "Vote",
    ] {
        let (allowed, refused) = tried.get(act).copied().unwrap_or_default();
        assert!(allowed > 0 && refused > 0, "{act}: {allowed} allowed, {refused} refused");
    }
}

#[test]
fn no_sequence_of_acts_gets_past_the_rules_on_sqlite() {
    let tried = play_many(Engine::Sqlite, if long() { 2_000 } else { 36 }, 150);
    assert_thorough(&tried);
}

#[test]
fn no_sequence_of_acts_gets_past_the_rules_on_postgresql() {
    play_many(Engine::Postgres, if long() { 200 } else { 4 }, 150);
}
