//! The rules for statements that are neither about rows nor about one table.

use super::classify::Words;
use super::dialect::Dialect;
use super::lex::Kind as Tok;
use super::rules::{Found, last_is};
use crate::domain::rule::{
    CASCADE, CHECKS_OFF, DROP_OBJECT, DROP_SCHEMA, INDEX_LOCKS, PRIVILEGES, REACHES_OUTSIDE, RENAME,
    SERVER_SETTING, TABLE_REWRITE,
};

/// What these rules find in a statement of no kind of its own.
pub(super) fn of(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    if words.is(0, &["DROP"]) {
        drop(words, found);
    } else if words.is(0, &["RENAME"]) {
        found.push((&RENAME, "Code that uses the old name fails from this moment on.".into()));
    } else if words.is(0, &["SET"]) {
        set(words, found);
    } else if words.is(0, &["ALTER"]) {
        alter(words, found);
    } else if words.is(0, &["GRANT", "REVOKE", "REASSIGN"])
        || (words.is(0, &["CREATE"]) && words.is(1, &["ROLE", "USER", "POLICY"]))
    {
        found.push((&PRIVILEGES, "This changes who may do what in the database.".into()));
    } else {
        upkeep(words, dialect, found);
    }
}

fn drop(words: &Words<'_>, found: &mut Found) {
    if words.is(1, &["SCHEMA", "DATABASE", "OWNED", "TABLESPACE"]) {
        found.push((&DROP_SCHEMA, "Everything in it is lost, whatever it is by then.".into()));
    } else if words.is(1, &["ROLE", "USER", "POLICY"]) {
        found.push((&PRIVILEGES, "This changes who may do what in the database.".into()));
    } else {
        let what = words.tokens.get(1).map_or("object", |t| t.of(words.sql)).to_ascii_lowercase();
        found.push((&DROP_OBJECT, format!("Code that uses this {} fails.", super::rules::short(&what))));
    }
    if last_is(words, "CASCADE") && !words.is(1, &["SCHEMA", "DATABASE", "OWNED"]) {
        found.push((&CASCADE, "Whatever depends on it goes with it, unnamed.".into()));
    }
}

fn set(words: &Words<'_>, found: &mut Found) {
    const OFF: &[&str] =
        &["FOREIGN_KEY_CHECKS", "UNIQUE_CHECKS", "SESSION_REPLICATION_ROLE", "CHECK_CONSTRAINT_CHECKS"];
    let head = words.tokens.len().min(8);
    if let Some(at) = (1..head).find(|i| words.is(*i, OFF)) {
        let back = (at..words.tokens.len()).any(|i| words.is(i, &["1", "ON", "ORIGIN", "DEFAULT"]));
        if !back {
            found.push((&CHECKS_OFF, "Foreign keys or triggers are not checked from here on.".into()));
        }
    } else if words.is(1, &["GLOBAL", "PERSIST", "PERSIST_ONLY"])
        || (1..head).any(|i| {
            words.tokens.get(i).is_some_and(|t| t.of(words.sql) == "@")
                && words.is(i + 2, &["GLOBAL", "PERSIST"])
        })
    {
        found.push((&SERVER_SETTING, "This changes the server for every application on it.".into()));
    } else if words.is(1, &["ROLE"]) || words.skip(1, &["SESSION", "AUTHORIZATION"]) > 1 {
        found.push((&PRIVILEGES, "What follows runs with the rights of another role.".into()));
    }
}

fn alter(words: &Words<'_>, found: &mut Found) {
    let sets = || (2..words.tokens.len().min(6)).any(|i| words.is(i, &["SET", "RESET"]));
    if words.is(1, &["SYSTEM"]) || (words.is(1, &["DATABASE"]) && sets()) {
        found.push((&SERVER_SETTING, "This changes settings beyond this migration's own tables.".into()));
    } else if words.is(1, &["ROLE", "USER", "POLICY"]) || words.skip(1, &["DEFAULT", "PRIVILEGES"]) > 1 {
        found.push((&PRIVILEGES, "This changes who may do what in the database.".into()));
    } else if !words.is(1, &["INDEX"])
        && (2..words.tokens.len()).any(|i| words.is(i, &["RENAME"]) || words.skip(i, &["SET", "SCHEMA"]) > i)
    {
        found.push((&RENAME, "Code that uses the old name fails from this moment on.".into()));
    } else if words.is(1, &["DOMAIN"]) && (2..words.tokens.len()).any(|i| words.is(i, &["ADD"])) {
        let why = "Every column of this domain is checked while its table is locked.";
        found.push((&crate::domain::rule::CONSTRAINT, why.into()));
    } else if (2..words.tokens.len()).any(|i| words.skip(i, &["OWNER", "TO"]) > i) {
        found.push((&PRIVILEGES, "This changes who owns it.".into()));
    }
}

fn upkeep(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    let postgres = dialect == Dialect::PostgreSql;
    let full = || (1..words.tokens.len().min(8)).any(|i| words.is(i, &["FULL"]));
    let concurrently = || (1..words.tokens.len()).any(|i| words.is(i, &["CONCURRENTLY"]));
    if (words.is(0, &["VACUUM"]) && (full() || dialect == Dialect::Sqlite))
        || words.is(0, &["CLUSTER", "OPTIMIZE", "REPAIR"])
    {
        found.push((&TABLE_REWRITE, "Everything is written anew; nobody can use it meanwhile.".into()));
    } else if postgres && words.is(0, &["REINDEX"]) && !concurrently() {
        found.push((&INDEX_LOCKS, "Nobody can write to the table while its indexes are built anew.".into()));
    } else if words.is(0, &["LOCK"]) {
        found.push((&INDEX_LOCKS, "Others wait for these tables until the transaction ends.".into()));
    }
}

/// PRAGMA statements that switch checks off or change the database file.
pub(super) fn pragma(words: &Words<'_>, found: &mut Found) {
    let Some((name, _)) = words.name(1) else { return };
    let value = words.tokens.len().checked_sub(1).filter(|last| *last > 1);
    let on = |i: usize| words.is(i, &["ON", "1", "TRUE", "YES"]);
    let value = value.map(|last| if words.kind_at(last) == Some(Tok::Close) { last - 1 } else { last });
    match (name.as_str(), value) {
        ("foreign_keys", Some(value)) if !on(value) => {
            found.push((&CHECKS_OFF, "Foreign keys are not checked from here on.".into()));
        }
        ("ignore_check_constraints" | "writable_schema" | "defer_foreign_keys", Some(value)) if on(value) => {
            found.push((&CHECKS_OFF, format!("{name} switches off what keeps the database whole.")));
        }
        ("journal_mode" | "synchronous" | "auto_vacuum" | "page_size" | "encoding", Some(_)) => {
            found.push((&SERVER_SETTING, format!("{name} changes how the database file is written.")));
        }
        _ => {}
    }
}

/// Files, programs and other databases.
pub(super) fn reaches_outside(words: &Words<'_>, found: &mut Found) {
    const CALLS: &[&str] = &[
        "LO_IMPORT",
        "LO_EXPORT",
        "PG_READ_FILE",
        "PG_READ_BINARY_FILE",
        "PG_LS_DIR",
        "PG_FILE_WRITE",
        "DBLINK",
        "DBLINK_EXEC",
        "LOAD_EXTENSION",
        "LOAD_FILE",
        "READFILE",
        "WRITEFILE",
    ];
    let text_at = |i: usize| matches!(words.kind_at(i), Some(Tok::Text | Tok::Dollar));
    let all = || 0..words.tokens.len();
    let by_verb = match words.tokens.first().map(|t| t.of(words.sql).to_ascii_uppercase()).as_deref() {
        Some("COPY") => {
            all().any(|i| words.is(i, &["PROGRAM"]) || (words.is(i, &["FROM", "TO"]) && text_at(i + 1)))
        }
        Some("ATTACH" | "LOAD" | "IMPORT") => true,
        Some("VACUUM") => all().any(|i| words.is(i, &["INTO"])),
        Some("CREATE" | "ALTER") => {
            words.is(1, &["SERVER", "SUBSCRIPTION"]) || words.skip(1, &["FOREIGN", "DATA"]) > 1
        }
        _ => all().any(|i| words.is(i, &["INTO"]) && words.is(i + 1, &["OUTFILE", "DUMPFILE"])),
    };
    let calls = || all().any(|i| words.is(i, CALLS) && words.kind_at(i + 1) == Some(Tok::Open));
    if by_verb || calls() {
        let why = "This reads or writes files, programs or another database.";
        found.push((&REACHES_OUTSIDE, why.into()));
    }
}
