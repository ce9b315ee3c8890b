//! Statements after which, or in which, the same bytes may be text to one server and code to another.

use super::classify::{Kind, Words};
use super::lex::{Kind as Tok, Token};

/// Settings that say what a quote, a backslash or a comment is, in lower case.
const SETTINGS: &[&str] = &["standard_conforming_strings", "backslash_quote", "sql_mode"];

/// Ways to set one by its name as a text, in lower case.
const SETTERS: &[&str] = &["set_config", "pg_settings", "pg_db_role_setting"];

/// Encodings in which a backslash may be the second half of a letter, in lower case.
const ENCODINGS: &[&str] =
    &["big5", "gbk", "gb18030", "sjis", "cp932", "shift_jis", "shift_jis_2004", "shiftjis", "johab", "uhc"];

/// No version of `MySQL` is this high, and comments for higher ones are for `MariaDB` or for nobody.
const HIGHEST: u32 = 90_000;

/// An executable comment is looked for its end this far, in bytes.
const LONGEST: usize = 4_096;

/// Why what follows this statement is read in another way, if so.
pub(super) fn after(kind: Kind, words: &Words<'_>) -> Option<String> {
    let named = |token: &Token| {
        let text = token.of(words.sql);
        let wanted = matches!(token.kind, Tok::Word | Tok::Quoted | Tok::Text | Tok::Dollar);
        SETTINGS.iter().find(|name| wanted && holds(text, name)).copied()
    };
    let sets = if kind == Kind::Other {
        let bodied = || {
            let routines = ["FUNCTION", "PROCEDURE", "ROUTINE", "TRIGGER", "EVENT", "RULE"];
            (1..words.tokens.len().min(16)).any(|i| words.is(i, &routines))
        };
        let settles = ["DATABASE", "ROLE", "USER", "SYSTEM"];
        words.is(0, &["SET", "RESET", "DO", "EXECUTE", "PREPARE", "CALL"])
            || words.is(0, &["ALTER"]) && (words.is(1, &settles) || bodied())
            || words.is(0, &["CREATE"]) && bodied()
    } else {
        false
    };
    let calls = || words.tokens.iter().any(|t| SETTERS.iter().any(|name| is_name(t, words.sql, name)));
    if (sets || calls())
        && !usual(words)
        && let Some(name) = words.tokens.iter().find_map(named)
    {
        return Some(format!("This sets {name}: what is text and what is code depends on it from here on."));
    }
    if (0..words.tokens.len()).any(|i| unnamed(words, i)) {
        return Some(
            "This sets what can't be told from the script, and may change how it is read.".to_owned(),
        );
    }
    let encoding = |t: &Token| ENCODINGS.iter().find(|name| is_name(t, words.sql, name)).copied();
    if words.is(0, &["SET"])
        && let Some(name) = words.tokens.iter().skip(1).find_map(encoding)
    {
        return Some(format!(
            "In the encoding {name} a backslash may be half a letter, and then ends no quote."
        ));
    }
    None
}

/// Whether `text` holds `name`, in any case.
fn holds(text: &str, name: &str) -> bool {
    text.len() >= name.len() && text.to_ascii_lowercase().contains(name)
}

/// Whether this token is the name, in quotes or without.
fn is_name(token: &Token, sql: &str, name: &str) -> bool {
    let text = token.of(sql);
    let bare = text.trim_matches(['"', '`', '\'', '[', ']']);
    matches!(token.kind, Tok::Word | Tok::Quoted | Tok::Text) && bare.eq_ignore_ascii_case(name)
}

/// What dumps of `PostgreSQL` begin with, and what holds anyhow.
fn usual(words: &Words<'_>) -> bool {
    let at = words.skip_any(1, &["SESSION", "LOCAL"]);
    let equals = words.tokens.get(at + 1).is_some_and(|t| t.of(words.sql) == "=" || t.is(words.sql, "TO"));
    words.is(0, &["SET"])
        && words.is(at, &["standard_conforming_strings"])
        && equals
        && words.is(at + 2, &["on", "true"])
        && words.tokens.len() == at + 3
}

/// A call of `set_config` whose first argument is no plain text.
fn unnamed(words: &Words<'_>, at: usize) -> bool {
    let call = words.tokens.get(at).is_some_and(|t| is_name(t, words.sql, "set_config"));
    let plain = |t: &Token| {
        let text = t.of(words.sql);
        let name = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)))
    };
    call && words.kind_at(at + 1) == Some(Tok::Open)
        && !(words.tokens.get(at + 2).is_some_and(plain) && words.kind_at(at + 3) == Some(Tok::Comma))
}

/// Why servers disagree about an executable comment, if they do; `rest` begins with its mark.
pub(super) fn comment(rest: &str) -> Option<&'static str> {
    let (mark, of_all) = if rest.starts_with("/*!") { (3, true) } else { (4, false) };
    let inside = rest.get(mark..).unwrap_or_default();
    let near = inside.get(..inside.floor_char_boundary(LONGEST)).unwrap_or_default();
    let inside = match near.split_once("*/") {
        Some((inside, _)) => inside,
        None if near.len() < inside.len() => {
            return Some("A comment that is run goes on for very long: where it ends is hard to see.");
        }
        None => near,
    };
    let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
    let version = inside.get(..digits).and_then(|version| version.parse::<u32>().ok());
    let known = digits == 0 || (digits == 5 && version.is_some_and(|version| version <= HIGHEST));
    if !of_all || !known {
        Some("Some servers run what is in this comment, and others pass over it.")
    } else if inside.contains(['\'', '"', '`', '#']) || inside.contains("--") || inside.contains("/*") {
        Some(
            "This comment is run, and holds a quote or a comment: where it ends is not the same for every server.",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Dialect;
    use super::*;

    fn changes(sql: &str, dialect: Dialect) -> bool {
        let words = Words::of(sql, dialect);
        after(super::super::classify::classify_words(&words), &words).is_some()
    }

    #[test]
    fn settings_of_quotes_are_seen_however_they_are_set() {
        for sql in [
            "SET standard_conforming_strings = off",
            "SET LOCAL \"standard_conforming_strings\" TO 'off'",
            "SET backslash_quote = on",
            "RESET standard_conforming_strings",
            "SELECT set_config('standard_conforming_strings', 'off', false)",
            "SELECT pg_catalog.\"set_config\"('Backslash_Quote', 'on', false)",
            "SELECT set_config(a, b, false) FROM c",
            "SELECT set_config('standard_' || 'conforming_strings', 'off', false)",
            "SELECT set_config(E'standard\\x5fconforming_strings', 'off', false)",
            "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
            "ALTER ROLE a SET standard_conforming_strings = off",
            "ALTER DATABASE a SET backslash_quote = on",
            "ALTER SYSTEM SET standard_conforming_strings = off",
            "ALTER FUNCTION f() SET standard_conforming_strings = off",
            "DO $$ BEGIN SET standard_conforming_strings = off; END $$",
            "SET client_encoding = 'SJIS'",
        ] {
            assert!(changes(sql, Dialect::PostgreSql), "{sql}");
        }
        for sql in [
            "SET sql_mode='NO_BACKSLASH_ESCAPES'",
            "SET SESSION sql_mode = 'ANSI_QUOTES'",
            "SET @@session.sql_mode = ''",
            "SET a = 1, `sql_mode` = ''",
            "/*!40101 SET SQL_MODE='' */",
            "SET NAMES gbk",
            "PREPARE s FROM 'SET sql_mode = 1'",
        ] {
            assert!(changes(sql, Dialect::MySql), "{sql}");
        }
        for sql in [
            "SET standard_conforming_strings = on",
            "SET lock_timeout = '5s'",
            "SET client_encoding = 'UTF8'",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "CREATE TABLE a (sql_mode text)",
            "ALTER TABLE a ALTER sql_mode SET NOT NULL",
            "UPDATE a SET sql_mode = 1 WHERE b",
            "INSERT INTO a VALUES ('sql_mode')",
            "COMMENT ON TABLE a IS 'sql_mode'",
        ] {
            assert!(!changes(sql, Dialect::PostgreSql), "{sql}");
        }
    }

    #[test]
    fn comments_that_only_some_servers_run_are_told_apart() {
        for sql in [
            "/*!99999 ' */",
            "/*!99999 WHERE a */",
            "/*M! a */",
            "/*!100100 a */",
            "/*!50000 'a' */",
            "/*! -- */",
            "/*! a",
        ] {
            assert_eq!(comment(sql).is_some(), sql != "/*! a", "{sql}");
        }
        assert_eq!(comment("/*!50000 DROP TABLE a */"), None);
        assert_eq!(comment("/*! ; DROP TABLE b */;"), None);
    }
}
