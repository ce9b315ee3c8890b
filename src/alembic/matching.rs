//! Statements that were executed against statements that were rendered: which belong together, and on which line.

use std::collections::HashMap;

use super::report::Statements;
use crate::alembic::checks::NAMED;
use crate::alembic::formats::plain_line;
use crate::sql::classify::{Kind, Words, classify_words};
use crate::sql::dialect::Dialect;
use crate::sql::lex::{self, Kind as Tok};
use crate::sql::offline_sql;
use crate::sql::split::statements;

/// A statement that was executed on the copy.
#[derive(Clone, Copy, Debug)]
pub struct Executed<'a> {
    /// Under which it is known.
    pub number: u64,
    pub revision: Option<&'a str>,
    pub sql: &'a str,
}

/// What belongs together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    pub statements: Statements,
    /// The line of the SQL for the number of an executed statement.
    lines: HashMap<u64, u32>,
    /// Revision, words and line of each rendered statement.
    rendered: Vec<(Option<String>, Vec<String>, u32)>,
}

/// A statement without its values: equal for the two ways in which one statement is written.
#[must_use]
pub fn form(sql: &str, dialect: Dialect) -> String {
    let words = Words::of(sql, dialect);
    let mut out = String::new();
    // A driver is given the semicolon at the end of a trigger, a script ends with it.
    let end = words.tokens.iter().rposition(|t| t.kind != Tok::Semicolon).map_or(0, |at| at + 1);
    for token in words.tokens.iter().take(end) {
        let text = token.of(sql);
        let number = text.starts_with(|c: char| c.is_ascii_digit());
        let word = match token.kind {
            Tok::Text | Tok::Dollar => "?".to_owned(),
            Tok::Word if number || token.is_any(sql, &["TRUE", "FALSE"]) => "?".to_owned(),
            Tok::Word | Tok::Quoted => lex::name(token, sql),
            _ => text.to_owned(),
        };
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&word);
    }
    out
}

/// Compares what was executed with the offline SQL, if there is any of the same dialect.
#[must_use]
pub fn compare(executed: &[Executed<'_>], sql: Option<(&str, Dialect)>, of_copy: Dialect) -> Matched {
    let counted: Vec<(u64, Option<&str>, String)> = executed
        .iter()
        .filter(|e| counts(&Words::of(e.sql, of_copy)))
        .map(|e| (e.number, e.revision, form(e.sql, of_copy)))
        .collect();
    let mut matched = Matched::default();
    matched.statements.executed = counted.len() as u64;
    let Some((sql, dialect)) = sql else { return matched };
    let steps = offline_sql::read(sql, dialect).steps;
    let mut open: HashMap<String, Vec<(u32, usize)>> = HashMap::new();
    let mut forms = Vec::new();
    for statement in statements(sql, dialect) {
        let words = Words::of(statement.text(), dialect);
        if !counts(&words) {
            continue;
        }
        let step = steps.iter().rev().find(|s| s.line <= statement.line);
        let revision = step.and_then(|s| s.to.first().cloned());
        let form = form(statement.text(), dialect);
        matched.rendered.push((revision, form.split(' ').map(str::to_owned).collect(), statement.line));
        open.entry(form.clone()).or_default().push((statement.line, forms.len()));
        forms.push(Some(form));
    }
    matched.statements.rendered = Some(forms.len() as u64);
    if dialect != of_copy {
        // The two say the same in different languages: nothing to compare, but lines are still told by their table.
        return matched;
    }
    for list in open.values_mut() {
        list.reverse();
    }
    for (number, _, form) in &counted {
        match open.get_mut(form).and_then(Vec::pop) {
            Some((line, at)) => {
                forms[at] = None;
                matched.lines.entry(*number).or_insert(line);
            }
            None if matched.statements.only_executed.len() < NAMED => {
                matched.statements.only_executed.push(plain_line(form, 300));
            }
            None => {}
        }
    }
    matched.statements.only_rendered =
        forms.into_iter().flatten().take(NAMED).map(|form| plain_line(&form, 300)).collect();
    matched
}

impl Matched {
    /// Nothing was executed that the SQL does not have, and the other way round.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.statements.only_executed.is_empty() && self.statements.only_rendered.is_empty()
    }

    /// The line of the SQL that stands for an executed statement: its own, else the first that names its table in the
    /// part of its revision, else the first of that part, else 1.
    #[must_use]
    pub fn line(&self, number: u64, revision: Option<&str>, table: &str, column: Option<&str>) -> u32 {
        if let Some(line) = self.lines.get(&number) {
            return *line;
        }
        let part = || self.rendered.iter().filter(|(at, ..)| revision.is_none() || at.as_deref() == revision);
        let names = |words: &[String], name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
        let drops =
            |words: &[String]| names(words, "drop") || names(words, "delete") || names(words, "truncate");
        part()
            .find(|(_, words, _)| {
                names(words, table) && drops(words) && column.is_none_or(|column| names(words, column))
            })
            .or_else(|| part().find(|(_, words, _)| names(words, table)))
            .or_else(|| part().next())
            .map_or(1, |(.., line)| *line)
    }
}

/// Whether a statement does something of its own.
fn counts(words: &Words<'_>) -> bool {
    !matches!(classify_words(words), Kind::Transaction | Kind::Pragma | Kind::Select)
        && !words.is(0, &["SET", "EXPLAIN", "SHOW"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- Running upgrade a -> b\n\nUPDATE t SET x = 'v', n = 5;\n\nDROP TABLE t;\n\n\
                       -- Running upgrade b -> c\n\nALTER TABLE u DROP COLUMN y;\n\nCREATE INDEX i ON u (z);\n";

    fn executed<'a>(list: &[(u64, &'a str, &'a str)]) -> Vec<Executed<'a>> {
        list.iter()
            .map(|(number, revision, sql)| Executed { number: *number, revision: Some(revision), sql })
            .collect()
    }

    #[test]
    fn the_same_statements_agree_whatever_their_values_and_quotes() {
        let list = executed(&[
            (1, "b", "UPDATE \"t\" SET x='other', n = 7"),
            (2, "b", "\nDROP TABLE t"),
            (3, "c", "ALTER TABLE u DROP COLUMN y"),
            (4, "c", "SELECT 1"),
            (5, "c", "CREATE INDEX i ON u (z)"),
        ]);
        let matched = compare(&list, Some((SQL, Dialect::Sqlite)), Dialect::Sqlite);
        assert!(matched.agree(), "{matched:?}");
        assert_eq!((matched.statements.executed, matched.statements.rendered), (4, Some(4)));
        assert_eq!((matched.line(2, Some("b"), "t", None), matched.line(3, None, "u", None)), (5, 9));
    }

    #[test]
    fn what_one_side_alone_has_is_named_without_values() {
        let list = executed(&[(1, "b", "UPDATE t SET x = 'secret' WHERE id = 4"), (2, "b", "DROP TABLE t")]);
        let matched = compare(&list, Some((SQL, Dialect::Sqlite)), Dialect::Sqlite);
        assert_eq!(matched.statements.only_executed, ["update t set x = ? where id = ?"]);
        assert_eq!(matched.statements.only_rendered.len(), 3);
        assert!(!matched.agree());
    }

    #[test]
    fn a_statement_of_another_dialect_is_found_by_its_table() {
        let list = executed(&[(1, "c", "DROP TABLE u")]);
        let matched = compare(&list, Some((SQL, Dialect::PostgreSql)), Dialect::Sqlite);
        assert!(matched.agree());
        assert_eq!(matched.line(1, Some("c"), "u", None), 9);
        assert_eq!(matched.line(1, Some("c"), "nobody", None), 9);
        assert_eq!(compare(&list, None, Dialect::Sqlite).line(1, Some("c"), "u", None), 1);
    }
}
