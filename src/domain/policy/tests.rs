use proptest::prelude::*;

use super::*;

const SMALL: &str = r#"
version = 1
application = "ledger"

[[environment]]
name = "staging"
always = true
observe = "1d 12h"
quorum = 1
snapshot_max_age = "72h"
dry_run_max_age = "72h"

[[environment.checklist]]
key = "sql-rendered"
when = "preflight"
kind = "automatic"
label = "SQL rendered"

[[environment.checklist]]
key = "dry-run-passed"
when = "preflight"
kind = "automatic"
label = "Dry run passed"
"#;

fn faults(toml: &str) -> Vec<String> {
    Policy::parse(toml).expect_err("it should be refused").iter().map(ToString::to_string).collect()
}

/// The only fault of [`SMALL`] after this replacement.
fn fault(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let mut found = faults(&SMALL.replacen(from, to, 1));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn environment(from: &str, to: &str) -> EnvironmentPolicy {
    assert!(SMALL.contains(from), "{from}");
    Policy::parse(&SMALL.replacen(from, to, 1)).unwrap().environments.remove(0)
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn keys(environment: &EnvironmentPolicy, when: ChecklistWhen, automatic: bool) -> Vec<&str> {
    let items = environment.checklist.iter().filter(|item| item.when == when);
    let items = items.filter(|item| matches!(item.kind, ChecklistKind::Automatic(_)) == automatic);
    items.map(|item| item.key.as_str()).collect()
}

#[test]
fn rule_5_the_shipped_policy_is_the_runbook() {
    let policy = Policy::parse(RUNBOOK).unwrap();
    assert_eq!(policy.application, "trading-backend");
    let [staging, production] = policy.environments.as_slice() else { panic!("two environments") };
    assert_eq!((staging.name.as_str(), production.name.as_str()), ("staging", "production"));
    assert_eq!((staging.quorum, staging.quorum_standard, production.quorum), (2, 2, 2));
    assert_eq!((staging.observe, staging.soak, production.observe), (hours(24), hours(24), hours(1) / 2));
    let window = |environment: &EnvironmentPolicy| match &environment.windows {
        Windows::Weekly(weekly) => weekly.iter().map(ToString::to_string).collect::<Vec<_>>(),
        Windows::Always => Vec::new(),
    };
    assert_eq!(window(staging), ["Tuesday 14:00 UTC for 2h"]);
    assert_eq!(window(production), ["Thursday 14:00 UTC for 2h"]);
    for environment in &policy.environments {
        let automatic = AutomaticItem::ALL.map(AutomaticItem::key);
        assert_eq!(keys(environment, ChecklistWhen::Preflight, true), automatic);
        assert!(environment.require_migration_manifest);
    }
    assert_eq!(keys(staging, ChecklistWhen::Preflight, false), ["release-frozen", "application-smoke"]);
    assert_eq!(keys(production, ChecklistWhen::Preflight, false), ["release-frozen"]);
}

#[test]
fn rule_11_the_shipped_policy_allows_snapshot_and_dry_run_72_hours() {
    for environment in Policy::parse(RUNBOOK).unwrap().environments {
        assert_eq!((environment.snapshot_max_age, environment.dry_run_max_age), (hours(72), hours(72)));
    }
}

#[test]
fn rule_32_the_shipped_policy_names_the_smoke_items() {
    let policy = Policy::parse(RUNBOOK).unwrap();
    let smoke = |name| keys(policy.environment(name).unwrap(), ChecklistWhen::Smoke, false);
    assert_eq!(smoke("staging"), ["smoke-api-health", "smoke-scheduler", "smoke-risk"]);
    assert_eq!(
        smoke("production"),
        ["smoke-health-endpoints", "smoke-trade-log-writer", "smoke-scheduler-loop"]
    );
}

#[test]
fn environments_keep_their_order() {
    let policy = Policy::parse(RUNBOOK).unwrap();
    assert_eq!(policy.environment("production").unwrap().name, "production");
    assert_eq!(policy.previous_of("production").unwrap().name, "staging");
    assert_eq!(policy.previous_of("staging"), None);
    assert_eq!(policy.previous_of("moon"), None);
    assert_eq!(policy.environment("moon"), None);
}

#[test]
fn what_is_not_said_has_a_default() {
    let plain = Policy::parse(SMALL).unwrap().environments.remove(0);
    assert_eq!(plain.windows, Windows::Always);
    assert_eq!((plain.observe, plain.soak), (hours(36), hours(36)));
    assert_eq!((plain.token_ttl, plain.run_lease), (hours(1) / 2, hours(1) / 60));
    assert_eq!((plain.database.as_deref(), plain.minimum_account_age), (None, hours(0)));
    assert!(plain.require_migration_manifest);
    assert_eq!(plain.smoke, SmokeProof::Either);
    assert_eq!(environment("quorum = 1", "quorum = 3").quorum_standard, 3);
    let standard = environment("quorum = 1", "quorum = 3\nquorum_standard = 1\nsoak = \"0s\"");
    assert_eq!((standard.quorum, standard.quorum_standard, standard.soak), (3, 1, hours(0)));
    assert_eq!(environment("always = true", "windows = []").windows, Windows::Weekly(Vec::new()));
}

#[test]
fn rules_can_be_given_another_level() {
    let rules =
        "[environment.rules]\ndrop-index = \"block\"\nadd-column = \"note\"\n\n[[environment.checklist]]";
    let rules = environment("[[environment.checklist]]", rules).rules;
    assert_eq!(rules["drop-index"], Severity::Block);
    assert_eq!(rules["add-column"], Severity::Note);
    assert_eq!(
        fault("quorum = 1", "quorum = 1\nrules = { drop-index = \"loud\" }"),
        "line 10: environment[0].rules.drop-index: has to be one of: note, warn, block"
    );
}

#[test]
fn rules_are_checked_before_a_file_is_accepted_and_not_when_it_is_read_again() {
    let with = |rules: &str| SMALL.replacen("quorum = 1", &format!("quorum = 1\nrules = {{ {rules} }}"), 1);
    let checked = |rules: &str| -> Vec<String> {
        Policy::check(&with(rules)).err().unwrap_or_default().iter().map(PolicyFault::to_string).collect()
    };
    assert_eq!(checked("drop-index = 'block', hidden-text = 'block', cascade = 'note'"), [""; 0]);
    assert_eq!(
        checked("drop-tabel = 'note'"),
        ["line 10: environment[0].rules.drop-tabel: is no rule of the analysis; did you mean “drop-table”?"]
    );
    assert_eq!(
        checked("frobnicate = 'note'"),
        ["line 10: environment[0].rules.frobnicate: is no rule of the analysis: docs/findings.md lists them"]
    );
    for rule in crate::domain::rule::ALL {
        let faults = checked(&format!("{} = 'warn'", rule.key));
        assert_eq!(faults.len(), usize::from(rule.floor), "{}: {faults:?}", rule.key);
        let stored = Policy::parse(&with(&format!("{} = 'note'", rule.key))).unwrap();
        let expected = if rule.floor { rule.severity } else { Severity::Note };
        assert_eq!(stored.environments[0].weight(rule.key, rule.severity), expected, "{}", rule.key);
    }
    assert!(Policy::parse(&with("drop-tabel = 'note'")).is_ok());
    assert!(Policy::check(RUNBOOK).is_ok());
}

#[test]
fn rule_5_no_policy_goes_below_the_floors() {
    let quorum = "environment[0].quorum: has to be a whole number from 1 to 100";
    for value in ["0", "-1", "101", "\"2\"", "1.0", "99999999999999999999999"] {
        assert_eq!(fault("quorum = 1", &format!("quorum = {value}")), format!("line 9: {quorum}"), "{value}");
    }
    assert!(
        fault("quorum = 1", "quorum = 2\nquorum_standard = 0").contains("quorum_standard: has to be a whole")
    );
    assert_eq!(fault("quorum = 1\n", ""), "line 5: environment[0].quorum: is missing");
    for floor in AutomaticItem::FLOOR {
        let attested = SMALL.replace("kind = \"automatic\"", "kind = \"attested\"");
        assert_eq!(faults(&attested).len(), 2);
        let without = SMALL.replace(floor.key(), "linear-history");
        let message = format!("environment[0].checklist: has to have the automatic item “{}”", floor.key());
        assert_eq!(faults(&without), [format!("line 13: {message}")]);
    }
    let none = SMALL.split("[[environment.checklist]]").next().unwrap();
    assert_eq!(faults(none).len(), 2);
}

#[test]
fn rule_14_automatic_items_cannot_be_ticked() {
    let item = |key: &str, rest: &str| {
        let item = format!(
            "[[environment.checklist]]\nkey = \"{key}\"\nlabel = \"x\"\n{rest}\n\n[[environment.checklist]]"
        );
        let file = SMALL.replacen("[[environment.checklist]]", &item, 1);
        Policy::parse(&file)
            .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let refused = |key, rest| item(key, rest).unwrap_err();
    assert!(
        refused("linear-history", "when = \"preflight\"\nkind = \"attested\"")
            .contains("kind: has to be automatic")
    );
    assert!(
        refused("linear-history", "when = \"smoke\"\nkind = \"automatic\"")
            .contains("when: has to be preflight")
    );
    let session_only = "when = \"preflight\"\nkind = \"automatic\"\nsession_only = true";
    assert!(refused("linear-history", session_only).contains("session_only: is for attested items"));
    assert!(
        refused("moon-phase", "when = \"preflight\"\nkind = \"automatic\"").contains("is no automatic item")
    );
    assert!(
        refused("sql-rendered", "when = \"preflight\"\nkind = \"automatic\"").contains("already the key")
    );
    let attested = item("moon-phase", "when = \"smoke\"\nkind = \"attested\"\nsession_only = true").unwrap();
    let first = attested.environments[0].checklist[0].clone();
    assert_eq!(
        (first.when, first.kind),
        (ChecklistWhen::Smoke, ChecklistKind::Attested { session_only: true })
    );
}

#[test]
fn every_fault_is_reported_at_once_in_the_order_of_the_file() {
    let file = r#"version = 2
application = "Ledger!"
colour = "blue"

[[environment]]
name = "Staging"
windows = [{ day = "tues", start = "2pm", length = "8d", zone = "Mars/Olympus", open = true }, 7]
observe = "soon"
soak = "401d"
quorum = 0
snapshot_max_age = 72
token_ttl = "25h"
run_lease = "5s"
require_migration_manifest = "yes"
smoke = "attested"
frobnicate = 1

[[environment.checklist]]
key = "sql-rendered"
when = "preflight"
kind = "automatic"
"#;
    insta::assert_snapshot!(faults(file).join("\n"), @r#"
    line 1: version: has to be 1
    line 2: application: has to start with a lower-case letter and be at most 64 lower-case letters, digits and hyphens
    line 3: colour: is no key of a policy here; there are version, application, environment
    line 5: environment[0].dry_run_max_age: is missing
    line 6: environment[0].name: has to start with a lower-case letter and be at most 32 lower-case letters, digits and hyphens
    line 7: environment[0].windows[0].day: has to be one of: monday, tuesday, wednesday, thursday, friday, saturday, sunday
    line 7: environment[0].windows[0].length: can be 7d at most
    line 7: environment[0].windows[0].open: is no key of a policy here; there are day, start, length, zone
    line 7: environment[0].windows[0].start: has to be a local time from 00:00 to 23:59, like 14:00
    line 7: environment[0].windows[0].zone: “Mars/Olympus” is no IANA time zone, such as UTC or Europe/Berlin
    line 7: environment[0].windows[1]: has to be a table
    line 8: environment[0].observe: is not a length of time: write it like 90s, 30m, 24h, 3d or 1d 12h
    line 9: environment[0].soak: is longer than 400 days
    line 10: environment[0].quorum: has to be a whole number from 1 to 100
    line 11: environment[0].snapshot_max_age: has to be text in quotes
    line 12: environment[0].token_ttl: can be 24h at most
    line 13: environment[0].run_lease: has to be at least 20s
    line 14: environment[0].require_migration_manifest: has to be true or false
    line 15: environment[0].smoke: is “attested”, but the checklist has no item with when = "smoke" to tick
    line 16: environment[0].frobnicate: is no key of a policy here; there are name, always, windows, observe, soak, quorum, quorum_standard, snapshot_max_age, dry_run_max_age, token_ttl, run_lease, require_migration_manifest, database, minimum_account_age, smoke, rules, checklist
    line 18: environment[0].checklist: has to have the automatic item “dry-run-passed”
    line 18: environment[0].checklist[0].label: is missing
    "#);
}

#[test]
fn a_file_that_is_no_toml_says_only_that() {
    let found = faults("version = 1\napplication = \nversion = 2\n[[environment]\n");
    assert_eq!(
        found,
        [
            "line 2: is not TOML: string values must be quoted, expected literal string",
            "line 3: is not TOML: duplicate key",
            "line 4: is not TOML: unclosed array table, expected `]`",
        ]
    );
    assert_eq!(faults(&"# padding\n".repeat(30_000)), ["is larger than 256 KiB"]);
    assert_eq!(faults(&"x = [\n".repeat(10_000)).len(), 100);
}

#[test]
fn windows_and_always_exclude_each_other() {
    let windows =
        "windows = [{ day = \"friday\", start = \"23:00\", length = \"3h\", zone = \"Europe/Berlin\" }]";
    assert!(
        fault("always = true", &format!("always = true\n{windows}")).contains("always: can't be true when")
    );
    assert!(fault("always = true", "always = false").contains("windows: is missing"));
    assert!(fault("always = true\n", "").contains("windows: is missing"));
    let both = environment("always = true", &format!("always = false\n{windows}"));
    assert!(matches!(both.windows, Windows::Weekly(weekly) if weekly.len() == 1));
    for start in ["24:00", "14:60", "1:00", "14:00:00", "+4:00", "14.00"] {
        let windows = windows.replace("23:00", start);
        assert!(
            fault("always = true", &windows).contains("windows[0].start: has to be a local time"),
            "{start}"
        );
    }
    let late = windows.replace("3h", "90s");
    assert!(fault("always = true", &late).contains("windows[0].length: the length has to be whole minutes"));
}

#[test]
fn a_policy_needs_environments_with_names_of_their_own() {
    let head = "version = 1\napplication = \"ledger\"\n";
    assert_eq!(
        faults(head),
        ["line 1: environment: is missing: a policy needs at least one [[environment]]"]
    );
    assert_eq!(faults(&format!("{head}environment = 3"))[0], "line 3: environment: has to be a list");
    let second = SMALL.split_once("[[environment]]").unwrap().1;
    let twice = faults(&format!("{SMALL}\n[[environment]]{second}"));
    assert_eq!(twice, ["line 26: environment[1].name: “staging” is already the name of another environment"]);
    for name in ["", "Staging", "1st", "-x", "späti", "a_b", &"a".repeat(33)] {
        assert!(
            fault("\"staging\"", &format!("\"{name}\""))
                .contains("name: has to start with a lower-case letter")
        );
    }
    assert_eq!(environment("\"staging\"", &format!("\"{}\"", "a".repeat(32))).name.len(), 32);
}

#[test]
fn smoke_that_nobody_could_prove_is_refused() {
    assert_eq!(
        fault("quorum = 1", "quorum = 1\nsmoke = \"attested\""),
        "line 10: environment[0].smoke: is “attested”, but the checklist has no item with when = \"smoke\" to tick"
    );
    assert_eq!(environment("quorum = 1", "quorum = 1\nsmoke = \"junit\"").smoke, SmokeProof::Junit);
}

#[test]
fn the_policy_as_json_has_the_shape_of_the_file() {
    let json = serde_json::to_value(Policy::parse(SMALL).unwrap()).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&json).unwrap(), @r#"{"application":"ledger","environment":[{"always":true,"checklist":[{"key":"sql-rendered","kind":"automatic","label":"SQL rendered","when":"preflight"},{"key":"dry-run-passed","kind":"automatic","label":"Dry run passed","when":"preflight"}],"dry_run_max_age":"72h","minimum_account_age":"0s","name":"staging","observe":"36h","quorum":1,"quorum_standard":1,"require_migration_manifest":true,"run_lease":"1m","smoke":"either","snapshot_max_age":"72h","soak":"36h","token_ttl":"30m"}],"version":1}"#);
}

/// Edits of the small policy that leave it valid.
fn any_policy() -> impl Strategy<Value = String> {
    let window =
        (0_usize..7, 0_u8..24, 0_u8..60, 1_u32..10_000, prop::sample::select(vec!["UTC", "Europe/Berlin"]));
    let windows = prop::option::of(prop::collection::vec(window, 0..3));
    let lengths = (0_u32..30_000_000, 60_u32..30_000_000, 60_u32..86_400, 20_u32..3_600);
    let words =
        (prop::sample::select(vec!["junit", "either"]), "[a-z][a-z0-9-]{0,31}", "[^\\pC\"\\\\]{0,40}x");
    (windows, 1_u32..=100, lengths, words, any::<bool>()).prop_map(|(windows, quorum, lengths, words, manifest)| {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let windows = windows.map_or("always = true".to_owned(), |windows| {
            let windows = windows.iter().map(|(day, hour, minute, length, zone)| {
                let day = days[*day];
                format!("{{ day = \"{day}\", start = \"{hour:02}:{minute:02}\", length = \"{length}m\", zone = \"{zone}\" }}")
            });
            format!("windows = [{}]", windows.collect::<Vec<_>>().join(", "))
        });
        let (observe, age, ttl, lease) = lengths;
        let (smoke, name, label) = words;
        SMALL
            .replace("always = true", &windows)
            .replace("quorum = 1", &format!("quorum = {quorum}\nrequire_migration_manifest = {manifest}\ndatabase = \"{label}\"\nsmoke = \"{smoke}\""))
            .replace("\"1d 12h\"", &format!("\"{observe}s\"\ntoken_ttl = \"{ttl}s\"\nrun_lease = \"{lease}s\""))
            .replace("\"72h\"", &format!("\"{age}s\""))
            .replace("\"staging\"", &format!("\"{name}\""))
            .replace("SQL rendered", &label)
    })
}

proptest! {
    #[test]
    fn what_is_serialised_reads_back(file in any_policy()) {
        let policy = Policy::parse(&file).map_err(|found| TestCaseError::fail(format!("{found:?}\n{file}")))?;
        let written = toml::to_string(&policy).unwrap();
        prop_assert_eq!(Policy::parse(&written), Ok(policy), "{}", written);
    }

    #[test]
    fn no_file_panics(at in 0_usize..1_000, cut in 0_usize..60, junk in "\\PC{0,20}|[\\[\\]{}=\".,\n 0-9]{0,20}") {
        let mut file = SMALL.to_owned();
        let at = at.min(file.len());
        file.replace_range(at..(at + cut).min(file.len()), &junk);
        if let Err(found) = Policy::parse(&file) {
            prop_assert!(!found.is_empty() && found.iter().all(|fault| !fault.message.is_empty()));
        }
    }
}

#[test]
fn the_shipped_policy_reads_back() {
    let policy = Policy::parse(RUNBOOK).unwrap();
    assert_eq!(Policy::parse(&toml::to_string(&policy).unwrap()), Ok(policy));
}

#[test]
fn the_example_in_the_documentation_is_a_policy() {
    let page = include_str!("../../../docs/policy.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(Policy::parse(example).unwrap().environments.len(), 1);
}
