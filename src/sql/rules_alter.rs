//! The rules for the actions of an ALTER TABLE.

use super::classify::{VERSION_TABLE, Words};
use super::lex::{self, Kind as Tok, Token};
use super::rules::{Found, last_is, short};
use super::types;
use crate::domain::rule::{
    CASCADE, CHECKS_OFF, CONSTRAINT, DROP_COLUMN, DROP_CONSTRAINT, DROP_INDEX, NARROWING_TYPE, NOT_NULL,
    PRIMARY_KEY, PRIVILEGES, REACHES_OUTSIDE, RENAME, TABLE_REWRITE, TRUNCATE, TYPE_CHANGE, UNIQUE, UPDATE,
};

/// What the actions of this ALTER TABLE may do.
pub(super) fn of(words: &Words<'_>, found: &mut Found) {
    let Some((table, actions)) = actions(words) else { return };
    for action in actions {
        alter(&table, &action, found);
    }
}

/// Whether each action is one that these rules know.
pub(super) fn recognised(words: &Words<'_>) -> bool {
    const KNOWN: &[&str] = &[
        "ADD",
        "ALTER",
        "CHANGE",
        "CHARACTER",
        "CHARSET",
        "CLUSTER",
        "COLLATE",
        "COMMENT",
        "CONVERT",
        "DEFAULT",
        "DISABLE",
        "DROP",
        "ENABLE",
        "ENGINE",
        "FORCE",
        "MODIFY",
        "OWNER",
        "RENAME",
        "SET",
        "TRUNCATE",
        "VALIDATE",
        "ALGORITHM",
        "LOCK",
        "AUTO_INCREMENT",
    ];
    actions(words).is_some_and(|(_, mut actions)| actions.all(|action| action.is(0, KNOWN)))
}

/// The table, and what is done to it, one action after the other. None for the version table.
pub(super) fn actions<'a>(words: &'a Words<'a>) -> Option<(String, impl Iterator<Item = Words<'a>>)> {
    let mut at = words.skip_any(1, &["IGNORE", "FOREIGN", "TABLE"]);
    at = words.skip(at, &["IF", "EXISTS"]);
    at = words.skip(at, &["ONLY"]);
    let (table, at) = words.name(at).filter(|(table, _)| table != VERSION_TABLE)?;
    let mut depth = 0_usize;
    let list = words.tokens.get(at..).unwrap_or_default().split(move |token| {
        match token.kind {
            Tok::Open => depth += 1,
            Tok::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.kind == Tok::Comma
    });
    Some((short(&table), list.map(|tokens| part(words, tokens.to_vec()))))
}

fn part<'a>(words: &Words<'a>, tokens: Vec<Token>) -> Words<'a> {
    Words { sql: words.sql, tokens, cut: false }
}

fn alter(table: &str, words: &Words<'_>, found: &mut Found) {
    if words.is(0, &["DROP", "TRUNCATE"]) && words.is(1, &["PARTITION"]) {
        found.push((&TRUNCATE, format!("Every row of this partition of {table} is lost.")));
    } else if words.is(0, &["DISCARD"]) {
        found.push((&TRUNCATE, format!("The file with the rows of {table} is deleted.")));
    } else if words.is(0, &["IMPORT"]) {
        let why = format!("The rows of {table} are taken from a file that is not part of the ticket.");
        found.push((&REACHES_OUTSIDE, why));
    } else if words.is(0, &["DROP"]) {
        drop(table, words, found);
    } else if words.is(0, &["ADD"]) {
        add(table, words, found);
    } else if (words.is(0, &["RENAME"]) && !words.is(1, &["CONSTRAINT", "INDEX", "KEY"]))
        || words.skip(0, &["SET", "SCHEMA"]) > 0
    {
        let what = if words.is(1, &["TO", "AS", "SCHEMA"]) { "table" } else { "column" };
        found.push((
            &RENAME,
            format!("A {what} gets another name: code that uses the old one of {table} fails."),
        ));
    } else if words.is(0, &["MODIFY", "CHANGE"]) {
        redefine(table, words, found);
    } else if words.is(0, &["ALTER"]) && !words.is(1, &["CONSTRAINT", "INDEX"]) {
        alter_column(table, words, found);
    } else {
        whole_table(table, words, found);
    }
    if words.is(0, &["DROP"]) && last_is(words, "CASCADE") {
        found.push((&CASCADE, format!("What depends on this part of {table} goes with it, unnamed.")));
    }
}

/// Actions on the table as a whole.
fn whole_table(table: &str, words: &Words<'_>, found: &mut Found) {
    let sets =
        words.is(0, &["SET"]) && words.is(1, &["TABLESPACE", "LOGGED", "UNLOGGED", "ACCESS", "WITHOUT"]);
    if sets || words.is(0, &["CONVERT", "ENGINE", "FORCE", "CHARACTER", "CHARSET"]) && !words.is(1, &["ROW"])
    {
        found.push((&TABLE_REWRITE, format!("{table} is written anew; nobody can write to it meanwhile.")));
    } else if words.is(0, &["DISABLE"]) && words.is(1, &["TRIGGER", "KEYS", "RULE"]) {
        found.push((&CHECKS_OFF, format!("Triggers or keys of {table} are off from here on.")));
    } else if words.is(0, &["OWNER"])
        || words.skip(1, &["ROW", "LEVEL", "SECURITY"]) > 1
        || words.skip(2, &["ROW", "LEVEL", "SECURITY"]) > 2
    {
        found.push((&PRIVILEGES, format!("This changes who may read or write {table}.")));
    }
}

/// MySQL's MODIFY and CHANGE, which say a column's definition anew.
fn redefine(table: &str, words: &Words<'_>, found: &mut Found) {
    let at = words.skip(1, &["COLUMN"]);
    let Some((name, mut next)) = words.name(at) else { return };
    let column = short(&name);
    if words.is(0, &["CHANGE"]) {
        let Some((new, after)) = words.name(next) else { return };
        next = after;
        if new != name {
            let why = format!("A column gets another name: code that uses {table}.{column} fails.");
            found.push((&RENAME, why));
        }
    }
    let filled = if not_null(words) { " A row that has no value there stops it." } else { "" };
    found.push((
        &TYPE_CHANGE,
        format!("Column {table}.{column} is defined anew: the table is rewritten.{filled}"),
    ));
    if types::is_small(words, next) {
        let why = format!("Values of {table}.{column} that don't fit the new type are refused or cut.");
        found.push((&NARROWING_TYPE, why));
    }
}

fn column(words: &Words<'_>, at: usize) -> String {
    let at = words.skip(at, &["COLUMN"]);
    let at = words.skip(words.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
    words.name(at).map_or_else(|| "?".into(), |(name, _)| short(&name))
}

fn drop(table: &str, words: &Words<'_>, found: &mut Found) {
    if words.is(1, &["INDEX", "KEY"]) {
        found.push((&DROP_INDEX, format!("Queries on {table} that used this index get slower.")));
    } else if words.is(1, &["PRIMARY"]) {
        found.push((&PRIMARY_KEY, format!("{table} has no primary key from here on, and is rewritten.")));
    } else if words.is(1, &["CONSTRAINT", "FOREIGN", "CHECK"]) {
        found.push((&DROP_CONSTRAINT, format!("{table} takes rows that it refused before.")));
    } else {
        let column = column(words, 1);
        found.push((&DROP_COLUMN, format!("The values of {table}.{column} are lost in every row.")));
    }
}

fn add(table: &str, words: &Words<'_>, found: &mut Found) {
    const KEYS: &[&str] = &[
        "CONSTRAINT",
        "PRIMARY",
        "FOREIGN",
        "UNIQUE",
        "CHECK",
        "INDEX",
        "KEY",
        "FULLTEXT",
        "SPATIAL",
        "EXCLUDE",
        "PARTITION",
    ];
    const FILLS: &[&str] =
        &["DEFAULT", "GENERATED", "AUTO_INCREMENT", "SERIAL", "BIGSERIAL", "IDENTITY", "AS"];
    let has = |list: &[&str]| (0..words.tokens.len()).any(|i| words.is(i, list));
    if words.is(1, KEYS) {
        return add_key(table, words, found);
    }
    let column = column(words, 1);
    if not_null(words) && !has(FILLS) {
        let why = format!(
            "Column {table}.{column} may not be empty and has no default: it fails on a table with rows."
        );
        found.push((&NOT_NULL, why));
    }
    if has(&["UNIQUE"]) {
        found.push((&UNIQUE, format!("It fails if two rows of {table} get the same {column}.")));
    }
    if has(&["PRIMARY"]) {
        found.push((&PRIMARY_KEY, format!("{table} is rewritten with {column} as its key.")));
    }
}

/// ADD CONSTRAINT, and the keys that need no name.
fn add_key(table: &str, words: &Words<'_>, found: &mut Found) {
    let named = words.is(1, &["CONSTRAINT"]);
    let at = match words.name(2) {
        Some((_, next)) if named && !words.is(2, &["PRIMARY", "FOREIGN", "UNIQUE", "CHECK"]) => next,
        _ if named => 2,
        _ => 1,
    };
    let end = words.tokens.len();
    let later = (at..end).any(|i| words.skip(i, &["NOT", "VALID"]) > i);
    let built =
        (at..end).any(|i| words.skip(i, &["USING", "INDEX"]) > i && !words.is(i + 2, &["TABLESPACE"]));
    if words.is(at, &["UNIQUE"]) && !built {
        found.push((
            &UNIQUE,
            format!("It fails if {table} holds duplicates, and locks it until that is known."),
        ));
    } else if words.is(at, &["PRIMARY"]) && !built {
        found.push((
            &PRIMARY_KEY,
            format!("It fails if {table} holds duplicates or gaps, and locks it meanwhile."),
        ));
    } else if words.is(at, &["FOREIGN", "CHECK", "EXCLUDE"]) && !later {
        found.push((
            &CONSTRAINT,
            format!("Every row of {table} is checked while it is locked; one that refuses stops it."),
        ));
    }
}

fn not_null(words: &Words<'_>) -> bool {
    (0..words.tokens.len()).any(|i| words.skip(i, &["NOT", "NULL"]) > i)
}

/// Whether the expression from here on names this column.
fn names(words: &Words<'_>, from: usize, column: &str) -> bool {
    words.tokens.iter().enumerate().skip(from).any(|(i, token)| {
        let is_type =
            words.is(i - 1, &["AS"]) || words.tokens.get(i - 1).is_some_and(|t| t.of(words.sql) == ":");
        matches!(token.kind, Tok::Word | Tok::Quoted)
            && !is_type
            && lex::name(token, words.sql).eq_ignore_ascii_case(column)
    })
}

fn alter_column(table: &str, words: &Words<'_>, found: &mut Found) {
    let at = words.skip(1, &["COLUMN"]);
    let Some((name, next)) = words.name(at) else {
        return;
    };
    let column = short(&name);
    if words.is(next, &["TYPE"]) || words.skip(next, &["SET", "DATA", "TYPE"]) > next {
        found.push((
            &TYPE_CHANGE,
            format!("Every value of {table}.{column} is converted; unless the type only gets wider, the table is rewritten."),
        ));
        let at = if words.is(next, &["TYPE"]) { next + 1 } else { next + 3 };
        let end = words.tokens.len();
        let using = (at..end).find(|i| words.is(*i, &["USING"]));
        if types::is_small(words, at) || using.is_some_and(|using| types::cuts(words, using..end)) {
            let why = format!(
                "Values of {table}.{column} that don't fit the new type are cut, rounded or refused."
            );
            found.push((&NARROWING_TYPE, why));
        }
        if using.is_some_and(|using| !names(words, using + 1, &name)) {
            let why = format!(
                "Every value of {table}.{column} is replaced by one that it has no part in: the old values are lost."
            );
            found.push((&UPDATE, why));
        }
    } else if words.skip(next, &["SET", "NOT", "NULL"]) > next {
        found.push((
            &NOT_NULL,
            format!("Column {table}.{column} may not be empty any more: it fails if a row has none."),
        ));
    } else if words.skip(next, &["DROP", "NOT", "NULL"]) > next {
        let why = format!("{table}.{column} may be empty from here on: code that reads it has to know.");
        found.push((&DROP_CONSTRAINT, why));
    } else if words.skip(next, &["DROP", "EXPRESSION"]) > next
        || words.skip(next, &["SET", "EXPRESSION"]) > next
    {
        found.push((&TABLE_REWRITE, format!("How {table}.{column} is computed changes for every row.")));
    }
}
