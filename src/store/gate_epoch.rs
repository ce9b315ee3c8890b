//! The one row that everything closing gates for many tickets at once raises, and that redemption locks too.

use super::{Conn, StoreError, Tx};

/// Raises the epoch, and keeps other writers of gates waiting until the transaction ends. Comes after the rows of tickets
/// and environments, before all others.
pub async fn raise(tx: &mut Tx) -> Result<i64, StoreError> {
    tx.sql("UPDATE gate_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch").one().await
}
