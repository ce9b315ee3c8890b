//! The rules of the analysis: their keys, what a finding of each weighs unless policy says otherwise, and what to do.
//!
//! `docs/findings.md` explains each under a heading that is its key. A key is never renamed or given another meaning:
//! stored findings and policies name it.

use super::artifact::{Artifact, ArtifactKind, Finding, Severity};

/// What stays the same in every finding of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The key in findings, policies and the documentation, such as `drop-table`.
    pub key: &'static str,
    /// What a finding weighs by itself.
    pub severity: Severity,
    /// Policy may make findings of this rule heavier, never lighter: they say that a reader can't see what would run.
    pub floor: bool,
    /// What to do about it.
    pub advice: &'static str,
}

macro_rules! rules {
    ($($name:ident = $key:literal, $severity:ident $($floor:ident)?, $advice:literal;)*) => {
        $(
            #[doc = concat!("`", $key, "`")]
            pub const $name: Rule = Rule {
                key: $key,
                severity: Severity::$severity,
                floor: rules!(@floor $($floor)?),
                advice: $advice,
            };
        )*

        /// Every rule, in the order of the documentation.
        pub const ALL: &[&Rule] = &[$(&$name),*];
    };
    (@floor) => { false };
    (@floor floor) => { true };
}

rules! {
    // Data.
    DROP_TABLE = "drop-table", Block,
        "Check that nothing reads the table any more, and that its rows are in the backup or not needed.";
    DROP_COLUMN = "drop-column", Block,
        "Deploy the release that no longer reads the column first; keep its values if anybody may ask for them.";
    DROP_SCHEMA = "drop-schema", Block,
        "Drop what has to go by name, one table at a time.";
    TRUNCATE = "truncate", Block,
        "Confirm that every row has to go, and that the backup holds them.";
    DELETE = "delete-without-where", Block,
        "Name the rows to delete in a WHERE, or confirm that every row has to go.";
    UPDATE = "update-without-where", Block,
        "Name the rows to change in a WHERE, or confirm that every row has to change: old values are not kept.";
    REPLACES_ROWS = "replaces-rows", Warn,
        "Insert the missing rows and update the others by name, so that no row is deleted on the way.";
    NARROWING_TYPE = "narrowing-type", Warn,
        "Count the values that don't fit before the change, and decide what becomes of them.";
    CASCADE = "cascade", Warn,
        "Drop what depends on it by name first, so that the script says all that goes.";

    // Time and locks.
    TYPE_CHANGE = "type-change", Warn,
        "See in the dry run that every value converts, and how long the table is locked while it is rewritten.";
    TABLE_REBUILD = "table-rebuild", Warn,
        "Compare row counts, triggers and views before and after in the dry-run report.";
    TABLE_REWRITE = "table-rewrite", Warn,
        "See in the dry run how long it takes, and plan for the table to be locked that long.";
    VOLATILE_DEFAULT = "volatile-default", Warn,
        "Add the column without the default, set the default after that, and fill old rows in batches.";
    NOT_NULL = "not-null-added", Warn,
        "Fill the column first or give it a default, and see in the dry run that no row refuses.";
    UNIQUE = "unique-added", Warn,
        "Look for duplicates before the change. On PostgreSQL, build the index CONCURRENTLY and attach it.";
    CONSTRAINT = "constraint-added", Warn,
        "Look for rows that refuse before the change. On PostgreSQL, add it NOT VALID and validate it afterwards.";
    PRIMARY_KEY = "primary-key-changed", Warn,
        "See in the dry run how long the table is locked, and that what refers to the key still does.";
    INDEX_LOCKS = "index-not-concurrent", Warn,
        "Build it CONCURRENTLY outside a transaction, or confirm that the table is small or idle then.";
    CONCURRENT_IN_TRANSACTION = "concurrent-in-transaction", Block,
        "Take the statement out of the transaction: in Alembic, `with op.get_context().autocommit_block()`.";
    LOCK_TIMEOUT = "missing-lock-timeout", Note,
        "SET lock_timeout before it, so that a busy table makes the change fail early instead of stopping everybody.";

    // What else depends on it.
    RENAME = "rename", Warn,
        "The release that runs during the change must know both names; rename in two steps if it doesn't.";
    DROP_INDEX = "drop-index", Note,
        "Check that no frequent query needs it; making it again takes time on a large table.";
    DROP_CONSTRAINT = "drop-constraint", Note,
        "Check that the application keeps the rule by itself from now on.";
    DROP_OBJECT = "drop-object", Note,
        "Check that nothing uses it any more, or that the script makes it anew.";
    CHECKS_OFF = "checks-off", Warn,
        "Keep the checks on, or verify afterwards that no row breaks the rules that were off.";
    PRIVILEGES = "privileges", Warn,
        "Compare with what the release needs: rights outlive the ticket.";
    SERVER_SETTING = "server-setting", Warn,
        "Change settings of the server apart from migrations, where they can be taken back.";
    REACHES_OUTSIDE = "reaches-outside", Block,
        "Keep files, programs and other databases out of a migration.";
    SYSTEM_TABLES = "system-tables", Block,
        "Change the schema with ALTER, CREATE and DROP, which the database checks.";
    REFUSED_BY_SQLITE = "refused-by-sqlite", Block,
        "Use Alembic's batch mode, which rebuilds the table.";

    // Order and revisions.
    TRANSACTION_CONTROL = "transaction-control", Warn,
        "Plan for a stop between two commits: the downgrade SQL must fit the revision that was reached.";
    TRANSACTION_PER_REVISION = "transaction-per-revision", Note,
        "If it stops, read which revision was reached before anything else is tried.";
    VERSION_APART = "version-apart", Warn,
        "Put the statement and the step of alembic_version into one transaction.";
    OUTSIDE_REVISIONS = "outside-revisions", Warn,
        "Put the statement into a migration and render again: the history doesn't know of it.";
    TAKES_BACK = "takes-back", Note,
        "Know that values written since the upgrade are lost if the downgrade is run.";
    DOWNGRADE_GOES_FURTHER = "downgrade-goes-further", Block,
        "Render the downgrade again: it has to fit the upgrade that stands.";
    DOWNGRADE_DOES_NOT_UNDO = "downgrade-does-not-undo", Warn,
        "Complete the downgrade, or plan a rollback by restoring the backup.";

    // What can't be read.
    HIDDEN_TEXT = "hidden-text", Block floor,
        "Remove the characters from the migration, or write them as escapes, and render again.";
    HOMOGLYPH = "homoglyph", Block floor,
        "Write the name in the letters of one alphabet, and render again.";
    RIGHT_TO_LEFT = "right-to-left", Warn,
        "Read the text in an editor that shows letters in the order of the file, or write it as escapes.";
    READS_DIFFERENTLY = "reads-differently", Block floor,
        "Write it so that every database reads it alike: double a quote inside a text, and leave the setting alone.";
    OTHER_READING = "other-reading", Warn,
        "Read the quotes near it as the database will: what follows was checked by one database's rules alone.";
    SILENCING_COMMENT = "silencing-comment", Warn,
        "Remove the comment. It has no effect here: what it would silence is reported.";
    EXECUTABLE_COMMENT = "executable-comment", Warn,
        "Write the statement plainly, so that what runs is what people read.";
    DYNAMIC = "dynamic-sql", Warn,
        "Read how the text of the statement is put together: what it runs is not in this script.";
    NOT_UNDERSTOOD = "not-understood", Warn,
        "Read the statement yourself: the analysis can't say what it does.";
    KEYWORDS_ONLY = "keywords-only", Warn,
        "Read it yourself: only its keywords were looked at. Split the release if the script is too large.";
    UNPARSED = "unparsed", Block floor,
        "Render the SQL again from a clean checkout, apart from log output, and attach that file.";
    TOO_MANY = "too-many-findings", Block floor,
        "Split the release, or review the script as a whole outside this page.";

    // What the files declare.
    NOT_POSSIBLE = "not-possible", Block floor,
        "Accept the risk only if there is another way back, such as a restored backup.";
    CAPTURED_ONLINE = "captured-online", Block floor,
        "Accept it only if the migration really can't be rendered offline.";
    NOT_REPRODUCIBLE = "not-reproducible", Warn,
        "Make the render reproducible: no random values, no order of a set.";
    DOWNGRADE_DOES_NOT_RESTORE = "downgrade-does-not-restore", Warn,
        "Plan a rollback by restoring the backup.";
}

impl Rule {
    /// Where the rule is explained, from the root of the documentation.
    #[must_use]
    pub fn link(&self) -> String {
        format!("docs/findings.md#{}", self.key)
    }
}

/// The rule of this key.
#[must_use]
pub fn of(key: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.key == key).copied()
}

/// The key that somebody probably meant who wrote this one.
#[must_use]
pub fn nearest(key: &str) -> Option<&'static str> {
    let most = (key.chars().count() / 3).clamp(2, 4);
    let near = ALL.iter().map(|rule| (distance(key, rule.key), rule.key)).min()?;
    (near.0 <= most).then_some(near.1)
}

/// How many letters have to be added, taken or changed to make one text the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().take(100).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, same) in other.iter().map(|o| *o == letter).enumerate() {
            let changed = diagonal + usize::from(!same);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// Whether a finding still speaks of the files that stand. What compares upgrade and downgrade belongs to whichever of
/// the two came later, which was compared with the other as it stands; on the earlier one it is out of date.
#[must_use]
pub fn stands(finding: &Finding, artifacts: &[Artifact]) -> bool {
    if ![DOWNGRADE_DOES_NOT_UNDO.key, DOWNGRADE_GOES_FURTHER.key].contains(&finding.rule.as_str()) {
        return true;
    }
    let order = |a: &Artifact| (a.generation, a.uploaded_at);
    let Some(own) = artifacts.iter().find(|a| a.id == finding.artifact) else { return true };
    let Some(other) = counterpart(own.kind) else { return true };
    artifacts.iter().filter(|a| a.kind == other).all(|a| order(a) <= order(own))
}

/// The SQL of the other direction.
#[must_use]
pub const fn counterpart(kind: ArtifactKind) -> Option<ArtifactKind> {
    match kind {
        ArtifactKind::UpgradeSql => Some(ArtifactKind::DowngradeSql),
        ArtifactKind::DowngradeSql => Some(ArtifactKind::UpgradeSql),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_names_and_a_slip_is_guessed() {
        let mut keys: Vec<_> = ALL.iter().map(|rule| rule.key).collect();
        assert!(
            keys.iter().all(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && key.len() < 64)
        );
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
        assert_eq!(nearest("drop-tabel"), Some("drop-table"));
        assert_eq!(nearest("unique_added"), Some("unique-added"));
        assert_eq!(nearest("add-column"), None);
        assert_eq!(nearest(&"x".repeat(10_000)), None);
    }

    #[test]
    fn each_rule_has_its_page_and_each_heading_its_rule() {
        let page = include_str!("../../docs/findings.md");
        let headings: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .map(|key| key.trim().trim_matches('`'))
            .collect();
        let keys: Vec<_> = ALL.iter().map(|rule| rule.key).collect();
        assert_eq!(headings, keys);
        for rule in ALL {
            let (_, section) = page.split_once(&format!("### {}\n", rule.key)).unwrap();
            let section = section.split("\n#").next().unwrap();
            let level = format!("**{}**", rule.severity.as_str());
            assert!(section.contains(&level), "{}: the page does not say {level}", rule.key);
            assert_eq!(section.contains("can't be set lower"), rule.floor, "{}", rule.key);
            assert!(section.contains("Instead:"), "{} says nothing to do instead", rule.key);
        }
    }
}
