//! Settings that switch checks off, change the server or lend another's rights: SET, `set_config` and PRAGMA.

use super::classify::Words;
use super::lex::Kind as Tok;
use super::named::lowered;
use super::rules::Found;
use crate::domain::rule::{CHECKS_OFF, PRIVILEGES, Rule, SERVER_SETTING};

/// What a setting comes to if its value isn't the usual one.
fn judge(name: &str, value: Option<&str>) -> Option<(&'static Rule, &'static str)> {
    const ON: &[&str] = &["1", "on", "true", "default"];
    const OFF: &[&str] = &["0", "off", "false", "no", "default"];
    let is = |usual: &[&str]| value.is_some_and(|value| usual.contains(&value));
    match name {
        "foreign_key_checks" | "unique_checks" | "check_constraint_checks" if !is(ON) => {
            Some((&CHECKS_OFF, "Foreign keys or triggers are not checked from here on."))
        }
        "session_replication_role" if !is(&["origin", "local", "default"]) => {
            Some((&CHECKS_OFF, "Foreign keys or triggers are not checked from here on."))
        }
        "allow_system_table_mods" | "zero_damaged_pages" | "ignore_system_indexes" if !is(OFF) => {
            Some((&CHECKS_OFF, "What keeps the database whole is switched off from here on."))
        }
        "sql_log_bin" if !is(ON) => {
            Some((&SERVER_SETTING, "What follows is not written to the log: replicas and restores lack it."))
        }
        "role" | "session_authorization" => {
            Some((&PRIVILEGES, "What follows runs with the rights of another role."))
        }
        _ => None,
    }
}

/// A value that is one word or one text, in lower case; none for anything that has to be worked out.
fn value(words: &Words<'_>, at: usize) -> Option<String> {
    let ends = matches!(words.kind_at(at + 1), None | Some(Tok::Comma | Tok::Close | Tok::Semicolon));
    lowered(words, at).filter(|_| ends)
}

fn push(found: &mut Found, rule: &'static Rule, why: &str) {
    if !found.iter().any(|(known, _)| known.key == rule.key) {
        found.push((rule, why.to_owned()));
    }
}

/// What this SET changes.
pub(super) fn set(words: &Words<'_>, found: &mut Found) {
    let text = |i: usize| words.tokens.get(i).map_or("", |t| t.of(words.sql));
    for i in 1..words.tokens.len() {
        // A variable of the script's own has one @, a setting two.
        let variable = text(i - 1) == "@" && !(i > 1 && text(i - 2) == "@");
        let assigned = match text(i + 1) {
            "=" => Some(i + 2),
            ":" if text(i + 2) == "=" => Some(i + 3),
            word if word.eq_ignore_ascii_case("to") => Some(i + 2),
            _ => None,
        };
        if let Some(at) = assigned.filter(|_| !variable)
            && let Some(name) = lowered(words, i)
            && let Some((rule, why)) = judge(&name, value(words, at).as_deref())
        {
            push(found, rule, why);
        }
        let begins = i == 1 || words.kind_at(i - 1) == Some(Tok::Comma);
        let of_server = (begins && words.is(i, &["GLOBAL", "PERSIST", "PERSIST_ONLY"]))
            || (i > 2
                && text(i - 1) == "@"
                && text(i - 2) == "@"
                && words.is(i, &["GLOBAL", "PERSIST", "PERSIST_ONLY"]));
        if of_server {
            push(found, &SERVER_SETTING, "This changes the server for every application on it.");
        }
    }
    let at = words.skip_any(1, &["LOCAL", "SESSION", "DEFAULT"]);
    if words.is(at, &["ROLE", "AUTHORIZATION"]) || words.is(1, &["PASSWORD"]) {
        push(found, &PRIVILEGES, "What follows runs with the rights of another role.");
    }
}

/// What a call of `set_config` changes.
pub(super) fn by_function(words: &Words<'_>, found: &mut Found) {
    for i in 0..words.tokens.len() {
        let call = words.kind_at(i + 1) == Some(Tok::Open)
            && matches!(words.kind_at(i), Some(Tok::Word | Tok::Quoted))
            && lowered(words, i).is_some_and(|name| name == "set_config");
        if !call {
            continue;
        }
        let plain = |at: usize| {
            let text = words
                .tokens
                .get(at)
                .is_some_and(|t| t.kind == Tok::Text && t.of(words.sql).starts_with('\''));
            value(words, at).filter(|_| text)
        };
        match plain(i + 2) {
            Some(name) => {
                if let Some((rule, why)) = judge(&name, plain(i + 4).as_deref()) {
                    push(found, rule, why);
                }
            }
            None => push(found, &CHECKS_OFF, "Which setting is changed here is worked out while it runs."),
        }
    }
}

/// PRAGMA statements that switch checks off or change the database file.
pub(super) fn pragma(words: &Words<'_>, found: &mut Found) {
    // Whatever SQLite doesn't know as a truth is a no, other numbers are a yes: both are read for the worse.
    const ON: &[&str] = &["1", "on", "true", "yes"];
    const OFF: &[&str] = &["0", "off", "false", "no", "reset"];
    let Some((name, end)) = words.name(1).filter(|(_, end)| *end < words.tokens.len()) else { return };
    let name = name.to_lowercase();
    let value = value(words, end + 1);
    let is = |usual: &[&str]| value.as_deref().is_some_and(|value| usual.contains(&value));
    match name.as_str() {
        "foreign_keys" if !is(ON) => {
            found.push((&CHECKS_OFF, "Foreign keys are not checked from here on.".into()));
        }
        "ignore_check_constraints" | "writable_schema" | "defer_foreign_keys" if !is(OFF) => {
            found.push((&CHECKS_OFF, format!("{name} switches off what keeps the database whole.")));
        }
        "schema_version" => {
            let why = "schema_version is SQLite's own: a wrong one makes programs read tables as they were.";
            found.push((&CHECKS_OFF, why.into()));
        }
        "journal_mode" | "synchronous" | "auto_vacuum" | "page_size" | "encoding" => {
            found.push((&SERVER_SETTING, format!("{name} changes how the database file is written.")));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::dialect::Dialect;
    use crate::sql::findings::find;

    fn rules(sql: &str, dialect: Dialect) -> Vec<&'static str> {
        let found = find(sql, Some(dialect)).into_iter().map(|f| f.rule);
        found.filter(|rule| !matches!(*rule, "missing-lock-timeout" | "not-understood")).collect()
    }

    #[test]
    fn quotes_and_scopes_hide_no_setting_and_no_function() {
        for (rule, sql) in [
            ("reaches-outside", "SELECT \"lo_export\"(77,'/x');"),
            ("reaches-outside", "SELECT pg_catalog.\"lo_export\"(77,'/x');"),
            ("reaches-outside", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata;"),
            ("reaches-outside", "SELECT dblink_connect('x');"),
            ("reaches-outside", "CREATE FUNCTION f() RETURNS int AS '/tmp/evil.so','f' LANGUAGE C;"),
            ("reaches-outside", "CREATE FUNCTION f() RETURNS int LANGUAGE \"plpython3u\" AS 'x';"),
            ("reaches-outside", "DO LANGUAGE plperlu 'x';"),
            ("reaches-outside", "CREATE EXTENSION plpython3u;"),
            ("reaches-outside", "CREATE EXTENSION IF NOT EXISTS \"plperlu\";"),
            ("reaches-outside", "COPY a TO PROGRAM 'cat';"),
            ("checks-off", "SET \"session_replication_role\" = replica;"),
            ("checks-off", "SET LOCAL session_replication_role TO 'replica';"),
            ("checks-off", "SELECT set_config('session_replication_role','replica',false);"),
            ("checks-off", "SELECT \"set_config\"('session_' || 'replication_role','replica',false);"),
            ("privileges", "SET LOCAL ROLE postgres;"),
            ("privileges", "SET SESSION ROLE postgres;"),
            ("privileges", "SET \"role\" = postgres;"),
            ("privileges", "SET SESSION AUTHORIZATION postgres;"),
            ("privileges", "SELECT set_config('role', 'postgres', true);"),
            ("privileges", "ALTER FUNCTION f() SECURITY DEFINER;"),
            ("system-tables", "DELETE FROM pg_constraint WHERE conname = 'x';"),
            ("system-tables", "UPDATE \"pg_catalog\".\"pg_class\" SET relname = 'x' WHERE relname = 'y';"),
            ("system-tables", "WITH x AS (SELECT 1) DELETE FROM pg_class WHERE relname = 'y';"),
        ] {
            assert!(rules(sql, Dialect::PostgreSql).contains(&rule), "{sql}");
        }
        for (rule, sql) in [
            ("reaches-outside", "SELECT \"load_extension\"('/tmp/x');"),
            ("checks-off", "PRAGMA writable_schema = 'ON';"),
            ("checks-off", "PRAGMA writable_schema = 2;"),
            ("checks-off", "PRAGMA \"Writable_Schema\" = ON;"),
            ("checks-off", "PRAGMA main.writable_schema(yes);"),
            ("checks-off", "PRAGMA foreign_keys = 'off';"),
            ("checks-off", "PRAGMA foreign_keys = 'what';"),
            ("checks-off", "PRAGMA schema_version = 3;"),
            ("system-tables", "DELETE FROM sqlite_master WHERE name = 'trades';"),
            ("system-tables", "UPDATE OR IGNORE main.\"SQLITE_SCHEMA\" SET sql = '' WHERE name = 'trades';"),
            ("system-tables", "INSERT INTO sqlite_master VALUES (1);"),
        ] {
            assert!(rules(sql, Dialect::Sqlite).contains(&rule), "{sql}");
        }
        for (rule, sql) in [
            ("checks-off", "SET `foreign_key_checks`=0;"),
            ("checks-off", "SET FOREIGN_KEY_CHECKS = 0, UNIQUE_CHECKS = 1;"),
            ("checks-off", "SET UNIQUE_CHECKS = 1, @@session.`foreign_key_checks` := 1 - 1;"),
            ("server-setting", "SET sql_log_bin=0;"),
            ("server-setting", "SET a = 1, GLOBAL b = 2;"),
            ("reaches-outside", "CREATE FUNCTION x RETURNS STRING SONAME 'lib.so';"),
            ("reaches-outside", "CREATE TABLE f (a int) ENGINE=FEDERATED CONNECTION='mysql://h';"),
            ("reaches-outside", "CREATE TABLE f (a int) engine = `Federated`;"),
            ("system-tables", "DELETE FROM mysql.user WHERE user = 'x';"),
        ] {
            assert!(rules(sql, Dialect::MySql).contains(&rule), "{sql}");
        }
    }

    #[test]
    fn harmless_settings_stay_quiet() {
        for sql in [
            "SET session_replication_role = 'origin';",
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "SET lock_timeout = '5s';",
            "SET client_encoding TO \"utf8\";",
            "CREATE EXTENSION pgcrypto;",
            "SELECT c FROM language c;",
            "CREATE TABLE pg (language c);",
            "SELECT 'lo_export', \"lo_export\" FROM a;",
            "INSERT INTO app.pg_notes VALUES (1);",
            "SELECT relname FROM pg_class;",
        ] {
            assert!(
                rules(sql, Dialect::PostgreSql).is_empty(),
                "{sql}: {:?}",
                rules(sql, Dialect::PostgreSql)
            );
        }
        for sql in [
            "PRAGMA foreign_keys = 'ON';",
            "PRAGMA foreign_keys;",
            "PRAGMA writable_schema = 'off';",
            "PRAGMA user_version = 3;",
        ] {
            assert!(rules(sql, Dialect::Sqlite).is_empty(), "{sql}");
        }
        for sql in [
            "SET `foreign_key_checks` = 1;",
            "SET @role = 1;",
            "SET @OLD = @@UNIQUE_CHECKS, UNIQUE_CHECKS = 'on';",
        ] {
            assert!(rules(sql, Dialect::MySql).is_empty(), "{sql}");
        }
    }

    #[test]
    fn verbs_in_a_row_are_walked_once() {
        // Quadratic work would be 10^10 steps.
        let found = rules(&format!("{}sqlite_master", "REPLACE ".repeat(99_000)), Dialect::Sqlite);
        assert!(found.contains(&"system-tables"));
    }
}
