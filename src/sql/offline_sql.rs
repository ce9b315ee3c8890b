//! Rendered SQL: the steps that Alembic's comments name, and the moves of its version table.

use super::classify::{Kind, VERSION_TABLE, Words, classify_words};
use super::dialect::Dialect;
use super::lex::{self, Kind as Tok, Lexer};
use super::split::statements;

/// Which way a script goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Upgrade,
    Downgrade,
}

impl Direction {
    /// Alembic's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
        }
    }
}

/// A comment `-- Running upgrade a -> b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub line: u32,
    pub direction: Direction,
    /// None at the base, several at a merge.
    pub from: Vec<String>,
    pub to: Vec<String>,
}

/// A statement that writes the version table: from one revision (none: a new row) to another (none: the row goes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub line: u32,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// What a rendered script says of its own way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfflineSql {
    pub steps: Vec<Step>,
    pub moves: Vec<Move>,
    /// Statements besides those that steer transactions or write the version table.
    pub statements: u64,
}

/// Reads a script.
#[must_use]
pub fn read(sql: &str, dialect: Dialect) -> OfflineSql {
    let mut script = OfflineSql { steps: steps(sql, dialect), ..OfflineSql::default() };
    for statement in statements(sql, dialect) {
        let words = Words::of(statement.text(), dialect);
        match classify_words(&words) {
            Kind::VersionUpdate => script.moves.extend(version_move(&words, statement.line)),
            Kind::Transaction => {}
            _ => script.statements += 1,
        }
    }
    script
}

impl OfflineSql {
    /// The revisions after `from` up to `to` in the order in which the script goes through them.
    ///
    /// # Errors
    /// A sentence, when the script does not lead from `from` to `to` one step after the other.
    pub fn chain(&self, from: &str, to: &str) -> Result<Vec<String>, String> {
        if self.moves.is_empty() && self.statements == 0 {
            return Err("The script holds no SQL: were the ends swapped, or the same?".into());
        }
        let mut at = from.to_owned();
        let mut passed = Vec::new();
        for step in &self.moves {
            match (&step.from, &step.to) {
                (Some(before), Some(after)) if *before == at => {
                    passed.push(after.clone());
                    at.clone_from(after);
                }
                (Some(before), Some(after)) => {
                    return Err(format!(
                        "Line {} moves {VERSION_TABLE} from {before} to {after}, but the script was at {at}.",
                        step.line
                    ));
                }
                _ => {
                    return Err(format!(
                        "Line {} adds or takes a row of {VERSION_TABLE}: the way is not one line, or begins at the base.",
                        step.line
                    ));
                }
            }
        }
        if at != to {
            return Err(format!("The script ends at {at}, not at {to}."));
        }
        self.check_comments(from, &passed)?;
        Ok(passed)
    }

    /// The comments, if there are any, name the same steps.
    fn check_comments(&self, from: &str, passed: &[String]) -> Result<(), String> {
        let mut at = from;
        let mut moves = passed.iter();
        for step in &self.steps {
            let next = moves.next().map(String::as_str);
            if step.from != [at] || next.is_none_or(|next| step.to != [next]) {
                return Err(format!(
                    "Line {} announces {} -> {}, which is not what the script does to {VERSION_TABLE}.",
                    step.line,
                    step.from.join(", "),
                    step.to.join(", ")
                ));
            }
            at = next.unwrap_or(at);
        }
        match (self.steps.is_empty(), moves.next()) {
            (false, Some(missing)) => Err(format!("No comment announces the step to {missing}.")),
            _ => Ok(()),
        }
    }
}

fn steps(sql: &str, dialect: Dialect) -> Vec<Step> {
    let mut found = Vec::new();
    let (mut line, mut counted) = (1_u32, 0);
    for token in Lexer::new(sql, dialect).filter(|t| t.kind == Tok::Comment) {
        let passed = sql.get(counted..token.start).unwrap_or_default();
        let ends = passed.bytes().filter(|b| *b == b'\n').count();
        line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        counted = token.start;
        found.extend(step(token.of(sql), line));
    }
    found
}

fn step(comment: &str, line: u32) -> Option<Step> {
    let text = comment.strip_prefix("-- Running ")?;
    let (direction, text) = match text.strip_prefix("upgrade ") {
        Some(rest) => (Direction::Upgrade, rest),
        None => (Direction::Downgrade, text.strip_prefix("downgrade ")?),
    };
    let (from, to) = text.trim_end().split_once("->")?;
    let list = |text: &str| -> Vec<String> {
        let ids = text.split(',').map(str::trim);
        ids.filter(|id| !id.is_empty()).map(str::to_owned).collect()
    };
    Some(Step { line, direction, from: list(from), to: list(to) })
}

/// The revisions in a statement that is known to write the version table; none for CREATE TABLE and DROP TABLE.
fn version_move(words: &Words<'_>, line: u32) -> Option<Move> {
    let texts = |from: usize, to: usize| {
        let tokens = words.tokens.get(from..to).unwrap_or_default();
        let text = tokens.iter().find(|t| t.kind == Tok::Text)?;
        Some(lex::name(text, words.sql))
    };
    let end = words.tokens.len();
    let middle = (0..end).find(|i| words.is(*i, &["WHERE"])).unwrap_or(end);
    let (from, to) = if words.is(0, &["UPDATE"]) {
        (texts(middle, end), texts(0, middle))
    } else if words.is(0, &["INSERT"]) {
        (None, texts(0, end))
    } else if words.is(0, &["DELETE"]) {
        (texts(middle, end), None)
    } else {
        return None;
    };
    Some(Move { line, from, to })
}
