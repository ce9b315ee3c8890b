//! The words that statements begin with: which are SQL at all, and which the keyword rules can read to the end.

use super::classify::{Kind, Words};
use super::lex::Kind as Tok;

/// Why this statement is no SQL that a database would read, if so.
pub(super) fn not_sql(words: &Words<'_>) -> Option<String> {
    let first = words.tokens.first()?;
    if words.tokens.iter().any(|t| t.kind == Tok::Backslash) || words.is(0, &["DELIMITER"]) {
        return Some("This is a command for a client program, not SQL: a database would refuse it.".into());
    }
    let verb = first.of(words.sql).to_ascii_uppercase();
    let known = match first.kind {
        Tok::Open => true,
        Tok::Word => {
            VERBS.contains(&verb.as_str()) || PAIRS.iter().any(|(a, b)| verb == *a && words.is(1, b))
        }
        _ => false,
    };
    (!known).then(|| {
        "No SQL statement begins like this: it may be log output or an error message among the SQL.".into()
    })
}

/// Verbs that begin sentences of log output too: only what follows them makes them SQL.
const PAIRS: &[(&str, &[&str])] = &[
    ("CACHE", &["INDEX"]),
    ("CLONE", &["INSTANCE", "LOCAL"]),
    ("STOP", &["ALL", "GROUP_REPLICATION", "REPLICA", "SLAVE"]),
];

/// The words that statements of the three databases begin with.
pub(super) const VERBS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ANALYSE",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "BINLOG",
    "CALL",
    "CHANGE",
    "CHECK",
    "CHECKPOINT",
    "CHECKSUM",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DETACH",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "FLUSH",
    "GRANT",
    "HANDLER",
    "HELP",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "KILL",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "OPTIMIZE",
    "PRAGMA",
    "PREPARE",
    "PURGE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "RESET",
    "RESIGNAL",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SELECT",
    "SET",
    "SHOW",
    "SIGNAL",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNINSTALL",
    "UNLISTEN",
    "UNLOCK",
    "UPDATE",
    "USE",
    "VACUUM",
    "VALUES",
    "WITH",
    "XA",
];

/// Whether the keyword rules know what this statement does, or that there is nothing to say of it.
pub(super) fn recognised(kind: Kind, words: &Words<'_>) -> bool {
    const PLAIN: &[&str] = &[
        "ANALYZE",
        "ANALYSE",
        "ATTACH",
        "CALL",
        "CHECK",
        "CHECKSUM",
        "CHECKPOINT",
        "CLUSTER",
        "COMMENT",
        "COPY",
        "DESC",
        "DESCRIBE",
        "DETACH",
        "DISCARD",
        "DO",
        "EXECUTE",
        "EXPLAIN",
        "FLUSH",
        "HELP",
        "KILL",
        "GRANT",
        "LOCK",
        "NOTIFY",
        "OPTIMIZE",
        "PREPARE",
        "REASSIGN",
        "REFRESH",
        "REINDEX",
        "RENAME",
        "REPAIR",
        "RESET",
        "REVOKE",
        "SET",
        "TRUNCATE",
        "UNLOCK",
        "USE",
        "VACUUM",
    ];
    const OBJECTS: &[&str] = &[
        "AGGREGATE",
        "CAST",
        "COLLATION",
        "DATABASE",
        "DOMAIN",
        "EVENT",
        "EXTENSION",
        "FUNCTION",
        "MATERIALIZED",
        "OWNED",
        "POLICY",
        "PROCEDURE",
        "PUBLICATION",
        "ROLE",
        "ROUTINE",
        "RULE",
        "SCHEMA",
        "SEQUENCE",
        "SERVER",
        "STATISTICS",
        "SUBSCRIPTION",
        "SYSTEM",
        "TABLESPACE",
        "TRIGGER",
        "TYPE",
        "USER",
        "VIEW",
    ];
    match kind {
        Kind::AlterTable => super::rules_alter::recognised(words),
        Kind::Other => {
            let object = || (1..words.tokens.len().min(8)).any(|i| words.is(i, OBJECTS));
            words.is(0, PLAIN) || (words.is(0, &["CREATE", "DROP", "ALTER"]) && object())
        }
        _ => true,
    }
}
