//! How often passwords may be tried. Tries are counted before they are checked and taken back when they succeed, so that
//! many at once can't slip past the count; the counts are in the database, so replicas share them.

use std::net::IpAddr;

use jiff::SignedDuration;

use super::{ServiceError, Services};
use crate::domain::digest::Digest;
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::store::{Tx, throttles};

/// Counts begin anew this often.
const PERIOD: SignedDuration = SignedDuration::from_mins(15);

/// Failures in a period for one account from one network: what a person mistypes.
const PER_ACCOUNT_AND_NETWORK: i64 = 10;

/// Failures in a period for one account from everywhere. Higher, so that one stranger can't lock its owner out.
const PER_ACCOUNT: i64 = 25;

/// Failures in a period from one network, which may be an office.
const PER_NETWORK: i64 = 100;

/// Something whose failures are counted, and how many it may have.
pub(super) struct Bucket {
    name: String,
    limit: i64,
}

impl Bucket {
    fn new(kind: &str, key: &str, limit: i64) -> Self {
        // People type passwords into the field for the address: what was typed must not be stored.
        Self { name: format!("{kind}:{}", Digest::of(key.as_bytes())), limit }
    }

    /// The buckets of a sign-in. Always in this order, so that two tries can't wait for each other.
    pub(super) fn of_sign_in(email: &str, client: IpAddr) -> Vec<Self> {
        let network = network(client);
        vec![
            Self::new("network", &network, PER_NETWORK),
            Self::new("account-network", &format!("{network} {email}"), PER_ACCOUNT_AND_NETWORK),
            Self::new("account", email, PER_ACCOUNT),
        ]
    }

    /// The bucket of somebody who is signed in and proves it once more.
    pub(super) fn of_own_password(user: UserId) -> Vec<Self> {
        vec![Self::new("own-password", &user.to_string(), PER_ACCOUNT_AND_NETWORK)]
    }
}

/// A try that was counted.
pub(super) struct Tries {
    period: Timestamp,
    buckets: Vec<Bucket>,
}

impl Tries {
    /// Uncounts it: it succeeded, or was never decided.
    pub(super) async fn take_back(&self, tx: &mut Tx) -> Result<(), ServiceError> {
        for bucket in &self.buckets {
            throttles::uncount(tx, &bucket.name, self.period).await?;
        }
        Ok(())
    }

    /// Forgets counts that don't matter any more, leaving one period for replicas whose clock is behind.
    pub(super) async fn forget_older(&self, tx: &mut Tx) -> Result<(), ServiceError> {
        Ok(throttles::forget_before(tx, self.period - PERIOD).await?)
    }
}

impl Services {
    /// Counts a try, unless one of its buckets is full: then nothing is counted, and the try is not to be made.
    pub(super) async fn try_once(&self, buckets: Vec<Bucket>) -> Result<Tries, ServiceError> {
        let now = self.now();
        let period = beginning(now);
        let mut tx = self.db.write().await?;
        for bucket in &buckets {
            if throttles::count(&mut tx, &bucket.name, period).await? > bucket.limit {
                let left = (period + PERIOD).since(now).as_secs();
                return Err(ServiceError::Throttled { seconds: u64::try_from(left).unwrap_or(0).max(1) });
            }
        }
        tx.commit_unaudited("the count of a try; what comes of it is audited").await?;
        Ok(Tries { period, buckets })
    }

    /// [`Tries::take_back`] in a transaction of its own.
    pub(super) async fn take_back(&self, tries: &Tries) -> Result<(), ServiceError> {
        let mut tx = self.db.write().await?;
        tries.take_back(&mut tx).await?;
        tries.forget_older(&mut tx).await?;
        Ok(tx.commit_unaudited("a try that was no failure is not counted").await?)
    }
}

/// The beginning of the period that holds this instant.
fn beginning(now: Timestamp) -> Timestamp {
    let length = i64::try_from(PERIOD.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros() - now.as_micros().rem_euclid(length))
}

/// The network that an address stands for: a /24, or of IPv6 a /64. IPv4 within IPv6 is IPv4.
pub(super) fn network(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_network() {
        for (address, expected) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("203.0.113.250", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn periods_follow_each_other_without_a_gap() {
        for (instant, start) in [
            ("2025-11-20T12:14:59.999999Z", "2025-11-20T12:00:00Z"),
            ("2025-11-20T12:15:00Z", "2025-11-20T12:15:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:45:00Z"),
        ] {
            assert_eq!(beginning(instant.parse().unwrap()).to_string(), start);
        }
    }

    #[test]
    fn a_bucket_does_not_name_what_was_typed() {
        let buckets = Bucket::of_sign_in("ada@example.org", "203.0.113.7".parse().unwrap());
        assert!(buckets.iter().all(|bucket| !bucket.name.contains("ada") && !bucket.name.contains("203")));
    }
}
