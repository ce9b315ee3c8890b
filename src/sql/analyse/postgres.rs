//! PostgreSQL through squawk: its rules told in our words, those that say nothing about danger left out.

use squawk_linter::{Linter, Rule as Squawk};
use squawk_syntax::SourceFile;

use crate::domain::rule::{
    CHECKS_OFF, CONSTRAINT, DROP_COLUMN, DROP_CONSTRAINT, DROP_INDEX, DROP_OBJECT, DROP_SCHEMA, DROP_TABLE,
    INDEX_LOCKS, NOT_NULL, PRIMARY_KEY, PRIVILEGES, RENAME, Rule, SERVER_SETTING, TABLE_REWRITE, TRUNCATE,
    TYPE_CHANGE, UNIQUE, VOLATILE_DEFAULT,
};
use crate::sql::rules::Found;

/// What squawk finds in one statement; none if it is no SQL to it.
pub(super) fn find(statement: &str) -> Option<Found> {
    let parse = SourceFile::parse(statement);
    if !parse.errors().is_empty() {
        return None;
    }
    let mut linter = Linter::from(MAP.iter().map(|(squawk, ..)| *squawk));
    if let Ok(version) = "16.0".parse() {
        linter.settings.pg_version = version;
    }
    // Transactions are followed by the reader of the whole script.
    linter.settings.assume_in_transaction = false;
    let mut found = Found::new();
    for violation in linter.lint(&parse, statement) {
        let known = MAP.iter().find(|(squawk, ..)| *squawk == violation.code);
        let Some((_, rule, why)) = known else { continue };
        // One of each rule tells as much as many; the keywords tell them by name.
        if !found.iter().any(|(before, said)| before == rule && said == why) {
            found.push((rule, (*why).to_owned()));
        }
    }
    Some(found)
}

/// squawk's rules that speak of data, locks and what depends on the change. Left out are those about style (types,
/// naming, `IF EXISTS`), and those that need the whole script.
const MAP: &[(Squawk, &Rule, &str)] = &[
    (
        Squawk::RequireConcurrentIndexCreation,
        &INDEX_LOCKS,
        "Nobody can write to the table while the index is built.",
    ),
    (Squawk::RequireConcurrentIndexDeletion, &DROP_INDEX, "Queries that used this index get slower."),
    (
        Squawk::RequireConcurrentReindex,
        &INDEX_LOCKS,
        "Nobody can write to the table while its indexes are built anew.",
    ),
    (
        Squawk::RequireConcurrentPartitionDetach,
        &INDEX_LOCKS,
        "The whole partitioned table is locked while the partition is taken off.",
    ),
    (
        Squawk::AddingForeignKeyConstraint,
        &CONSTRAINT,
        "Every row is checked while both tables are locked; one that refuses stops it.",
    ),
    (
        Squawk::AddingFieldWithDefault,
        &VOLATILE_DEFAULT,
        "The default is worked out for every row: the table is rewritten under a lock that stops readers too.",
    ),
    (Squawk::ChangingColumnType, &TYPE_CHANGE, "Every value is converted, and the table is rewritten."),
    (Squawk::AddingNotNullableField, &NOT_NULL, "The column may not be empty: it fails if a row has none."),
    (Squawk::AddingRequiredField, &NOT_NULL, "The column may not be empty and has no default."),
    (
        Squawk::AddingSerialPrimaryKeyField,
        &PRIMARY_KEY,
        "The table is rewritten, or its key is built, under a lock that stops readers too.",
    ),
    (Squawk::RenamingColumn, &RENAME, "A column gets another name: code that uses the old one fails."),
    (Squawk::RenamingTable, &RENAME, "A table gets another name: code that uses the old one fails."),
    (Squawk::BanSetSchema, &RENAME, "It moves to another schema: code that uses the old name fails."),
    (
        Squawk::DisallowedUniqueConstraint,
        &UNIQUE,
        "It fails if the table holds duplicates, and locks it until that is known.",
    ),
    (Squawk::BanDropDatabase, &DROP_SCHEMA, "Everything in it is lost, whatever it is by then."),
    (Squawk::BanDropSchema, &DROP_SCHEMA, "Everything in it is lost, whatever it is by then."),
    (Squawk::BanDropTable, &DROP_TABLE, "A table and every row in it are lost."),
    (Squawk::BanDropColumn, &DROP_COLUMN, "The column's values are lost in every row."),
    (Squawk::BanTruncateCascade, &TRUNCATE, "Every row is lost, and those of tables that refer to it."),
    (Squawk::BanDropNotNull, &DROP_CONSTRAINT, "The column may be empty from here on."),
    (Squawk::BanDropConstraint, &DROP_CONSTRAINT, "The table takes rows that it refused before."),
    (Squawk::BanDropIndex, &DROP_INDEX, "Queries that used this index get slower."),
    (Squawk::BanDropView, &DROP_OBJECT, "Code that uses this view fails."),
    (Squawk::BanDropFunction, &DROP_OBJECT, "Code that uses this function fails."),
    (Squawk::BanDropType, &DROP_OBJECT, "Code that uses this type fails."),
    (Squawk::BanDropTrigger, &DROP_OBJECT, "What the trigger did is not done any more."),
    (Squawk::BanDropSequence, &DROP_OBJECT, "Code that uses this sequence fails."),
    (Squawk::BanDropDomain, &DROP_OBJECT, "Code that uses this domain fails."),
    (Squawk::BanDropExtension, &DROP_OBJECT, "What the extension brought is gone."),
    (Squawk::BanDropPolicy, &PRIVILEGES, "This changes who may see or write which rows."),
    (Squawk::BanAlterRowLevelSecurity, &PRIVILEGES, "This changes who may see or write which rows."),
    (Squawk::BanRevoke, &PRIVILEGES, "This takes rights away that code may need."),
    (Squawk::BanAlterSystemOptions, &SERVER_SETTING, "This changes the server for everybody on it."),
    (Squawk::BanAlterDatabaseOptions, &SERVER_SETTING, "This changes the database for everybody on it."),
    (
        Squawk::BanDisableTrigger,
        &CHECKS_OFF,
        "Triggers are off from here on, those of foreign keys perhaps too.",
    ),
    (Squawk::PreferRepack, &TABLE_REWRITE, "Everything is written anew; nobody can use it meanwhile."),
    (
        Squawk::BanAlterDomainWithAddConstraint,
        &CONSTRAINT,
        "Every column of this domain is checked while its table is locked.",
    ),
];
