//! What only shows over a whole script: transactions, steps of Alembic's version table, tables made on the way.

use std::collections::HashSet;

use super::classify::{Kind, Words};
use super::dialect::Dialect;
use super::excerpt::excerpt;
use super::named::{Named, Names, created};
use super::offline_sql;
use super::split::Statement;
use crate::domain::rule::{
    CONCURRENT_IN_TRANSACTION, LOCK_TIMEOUT, OUTSIDE_REVISIONS, Rule, TRANSACTION_CONTROL,
    TRANSACTION_PER_REVISION, VERSION_APART,
};

/// Findings of one rule about one script; a script that breaks a rule everywhere is not told so everywhere.
const MOST: usize = 20;

/// Where a statement stands and how it reads.
type Place = (u32, u32, String);

/// A finding of the script as a whole.
pub(super) struct Remark {
    pub rule: &'static Rule,
    pub place: Place,
    pub why: String,
}

/// Follows a script statement by statement.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about what was read so far")]
pub(super) struct Script {
    dialect: Dialect,
    certain: bool,
    /// Lines of `-- Running upgrade` comments, the last first; those that were passed are gone.
    headers: Vec<u32>,
    announced: bool,
    moves: u64,
    /// Between a revision's comment and its step.
    inside: bool,
    names: Names,
    /// Tables that the script made.
    made: HashSet<Named>,
    timeout: bool,
    /// The transaction that is open, counted from 1, and how many there were.
    open: Option<u32>,
    began: Option<Place>,
    transactions: u32,
    statements: u64,
    /// Statements since the last step, with the transaction each is in.
    pending: Vec<(Place, Option<u32>)>,
    pending_count: u64,
    /// A COMMIT in the middle of a revision, in its place if nothing follows it.
    last: Option<Place>,
    steered: Option<Place>,
    steered_count: u32,
    remarks: Vec<Remark>,
}

impl Script {
    pub(super) fn new(sql: &str, dialect: Dialect, certain: bool) -> Self {
        let mut headers: Vec<u32> =
            offline_sql::read(sql, dialect).steps.iter().map(|step| step.line).collect();
        headers.reverse();
        Self {
            dialect,
            certain,
            announced: !headers.is_empty(),
            headers,
            moves: 0,
            inside: false,
            names: Names::new(dialect),
            made: HashSet::new(),
            timeout: false,
            open: None,
            began: None,
            transactions: 0,
            statements: 0,
            pending: Vec::new(),
            pending_count: 0,
            last: None,
            steered: None,
            steered_count: 0,
            remarks: Vec::new(),
        }
    }

    /// Whether the table of this statement was made by the script: nobody uses it yet, and it holds what the script put in.
    pub(super) fn is_new(&self, words: &Words<'_>) -> bool {
        self.names.table(words).is_some_and(|table| self.made.contains(&table))
    }

    /// Reads the next statement.
    pub(super) fn see(&mut self, kind: Kind, words: &Words<'_>, statement: &Statement<'_>) {
        let place = (statement.line, statement.last_line, excerpt(statement.text()));
        while self.headers.last().is_some_and(|line| *line <= statement.line) {
            self.headers.pop();
            self.inside = true;
        }
        self.statements += 1;
        self.names.see(words);
        if let Some(commit) = self.last.take() {
            self.steer(commit);
        }
        match kind {
            Kind::Transaction => self.transaction(words, place),
            Kind::VersionUpdate if words.is(0, &["CREATE", "DROP"]) => {}
            Kind::VersionUpdate => self.step(&place),
            Kind::Pragma => {}
            Kind::Other if words.is(0, &["SET", "RESET", "USE"]) => self.set(words),
            _ => {
                self.locks(kind, words, &place);
                self.act(words, place);
                self.make(kind, words);
            }
        }
    }

    fn transaction(&mut self, words: &Words<'_>, place: Place) {
        if words.is(0, &["BEGIN", "START"]) {
            if self.open.is_some() {
                self.steer(place);
            } else {
                self.transactions += 1;
                self.open = Some(self.transactions);
                self.began = Some(place);
            }
        } else if words.is(0, &["COMMIT", "END"]) {
            let nothing_open = self.open.take().is_none();
            if nothing_open {
                self.steer(place);
            } else if self.pending_count > 0 {
                self.last = Some(place);
            }
        } else {
            // All of it, unless it goes back to a savepoint.
            if words.is(0, &["ROLLBACK", "ABORT"]) && !(1..words.tokens.len()).any(|i| words.is(i, &["TO"])) {
                self.open = None;
                self.made.clear();
            }
            self.steer(place);
        }
    }

    fn steer(&mut self, place: Place) {
        self.steered_count = self.steered_count.saturating_add(1);
        self.steered.get_or_insert(place);
    }

    /// A statement that does something.
    fn act(&mut self, words: &Words<'_>, place: Place) {
        if self.announced && !self.inside {
            let why = "It stands outside the revisions that the script announces: Alembic did not render it.";
            self.remark(&OUTSIDE_REVISIONS, place, why.to_owned());
            return;
        }
        self.pending_count += 1;
        if self.pending.len() < MOST && !alone(words) {
            self.pending.push((place, self.open));
        }
    }

    /// A step of the version table.
    fn step(&mut self, place: &Place) {
        let apart: Vec<Place> = if self.transactions > 0 {
            let open = self.open;
            self.pending.drain(..).filter(|(_, own)| open.is_none() || *own != open).map(|(p, _)| p).collect()
        } else {
            Vec::new()
        };
        for statement in apart {
            let why = format!(
                "Its revision is recorded in another transaction, at line {}: after a stop between the two the version \
                 does not say what was done.",
                place.0
            );
            self.remark(&VERSION_APART, statement, why);
        }
        self.pending.clear();
        self.pending_count = 0;
        self.moves += 1;
        self.inside = false;
    }

    fn set(&mut self, words: &Words<'_>) {
        let at = words.skip_any(1, &["LOCAL", "SESSION"]);
        self.timeout |= words.is(0, &["SET"]) && words.is(at, &["LOCK_TIMEOUT"]);
    }

    /// What locks on PostgreSQL.
    fn locks(&mut self, kind: Kind, words: &Words<'_>, place: &Place) {
        let concurrently = (1..words.tokens.len().min(6)).any(|i| words.is(i, &["CONCURRENTLY"]));
        if self.dialect != Dialect::PostgreSql || !self.certain {
            return;
        }
        let indexes = matches!(kind, Kind::CreateIndex | Kind::DropIndex) || words.is(0, &["REINDEX"]);
        if concurrently && indexes && self.open.is_some() {
            let why = "PostgreSQL refuses CONCURRENTLY within a transaction: the script would stop here.";
            self.remark(&CONCURRENT_IN_TRANSACTION, place.clone(), why.to_owned());
        }
        let locks = matches!(kind, Kind::AlterTable | Kind::DropTable | Kind::CreateIndex | Kind::DropIndex)
            || words.is(0, &["TRUNCATE", "CLUSTER", "REINDEX", "LOCK"]);
        if locks && !concurrently && !self.timeout && !self.is_new(words) {
            // Once: the first statement without it stands for all.
            self.timeout = true;
            let why = "No lock_timeout is set: while this waits for a lock, everybody who needs the table waits behind it.";
            self.remark(&LOCK_TIMEOUT, place.clone(), why.to_owned());
        }
    }

    fn make(&mut self, kind: Kind, words: &Words<'_>) {
        match kind {
            Kind::CreateTable => {
                // With IF NOT EXISTS it may have been there; a temporary one hides another that stays.
                let made = created(words).filter(|created| created.surely);
                if let Some((table, _)) = made.and_then(|created| self.names.at(words, created.at)) {
                    self.made.insert(table);
                }
            }
            Kind::DropTable => {
                let at = words.skip(words.skip_any(1, &["TABLE", "TABLES"]), &["IF", "EXISTS"]);
                if let Some((table, _)) = self.names.at(words, at) {
                    self.made.remove(&table);
                }
            }
            Kind::AlterTable => {
                let renames = (0..words.tokens.len()).find(|i| words.skip(*i, &["RENAME", "TO"]) > *i);
                let new = renames.and_then(|at| words.name(at + 2)).map(|(new, _)| new);
                if let (Some(old), Some(new)) = (self.names.table(words), new) {
                    let new = old.beside(new);
                    if self.made.remove(&old) {
                        self.made.insert(new);
                    } else {
                        self.made.remove(&new);
                    }
                }
            }
            // Names change places in a list: which are new is not followed.
            Kind::Other if words.is(0, &["RENAME"]) => self.made.clear(),
            _ => {}
        }
    }

    fn remark(&mut self, rule: &'static Rule, place: Place, why: String) {
        if self.remarks.iter().filter(|r| r.rule == rule).count() < MOST {
            self.remarks.push(Remark { rule, place, why });
        }
    }

    /// What there is to say at the end.
    pub(super) fn finish(mut self) -> Vec<Remark> {
        if self.moves > 0 && !self.announced {
            for (place, _) in std::mem::take(&mut self.pending) {
                let why = "It comes after the last step of alembic_version: it belongs to no revision.";
                self.remark(&OUTSIDE_REVISIONS, place, why.to_owned());
            }
        }
        if let Some(place) = self.began.take().filter(|_| self.open.is_some()) {
            let why =
                "A transaction begins here and does not end: what follows is undone when the script ends.";
            self.remark(&TRANSACTION_CONTROL, place, why.to_owned());
        } else if let Some(place) = self.steered.take() {
            let why = format!(
                "The script steers transactions in the middle of its work ({} statements): if it fails halfway, what was \
                 committed before stays.",
                self.steered_count
            );
            self.remark(&TRANSACTION_CONTROL, place, why);
        } else if self.transactions > 1 {
            let why = format!(
                "The script commits {} times, each time with a revision that is whole: if it stops, the revisions before \
                 stay.",
                self.transactions
            );
            self.remark(&TRANSACTION_PER_REVISION, (1, 1, String::new()), why);
        }
        self.remarks
    }
}

/// Statements that no transaction may hold, so that they always stand apart from their step.
fn alone(words: &Words<'_>) -> bool {
    let concurrently = (1..words.tokens.len().min(6)).any(|i| words.is(i, &["CONCURRENTLY"]));
    concurrently
        || words.is(0, &["VACUUM"])
        || (words.is(0, &["ALTER"]) && words.is(1, &["TYPE", "SYSTEM"]))
        || (words.is(0, &["CREATE", "DROP"]) && words.is(1, &["DATABASE", "TABLESPACE"]))
}

#[cfg(test)]
mod tests {
    use crate::sql::dialect::Dialect;
    use crate::sql::findings::find;

    #[test]
    fn a_table_of_the_same_name_elsewhere_silences_nothing() {
        let rules = |before: &str, table: &str| -> Vec<_> {
            let sql = format!(
                "SET lock_timeout = '5s';\n{before}\nALTER TABLE {table} ALTER COLUMN price TYPE smallint, ADD UNIQUE (x), \
                 ADD COLUMN y int NOT NULL;"
            );
            find(&sql, Some(Dialect::PostgreSql)).into_iter().map(|f| f.rule).collect()
        };
        let all = rules("", "trades");
        assert!(all.contains(&"unique-added") && all.contains(&"not-null-added"), "{all:?}");
        for (before, table) in [
            ("CREATE TABLE audit.trades (id int);", "public.trades"),
            ("CREATE TABLE audit.trades (id int);", "trades"),
            ("CREATE TEMP TABLE trades (id int);", "public.trades"),
            ("CREATE TEMPORARY TABLE trades (id int);", "trades"),
            ("CREATE TABLE pg_temp.trades (id int);", "trades"),
            ("SET search_path TO audit; CREATE TABLE trades (id int); RESET search_path;", "trades"),
            ("SET search_path TO audit; CREATE TABLE trades (id int);", "public.trades"),
            ("CREATE TABLE IF NOT EXISTS trades (id int);", "trades"),
            ("CREATE PUBLICATION p FOR TABLE trades;", "trades"),
        ] {
            let found = rules(before, table);
            assert!(all.iter().all(|rule| found.contains(rule)), "{before} {table}: {found:?}");
        }
        for (before, table) in [
            ("CREATE TABLE trades (id int);", "public.trades"),
            ("CREATE TABLE audit.trades (id int);", "AUDIT.trades"),
            ("SET search_path TO audit; CREATE TABLE trades (id int);", "trades"),
        ] {
            let found = rules(before, table);
            assert!(!found.contains(&"unique-added"), "{before} {table}: {found:?}");
        }
    }
}
