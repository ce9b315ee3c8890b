//! How often something was tried: one count per bucket and period, shared by all replicas.

use super::{Conn, StoreError, Tx};
use crate::domain::time::Timestamp;

/// Counts one try, and says how many that makes in this period.
pub async fn count(tx: &mut Tx, bucket: &str, period: Timestamp) -> Result<i64, StoreError> {
    tx.sql(
        "INSERT INTO throttles (bucket, period, count) VALUES ($1, $2, 1) \
         ON CONFLICT (bucket, period) DO UPDATE SET count = throttles.count + 1 RETURNING count",
    )
    .bind(bucket)
    .bind(period)
    .one()
    .await
}

/// Takes one try back.
pub async fn uncount(tx: &mut Tx, bucket: &str, period: Timestamp) -> Result<(), StoreError> {
    tx.sql("UPDATE throttles SET count = count - 1 WHERE bucket = $1 AND period = $2 AND count > 0")
        .bind(bucket)
        .bind(period)
        .run()
        .await?;
    Ok(())
}

/// Forgets the counts of periods before this one.
pub async fn forget_before(tx: &mut Tx, period: Timestamp) -> Result<(), StoreError> {
    tx.sql("DELETE FROM throttles WHERE period < $1").bind(period).run().await?;
    Ok(())
}
