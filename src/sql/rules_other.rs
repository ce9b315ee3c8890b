//! The rules for statements that are neither about rows nor about one table.

use super::classify::Words;
use super::dialect::Dialect;
pub(super) use super::outside::reaches_outside;
use super::rules::{Found, last_is};
use super::settings;
pub(super) use super::settings::pragma;
use crate::domain::rule::{
    CASCADE, DROP_OBJECT, DROP_SCHEMA, INDEX_LOCKS, PRIVILEGES, RENAME, SERVER_SETTING, TABLE_REWRITE,
};

/// What these rules find in a statement of no kind of its own.
pub(super) fn of(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    if words.is(0, &["DROP"]) {
        drop(words, found);
    } else if words.is(0, &["RENAME"]) {
        found.push((&RENAME, "Code that uses the old name fails from this moment on.".into()));
    } else if words.is(0, &["SET"]) {
        settings::set(words, found);
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
