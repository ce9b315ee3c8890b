//! One rehearsal on one copy, from the first step to the last.

use std::collections::BTreeMap;
use std::time::Instant;

use super::guard::Guard;
use super::state::{Depth, State, counted};
use super::{Copy, Later, Snapshot, VersionTable, diagnose};
use crate::alembic::formats::plain_line;
use crate::alembic::report::{Orphans, Restores, SchemaChanges, Step, StepStatus, UPGRADE, Warning};
use crate::alembic::shape::Shape;
use crate::client::project::{Online, Project, ProjectError};
use crate::sql::classify::Words;
use crate::sql::dialect::Dialect;
use crate::sql::offline_sql::Direction;

/// What is rehearsed.
pub struct Goal<'a> {
    pub project: &'a Project,
    pub guard: &'a Guard,
    pub from: &'a str,
    pub to: &'a str,
    pub table: VersionTable,
    /// Why there is no way back, where somebody said so.
    pub no_downgrade: Option<&'a str>,
    /// Read every value after the upgrade too, to compare it with another way of getting there.
    pub values_after: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Rehearsal {
    pub steps: Vec<Step>,
    /// Milliseconds of each step.
    pub times: Vec<(String, u64)>,
    pub up: Online,
    pub before: State,
    /// After the upgrade, to compare another way of getting there with.
    pub after: Option<State>,
    /// What the upgrade changed in the schema; also what a failed one left.
    pub changes: Option<SchemaChanges>,
    pub rows_after: BTreeMap<String, u64>,
    pub faults_after: Vec<String>,
    pub orphans_after: Vec<Orphans>,
    pub restores: Option<Restores>,
    pub warnings: Vec<Warning>,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Why the downgrade can't be run, where that is so.
    pub no_way_back: Option<String>,
}

impl Rehearsal {
    pub(super) fn step(&mut self, name: &str, status: StepStatus, why: Option<String>) {
        self.steps.push(Step { name: name.to_owned(), status, why });
    }

    pub(super) fn warn(&mut self, code: &str, text: impl AsRef<str>) {
        self.warnings.push(Warning::new(code, text));
    }

    /// Keeps what a report says of the state after the upgrade.
    fn keep(&mut self, after: &State) {
        self.changes = Some(self.before.shape.changes(&after.shape));
        self.rows_after = after.tables.iter().map(|(name, t)| (name.clone(), t.rows)).collect();
        self.faults_after.clone_from(&after.faults);
        self.orphans_after.clone_from(&after.orphans);
    }

    pub fn failed(&self) -> bool {
        self.steps.iter().any(|step| step.status == StepStatus::Failed)
    }
}

/// Rehearses on a copy, which is used up by it. `say` is told what is being done.
pub fn play(
    goal: &Goal<'_>,
    snapshot: &dyn Snapshot,
    copy: &dyn Copy,
    say: &dyn Fn(&str),
) -> Result<Rehearsal, ProjectError> {
    let mut done = Rehearsal { bytes_before: copy.bytes(), ..Rehearsal::default() };
    let before = match snapshot.look(Depth::Values, &goal.table) {
        Some(before) => before,
        None => copy.look("before", Depth::Values, &goal.table)?,
    };
    say("upgrading the copy");
    let url = copy.url(goal.project);
    let up = timed(&mut done, UPGRADE, || {
        goal.project.online(Direction::Upgrade, goal.to, &url, "online-upgrade")
    })?;
    goal.guard.check(UPGRADE)?;
    done.bytes_after = copy.bytes();
    let depth = if goal.values_after { Depth::Values } else { Depth::Counts };
    let after = copy.look("after", depth, &goal.table)?;
    done.up = up;
    if let Some(why) = upgrade_fault(goal, copy, &done.up)? {
        done.before = before.get()?;
        let after = after.get()?;
        done.keep(&after);
        let states = (&done.before, &after);
        let failure = done.up.failure.as_ref();
        let remains = diagnose::remains(goal, copy, snapshot.dialect(), failure, states);
        let why = format!("{why}{remains}");
        done.step(UPGRADE, StepStatus::Failed, Some(plain_line(&why, 1_000)));
        for name in ["downgrade", "compare", "upgrade-again"] {
            done.step(name, StepStatus::Skipped, Some("the upgrade failed".to_owned()));
        }
        return Ok(done);
    }
    done.step(UPGRADE, StepStatus::Passed, None);
    back(goal, copy, &url, say, &mut done, before, after)?;
    Ok(done)
}

/// Downgrades, compares and upgrades again, and looks at what was read meanwhile.
fn back(
    goal: &Goal<'_>,
    copy: &dyn Copy,
    url: &str,
    say: &dyn Fn(&str),
    done: &mut Rehearsal,
    before: Later<State>,
    after: Later<State>,
) -> Result<(), ProjectError> {
    let mut restored = None;
    if let Some(why) = goal.no_downgrade {
        done.no_way_back = Some(why.to_owned());
        done.step("downgrade", StepStatus::NotPossible, Some(format!("declared: {why}")));
    } else {
        say("downgrading the copy");
        let down = timed(done, "downgrade", || {
            goal.project.online(Direction::Downgrade, goal.from, url, "online-downgrade")
        })?;
        goal.guard.check("downgrade")?;
        match downgrade_fault(goal, copy, &down)? {
            Some((why, true)) => {
                done.no_way_back = Some(why.clone());
                done.step("downgrade", StepStatus::NotPossible, Some(format!("E50: {why}")));
            }
            Some((why, false)) => done.step("downgrade", StepStatus::Failed, Some(why)),
            None => {
                done.step("downgrade", StepStatus::Passed, None);
                restored = Some(copy.look("restored", Depth::Values, &goal.table)?);
            }
        }
    }
    let again = match &restored {
        Some(_) => {
            say("upgrading the copy again");
            let again = timed(done, "upgrade-again", || {
                goal.project.online(Direction::Upgrade, goal.to, url, "online-upgrade-again")
            })?;
            goal.guard.check("upgrade-again")?;
            Some(upgrade_fault(goal, copy, &again)?)
        }
        None => None,
    };
    say("comparing");
    done.before = before.get()?;
    let after = after.get()?;
    done.keep(&after);
    look_at_upgrade(done, &after);
    let restored = restored.map(Later::get).transpose()?;
    match restored {
        Some(restored) => compare(done, &after, &restored),
        None => done.step("compare", StepStatus::Skipped, Some("there was no downgrade".to_owned())),
    }
    done.after = Some(after);
    let schema = done.restores.is_some_and(|r| r.schema);
    match again {
        None => done.step("upgrade-again", StepStatus::Skipped, Some("there was no downgrade".to_owned())),
        Some(None) => done.step("upgrade-again", StepStatus::Passed, None),
        Some(Some(why)) if schema => done.step("upgrade-again", StepStatus::Failed, Some(why)),
        Some(Some(why)) => {
            let why = format!("the downgrade did not restore the schema, so upgrading again fails: {why}");
            let why = plain_line(&why, 1_000);
            done.step("upgrade-again", StepStatus::NotPossible, Some(why));
        }
    }
    Ok(())
}

fn timed<T>(done: &mut Rehearsal, name: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    done.times.push((name.to_owned(), ms));
    result
}

/// Why the copy is not upgraded, if so.
fn upgrade_fault(goal: &Goal<'_>, copy: &dyn Copy, online: &Online) -> Result<Option<String>, ProjectError> {
    if let Some(failure) = &online.failure {
        let revision = failure.revision.as_deref().unwrap_or("the first");
        return Ok(Some(format!("E40: revision {revision} failed: {}", failure.message)));
    }
    if let Some((name, schema)) = &online.version_table
        && (*name != goal.table.name || *schema != goal.table.schema)
    {
        return Err(ProjectError::usage(
            "E20",
            format!("env.py keeps the revision in the table {name}."),
            format!("Call it again with --version-table {name}, and --version-table-schema if it is in one."),
        ));
    }
    let strays = copy.strays();
    let at = copy.versions(&goal.table)?.unwrap_or_default();
    if at == [goal.to] && strays.is_empty() {
        return Ok(None);
    }
    let what = match strays.first() {
        Some(stray) => format!("another file appeared beside it ({stray})"),
        None if at.is_empty() => "it is at no revision".to_owned(),
        None => format!("it is at {}", at.join(", ")),
    };
    Ok(Some(format!(
        "E41: Alembic ended well, but the copy is not at {}: {what}. env.py did not use the URL that it was given",
        goal.to
    )))
}

/// Why the copy is not downgraded, and whether it was meant so.
fn downgrade_fault(
    goal: &Goal<'_>,
    copy: &dyn Copy,
    online: &Online,
) -> Result<Option<(String, bool)>, ProjectError> {
    if let Some(failure) = &online.failure {
        let revision =
            failure.revision.as_ref().map_or("a revision".to_owned(), |id| format!("revision {id}"));
        let why = if failure.no_way_back {
            format!("{revision} has no way back: {}", failure.message)
        } else {
            format!("E50: the downgrade of {revision} failed: {}", failure.message)
        };
        return Ok(Some((plain_line(&why, 480), failure.no_way_back)));
    }
    let at = copy.versions(&goal.table)?.unwrap_or_default();
    if at == [goal.from] {
        return Ok(None);
    }
    let at = if at.is_empty() { "no revision".to_owned() } else { at.join(", ") };
    Ok(Some((format!("E52: after the downgrade the copy is at {at}, not at {}", goal.from), false)))
}

/// E42: what the upgrade took along without anybody saying so.
fn look_at_upgrade(done: &mut Rehearsal, after: &State) {
    let mut found: Vec<(&str, String)> = Vec::new();
    for fault in after.faults.iter().filter(|fault| !done.before.faults.contains(fault)).take(5) {
        found.push(("E42", format!("after the upgrade the database finds a fault: {fault}")));
    }
    for orphans in after.orphans.iter().filter(|orphans| !done.before.orphans.contains(orphans)).take(5) {
        found.push((
            "E42",
            format!(
                "after the upgrade {} of {} point at no row of {}",
                counted(orphans.rows, "row"),
                orphans.table,
                orphans.parent
            ),
        ));
    }
    for gone in done.before.shape.others.keys().filter(|name| !after.shape.others.contains_key(*name)) {
        found.push(("E42", format!("the upgrade loses {gone}")));
    }
    for (table, before) in &done.before.tables {
        match after.tables.get(table) {
            Some(now) if now.rows < before.rows => found.push((
                "E42",
                format!("{table} has {} after the upgrade, {} before", counted(now.rows, "row"), before.rows),
            )),
            None if renamed(&done.up, table, after) => {}
            None => {
                found.push(("E42", format!("table {table} is gone, with {}", counted(before.rows, "row"))));
            }
            _ => {}
        }
    }
    found.extend(unexplained(done, after).into_iter().map(|text| ("E44", text)));
    for fault in done.before.faults.iter().take(3) {
        found.push(("E42", format!("the snapshot has a fault already: {fault}")));
    }
    for (code, text) in found {
        done.warn(code, text);
    }
}

/// E44: rows that are gone though no statement that was counted took them: what falls by a cascade or a trigger.
fn unexplained(done: &Rehearsal, after: &State) -> Vec<String> {
    let mut said = Vec::new();
    for (table, before) in &done.before.tables {
        let now = match after.tables.get(table) {
            Some(now) => now.rows,
            None if renamed(&done.up, table, after) => continue,
            None => 0,
        };
        let gone = before.rows.saturating_sub(now);
        let of_it = done.up.losses.iter().filter(|lost| lost.table.eq_ignore_ascii_case(table));
        // None: some statement's losses are not known, which is said already.
        let explained = of_it.map(|lost| lost.rows).try_fold(0_u64, |sum, rows| Some(sum + rows?));
        if let Some(explained) = explained.filter(|explained| *explained < gone) {
            let rows = gone - explained;
            said.push(format!(
                "{} of {table} {} gone that no statement accounts for: a cascade, a trigger, or SQL past SQLAlchemy",
                counted(rows, "row"),
                if rows == 1 { "is" } else { "are" }
            ));
        }
    }
    said
}

/// Whether a table only has another name now.
fn renamed(up: &Online, table: &str, after: &State) -> bool {
    let to = |sql: &str| {
        let words = Words::of(sql, Dialect::Sqlite);
        let at = words.skip(words.skip(2, &["IF", "EXISTS"]), &["ONLY"]);
        let (name, next) = words.name(at).filter(|_| words.is(0, &["ALTER"]))?;
        let to = words.skip(next, &["RENAME", "TO"]);
        (name == table && to > next).then(|| words.name(to).map(|(name, _)| name))?
    };
    let names = up.statements.iter().flat_map(|s| &s.sql).filter_map(|sql| to(sql));
    names.into_iter().any(|name| after.tables.contains_key(&name))
}

/// Whether the downgrade brought everything back.
fn compare(done: &mut Rehearsal, after: &State, restored: &State) {
    let schema = done.before.shape.same(&restored.shape);
    let lost = done.before.lost(restored);
    done.restores = Some(Restores { schema, data: lost.is_empty() });
    let mut why = Vec::new();
    if schema {
        let moved = done.before.shape.reordered(&restored.shape);
        why.push(match moved.as_slice() {
            [] => "schema as before".to_owned(),
            tables => format!("schema as before but for the order of columns of {}", tables.join(", ")),
        });
    } else {
        let tables = differing(&done.before, restored);
        let text = if after.shape.same(&restored.shape) && !done.before.shape.same(&after.shape) {
            done.warn("E54", "the downgrade changed nothing but the revision: the schema stays upgraded");
            "the downgrade changed nothing but the revision".to_owned()
        } else {
            done.warn("E51", format!("after the downgrade the schema differs in {tables}"));
            format!("schema differs in {tables}")
        };
        why.push(text);
    }
    if lost.is_empty() {
        why.push("data as before".to_owned());
    } else {
        let named: Vec<_> = lost.iter().take(10).cloned().collect();
        let more = if lost.len() > 10 { format!(" and {} more", lost.len() - 10) } else { String::new() };
        why.push(format!("what does not come back: {}{more}", named.join(", ")));
        done.warn(
            "E53",
            format!("data that does not come back with the downgrade: {}{more}", named.join(", ")),
        );
    }
    let why = plain_line(&why.join("; "), 1_000);
    done.step("compare", StepStatus::Passed, Some(why));
}

/// The tables, or other things, in which two states differ.
pub(super) fn differing(before: &State, after: &State) -> String {
    let (one, other) = (&before.shape, &after.shape);
    let mut names: Vec<&String> = one
        .tables
        .keys()
        .chain(other.tables.keys())
        .filter(|name| {
            let alone = |shape: &Shape| Shape {
                tables: shape
                    .tables
                    .iter()
                    .filter(|(n, _)| n == name)
                    .map(|(n, t)| (n.clone(), t.clone()))
                    .collect(),
                ..Default::default()
            };
            !alone(one).same(&alone(other))
        })
        .collect();
    names.extend(
        one.others.iter().filter(|(name, text)| other.others.get(*name) != Some(text)).map(|(n, _)| n),
    );
    names.extend(other.others.keys().filter(|name| !one.others.contains_key(*name)));
    names.sort();
    names.dedup();
    let more = if names.len() > 12 { format!(" and {} more", names.len() - 12) } else { String::new() };
    names.truncate(12);
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    format!("{}{more}", names.join(", "))
}
