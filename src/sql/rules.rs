//! The rules: what each looks for in one statement, and the words for it.

use std::collections::HashMap;

use super::bodies::Code;
use super::classify::{Kind, VERSION_TABLE, Words};
use super::dialect::Dialect;
use super::guard;
use super::lex::Kind as Tok;
use super::rules_other;
use crate::domain::rule::{
    CASCADE, DROP_INDEX, DROP_TABLE, DYNAMIC, INDEX_LOCKS, Rule, SERVER_SETTING, TOO_MANY, TRUNCATE, UNIQUE,
};

/// Rules that hold for a statement, each with its reason.
pub(super) type Found = Vec<(&'static Rule, String)>;

/// Findings of one rule about one statement.
const MOST: usize = 50;

/// What the rules for single statements find in this one.
pub(super) fn of(kind: Kind, words: &Words<'_>, dialect: Dialect) -> Found {
    let mut code = Code::new(dialect, words.sql.len());
    statement(kind, words, &mut code);
    let mut found = code.found();
    limit(&mut found);
    found
}

/// One statement: of the script, or of code that a statement carries.
pub(super) fn statement(kind: Kind, words: &Words<'_>, code: &mut Code) {
    let dialect = code.dialect;
    let found = &mut code.found;
    match kind {
        Kind::DropTable => drop_table(words, found),
        Kind::CreateTable => create_table(words, found),
        Kind::DropIndex => drop_index(words, found),
        Kind::CreateIndex => create_index(words, dialect, found),
        Kind::AlterTable => super::rules_alter::of(words, found),
        Kind::Pragma => rules_other::pragma(words, found),
        Kind::Other if !code.carried(words) => other(words, dialect, &mut code.found),
        _ => {}
    }
    guard::of(kind, words, &mut code.found);
    rules_other::reaches_outside(words, &mut code.found);
}

/// Keeps the first findings of each rule, and says so if there were more: what one rule finds never hides another's.
fn limit(found: &mut Found) {
    if found.len() <= MOST {
        return;
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut cut: Option<&Rule> = None;
    found.retain(|(rule, _)| {
        let count = counts.entry(rule.key).or_default();
        *count += 1;
        if *count > MOST {
            cut.get_or_insert(*rule);
        }
        *count <= MOST
    });
    if let Some(rule) = cut {
        let why = format!("Of {} only the first {MOST} findings in this statement are listed.", rule.key);
        found.push((&TOO_MANY, why));
    }
}

/// `MariaDB` drops a table that has the name.
fn create_table(words: &Words<'_>, found: &mut Found) {
    let at = words.skip(1, &["OR", "REPLACE"]);
    if at > 1 && !words.is(at, &["TEMPORARY", "TEMP"]) {
        let table = words.name(words.skip(words.skip_any(at, &["TABLE"]), &["IF", "NOT", "EXISTS"]));
        let table = table.map_or_else(|| "of this name".into(), |(name, _)| short(&name));
        let why = format!("If there is a table {table}, it and every row in it are lost.");
        found.push((&DROP_TABLE, why));
    }
}

fn drop_index(words: &Words<'_>, found: &mut Found) {
    found.push((&DROP_INDEX, "Queries that used this index get slower.".into()));
    if last_is(words, "CASCADE") {
        found.push((&CASCADE, "What depends on the index goes with it, unnamed.".into()));
    }
}

fn create_index(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    let table = words.table().map_or_else(|| "the table".into(), |name| short(&name));
    if words.is(1, &["UNIQUE"]) {
        let why = format!("It fails if {table} holds duplicates.");
        found.push((&UNIQUE, why));
    }
    let concurrently = (1..words.tokens.len().min(6)).any(|i| words.is(i, &["CONCURRENTLY"]));
    if dialect == Dialect::PostgreSql && !concurrently {
        let why = format!("Nobody can write to {table} while the index is built.");
        found.push((&INDEX_LOCKS, why));
    }
}

/// Whether the statement ends with this keyword.
pub(super) fn last_is(words: &Words<'_>, word: &str) -> bool {
    words.tokens.len().checked_sub(1).is_some_and(|last| words.is(last, &[word]))
}

fn drop_table(words: &Words<'_>, found: &mut Found) {
    let mut at = words.skip_any(1, &["TEMPORARY", "TEMP", "FOREIGN", "TABLE", "TABLES"]);
    at = words.skip(at, &["IF", "EXISTS"]);
    let mut tables = Vec::new();
    while let Some((name, next)) = words.name(at) {
        if name != VERSION_TABLE {
            tables.push(name);
        }
        if words.kind_at(next) != Some(Tok::Comma) {
            break;
        }
        at = next + 1;
    }
    let why = match tables.as_slice() {
        [] => "A table and every row in it are lost.".to_owned(),
        [table] => format!("Table {} and every row in it are lost.", short(table)),
        [table, more @ ..] => {
            format!("{} tables and every row in them are lost: {}, …", more.len() + 1, short(table))
        }
    };
    found.push((&DROP_TABLE, why));
    if last_is(words, "CASCADE") {
        found.push((&CASCADE, "Views and foreign keys that depend on it go with it, unnamed.".into()));
    }
}

/// A name from the script, cut to what fits a sentence.
pub(super) fn short(name: &str) -> String {
    if name.chars().count() <= 80 {
        return name.to_owned();
    }
    name.chars().take(79).chain(['…']).collect()
}

fn other(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    const SERVER: &[&str] = &["MASTER", "SLAVE", "REPLICA", "BINARY"];
    if words.is(0, &["TRUNCATE"]) {
        let table = words.name(words.skip_any(1, &["TABLE", "ONLY"]));
        if table.as_ref().is_none_or(|(name, end)| name != VERSION_TABLE || *end < words.tokens.len()) {
            let name = table.map_or_else(|| "the table".into(), |(name, _)| short(&name));
            found.push((
                &TRUNCATE,
                format!("Every row of {name} is lost, without triggers having their say."),
            ));
        }
        if last_is(words, "CASCADE") {
            found.push((&CASCADE, "Tables that refer to it are emptied too, unnamed.".into()));
        }
    } else if words.is(0, &["CALL"]) {
        found.push((&DYNAMIC, "This runs a procedure whose statements are not in the script.".into()));
    } else if dialect == Dialect::MySql
        && ((words.is(0, &["RESET", "STOP", "PURGE"]) && words.is(1, SERVER))
            || words.is(0, &["KILL", "INSTALL", "UNINSTALL", "CLONE"]))
    {
        found.push((&SERVER_SETTING, "This changes the server for every application on it.".into()));
    } else {
        rules_other::of(words, dialect, found);
    }
}
