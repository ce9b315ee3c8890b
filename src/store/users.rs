//! Accounts, their roles, who shaped them, and the links with which people choose their password.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::row::row;
use super::{Conn, Record, RowRef, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{PersonId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, User};

/// An account with what only signing in needs.
pub struct Account {
    pub user: User,
    /// The PHC string of the password's hash; none before the first enrolment.
    pub password: Option<String>,
}

impl Record for Account {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            user: User {
                id: row.get("id")?,
                person: row.get("person_id")?,
                email: row.get("email")?,
                name: row.get("name")?,
                active: row.get("active")?,
                roles: roles(row)?,
                created_at: row.get("created_at")?,
            },
            password: row.get("password")?,
        })
    }
}

/// Reads the column `roles`, which holds the names of an account's roles with commas between them.
pub(super) fn roles(row: RowRef<'_>) -> Result<BTreeSet<Role>, StoreError> {
    let names: Option<String> = row.get("roles")?;
    names
        .iter()
        .flat_map(|names| names.split(','))
        .map(|name| name.parse().map_err(|error| StoreError::Corrupt(format!("{error}"))))
        .collect()
}

macro_rules! select_account {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.person_id, u.email, u.name, u.password, u.active, u.created_at, \
             (SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.user_id = u.id) AS roles FROM users u ",
            $rest
        )
    };
}

/// The account with this id.
pub async fn by_id(conn: &mut impl Conn, id: UserId) -> Result<Option<Account>, StoreError> {
    conn.sql(select_account!("WHERE u.id = $1")).bind(id).optional().await
}

/// The account with this address in its normal spelling.
pub async fn by_email(conn: &mut impl Conn, email: &str) -> Result<Option<Account>, StoreError> {
    conn.sql(select_account!("WHERE u.email = $1")).bind(email).optional().await
}

/// Accounts whose address follows `after`, in the order of their addresses.
pub async fn list(conn: &mut impl Conn, after: &str, limit: i64) -> Result<Vec<Account>, StoreError> {
    conn.sql(select_account!("WHERE u.email > $1 ORDER BY u.email LIMIT $2"))
        .bind(after)
        .bind(limit)
        .all()
        .await
}

/// Whether somebody has this person's id.
/// The person, name and address behind every account.
pub async fn names(conn: &mut impl Conn) -> Result<Vec<(PersonId, String, String)>, StoreError> {
    conn.sql("SELECT person_id, name, email FROM users").all().await
}

pub async fn person_exists(conn: &mut impl Conn, person: PersonId) -> Result<bool, StoreError> {
    conn.sql("SELECT EXISTS (SELECT 1 FROM users WHERE person_id = $1)").bind(person).one().await
}

/// How many active administrators there are besides this account.
pub async fn other_administrators(conn: &mut impl Conn, id: UserId) -> Result<i64, StoreError> {
    conn.sql(
        "SELECT COUNT(*) FROM users u JOIN user_roles r ON r.user_id = u.id \
         WHERE r.role = 'admin' AND u.active AND u.id <> $1",
    )
    .bind(id)
    .one()
    .await
}

/// Adds an account without a password, unless its address is taken; says whether it did.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<bool, StoreError> {
    let added = tx
        .sql(
            "INSERT INTO users (id, person_id, email, name, password, active, created_at) \
             VALUES ($1, $2, $3, $4, NULL, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(user.id)
        .bind(user.person)
        .bind(user.email.as_str())
        .bind(user.name.as_str())
        .bind(user.active)
        .bind(user.created_at)
        .run()
        .await?;
    if added == 1 {
        set_roles(tx, user.id, &user.roles).await?;
    }
    Ok(added == 1)
}

/// Gives the account these roles and no others.
pub async fn set_roles(tx: &mut Tx, id: UserId, roles: &BTreeSet<Role>) -> Result<(), StoreError> {
    tx.sql("DELETE FROM user_roles WHERE user_id = $1").bind(id).run().await?;
    for role in roles {
        tx.sql("INSERT INTO user_roles (user_id, role) VALUES ($1, $2)")
            .bind(id)
            .bind(*role)
            .run_one()
            .await?;
    }
    Ok(())
}

/// Locks an account's row until the transaction ends; says whether it is active and has this password.
pub async fn hold(tx: &mut Tx, id: UserId, password: &str) -> Result<bool, StoreError> {
    let held = tx
        .sql("UPDATE users SET active = active WHERE id = $1 AND active AND password = $2")
        .bind(id)
        .bind(password)
        .run()
        .await?;
    Ok(held == 1)
}

/// Locks an account's row until the transaction ends; says whether it is active.
pub async fn hold_active(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let held = tx.sql("UPDATE users SET active = active WHERE id = $1 AND active").bind(id).run().await?;
    Ok(held == 1)
}

/// Sets the hash of an active account's password; says whether there is such an account.
pub async fn set_password(tx: &mut Tx, id: UserId, password: &str) -> Result<bool, StoreError> {
    let set = tx
        .sql("UPDATE users SET password = $2 WHERE id = $1 AND active")
        .bind(id)
        .bind(password)
        .run()
        .await?;
    Ok(set == 1)
}

/// Closes an account for ever; says whether it was active until now.
pub async fn deactivate(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let ended =
        tx.sql("UPDATE users SET active = $2 WHERE id = $1 AND active").bind(id).bind(false).run().await?;
    Ok(ended == 1)
}

/// What one person did to another's account, and what it costs: the vote on that person's tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAct {
    Created,
    RoleGranted,
    Reset,
}

impl AccountAct {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::RoleGranted => "role-granted",
            Self::Reset => "reset",
        }
    }
}

/// Notes who shaped an account.
pub async fn record_act(
    tx: &mut Tx,
    id: Uuid,
    user: UserId,
    act: AccountAct,
    by: PersonId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("INSERT INTO account_acts (id, user_id, act, by_person, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(user)
        .bind(act.as_str())
        .bind(by)
        .bind(at)
        .run_one()
        .await
}

row! {
    /// A link with which somebody chooses a password, and whose it is.
    pub struct Enrolment {
        pub user_id: UserId,
        pub email: String,
        pub name: String,
        pub active: bool,
        pub expires_at: Timestamp,
        pub used_at: Option<Timestamp>,
    }
}

/// The link behind this hash.
pub async fn enrolment(conn: &mut impl Conn, token: Digest) -> Result<Option<Enrolment>, StoreError> {
    conn.sql(
        "SELECT e.user_id, u.email, u.name, u.active, e.expires_at, e.used_at FROM enrolments e \
         JOIN users u ON u.id = e.user_id WHERE e.token_hash = $1",
    )
    .bind(token)
    .optional()
    .await
}

/// Keeps a new link.
pub async fn insert_enrolment(
    tx: &mut Tx,
    token: Digest,
    user: UserId,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO enrolments (token_hash, user_id, created_at, expires_at, used_at) \
         VALUES ($1, $2, $3, $4, NULL)",
    )
    .bind(token)
    .bind(user)
    .bind(created_at)
    .bind(expires_at)
    .run_one()
    .await
}

/// Uses a link up; says whether it was still good.
pub async fn use_enrolment(tx: &mut Tx, token: Digest, now: Timestamp) -> Result<bool, StoreError> {
    let used = tx
        .sql("UPDATE enrolments SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2")
        .bind(token)
        .bind(now)
        .run()
        .await?;
    Ok(used == 1)
}

/// Lets all links of an account that are still good expire at once.
pub async fn expire_enrolments(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<(), StoreError> {
    tx.sql(
        "UPDATE enrolments SET expires_at = $2 WHERE user_id = $1 AND used_at IS NULL AND expires_at > $2",
    )
    .bind(user)
    .bind(now)
    .run()
    .await?;
    Ok(())
}
