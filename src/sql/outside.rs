//! Files, programs, other databases, and the database's own tables.

use super::classify::Words;
use super::lex::Kind as Tok;
use super::named::lowered;
use super::rules::Found;
use super::settings;
use crate::domain::rule::{PRIVILEGES, REACHES_OUTSIDE, SYSTEM_TABLES};

/// Functions by name; of the others, the beginning is enough.
const CALLS: &[&str] = &[
    "lo_import",
    "lo_export",
    "lo_unlink",
    "pg_file_write",
    "pg_file_unlink",
    "pg_file_rename",
    "pg_file_sync",
    "pg_logdir_ls",
    "load_extension",
    "load_file",
    "readfile",
    "writefile",
    "sys_exec",
    "sys_eval",
];
const FAMILIES: &[&str] = &["dblink", "pg_read_", "pg_ls_"];

/// Files, programs and other databases, wherever in a statement they are called.
pub(super) fn reaches_outside(words: &Words<'_>, found: &mut Found) {
    if verb(words) || calls(words) || borrows_code(words) || stores_elsewhere(words) {
        let why = "This reads or writes files, programs or another database.";
        found.push((&REACHES_OUTSIDE, why.into()));
    }
    if let Some(table) = system_table(words) {
        let why = format!(
            "{} is the database's own: what is written there is not checked, and may make tables unreadable.",
            super::rules::short(&table)
        );
        found.push((&SYSTEM_TABLES, why));
    }
    settings::by_function(words, found);
    let definer = (2..words.tokens.len())
        .any(|i| words.skip(i, &["SECURITY", "DEFINER"]) > i && !words.is(i - 1, &["SQL"]));
    if words.is(0, &["CREATE", "ALTER"]) && routine(words) && definer {
        found.push((&PRIVILEGES, "Whoever calls it acts with the rights of its owner.".into()));
    }
}

fn routine(words: &Words<'_>) -> bool {
    (1..words.tokens.len().min(6)).any(|i| words.is(i, &["FUNCTION", "PROCEDURE", "ROUTINE"]))
}

fn verb(words: &Words<'_>) -> bool {
    let text_at = |i: usize| matches!(words.kind_at(i), Some(Tok::Text | Tok::Dollar));
    let all = || 0..words.tokens.len();
    match words.tokens.first().map(|t| t.of(words.sql).to_ascii_uppercase()).as_deref() {
        Some("COPY") => {
            all().any(|i| words.is(i, &["PROGRAM"]) || (words.is(i, &["FROM", "TO"]) && text_at(i + 1)))
        }
        Some("ATTACH" | "LOAD" | "IMPORT" | "INSTALL") => true,
        Some("VACUUM") => all().any(|i| words.is(i, &["INTO"])),
        Some("CREATE" | "ALTER") => {
            words.is(1, &["SERVER", "SUBSCRIPTION"]) || words.skip(1, &["FOREIGN", "DATA"]) > 1
        }
        _ => all().any(|i| words.is(i, &["INTO"]) && words.is(i + 1, &["OUTFILE", "DUMPFILE"])),
    }
}

fn calls(words: &Words<'_>) -> bool {
    (0..words.tokens.len()).any(|i| {
        words.kind_at(i + 1) == Some(Tok::Open)
            && matches!(words.kind_at(i), Some(Tok::Word | Tok::Quoted))
            && lowered(words, i).is_some_and(|name| {
                CALLS.contains(&name.as_str()) || FAMILIES.iter().any(|family| name.starts_with(family))
            })
    })
}

/// Languages whose code may do whatever the server's user may.
fn untrusted(language: &str) -> bool {
    matches!(language, "c" | "internal" | "plsh" | "plr")
        || (language.starts_with("pl") && language.ends_with('u'))
}

/// Code from a library or in a language without bounds, and extensions that bring such things.
fn borrows_code(words: &Words<'_>) -> bool {
    let names = |i: usize, wanted: &dyn Fn(&str) -> bool| lowered(words, i).is_some_and(|name| wanted(&name));
    let create = words.is(0, &["CREATE"]);
    if (create || words.is(0, &["ALTER"])) && words.is(1, &["EXTENSION"]) {
        let brings = |name: &str| {
            untrusted(name)
                || name.ends_with("_fdw")
                || matches!(name, "dblink" | "adminpack" | "http" | "pg_net" | "pg_cron" | "aws_s3")
        };
        return names(words.skip(2, &["IF", "NOT", "EXISTS"]), &brings);
    }
    let bare = words.skip_any(1, &["OR", "REPLACE", "TRUSTED", "PROCEDURAL"]);
    let language = words.is(0, &["DO"]) || (create && (routine(words) || words.is(bare, &["LANGUAGE"])));
    let library = |i: usize| words.is(i, &["SONAME"]) && words.kind_at(i + 1) == Some(Tok::Text);
    language
        && (1..words.tokens.len())
            .any(|i| (words.is(i, &["LANGUAGE"]) && names(i + 1, &untrusted)) || library(i))
}

/// MySQL's tables that are on another server or in a directory of their own.
fn stores_elsewhere(words: &Words<'_>) -> bool {
    let sign = |i: usize| usize::from(words.tokens.get(i).is_some_and(|t| t.of(words.sql) == "="));
    let table = (1..words.tokens.len().min(6)).any(|i| words.is(i, &["TABLE"]));
    table
        && words.is(0, &["CREATE", "ALTER"])
        && (2..words.tokens.len()).any(|i| {
            let value = i + 1 + sign(i + 1);
            let engine = || {
                lowered(words, value).is_some_and(|name| matches!(&*name, "federated" | "connect" | "spider"))
            };
            let text = words.kind_at(value) == Some(Tok::Text);
            (words.is(i, &["ENGINE"]) && engine())
                || (text && words.is(i, &["CONNECTION"]))
                || (text && words.is(i, &["DIRECTORY"]) && words.is(i - 1, &["DATA", "INDEX"]))
        })
}

/// The table of the database itself that this statement writes to.
fn system_table(words: &Words<'_>) -> Option<String> {
    const BETWEEN: &[&str] = &[
        "FROM",
        "ONLY",
        "INTO",
        "OR",
        "IGNORE",
        "REPLACE",
        "ROLLBACK",
        "ABORT",
        "FAIL",
        "LOW_PRIORITY",
        "QUICK",
        "DELAYED",
        "HIGH_PRIORITY",
        "TABLE",
    ];
    let mut next = 0;
    while next < words.tokens.len() {
        next += 1;
        if !words.is(next - 1, &["DELETE", "UPDATE", "INSERT", "REPLACE", "MERGE", "TRUNCATE"]) {
            continue;
        }
        // What was passed here is not walked again.
        let at = words.skip_any(next, BETWEEN);
        next = at;
        let Some((name, end)) = words.name(at) else { continue };
        let name = name.to_lowercase();
        let schema =
            end.checked_sub(3).filter(|schema| *schema >= at).and_then(|schema| lowered(words, schema));
        let own =
            matches!(&*name, "sqlite_master" | "sqlite_schema" | "sqlite_temp_master" | "sqlite_temp_schema")
                || (name.starts_with("pg_") && schema.as_deref().is_none_or(|schema| schema == "pg_catalog"))
                || schema.as_deref().is_some_and(|schema| matches!(schema, "pg_catalog" | "mysql"));
        if own {
            return Some(name);
        }
    }
    None
}
