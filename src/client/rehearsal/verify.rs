//! The SQL on a second copy: it has to make the same of it as the upgrade did of the first.

use std::time::Instant;

use super::Copy;
use super::play::{Goal, Rehearsal, differing};
use super::state::{Depth, State};
use crate::alembic::formats::plain_line;
use crate::alembic::report::StepStatus;
use crate::alembic::volatile::{Varying, is_volatile};
use crate::client::project::ProjectError;
use crate::sql::dialect::Dialect;

/// Applies the SQL to a second copy and compares it with what the upgrade online made (E43).
pub fn verify(
    goal: &Goal<'_>,
    copy: &dyn Copy,
    (sql, dialect): (&str, Dialect),
    after: &State,
    done: &mut Rehearsal,
) -> Result<(), ProjectError> {
    let start = Instant::now();
    let applied = copy.apply(sql);
    let fault = if let Err(said) = applied {
        Some(format!("E43: the SQL does not run: {}", goal.project.redactor().line(&said, 400)))
    } else {
        let state = copy.look("verified", Depth::Values, &goal.table)?.get()?;
        let mut differ = Vec::new();
        if !after.shape.same(&state.shape) {
            differ.push(format!("another schema in {}", differing(after, &state)));
        }
        let varying = varying(after, &state, sql, dialect);
        if !varying.is_empty() {
            done.warn("E43", apart(&varying));
        }
        let rows = without(after, &varying).lost(&state);
        if !rows.is_empty() {
            differ.push(format!("other data: {}", rows.into_iter().take(10).collect::<Vec<_>>().join(", ")));
        }
        if copy.versions(&goal.table)?.unwrap_or_default() != [goal.to] {
            differ.push(format!("not the revision {}", goal.to));
        }
        let what = differ.join("; ");
        (!what.is_empty()).then(|| format!("E43: the SQL gives something else than the upgrade does: {what}"))
    };
    let status = if fault.is_some() { StepStatus::Failed } else { StepStatus::Passed };
    done.step("verify-sql", status, fault.map(|why| plain_line(&why, 1_000)));
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    done.times.push(("verify-sql".to_owned(), ms));
    goal.guard.check("verify-sql")
}

/// Tables, each with its columns, in which nothing but values differs, and those are the time or chance: the SQL, a
/// trigger or a default calls for them, so that no two runs give the same.
fn varying<'a>(after: &'a State, state: &State, sql: &str, dialect: Dialect) -> Vec<(&'a str, Vec<&'a str>)> {
    let differing = after.other_values(state);
    if differing.is_empty() {
        return Vec::new();
    }
    let mut called = Varying::default();
    called.add(sql, dialect);
    for text in after.shape.others.values() {
        called.add(text, dialect);
    }
    let explained = |table: &str, columns: &[&str]| {
        let of_table = after.shape.tables.get(table).map(|t| t.columns.as_slice()).unwrap_or_default();
        let default = |name: &str| of_table.iter().find(|c| c.name == name)?.default.as_deref();
        let mut rest = columns.to_vec();
        rest.retain(|column| !default(column).is_some_and(|text| is_volatile(text, dialect)));
        called.explains(table, &rest)
    };
    differing.into_iter().filter(|(table, columns)| explained(table, columns)).collect()
}

fn without(state: &State, varying: &[(&str, Vec<&str>)]) -> State {
    let mut rest = state.clone();
    rest.tables.retain(|table, _| varying.iter().all(|(name, _)| name != table));
    rest
}

fn apart(varying: &[(&str, Vec<&str>)]) -> String {
    let columns = varying.iter().flat_map(|(table, list)| list.iter().map(move |c| format!("{table}.{c}")));
    let columns: Vec<_> = columns.collect();
    let (named, more) =
        (columns.iter().take(10).cloned().collect::<Vec<_>>(), columns.len().saturating_sub(10));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "the values of {}{more} are not those of the upgrade when the SQL is run: they come from the clock or from \
         chance, so only their number was compared",
        named.join(", ")
    )
}
