//! Names with their schema: which table a statement means.

use super::classify::Words;
use super::dialect::Dialect;
use super::lex::{self, Kind as Tok};

/// A table by its name and, unless it is the default one, its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Named {
    schema: Option<String>,
    pub name: String,
    /// How often another thing had this name before or after this one; 0 where a statement names it.
    turn: u32,
}

impl Named {
    /// How people write it; the default schema stays unsaid.
    pub(super) fn words(&self) -> String {
        match self.schema.as_deref().filter(|schema| !schema.contains(' ')) {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Another table of the same name.
    pub(super) fn at_turn(self, turn: u32) -> Self {
        Self { turn, ..self }
    }

    /// A table of this name in the same schema.
    pub(super) fn beside(&self, name: String) -> Self {
        Self { schema: self.schema.clone(), name, turn: 0 }
    }

    /// The same table under its name in another schema.
    pub(super) fn within(&self, schema: String) -> Self {
        Self { schema: Some(schema), name: self.name.clone(), turn: 0 }
    }
}

/// Where unqualified names are looked up.
#[derive(Clone, Debug)]
pub(super) struct Names {
    dialect: Dialect,
    /// The statement that chose a schema, word by word: what it comes to is not worked out, only whether two are the same.
    chosen: Option<String>,
}

impl Names {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self { dialect, chosen: None }
    }

    /// Reads a statement that may choose a schema for the names after it.
    pub(super) fn see(&mut self, words: &Words<'_>) {
        let names = |i: &usize| lowered(words, *i).is_some_and(|name| name == "search_path");
        let chooses = words.is(0, &["USE"])
            || (words.is(0, &["SET"]) && words.is(words.skip_any(1, &["LOCAL", "SESSION"]), &["SCHEMA"]))
            || (words.is(0, &["SET", "RESET", "SELECT", "WITH", "DISCARD"])
                && (1..words.tokens.len()).any(|i| names(&i)));
        if chooses {
            let said: Vec<_> = words.tokens.iter().map(|token| token.of(words.sql).to_lowercase()).collect();
            // With a blank at its end at least, so that no schema is called the same.
            self.chosen = Some(said.join(" ") + " ");
        }
    }

    /// The name at `i` with its schema, and the index after it.
    pub(super) fn at(&self, words: &Words<'_>, i: usize) -> Option<(Named, usize)> {
        let (name, end) = words.name(i)?;
        let before: Vec<_> = (i..end.saturating_sub(1))
            .filter_map(|at| words.tokens.get(at).filter(|token| token.is_name()))
            .map(|token| lex::name(token, words.sql))
            .collect();
        let usual = match self.dialect {
            Dialect::PostgreSql => "public",
            Dialect::Sqlite => "main",
            Dialect::MySql => "",
        };
        let schema = match before.join(".") {
            said if said.is_empty() => self.chosen.clone(),
            said if said == usual && self.chosen.is_none() => None,
            said => Some(said),
        };
        Some((Named { schema, name, turn: 0 }, end))
    }

    /// The one table that a statement about a table or its index is about.
    pub(super) fn table(&self, words: &Words<'_>) -> Option<Named> {
        let guards = |at| words.skip(words.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
        let object = (1..words.tokens.len().min(8)).find(|i| words.is(*i, &["TABLE", "INDEX"]))?;
        let at = if words.is(object, &["TABLE"]) {
            words.skip(guards(object + 1), &["ONLY"])
        } else {
            let on = (object..words.tokens.len().min(object + 16)).find(|i| words.is(*i, &["ON"]))?;
            words.skip(on + 1, &["ONLY"])
        };
        let (table, end) = self.at(words, at)?;
        // LOCK, OPTIMIZE and RENAME take lists; a comma in an ALTER is between actions.
        let list = words.kind_at(end) == Some(Tok::Comma)
            || (words.is(0, &["RENAME", "LOCK", "OPTIMIZE", "REPAIR"])
                && words.tokens.iter().any(|token| token.kind == Tok::Comma));
        (!list).then_some(table)
    }
}

/// The name at `i`, whether it is in quotes or not, in lower case.
pub(super) fn lowered(words: &Words<'_>, i: usize) -> Option<String> {
    let token = words.tokens.get(i).filter(|token| token.is_name())?;
    // PostgreSQL's E'…' keeps its letter: no name is written like that.
    Some(lex::name(token, words.sql).to_lowercase())
}

/// The table that a CREATE TABLE makes, where it stands.
pub(super) struct Created {
    pub at: usize,
    /// It goes with the session, and hides a table of the same name until then.
    pub temporary: bool,
    /// It fails if there is such a table: afterwards nothing in it is older than the script.
    pub surely: bool,
}

/// What a CREATE TABLE makes; none for what only has TABLE among its words.
pub(super) fn created(words: &Words<'_>) -> Option<Created> {
    if !words.is(0, &["CREATE"]) {
        return None;
    }
    let replaces = words.skip(1, &["OR", "REPLACE"]);
    let kind =
        words.skip_any(replaces, &["GLOBAL", "LOCAL", "TEMPORARY", "TEMP", "UNLOGGED", "FOREIGN", "VIRTUAL"]);
    if !words.is(kind, &["TABLE"]) {
        return None;
    }
    let temporary = (replaces..kind).any(|i| words.is(i, &["TEMPORARY", "TEMP"]));
    let at = words.skip(kind + 1, &["IF", "NOT", "EXISTS"]);
    Some(Created { at, temporary, surely: replaces == 1 && at == kind + 1 && !temporary })
}
