//! From the file to a [`Policy`].

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Weekday;
use toml::de::DeTable;

use super::fields::{Fields, Source, Value, choose, is_name, name_rule, word_rule};
use super::{
    AutomaticItem, ChecklistItem, ChecklistKind, ChecklistWhen, EnvironmentPolicy, Policy, PolicyFault,
    Severity, SmokeProof, VERSION,
};
use crate::domain::length::LONGEST;
use crate::domain::rule;
use crate::domain::window::{LONGEST_WINDOW, NotAWindow, WeeklyWindow, Windows};

/// Larger files are refused unread, in bytes.
const LARGEST_FILE: usize = 256 * 1024;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

const LEVELS: [(&str, Severity); 3] =
    [("note", Severity::Note), ("warn", Severity::Warn), ("block", Severity::Block)];

const PROOFS: [(&str, SmokeProof); 4] = [
    ("junit", SmokeProof::Junit),
    ("attested", SmokeProof::Attested),
    ("either", SmokeProof::Either),
    ("both", SmokeProof::Both),
];

/// Reads the file; see [`Policy::parse`] and [`Policy::check`].
pub(super) fn policy(text: &str, strict: bool) -> Result<Policy, Vec<PolicyFault>> {
    let source = Source::new(text, strict);
    if text.len() > LARGEST_FILE {
        source.fault("", None, "is larger than 256 KiB");
        return Err(source.into_faults());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What recovery made of a broken file is a guess; faults found in a guess would send people astray.
        for error in errors {
            source.fault(
                "",
                error.span().map(|span| span.start),
                format!("is not TOML: {}", error.message()),
            );
        }
        return Err(source.into_faults());
    }
    let policy = root(Fields::root(&source, &table), &source);
    let faults = source.into_faults();
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

fn root<'s>(mut fields: Fields<'s>, source: &'s Source<'s>) -> Policy {
    if fields.number("version", VERSION, VERSION).is_none() {
        fields.require("version");
    }
    let application = fields.name("application", 64).unwrap_or_default();
    fields.require("application");
    let listed = fields.list("environment", 16);
    let mut environments: Vec<EnvironmentPolicy> = Vec::with_capacity(listed.len());
    for (path, value) in &listed {
        let mut fields = Fields::of(source, path.clone(), value);
        if fields.is_table() {
            let read = environment(&mut fields, source);
            if !read.name.is_empty() && environments.iter().any(|earlier| earlier.name == read.name) {
                fields.fault("name", format!("“{}” is already the name of another environment", read.name));
            }
            environments.push(read);
        }
        fields.finish();
    }
    if listed.is_empty() {
        fields.fault("environment", "is missing: a policy needs at least one [[environment]]");
    }
    fields.finish();
    Policy { version: VERSION, application, environments }
}

/// Reads one environment. Where a value is missing or wrong, the fault is noted and any value stands in for it.
fn environment<'s>(fields: &mut Fields<'s>, source: &'s Source<'s>) -> EnvironmentPolicy {
    const ZERO: SignedDuration = SignedDuration::ZERO;
    let name = fields.name("name", 32).unwrap_or_default();
    let windows = windows(fields, source);
    let observe = fields.length("observe", ZERO, LONGEST).unwrap_or_default();
    let soak = fields.length("soak", ZERO, LONGEST).unwrap_or(observe);
    let quorum = fields.number("quorum", 1, 100).unwrap_or(1);
    let quorum_standard = fields.number("quorum_standard", 1, 100).unwrap_or(quorum);
    let snapshot_max_age = fields.length("snapshot_max_age", MINUTE, LONGEST).unwrap_or_default();
    let dry_run_max_age = fields.length("dry_run_max_age", MINUTE, LONGEST).unwrap_or_default();
    let token_ttl = fields.length("token_ttl", MINUTE, SignedDuration::from_hours(24));
    // Two heartbeats of 10 s: a shorter lease would call a healthy run unknown.
    let run_lease = fields.length("run_lease", SignedDuration::from_secs(20), SignedDuration::from_hours(1));
    let require_migration_manifest = fields.flag("require_migration_manifest").unwrap_or(true);
    let database = fields.line("database", 200);
    let minimum_account_age = fields.length("minimum_account_age", ZERO, LONGEST).unwrap_or_default();
    let smoke = fields.word("smoke", &PROOFS).unwrap_or(SmokeProof::Either);
    let rules = rules(fields, source);
    let checklist = checklist(fields, source);
    for key in ["name", "observe", "quorum", "snapshot_max_age", "dry_run_max_age"] {
        fields.require(key);
    }
    if smoke == SmokeProof::Attested && !checklist.iter().any(|item| item.when == ChecklistWhen::Smoke) {
        fields.fault("smoke", "is “attested”, but the checklist has no item with when = \"smoke\" to tick");
    }
    EnvironmentPolicy {
        name,
        observe,
        soak,
        quorum,
        quorum_standard,
        snapshot_max_age,
        dry_run_max_age,
        token_ttl: token_ttl.unwrap_or(MINUTE * 30),
        run_lease: run_lease.unwrap_or(MINUTE),
        require_migration_manifest,
        database,
        minimum_account_age,
        smoke,
        windows,
        rules,
        checklist,
    }
}

fn windows<'s>(fields: &mut Fields<'s>, source: &'s Source<'s>) -> Windows {
    let always = fields.flag("always");
    let listed = fields.take("windows").is_some();
    let weekly = fields.list("windows", 50);
    match (always, listed) {
        (Some(true), true) => {
            fields.fault("always", "can't be true when windows are listed: say one of them");
        }
        (None | Some(false), false) => {
            fields
                .fault("windows", "is missing: list the weekly windows ([] for never), or say always = true");
        }
        _ => {}
    }
    let weekly = weekly.into_iter().filter_map(|(path, value)| window(source, path, value)).collect();
    if always == Some(true) { Windows::Always } else { Windows::Weekly(weekly) }
}

fn window<'s>(source: &'s Source<'s>, path: String, value: &'s Value<'s>) -> Option<WeeklyWindow> {
    let mut fields = Fields::of(source, path, value);
    let day = fields.word("day", &DAYS);
    let start = fields.text("start").and_then(|text| {
        let start = hour_and_minute(text);
        if start.is_none() {
            fields.fault("start", "has to be a local time from 00:00 to 23:59, like 14:00");
        }
        start
    });
    let length = fields.length("length", MINUTE, LONGEST_WINDOW);
    let zone = fields.text("zone");
    for key in ["day", "start", "length", "zone"] {
        fields.require(key);
    }
    // A length that is at fault is not a reason to keep quiet about the zone.
    let made = zone
        .map(|zone| {
            let day = day.unwrap_or(Weekday::Monday);
            WeeklyWindow::new(day, start.unwrap_or_default(), length.unwrap_or(MINUTE), zone)
        })
        .transpose();
    let made = made.unwrap_or_else(|fault| {
        let key = match fault {
            NotAWindow::Start => "start",
            NotAWindow::Length => "length",
            NotAWindow::Zone(_) => "zone",
        };
        fields.fault(key, fault.to_string());
        None
    });
    fields.finish();
    made
}

/// `14:05`, and nothing looser.
fn hour_and_minute(text: &str) -> Option<(i8, i8)> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}

fn rules<'s>(fields: &mut Fields<'s>, source: &'s Source<'s>) -> BTreeMap<String, Severity> {
    let mut rules = BTreeMap::new();
    for (rule, value) in fields.entries("rules") {
        let path = || format!("{}.{rule}", fields.path_of("rules"));
        if !is_name(rule, 64) {
            source.fault(path(), Some(value.span().start), name_rule(64));
        }
        match value.get_ref().as_str().and_then(|text| choose(text, &LEVELS)) {
            Some(level) => {
                if let Some(wrong) = unfit(rule, level).filter(|_| source.strict) {
                    source.fault(path(), Some(value.span().start), wrong);
                }
                rules.insert(rule.to_owned(), level);
            }
            None => source.fault(path(), Some(value.span().start), word_rule(&LEVELS)),
        }
    }
    rules
}

/// Why this rule can't have this level, if it can't.
fn unfit(key: &str, level: Severity) -> Option<String> {
    match (rule::of(key), rule::nearest(key)) {
        (Some(rule), _) if rule.floor && level < rule.severity => {
            Some("can't be set lower: it says that a reader can't see what would run".to_owned())
        }
        (Some(_), _) => None,
        (None, Some(near)) => Some(format!("is no rule of the analysis; did you mean “{near}”?")),
        (None, None) => Some("is no rule of the analysis: docs/findings.md lists them".to_owned()),
    }
}

fn checklist<'s>(fields: &mut Fields<'s>, source: &'s Source<'s>) -> Vec<ChecklistItem> {
    let mut items: Vec<ChecklistItem> = Vec::new();
    for (path, value) in fields.list("checklist", 100) {
        let mut fields = Fields::of(source, path, value);
        if let Some(item) = checklist_item(&mut fields) {
            if items.iter().any(|earlier| earlier.key == item.key) {
                fields.fault("key", format!("“{}” is already the key of another item", item.key));
            }
            items.push(item);
        }
        fields.finish();
    }
    for floor in AutomaticItem::FLOOR {
        // By key and not by kind: an attested item of this key has its own fault.
        if !items.iter().any(|item| item.key == floor.key()) {
            fields.fault("checklist", format!("has to have the automatic item “{}”", floor.key()));
        }
    }
    items
}

/// Reads one item. `None` if it has no usable key; other faults leave a stand-in, so that the item counts as there.
fn checklist_item(fields: &mut Fields<'_>) -> Option<ChecklistItem> {
    const WHEN: [(&str, ChecklistWhen); 2] =
        [("preflight", ChecklistWhen::Preflight), ("smoke", ChecklistWhen::Smoke)];
    const KIND: [(&str, bool); 2] = [("attested", false), ("automatic", true)];

    let key = fields.name("key", 64);
    let when = fields.word("when", &WHEN);
    let is_automatic = fields.word("kind", &KIND);
    let label = fields.line("label", 200);
    let session_only = fields.flag("session_only");
    for key in ["key", "when", "kind", "label"] {
        fields.require(key);
    }
    let automatic = AutomaticItem::ALL.into_iter().find(|automatic| Some(automatic.key()) == key.as_deref());
    let kind = match (is_automatic.unwrap_or(automatic.is_some()), automatic) {
        (false, None) => ChecklistKind::Attested { session_only: session_only.unwrap_or(false) },
        (true, Some(automatic)) => {
            if when == Some(ChecklistWhen::Smoke) {
                fields.fault("when", "has to be preflight: the evidence before the run decides this item");
            }
            if session_only.is_some() {
                fields.fault("session_only", "is for attested items: nobody ticks this one");
            }
            ChecklistKind::Automatic(automatic)
        }
        (false, Some(automatic)) => {
            fields.fault("kind", "has to be automatic: the evidence decides this item");
            ChecklistKind::Automatic(automatic)
        }
        (true, None) => {
            if key.is_some() {
                let known = AutomaticItem::ALL.map(AutomaticItem::key).join(", ");
                fields.fault("key", format!("is no automatic item; there are {known}"));
            }
            return None;
        }
    };
    Some(ChecklistItem {
        key: key?,
        when: when.unwrap_or(ChecklistWhen::Preflight),
        kind,
        label: label.unwrap_or_default(),
    })
}
