//! Whether a condition asks anything of a row, or is the same for all of them.

use super::classify::Words;
use super::lex::{self, Kind as Tok};

/// Conditions are read to this depth of brackets; whatever is deeper asks nothing that anybody would read.
const MOST_DEPTH: usize = 64;

/// What a condition is for the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    /// Of every row.
    True,
    /// Of no row.
    False,
    /// The same for every row, without being worked out here: it names no column.
    Constant,
    /// It depends on the row.
    Varies,
}

/// Whether the condition in `from..to` of these tokens holds for every row of `table`, or for all that anybody can tell.
pub(super) fn of_every_row(words: &Words<'_>, from: usize, to: usize, table: &str) -> bool {
    let truth = Condition { words, table }.any(from, to, 0);
    matches!(truth, Truth::True | Truth::Constant)
}

struct Condition<'a, 'w> {
    words: &'a Words<'w>,
    table: &'a str,
}

impl Condition<'_, '_> {
    fn mark(&self, i: usize, mark: &str) -> bool {
        self.words.tokens.get(i).is_some_and(|t| t.kind == Tok::Other && t.of(self.words.sql) == mark)
    }

    /// Parts between these words or doubled marks, at this depth of brackets.
    fn split(&self, from: usize, to: usize, words: &[&str], mark: &str) -> Vec<(usize, usize)> {
        let (mut depth, mut start, mut between) = (0_usize, from, false);
        let mut parts = Vec::new();
        let mut i = from;
        while i < to {
            match self.words.kind_at(i) {
                Some(Tok::Open) => depth += 1,
                Some(Tok::Close) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                _ if self.words.is(i, &["BETWEEN"]) => between = true,
                _ if self.words.is(i, &["AND"]) && between => between = false,
                _ if self.words.is(i, words) => {
                    parts.push((start, i));
                    start = i + 1;
                }
                _ if self.mark(i, mark) && self.mark(i + 1, mark) => {
                    parts.push((start, i));
                    start = i + 2;
                    i += 1;
                }
                _ => {}
            }
            i += 1;
        }
        parts.push((start.min(to), to));
        parts
    }

    fn any(&self, from: usize, to: usize, depth: usize) -> Truth {
        if depth > MOST_DEPTH {
            return Truth::Constant;
        }
        let parts = self.split(from, to, &["OR", "XOR"], "").into_iter();
        parts.map(|(from, to)| self.all(from, to, depth)).fold(Truth::False, |a, b| match (a, b) {
            (Truth::True, _) | (_, Truth::True) => Truth::True,
            (Truth::Constant, _) | (_, Truth::Constant) => Truth::Constant,
            (Truth::Varies, _) | (_, Truth::Varies) => Truth::Varies,
            _ => Truth::False,
        })
    }

    fn all(&self, from: usize, to: usize, depth: usize) -> Truth {
        let parts = self.split(from, to, &["AND"], "&").into_iter();
        parts.map(|(from, to)| self.not(from, to, depth)).fold(Truth::True, |a, b| match (a, b) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::Varies, _) | (_, Truth::Varies) => Truth::Varies,
            (Truth::Constant, _) | (_, Truth::Constant) => Truth::Constant,
            _ => Truth::True,
        })
    }

    fn not(&self, mut from: usize, to: usize, depth: usize) -> Truth {
        let mut turned = false;
        while from < to && (self.words.is(from, &["NOT"]) || self.mark(from, "!")) {
            turned = !turned;
            from += 1;
        }
        match self.test(from, to, depth) {
            Truth::True if turned => Truth::False,
            // Not unknown is unknown, and this is where it could be: what has no value is of no row either way.
            Truth::False if turned => Truth::True,
            truth => truth,
        }
    }

    fn test(&self, from: usize, to: usize, depth: usize) -> Truth {
        if let Some((from, to)) = self.inside(from, to) {
            return self.any(from, to, depth + 1);
        }
        if let Some(value) = self.value(from, to) {
            return value.truth();
        }
        // MySQL's other OR, and everybody else's way to join two texts.
        let parts = self.split(from, to, &[], "|");
        if parts.len() > 1 {
            let holds = parts.into_iter().any(|(from, to)| self.not(from, to, depth + 1) == Truth::True);
            return if holds { Truth::True } else { self.named(from, to) };
        }
        let marks = |i: usize| ["=", "<", ">", "!"].iter().any(|mark| self.mark(i, mark));
        let Some(at) = self.at_depth(from, to, marks) else { return self.named(from, to) };
        let end = (at..to).find(|i| !marks(*i)).unwrap_or(to);
        let operator: String = (at..end).map(|i| self.words.tokens[i].of(self.words.sql)).collect();
        if let (Some(left), Some(right)) = (self.value(from, at), self.value(end, to)) {
            return left.compare(&operator, &right);
        }
        let same = self.column(from, at).is_some_and(|left| Some(left) == self.column(end, to));
        if same && ["=", "==", "<=", ">=", "<=>"].contains(&operator.as_str()) {
            return Truth::True;
        }
        self.named(from, to)
    }

    /// The first place at this depth of brackets where this holds.
    fn at_depth(&self, from: usize, to: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let mut depth = 0_usize;
        (from..to).find(|&i| {
            match self.words.kind_at(i) {
                Some(Tok::Open) => depth += 1,
                Some(Tok::Close) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && holds(i)
        })
    }

    /// What is between brackets that hold all of this, unless it is a query.
    fn inside(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let last = to.checked_sub(1).filter(|last| *last > from)?;
        let closes = |i: usize| self.words.kind_at(i) == Some(Tok::Close);
        let whole =
            self.words.kind_at(from) == Some(Tok::Open) && self.at_depth(from, to, closes) == Some(last);
        let query = self.words.is(from + 1, &["SELECT", "WITH", "VALUES", "TABLE"]);
        (whole && !query).then_some((from + 1, last))
    }

    /// A literal, with signs and brackets around it.
    fn value(&self, mut from: usize, mut to: usize) -> Option<Value> {
        for _ in 0..MOST_DEPTH {
            if let Some(inner) = self.inside(from, to) {
                (from, to) = inner;
            } else {
                break;
            }
        }
        let mut negative = false;
        while from < to && (self.mark(from, "+") || self.mark(from, "-")) {
            negative ^= self.mark(from, "-");
            from += 1;
        }
        let first = self.words.tokens.get(from).filter(|_| from < to)?;
        let last = self.words.tokens.get(to - 1)?;
        if first.kind == Tok::Text && to == from + 1 {
            return Some(Value::Text(lex::name(first, self.words.sql)));
        }
        if self.words.is(from, &["TRUE", "FALSE", "NULL"]) && to == from + 1 {
            let number = if self.words.is(from, &["TRUE"]) { 1.0 } else { 0.0 };
            return Some(if self.words.is(from, &["NULL"]) { Value::Null } else { Value::Number(number) });
        }
        let text = self.words.sql.get(first.start..last.end).filter(|text| text.len() < 40)?;
        let number: f64 =
            text.parse().ok().filter(|_| !text.starts_with(|c: char| c.is_ascii_alphabetic()))?;
        Some(Value::Number(if negative { -number } else { number }))
    }

    /// The column that is all of this: its name, and the table before it unless that is the statement's own.
    fn column(&self, mut from: usize, mut to: usize) -> Option<(String, String)> {
        for _ in 0..MOST_DEPTH {
            if let Some(inner) = self.inside(from, to) {
                (from, to) = inner;
            } else {
                break;
            }
        }
        let name = |i: usize| {
            let token = self.words.tokens.get(i).filter(|t| matches!(t.kind, Tok::Word | Tok::Quoted))?;
            Some(lex::name(token, self.words.sql))
        };
        let (_, end) = self.words.name(from)?;
        let column = name(to.checked_sub(1)?).filter(|_| end == to)?;
        let table = if to - from > 2 { name(to - 3)? } else { String::new() };
        Some((column, if table == self.table { String::new() } else { table }))
    }

    /// What can't be worked out varies if a column may be named in it.
    fn named(&self, from: usize, to: usize) -> Truth {
        const PLAIN: &[&str] = &[
            "TRUE",
            "FALSE",
            "NULL",
            "NOT",
            "IS",
            "IN",
            "LIKE",
            "ILIKE",
            "GLOB",
            "REGEXP",
            "RLIKE",
            "BETWEEN",
            "AND",
            "OR",
            "XOR",
            "DISTINCT",
            "FROM",
            "EXISTS",
            "SELECT",
            "CASE",
            "WHEN",
            "THEN",
            "ELSE",
            "END",
            "ALL",
            "ANY",
            "SOME",
            "CURRENT_DATE",
            "CURRENT_TIME",
            "CURRENT_TIMESTAMP",
            "CURRENT_USER",
            "ARRAY",
        ];
        let names = |i: usize| {
            let token = self.words.tokens.get(i)?;
            let after_cast = i > from && (self.mark(i - 1, ":") || self.words.is(i - 1, &["AS"]));
            // A function, or the type of a literal.
            let called = matches!(self.words.kind_at(i + 1), Some(Tok::Open | Tok::Text)) && i + 1 < to;
            let word = token.kind == Tok::Word
                && !token.of(self.words.sql).starts_with(|c: char| c.is_ascii_digit());
            let column =
                (word && !self.words.is(i, PLAIN) && !self.words.is(i, &["AS"])) || token.kind == Tok::Quoted;
            Some(column && !called && !after_cast)
        };
        // A table that is asked for rows has a name of its own; `?` and the like stand for what nobody knows yet.
        let asks = (from..to).any(|i| names(i) == Some(true) || self.mark(i, "?") || self.mark(i, "%"));
        if asks || from >= to { Truth::Varies } else { Truth::Constant }
    }
}

/// A literal.
enum Value {
    Null,
    Number(f64),
    Text(String),
}

impl Value {
    fn truth(&self) -> Truth {
        match self {
            Self::Null => Truth::False,
            Self::Number(number) if *number == 0.0 => Truth::False,
            Self::Number(_) => Truth::True,
            Self::Text(_) => Truth::Constant,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Null => None,
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    fn compare(&self, operator: &str, other: &Self) -> Truth {
        let order = match (self, other) {
            (Self::Null, _) | (_, Self::Null) => {
                return if operator == "<=>" { Truth::Constant } else { Truth::False };
            }
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => self.number().zip(other.number()).and_then(|(left, right)| left.partial_cmp(&right)),
        };
        let Some(order) = order else { return Truth::Constant };
        let holds = match operator {
            "=" | "==" | "<=>" => order.is_eq(),
            "<>" | "!=" => order.is_ne(),
            "<" => order.is_lt(),
            ">" => order.is_gt(),
            "<=" => order.is_le(),
            ">=" => order.is_ge(),
            _ => return Truth::Constant,
        };
        if holds { Truth::True } else { Truth::False }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::Dialect;

    fn every(condition: &str) -> bool {
        let words = Words::of(condition, Dialect::Sqlite);
        of_every_row(&words, 0, words.tokens.len(), "trades")
    }

    #[test]
    fn a_condition_that_is_the_same_for_every_row_names_none() {
        for condition in [
            "1",
            "+1",
            "-1",
            "TRUE",
            "(1=1)",
            "((1) = (1))",
            "NOT FALSE",
            "NOT 0",
            "2>1",
            "1<>2",
            "1 != 2",
            "'a'='a'",
            "'1' = 1",
            "1=1 OR id=0",
            "id=0 OR (2 >= 2 AND NOT 1 = 2)",
            "id = id",
            "trades.id=trades.id",
            "x.id = x.id",
            "id = trades.id",
            "\"id\" = id",
            "1 IS NOT NULL",
            "EXISTS (SELECT 1)",
            "1 IN (1, 2)",
            "now() > '2020-01-01'",
            "2 BETWEEN 1 AND 3",
            "1=1 AND 2=2",
            "'t'",
            "1.0",
            "'1'::int = 1",
            "length('a') = 1",
            "1 || id",
        ] {
            assert!(every(condition), "{condition}");
        }
        let deep = format!("{}1=1{}", "(".repeat(1_000), ")".repeat(1_000));
        assert!(every(&deep));
    }

    #[test]
    fn a_condition_that_asks_something_of_a_row_names_rows() {
        for condition in [
            "id = 1",
            "1 = id",
            "id",
            "1=1 AND id = 3",
            "1 = 2 OR b",
            "1=2",
            "FALSE",
            "NULL",
            "0",
            "NOT 1",
            "'a'='b'",
            "a.id = b.id",
            "id = other.id",
            "id > id",
            "id BETWEEN 1 AND 2",
            "id IN (1, 2)",
            "EXISTS (SELECT 1 FROM b)",
            "date < '2020-01-01'",
            "unknown = 3",
            "mod = 1",
            "'a' || b = 'ab'",
            "date < DATE '2020-01-01'",
            "(id = 1) = (1 = 1)",
            "CURRENT OF c",
            "id IS NOT NULL",
            "NOT (id = 1)",
            "\"when\" = 1",
            "x = 'WHERE'",
            "id = ?",
            "1 = 1 AND (id = 2 OR id = 3)",
            "",
            "a.id = 1 AND 1 = 1",
        ] {
            assert!(!every(condition), "{condition}");
        }
    }
}
