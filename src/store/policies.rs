//! Applications, their environments, and the versions of their policy.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{ApplicationId, EnvironmentId, PolicyVersionId, UserId};
use crate::domain::time::Timestamp;

/// The most that a list of applications or versions shows.
const LISTED: i64 = 200;

row! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApplicationRow {
        pub id: ApplicationId,
        pub name: String,
    }
}

/// Whether a name is one that could be stored: PostgreSQL fails on a NUL where SQLite finds nothing.
fn storable(name: &str) -> bool {
    !name.contains('\0')
}

/// All applications by name.
pub async fn applications(conn: &mut impl Conn) -> Result<Vec<ApplicationRow>, StoreError> {
    conn.sql("SELECT id, name FROM applications ORDER BY name LIMIT $1").bind(LISTED).all().await
}

/// The application of this name.
pub async fn application(conn: &mut impl Conn, name: &str) -> Result<Option<ApplicationId>, StoreError> {
    if !storable(name) {
        return Ok(None);
    }
    conn.sql("SELECT id FROM applications WHERE name = $1").bind(name).optional().await
}

/// Adds an application, unless the name is taken; says whether it did.
pub async fn insert_application(
    tx: &mut Tx,
    id: ApplicationId,
    name: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let added = tx
        .sql("INSERT INTO applications (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(name)
        .bind(at)
        .run()
        .await?;
    Ok(added == 1)
}

/// The names of an application's environments, in the order of the pipeline.
pub async fn environments(
    conn: &mut impl Conn,
    application: ApplicationId,
) -> Result<Vec<String>, StoreError> {
    conn.sql("SELECT name FROM environments WHERE application_id = $1 ORDER BY position")
        .bind(application)
        .all()
        .await
}

/// Environments of all applications, in the order of each pipeline.
pub async fn all_environments(conn: &mut impl Conn) -> Result<Vec<(ApplicationId, String)>, StoreError> {
    conn.sql("SELECT application_id, name FROM environments ORDER BY application_id, position").all().await
}

/// Whether any application has an environment of this name.
pub async fn environment_exists(conn: &mut impl Conn, name: &str) -> Result<bool, StoreError> {
    if !storable(name) {
        return Ok(false);
    }
    conn.sql("SELECT EXISTS (SELECT 1 FROM environments WHERE name = $1)").bind(name).one().await
}

pub async fn insert_environment(
    tx: &mut Tx,
    id: EnvironmentId,
    application: ApplicationId,
    name: &str,
    position: i64,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO environments (id, application_id, name, position, lock_version) VALUES ($1, $2, $3, $4, 0)",
    )
    .bind(id)
    .bind(application)
    .bind(name)
    .bind(position)
    .run_one()
    .await
}

row! {
    /// One version of a policy, without its text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicySummary {
        pub id: PolicyVersionId,
        pub application: String,
        pub version: i64,
        /// Of the file as it was applied.
        pub sha256: Digest,
        pub created_at: Timestamp,
        /// Who applied it; none if the operator did.
        pub created_by_name: Option<String>,
    }
}

row! {
    /// One version of a policy.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyText {
        pub id: PolicyVersionId,
        pub application: String,
        pub version: i64,
        pub sha256: Digest,
        /// The file, byte for byte.
        pub toml: String,
        pub created_at: Timestamp,
        pub created_by_name: Option<String>,
    }
}

macro_rules! select_version {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT p.id, a.name AS application, p.version, p.sha256, p.created_at, u.name AS created_by_name",
            $columns,
            " FROM policy_versions p JOIN applications a ON a.id = p.application_id \
             LEFT JOIN users u ON u.id = p.created_by ",
            $rest
        )
    };
}

/// The newest version of every application's policy, by application.
pub async fn newest(conn: &mut impl Conn) -> Result<Vec<PolicySummary>, StoreError> {
    conn.sql(select_version!(
        "",
        "WHERE p.version = (SELECT MAX(n.version) FROM policy_versions n WHERE n.application_id = p.application_id) \
         ORDER BY a.name LIMIT $1"
    ))
    .bind(LISTED)
    .all()
    .await
}

/// The versions of an application's policy before `before`, newest first.
pub async fn versions(
    conn: &mut impl Conn,
    application: &str,
    before: i64,
) -> Result<Vec<PolicySummary>, StoreError> {
    conn.sql(select_version!("", "WHERE a.name = $1 AND p.version < $2 ORDER BY p.version DESC LIMIT $3"))
        .bind(application)
        .bind(before)
        .bind(LISTED)
        .all()
        .await
}

/// One version of an application's policy.
pub async fn version(
    conn: &mut impl Conn,
    application: &str,
    version: i64,
) -> Result<Option<PolicyText>, StoreError> {
    if !storable(application) {
        return Ok(None);
    }
    conn.sql(select_version!(", p.toml", "WHERE a.name = $1 AND p.version = $2"))
        .bind(application)
        .bind(version)
        .optional()
        .await
}

/// The newest version of an application's policy.
pub async fn newest_of(conn: &mut impl Conn, application: &str) -> Result<Option<PolicyText>, StoreError> {
    if !storable(application) {
        return Ok(None);
    }
    conn.sql(select_version!(", p.toml", "WHERE a.name = $1 ORDER BY p.version DESC LIMIT 1"))
        .bind(application)
        .optional()
        .await
}

/// A version to be kept.
pub struct NewVersion<'a> {
    pub id: PolicyVersionId,
    pub application: ApplicationId,
    pub version: i64,
    pub sha256: Digest,
    pub toml: &'a str,
    pub at: Timestamp,
    pub by: Option<UserId>,
}

pub async fn insert_version(tx: &mut Tx, new: &NewVersion<'_>) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO policy_versions (id, application_id, version, sha256, toml, created_at, created_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id)
    .bind(new.application)
    .bind(new.version)
    .bind(new.sha256)
    .bind(new.toml)
    .bind(new.at)
    .bind(new.by)
    .run_one()
    .await
}
