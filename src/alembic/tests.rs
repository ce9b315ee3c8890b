//! The formats on what a real rehearsal of the sample project left, and on what must be refused.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::backup::BackupManifest;
use super::formats::{self, Format, FormatError};
use super::manifest::{self, MigrationManifest, strip_ini};
use super::report::{DryRunReport, Outcome};
use super::{history, junit, not_possible};
use crate::domain::digest::{Digest, canonical_json};
use crate::sql::dialect::Dialect;
use crate::sql::normalise::sqlnorm1;
use crate::sql::offline_sql;

const REPORT: &str = include_str!("../demo/data/dry-run-report.json");
const BACKUP: &str = include_str!("../demo/data/backup-manifest.json");
const MANIFEST: &str = include_str!("../demo/data/migration-manifest.json");
const HISTORY: &str = include_str!("../demo/data/migration-history.json");
const HISTORY_TEXT: &str = include_str!("../demo/data/history.txt");
const SMOKE: &str = include_str!("../demo/data/smoke-report.xml");
const UP: &str = include_str!("../demo/data/upgrade.sql");
const DOWN: &str = include_str!("../demo/data/downgrade.sql");
const FROM: &str = "d48b1e9c5f62";
const TO: &str = "0c7e5d1b94fa";
const LINE: [&str; 4] = ["d9a7f3b06e58", "e6c2b8a4f107", "f50d9e7b3a26", TO];

fn examples(language: &str) -> Vec<String> {
    let doc = include_str!("../../docs/formats.md");
    let blocks = doc.split("\n```").collect::<Vec<_>>();
    let blocks = blocks.iter().filter_map(|b| b.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(str::to_owned).collect()
}

#[test]
fn every_example_of_the_documentation_is_read() {
    let json = examples("json");
    assert_eq!(json.len(), 4);
    formats::read::<DryRunReport>(json[0].as_bytes()).unwrap();
    formats::read::<BackupManifest>(json[1].as_bytes()).unwrap();
    let facts = history::read(json[2].as_bytes()).unwrap().facts(FROM, TO);
    assert_eq!(facts.linear_between.unwrap(), LINE);
    manifest::read(json[3].as_bytes()).unwrap();
    assert!(junit::read(examples("xml")[0].as_bytes()).unwrap().passed());
    let text = examples("text");
    assert!(HISTORY_TEXT.starts_with(&text[0]));
    assert!(not_possible::reason(text[1].as_bytes()).is_some());
}

#[test]
fn the_report_is_of_the_files_beside_it() {
    let report: DryRunReport = formats::read(REPORT.as_bytes()).unwrap();
    let subject = &report.subject;
    assert_eq!((subject.from.as_str(), subject.to.as_str(), subject.outcome), (FROM, TO, Outcome::Passed));
    for (rendered, sql) in [(&subject.upgrade, UP), (&subject.downgrade, DOWN)] {
        assert_eq!(rendered.sha256, Digest::of(sql.as_bytes()));
        assert_eq!(rendered.sqlnorm1.unwrap().digest(), sqlnorm1(sql));
    }
    let manifest = manifest::read(MANIFEST.as_bytes()).unwrap();
    assert_eq!(subject.manifest_sha256, Digest::of(MANIFEST.as_bytes()));
    assert_eq!(subject.manifest_sha256, manifest.sha256().unwrap());
    let backup: BackupManifest = formats::read(BACKUP.as_bytes()).unwrap();
    assert_eq!((subject.snapshot.sha256, subject.snapshot.bytes), (backup.sha256, backup.bytes));
    let loss = &subject.destructive[0];
    let line = UP.lines().nth(loss.line as usize - 1).unwrap();
    assert_eq!(line, "ALTER TABLE trades DROP COLUMN legacy_ref;");
    assert_eq!((loss.rows_lost, loss.non_null_values_lost), (0, 2_000));
    assert!(subject.downgrade_restores.schema && !subject.downgrade_restores.data);
}

#[test]
fn the_manifest_is_of_the_sample_projects_scripts() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sample-project");
    let manifest = manifest::read(MANIFEST.as_bytes()).unwrap();
    assert_eq!(manifest.files.len(), 6);
    for file in &manifest.files {
        let text = std::fs::read_to_string(root.join(&file.path)).unwrap();
        let text = if file.path == "backend/alembic.ini" { strip_ini(&text) } else { text };
        assert_eq!(file.sha256, Digest::of(text.as_bytes()), "{}", file.path);
    }
}

#[test]
fn secrets_are_stripped_from_the_ini_and_nothing_else_is() {
    let ini = "[a]\r\nsqlalchemy.url = x://u:p@h/d\n  more\nDB_PASSWORD: a=b\nurls = kept\n# url = note\nmy.token=t\nx = 1\n  url = y\n";
    let stripped = "[a]\nsqlalchemy.url = (stripped)\nDB_PASSWORD = (stripped)\nurls = kept\n# url = note\n\
                    my.token = (stripped)\nx = 1\n  url = y\n";
    assert_eq!(strip_ini(ini), stripped);
}

/// The file with the value at a JSON pointer replaced, or taken out.
fn with(file: &str, pointer: &str, value: Option<Value>) -> Vec<u8> {
    let mut json: Value = serde_json::from_str(file).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
        (Value::Object(map), None) => assert!(map.remove(key).is_some(), "{pointer}"),
        (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    canonical_json(&json).unwrap()
}

fn refusal<T: Format>(file: &str, pointer: &str, value: Option<Value>) -> String {
    match formats::read::<T>(&with(file, pointer, value)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{pointer} was taken"),
    }
}

#[test]
fn a_report_that_contradicts_itself_is_refused_by_the_name_of_the_field() {
    let hex = "0".repeat(64);
    for (pointer, value, says) in [
        ("/format", Some(json!("countersign/backup-manifest")), "countersign/dry-run-report"),
        ("/version", Some(json!(2)), "has version 2; this release reads version 1"),
        ("/version", Some(json!("1")), "`version`"),
        ("/extra", Some(json!(1)), "unknown field `extra`"),
        ("/subject/extra", Some(json!(1)), "unknown field `extra`"),
        ("/subject/steps/0/extra", Some(json!(1)), "unknown field `extra`"),
        ("/subject/from", None, "missing field `from`"),
        ("/subject/from", Some(json!("head")), "`subject.from`"),
        ("/subject/from", Some(json!(TO)), "`subject.to` must differ"),
        ("/subject/from", Some(json!("e6c2b8a4f107")), "not at the revision"),
        ("/subject/dialect", Some(json!("oracle")), "unknown variant `oracle`"),
        ("/subject/upgrade/sqlnorm1", Some(json!(null)), "`subject.upgrade.sqlnorm1`"),
        (
            "/subject/upgrade/sqlnorm1",
            Some(json!(format!("sha256:{hex}"))),
            "must begin with `sqlnorm1:sha256:`",
        ),
        ("/subject/upgrade/sqlnorm1", Some(json!(hex)), "not a digest of SQL"),
        ("/subject/upgrade/reproducible", Some(json!(false)), "`subject.upgrade.sqlnorm1`"),
        ("/subject/upgrade/captured_online", Some(json!(true)), "`subject.upgrade.reproducible`"),
        (
            "/subject/downgrade/impossible",
            Some(json!("no downgrade() in it")),
            "`subject.downgrade.impossible`",
        ),
        ("/subject/snapshot/sha256", Some(json!("ab")), "64 lower-case hexadecimal digits"),
        ("/subject/snapshot/taken_at", Some(json!("yesterday")), "“yesterday” is not a time"),
        ("/subject/snapshot/bytes", Some(json!(-1)), "invalid value"),
        ("/subject/snapshot/bytes", Some(json!(1_u64 << 53)), "`subject.snapshot.bytes`"),
        ("/subject/snapshot/origin", Some(json!("a\nb")), "`subject.snapshot.origin`"),
        ("/subject/snapshot/origin", Some(json!("a\u{202E}b")), "`subject.snapshot.origin`"),
        ("/subject/steps", Some(json!([])), "no step `upgrade` that passed"),
        ("/subject/steps/4/status", Some(json!("failed")), "`subject.steps[4].why`"),
        (
            "/subject/steps/0",
            Some(json!({"name": "x", "status": "failed", "why": "it broke"})),
            "a step failed",
        ),
        ("/subject/steps/0/name", Some(json!("upgrade")), "must not come twice"),
        ("/subject/outcome", Some(json!("failed")), "no step failed"),
        ("/subject/destructive/0/line", Some(json!(0)), "`subject.destructive[0].line`"),
        ("/subject/schema/other/0", Some(json!("")), "`subject.schema.other[0]`"),
        ("/measurements/finished_at", Some(json!("2020-01-01T00:00:00Z")), "`measurements.finished_at`"),
    ] {
        let sentence = refusal::<DryRunReport>(REPORT, pointer, value);
        assert!(sentence.contains(says), "{pointer}: {sentence}");
        assert!(!sentence.contains('\n') && sentence.len() < 500, "{sentence}");
    }
}

#[test]
fn declared_impossibility_and_capture_are_taken() {
    let rendered = json!({"sha256": "0".repeat(64), "sqlnorm1": null, "reproducible": false,
        "captured_online": false, "impossible": "revision f50d9e7b3a26 has no downgrade()"});
    let bytes = with(REPORT, "/subject/downgrade", Some(rendered.clone()));
    assert!(formats::read::<DryRunReport>(&bytes).unwrap().subject.downgrade.impossible.is_some());
    let mut captured = rendered;
    captured["captured_online"] = json!(true);
    captured["impossible"] = json!(null);
    let bytes = with(REPORT, "/subject/upgrade", Some(captured));
    assert!(formats::read::<DryRunReport>(&bytes).unwrap().subject.upgrade.captured_online);
}

#[test]
fn checks_may_be_left_out_and_are_held_to_their_form() {
    let checks = |change: fn(&mut Value)| {
        let mut checks = json!({
            "integrity": {"before": [], "after": ["row 3 missing from index a"], "foreign_keys_before": [],
                "foreign_keys_after": [{"table": "trades", "parent": "accounts", "rows": 2}]},
            "statements": {"executed": 2, "rendered": null, "only_executed": ["drop table a"], "only_rendered": []},
            "warnings": [{"code": "E34", "text": "percent signs are doubled"}],
        });
        change(&mut checks);
        formats::read::<DryRunReport>(&with(REPORT, "/subject/checks", Some(checks)))
    };
    let read = checks(|_| ()).unwrap().subject.checks.unwrap();
    assert_eq!((read.statements.rendered, read.warnings[0].code.as_str()), (None, "E34"));
    let says = |change| checks(change).unwrap_err().to_string();
    assert!(says(|c| c["warnings"][0]["text"] = json!("a\nb")).contains("`subject.checks.warnings[0].text`"));
    assert!(says(|c| c["warnings"][0]["code"] = json!("")).contains("`subject.checks.warnings[0].code`"));
    assert!(says(|c| c["integrity"]["after"][0] = json!("")).contains("`subject.checks.integrity.after[0]`"));
    assert!(says(|c| c["statements"]["only_rendered"] = json!(vec!["x"; 51])).contains("at most 50 entries"));
    assert!(says(|c| c["more"] = json!(1)).contains("unknown field `more`"));
    let steps = with(REPORT, "/measurements/steps", Some(json!([{"step": "upgrade", "milliseconds": 12}])));
    let report = formats::read::<DryRunReport>(&steps).unwrap();
    assert_eq!(report.measurements.steps[0].milliseconds, 12);
}

#[test]
fn the_subject_is_what_makes_two_reports_equal() {
    let digest = |bytes: &[u8]| formats::read::<DryRunReport>(bytes).unwrap().subject.digest().unwrap();
    let same = with(REPORT, "/measurements/bytes_after", Some(json!(1)));
    assert_eq!(digest(&same), digest(REPORT.as_bytes()));
    let other = with(REPORT, "/subject/destructive/0/non_null_values_lost", Some(json!(1)));
    assert_ne!(digest(&other), digest(REPORT.as_bytes()));
}

#[test]
fn what_is_no_file_of_the_format_is_refused_in_a_sentence() {
    let read = |bytes: &[u8]| formats::read::<BackupManifest>(bytes).unwrap_err();
    assert!(matches!(read(b""), FormatError::Empty { .. }));
    assert!(matches!(read(b" \n"), FormatError::Empty { .. }));
    assert!(matches!(read(b"\xFF{}"), FormatError::NotText { at: 0, .. }));
    assert!(matches!(read(&vec![b' '; 70_000]), FormatError::TooLarge { bytes: 70_000, .. }));
    assert!(matches!(read(b"{}"), FormatError::OtherFormat { .. }));
    assert!(matches!(read(b"[1]"), FormatError::Syntax { .. } | FormatError::OtherFormat { .. }));
    assert!(matches!(read("[".repeat(60_000).as_bytes()), FormatError::Syntax { .. }));
    let twice = BACKUP.replacen("\"bytes\"", "\"bytes\": 5, \"bytes\"", 1);
    assert!(read(twice.as_bytes()).to_string().contains("duplicate field `bytes`"));
    assert!(
        refusal::<BackupManifest>(BACKUP, "/bytes", Some(json!(0))).contains("`bytes` must be more than 0")
    );
    let no_note = with(BACKUP, "/note", None);
    assert_eq!(formats::read::<BackupManifest>(&no_note).unwrap().note, None);
}

#[test]
fn a_manifest_has_one_spelling() {
    let spaced = MANIFEST.replacen(':', ": ", 1);
    let ended = format!("{MANIFEST}\n");
    for other in [spaced, ended] {
        assert!(matches!(manifest::read(other.as_bytes()), Err(FormatError::NotCanonical { .. })));
    }
    for (path, says) in [
        ("../env.py", "`.` or `..`"),
        ("/etc/passwd", "below the project's folder"),
        ("a\\b", "below the project's folder"),
        ("C:/a", "below the project's folder"),
        ("a//b", "empty names"),
        ("", "1 to 512 bytes"),
        ("a\u{200B}", "invisible"),
        ("z", "must come after"),
    ] {
        let sentence = refusal::<MigrationManifest>(MANIFEST, "/files/0/path", Some(json!(path)));
        assert!(sentence.contains(says), "{path}: {sentence}");
    }
    assert!(refusal::<MigrationManifest>(MANIFEST, "/files", Some(json!([]))).contains("at least one file"));
    assert!(refusal::<MigrationManifest>(MANIFEST, "/to", Some(json!(FROM))).contains("must differ"));
}

#[test]
fn both_forms_of_the_history_give_the_same_facts() {
    let (json, text) = (history::read(HISTORY.as_bytes()), history::read(HISTORY_TEXT.as_bytes()));
    let (json, text) = (json.unwrap(), text.unwrap());
    assert_eq!(json.revisions, text.revisions);
    for history in [json, text] {
        let facts = history.facts(FROM, TO);
        assert_eq!(facts.heads, [TO]);
        assert_eq!(facts.linear_between.unwrap(), LINE);
    }
}

/// A history as Alembic prints it, from `id parent,parent` words.
fn printed(revisions: &str) -> String {
    let mut out = String::new();
    for line in revisions.split(';') {
        let mut words = line.split_whitespace();
        let (id, parents) = (words.next().unwrap(), words.next().unwrap());
        let head =
            !revisions.split(';').any(|l| l.split_whitespace().nth(1).unwrap().split(',').any(|p| p == id));
        let (mark, key) =
            (if head { " (head)" } else { "" }, if parents.contains(',') { "Merges" } else { "Parent" });
        let parents = parents.replace(',', ", ").replace('-', "<base>");
        let _ = write!(out, "Rev: {id}{mark}\n{key}: {parents}\n");
        out += &words.next().map(|d| format!("Also depends on: {d}\n")).unwrap_or_default();
        let _ = write!(out, "Path: versions/{id}.py\n\n    About: {id}\n    \n    Rev: not this\n\n");
    }
    out
}

#[test]
fn what_is_in_the_way_of_one_line_is_said() {
    let line = "d c;c b;b a;a -";
    let facts = |revisions: &str, from, to| {
        history::read(printed(revisions).as_bytes()).unwrap().facts(from, to).linear_between
    };
    assert_eq!(facts(line, "a", "d").unwrap(), ["b", "c", "d"]);
    assert_eq!(facts(line, "b", "c").unwrap(), ["c"]);
    for (revisions, from, to, says) in [
        (line, "d", "a", "does not come before"),
        (line, "a", "a", "nothing to apply"),
        (line, "x", "d", "“x” is not in the history"),
        ("long2 long1;long1 -", "long1", "lon", "abbreviation"),
        ("d c;c b;b a;a -;x b", "a", "d", "2 heads"),
        ("d b,c;c a;b a;a -", "a", "d", "d merges 2 revisions"),
        ("e d;d b,c;c a;b a;a -", "a", "b", "a branches"),
        ("d c;c b", "b", "d", "“b” is not in the history"),
        ("d c;c b", "c", "d", ""),
        ("d c x;c b;b a;a -", "b", "d", "d depends on x"),
        ("d c b;c b;b a;a -", "b", "d", ""),
        ("d c a;c b;b a;a -", "b", "d", ""),
    ] {
        match facts(revisions, from, to) {
            Ok(_) => assert_eq!(says, "", "{revisions}: {from} to {to}"),
            Err(sentence) => assert!(!says.is_empty() && sentence.contains(says), "{revisions}: {sentence}"),
        }
    }
    let other = history::read(HISTORY.as_bytes()).unwrap().facts(FROM, "f50d9e7b3a26");
    assert!(other.linear_between.unwrap_err().contains("The history is for d48b1e9c5f62 to 0c7e5d1b94fa"));
}

#[test]
fn a_history_that_contradicts_itself_is_refused() {
    let error = |text: String| history::read(text.as_bytes()).unwrap_err().to_string();
    let good = printed("b a;a -");
    assert!(error(good.replace(" (head)", "")).contains("must be a head"));
    assert!(error(good.replace("Rev: a", "Rev: a (head)")).contains("can't be a head"));
    assert!(error(good.replace("Rev: a", "Rev: b")).contains("must not come twice"));
    assert!(error(good.replace("Parent: <base>\n", "")).contains("has no `Parent:`"));
    assert!(error(good.replace("(head)", "(queen)")).contains("`line 1`"));
    assert!(error(format!("INFO: loading\n{good}")).contains("log output"));
    assert!(error(format!("{good}FAILED: no\n")).contains("not part of what"));
    assert!(error("head\n".into()).contains("`line 1`"));
    assert!(error(good.replace("Rev: a\n", "Rev: a b\n")).contains("`line 9`"));
    // Two revisions that follow each other beside a base: no walk back from them ever ends.
    let entry = |id: &str, down: &[&str], head| json!({"revision": id, "down_revisions": down, "branch_labels": [], "depends_on": [], "is_head": head, "doc": ""});
    let mut json: Value = serde_json::from_str(HISTORY).unwrap();
    json["revisions"] = json!([entry("a", &["b"], false), entry("b", &["a"], false), entry("x", &[], true)]);
    (json["heads"], json["from"], json["to"]) = (json!(["x"]), json!("x"), json!("a"));
    let history = history::read(json.to_string().as_bytes()).unwrap();
    assert!(history.facts("x", "a").linear_between.unwrap_err().contains("breaks at"));
    let heads = with(HISTORY, "/heads", Some(json!([])));
    assert!(history::read(&heads).unwrap_err().to_string().contains("`heads`"));
}

#[test]
fn rendered_sql_leads_from_one_end_to_the_other() {
    for (sql, dialect) in
        [(UP, Dialect::Sqlite), (include_str!("../demo/data/upgrade.postgresql.sql"), Dialect::PostgreSql)]
    {
        let script = offline_sql::read(sql, dialect);
        assert_eq!(script.steps.len(), 4);
        assert_eq!(script.chain(FROM, TO).unwrap(), LINE);
        assert!(script.chain("b27e41f6c8d3", TO).unwrap_err().contains("Line"));
        assert!(script.chain(FROM, "f50d9e7b3a26").unwrap_err().contains("ends at 0c7e5d1b94fa"));
    }
    let down = offline_sql::read(DOWN, Dialect::Sqlite);
    assert_eq!(down.steps[0].direction, offline_sql::Direction::Downgrade);
    assert_eq!(down.chain(TO, FROM).unwrap(), ["f50d9e7b3a26", "e6c2b8a4f107", "d9a7f3b06e58", FROM]);
    let read = |sql: &str| offline_sql::read(sql, Dialect::Sqlite).chain(FROM, TO);
    assert!(read("").unwrap_err().contains("holds no SQL"));
    assert!(read("BEGIN; COMMIT;").unwrap_err().contains("holds no SQL"));
    assert!(read("SELECT '-- Running upgrade a -> b';").unwrap_err().contains("ends at"));
    // A step taken out, a comment that names another step, and a row that is added.
    let cut = UP.replacen("UPDATE alembic_version SET version_num='e6c2b8a4f107'", "-- ", 1);
    assert!(read(&cut).is_err());
    let renamed = UP.replacen("upgrade d48b1e9c5f62", "upgrade b27e41f6c8d3", 1);
    assert!(read(&renamed).unwrap_err().contains("announces b27e41f6c8d3 -> d9a7f3b06e58"));
    assert!(
        read("INSERT INTO alembic_version (version_num) VALUES ('a');")
            .unwrap_err()
            .contains("adds or takes a row")
    );
}

#[test]
fn rendered_corpus_leads_along_its_window() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql");
    for (file, dialect, from, to) in [
        ("mlflow/clean/upgrade.postgresql.sql", Dialect::PostgreSql, "71994744cf8e", "b7c8d9e0f1a2"),
        ("mlflow/clean/downgrade.mysql.sql", Dialect::MySql, "b7c8d9e0f1a2", "71994744cf8e"),
        (
            "airflow/2.10.3-to-3.3.0/upgrade.postgresql.sql",
            Dialect::PostgreSql,
            "5f2621c13b39",
            "d2f4e1b3c5a7",
        ),
        ("taskflow/rename-table/upgrade.sqlite.sql", Dialect::Sqlite, "14b227d79a87", "00af93df9d77"),
    ] {
        let sql = std::fs::read_to_string(root.join(file)).unwrap();
        let script = offline_sql::read(&sql, dialect);
        let chain = script.chain(from, to);
        assert_eq!(chain.map(|c| c.len()), Ok(script.steps.len()), "{file}");
    }
}

#[test]
fn smoke_tests_pass_only_if_some_ran_and_none_failed() {
    let report = junit::read(SMOKE.as_bytes()).unwrap();
    assert_eq!((report.tests, report.passed()), (4, true));
    let suite = |cases: &str| junit::read(format!("<testsuite name='s'>{cases}</testsuite>").as_bytes());
    let failed = suite(
        "<testcase classname='a.b' name='x &lt;1&gt;'><failure message='m'>t &amp; &#65;</failure></testcase>\
         <testcase name='y'><error/></testcase><testcase name='z'><skipped/></testcase><testcase name='w'/>",
    )
    .unwrap();
    assert_eq!((failed.tests, failed.failures, failed.errors, failed.skipped), (4, 1, 1, 1));
    assert_eq!(failed.failed, ["a.b.x <1>", "y"]);
    assert!(!failed.passed());
    assert!(!suite("").unwrap().passed());
    assert!(!suite("<testcase name='z'><skipped/></testcase>").unwrap().passed());
    assert_eq!(suite(&"<testcase name='a'><failure/></testcase>".repeat(50)).unwrap().failed.len(), 20);
    let stated =
        junit::read(b"<testsuites><testsuite errors='1'><testcase name='a'/></testsuite></testsuites>")
            .unwrap();
    assert!(!stated.passed());
    // A file in a failure's text is no failure, nor is one outside a test.
    assert!(
        suite("<properties><failure/></properties><testcase name='a'><system-out>x</system-out></testcase>")
            .unwrap()
            .passed()
    );
}

#[test]
fn xml_that_bites_or_breaks_off_is_refused() {
    let bomb =
        "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><testsuite><testcase name='a'/></testsuite>";
    for (xml, says) in [
        (bomb, "document type"),
        ("<testsuite><testcase name='a'>&b;</testcase></testsuite>", "entity"),
        ("<testsuite><testcase name='&b;'/></testsuite>", "can't be read"),
        ("<testsuite><testcase name='a'/>", "ends before"),
        ("<testsuite><testcase name='a'></testsuite>", "can't be read"),
        ("<testsuite/><testsuite/>", "root element"),
        ("<html><testcase name='a'/></html>", "root element"),
        ("not xml", "root element"),
        ("<testsuite failures='many'/>", "`failures` must be a whole number"),
        ("<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>", "directly in"),
        ("", "is empty"),
    ] {
        let sentence = junit::read(xml.as_bytes()).unwrap_err().to_string();
        assert!(sentence.contains(says), "{xml}: {sentence}");
    }
    let deep = format!("<testsuite>{}", "<a>".repeat(100_000));
    assert!(junit::read(deep.as_bytes()).unwrap_err().to_string().contains("nest too deeply"));
}
