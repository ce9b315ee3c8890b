//! The part of a dry-run report that says how far it can be believed: integrity, statements, warnings.

use serde::{Deserialize, Serialize};

use super::formats::{self, FormatError, check_count, check_len, check_text, field};

const WHAT: &str = "dry-run report";

/// What the rehearsal checked besides its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    pub integrity: Integrity,
    pub statements: Statements,
    pub warnings: Vec<Warning>,
}

/// What the database says of itself, on the copy, before and after the upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integrity {
    /// Faults found, one sentence each.
    pub before: Vec<String>,
    pub after: Vec<String>,
    /// Rows whose foreign key points nowhere, by constraint.
    pub foreign_keys_before: Vec<Orphans>,
    pub foreign_keys_after: Vec<Orphans>,
}

/// Rows of a table that point at rows which are not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orphans {
    pub table: String,
    /// The table that they point at.
    pub parent: String,
    pub rows: u64,
}

/// The statements of the upgrade that were executed, against those of the offline SQL. Values are left out, as are
/// statements that only read or steer transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statements {
    pub executed: u64,
    /// None where there is no offline SQL to compare with.
    pub rendered: Option<u64>,
    /// The first of those that have no counterpart.
    pub only_executed: Vec<String>,
    pub only_rendered: Vec<String>,
}

/// Something that a reader should know. It stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// Such as `E34`; `docs/dry-run.md` lists them.
    pub code: String,
    pub text: String,
}

impl Warning {
    /// A warning whose text is made one line.
    pub fn new(code: &str, text: impl AsRef<str>) -> Self {
        Self { code: code.to_owned(), text: formats::plain_line(text.as_ref(), 1_000) }
    }
}

/// Statements named at most in each list.
pub const NAMED: usize = 50;

impl Checks {
    pub(super) fn check(&self) -> Result<(), FormatError> {
        let name = |part: &str| format!("subject.checks.{part}");
        let texts = [
            ("integrity.before", &self.integrity.before, 1_000),
            ("integrity.after", &self.integrity.after, 1_000),
            ("statements.only_executed", &self.statements.only_executed, NAMED),
            ("statements.only_rendered", &self.statements.only_rendered, NAMED),
        ];
        for (part, list, most) in texts {
            check_len(WHAT, &name(part), list, most)?;
            for (i, entry) in list.iter().enumerate() {
                check_text(WHAT, &name(&format!("{part}[{i}]")), entry, 500)?;
            }
        }
        for list in [&self.integrity.foreign_keys_before, &self.integrity.foreign_keys_after] {
            check_len(WHAT, &name("integrity.foreign_keys"), list, 5_000)?;
            for orphans in list {
                check_text(WHAT, &name("integrity.foreign_keys.table"), &orphans.table, 200)?;
                check_text(WHAT, &name("integrity.foreign_keys.parent"), &orphans.parent, 200)?;
                check_count(WHAT, &name("integrity.foreign_keys.rows"), orphans.rows)?;
            }
        }
        check_count(WHAT, &name("statements.executed"), self.statements.executed)?;
        check_count(WHAT, &name("statements.rendered"), self.statements.rendered.unwrap_or(0))?;
        check_len(WHAT, &name("warnings"), &self.warnings, 500)?;
        for (i, warning) in self.warnings.iter().enumerate() {
            let code = &warning.code;
            if code.is_empty() || code.len() > 10 || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                let rule = "must be 1 to 10 letters and digits";
                return Err(field(WHAT, name(&format!("warnings[{i}].code")), rule));
            }
            check_text(WHAT, &name(&format!("warnings[{i}].text")), &warning.text, 1_000)?;
        }
        Ok(())
    }
}
