//! Alembic's batch mode on SQLite: a table is copied, dropped, and the copy takes its name.

use std::collections::HashSet;

use super::classify::{Kind, Words};
use super::dialect::Dialect;
use super::lex::{self, Kind as Tok};
use super::named::{Named, Names, created};

const PREFIX: &str = "_alembic_tmp_";

/// The rebuild under way in a script. Batch mode writes its four statements one after the other: anything between them
/// may change the rows, so that it ends the rebuild.
pub(super) struct Rebuilds {
    names: Names,
    open: Option<Open>,
}

struct Open {
    /// The table that is rebuilt, spelled as in every statement of the rebuild.
    table: Named,
    /// Where `CREATE TABLE _alembic_tmp_x` is.
    line: u32,
    stage: Stage,
}

enum Stage {
    Made,
    /// Every row of the table was copied.
    Copied,
    /// Where in the list of findings the table's drop is.
    Dropped(usize),
}

impl Default for Rebuilds {
    fn default() -> Self {
        // MySQL has no default schema by name: `main.x` and `x`, which may be temporary, stay apart.
        Self { names: Names::new(Dialect::MySql), open: None }
    }
}

/// What a statement meant to a rebuild.
pub(super) enum Step {
    /// Nothing, or not the end of one.
    Other,
    /// The last statement of a rebuild: the drop that is `finding` lost nothing that was not copied.
    Done { finding: usize, line: u32, table: String },
}

impl Rebuilds {
    /// Reads the next statement; `next_finding` is the index that its first finding will have.
    pub(super) fn see(&mut self, kind: Kind, words: &Words<'_>, line: u32, next_finding: usize) -> Step {
        if kind == Kind::CreateTable {
            self.open = self.begun(words).map(|table| Open { table, line, stage: Stage::Made });
            return Step::Other;
        }
        let Some(open) = self.open.take().filter(|_| !words.cut) else { return Step::Other };
        let stage = match (kind, &open.stage) {
            (Kind::Insert, Stage::Made) if self.copies_all(words, &open.table) => Stage::Copied,
            (Kind::DropTable, Stage::Copied) if self.drops(words, &open.table) => {
                Stage::Dropped(next_finding)
            }
            (Kind::AlterTable, Stage::Dropped(finding)) if self.renames(words, &open.table) => {
                return Step::Done { finding: *finding, line: open.line, table: open.table.name };
            }
            _ => return Step::Other,
        };
        self.open = Some(Open { stage, ..open });
        Step::Other
    }

    /// Whether this statement fills the copy of a table that is being rebuilt.
    pub(super) fn copies(&self, kind: Kind, words: &Words<'_>) -> bool {
        let target = || self.names.at(words, words.skip(1, &["INTO"]));
        kind == Kind::Insert && target().is_some_and(|(copy, _)| copied_table(&copy).is_some())
    }

    /// The table whose copy a CREATE TABLE makes, if the copy takes every row or fails.
    fn begun(&self, words: &Words<'_>) -> Option<Named> {
        let created = created(words).filter(|created| created.surely)?;
        let (copy, _) = self.names.at(words, created.at)?;
        // ON CONFLICT IGNORE and REPLACE leave rows out without a word.
        let leaves_out = (created.at..words.tokens.len()).any(|i| words.is(i, &["CONFLICT"]));
        copied_table(&copy).filter(|_| !leaves_out && !words.cut)
    }

    fn drops(&self, words: &Words<'_>, table: &Named) -> bool {
        let at = words.skip(2, &["IF", "EXISTS"]);
        words.is(1, &["TABLE"])
            && self.names.at(words, at).is_some_and(|(name, end)| name == *table && end == words.tokens.len())
    }

    fn renames(&self, words: &Words<'_>, table: &Named) -> bool {
        let Some((from, next)) = self.names.at(words, 2).filter(|_| words.is(1, &["TABLE"])) else {
            return false;
        };
        let at = words.skip(next, &["RENAME", "TO"]);
        let to = words.name(at).filter(|(_, end)| at > next && *end == at + 1 && *end == words.tokens.len());
        copied_table(&from).is_some_and(|name| name == *table) && to.is_some_and(|(to, _)| to == table.name)
    }

    /// Whether this INSERT takes every row of `table` as it is: one SELECT of its columns, each once, bare or in a CAST.
    fn copies_all(&self, words: &Words<'_>, table: &Named) -> bool {
        if !words.is(0, &["INSERT"]) || !words.is(1, &["INTO"]) {
            return false;
        }
        let target = self.names.at(words, 2).filter(|(copy, _)| copied_table(copy).as_ref() == Some(table));
        let Some((targets, select)) = target.and_then(|(_, at)| column_list(words, at)) else { return false };
        if !words.is(select, &["SELECT"]) {
            return false;
        }
        let mut seen = HashSet::new();
        let mut at = select + 1;
        loop {
            let Some((column, end)) = copied_column(words, at) else { return false };
            if !seen.insert(column) {
                return false;
            }
            at = end;
            if words.kind_at(at) != Some(Tok::Comma) {
                break;
            }
            at += 1;
        }
        let source = self.names.at(words, at + 1).filter(|_| words.is(at, &["FROM"]));
        seen.len() == targets && source.is_some_and(|(name, end)| name == *table && end == words.tokens.len())
    }
}

fn copied_table(copy: &Named) -> Option<Named> {
    let table = copy.name.strip_prefix(PREFIX).filter(|table| !table.is_empty())?;
    Some(copy.beside(table.to_owned()))
}

/// How many columns the list at `at` names, and what follows it.
fn column_list(words: &Words<'_>, at: usize) -> Option<(usize, usize)> {
    let close = (at..words.tokens.len()).find(|i| words.kind_at(*i) == Some(Tok::Close))?;
    let commas = (at..close).filter(|i| words.kind_at(*i) == Some(Tok::Comma)).count();
    (words.kind_at(at) == Some(Tok::Open)).then_some((commas + 1, close + 1))
}

/// The column that is copied at `at`, bare or in CASTs, and what follows it and its label.
fn copied_column(words: &Words<'_>, at: usize) -> Option<(String, usize)> {
    let mut casts = 0;
    let mut column = at;
    while words.is(column, &["CAST"]) && words.kind_at(column + 1) == Some(Tok::Open) {
        casts += 1;
        column += 2;
    }
    let (name, mut end) = words.name(column)?;
    if !is_column(words, column, end) {
        return None;
    }
    for _ in 0..casts {
        if !words.is(end, &["AS"]) {
            return None;
        }
        end = type_end(words, end + 1)?;
    }
    if words.is(end, &["AS"]) {
        end = words.name(end + 1)?.1;
    }
    Some((name, end))
}

/// Whether the name at `at` can be nothing but a column: SQLite reads `"x"` as a text if no column is called so.
fn is_column(words: &Words<'_>, at: usize, end: usize) -> bool {
    const VALUES: &[&str] = &[
        "NULL",
        "TRUE",
        "FALSE",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "DISTINCT",
        "ALL",
        "CASE",
    ];
    let Some(token) = words.tokens.get(at) else { return false };
    let text = token.of(words.sql);
    let value = match token.kind {
        Tok::Word => words.is(at, VALUES) || text.starts_with(|c: char| c.is_ascii_digit()),
        Tok::Quoted => text.starts_with('"') && end == at + 1,
        _ => true,
    };
    !value && !lex::name(token, words.sql).is_empty()
}

/// What follows the type of a CAST and its closing parenthesis: words, and at most one list of lengths.
fn type_end(words: &Words<'_>, from: usize) -> Option<usize> {
    let mut depth = 0;
    for i in from..words.tokens.len() {
        match words.kind_at(i)? {
            Tok::Close if depth == 0 => return Some(i + 1),
            Tok::Close => depth -= 1,
            Tok::Open if depth == 0 => depth += 1,
            Tok::Comma if depth == 1 => {}
            Tok::Word => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::sql::dialect::Dialect;
    use crate::sql::findings::find;

    fn rules(between: &str) -> Vec<&'static str> {
        let sql = format!(
            "CREATE TABLE _alembic_tmp_trades (id INTEGER NOT NULL, price INTEGER);\n{between}\n\
             ALTER TABLE _alembic_tmp_trades RENAME TO trades;"
        );
        find(&sql, Some(Dialect::Sqlite)).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn what_batch_mode_writes_is_a_rebuild() {
        for copy in [
            "INSERT INTO _alembic_tmp_trades (id) SELECT trades.id FROM trades;",
            "INSERT INTO _alembic_tmp_trades (id, \"to\") SELECT trades.id, trades.\"to\" AS \"to\" \nFROM trades;",
            "INSERT INTO _alembic_tmp_trades (id, price) SELECT id, CAST(trades.price AS VARCHAR(20)) AS price FROM trades;",
            "INSERT INTO _alembic_tmp_trades (id) SELECT CAST(CAST(id AS TEXT) AS DOUBLE PRECISION) AS anon_1 FROM trades;",
        ] {
            let found = rules(&format!("{copy} DROP TABLE trades;"));
            assert!(found.contains(&"table-rebuild") && !found.contains(&"drop-table"), "{copy}: {found:?}");
        }
    }

    #[test]
    fn a_copy_that_may_leave_rows_or_values_out_is_none() {
        let copy = "INSERT INTO _alembic_tmp_trades (id) SELECT id FROM trades;";
        let select =
            |what: &str| format!("INSERT INTO _alembic_tmp_trades (id) SELECT {what}; DROP TABLE trades;");
        for between in [
            select("max(id) FROM trades"),
            select("NULL FROM trades"),
            select("1 FROM trades"),
            select("'id' FROM trades"),
            select("\"idd\" FROM trades"),
            select("id FROM temp.trades"),
            select("id FROM trades GROUP BY id"),
            select("DISTINCT id FROM trades"),
            select("id FROM trades LIMIT 1"),
            select("id FROM trades WHERE id > 1"),
            select("CAST(max(id) AS INTEGER) FROM trades"),
            select("id + 1 FROM trades"),
            select("id FROM trades, b"),
            select("id FROM trades AS t"),
            "INSERT INTO _alembic_tmp_trades (id, price) SELECT id, id FROM trades; DROP TABLE trades;"
                .to_owned(),
            "INSERT OR IGNORE INTO _alembic_tmp_trades (id) SELECT id FROM trades; DROP TABLE trades;"
                .to_owned(),
            "REPLACE INTO _alembic_tmp_trades (id) SELECT id FROM trades; DROP TABLE trades;".to_owned(),
            format!("{copy} DELETE FROM _alembic_tmp_trades WHERE id > 0; DROP TABLE trades;"),
            format!("{copy} DROP TABLE trades; DELETE FROM _alembic_tmp_trades WHERE id > 0;"),
            format!("DELETE FROM trades WHERE id > 0; {copy} DROP TABLE trades;"),
            format!(
                "{copy} WITH x AS (SELECT 1) UPDATE _alembic_tmp_trades SET id = 1 WHERE id = 2; DROP TABLE trades;"
            ),
            format!("{copy} DROP TABLE main.trades;"),
        ] {
            let found = rules(&between);
            assert!(
                found.contains(&"drop-table") && !found.contains(&"table-rebuild"),
                "{between}: {found:?}"
            );
        }
        let ignoring = "CREATE TABLE _alembic_tmp_trades (id INTEGER PRIMARY KEY ON CONFLICT IGNORE);\n\
                        INSERT INTO _alembic_tmp_trades (id) SELECT id FROM trades; DROP TABLE trades;\n\
                        ALTER TABLE _alembic_tmp_trades RENAME TO trades;";
        assert!(find(ignoring, None).iter().any(|f| f.rule == "drop-table"));
    }
}
