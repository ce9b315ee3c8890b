//! Time and randomness: the only `now()` and the only random generator in the tree.
//!
//! Everything else is handed an [`Env`], so that a test or the demo can play the clock and repeat the dice.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use rand::rand_core::UnwrapErr;
use rand::rngs::{SysRng, Xoshiro256PlusPlus};
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

use crate::domain::time::Timestamp;

/// Something that knows what time it is.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that everything else asks")]
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }
}

/// A clock that stands still until it is moved. Clones share the hands.
#[derive(Clone, Debug)]
pub struct PlayedClock(Arc<AtomicI64>);

impl PlayedClock {
    /// A clock standing at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_micros())))
    }

    /// Moves the hands to `instant`, which may be in the past.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_micros(), Ordering::SeqCst);
    }

    /// Moves the hands by `length`, backwards if it is negative, and answers the new time.
    pub fn advance(&self, length: SignedDuration) -> Timestamp {
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.fetch_add(micros, Ordering::SeqCst).saturating_add(micros))
    }
}

impl Clock for PlayedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A source of random bytes.
pub trait Random: fmt::Debug + Send + Sync {
    /// Overwrites all of `into` with random bytes.
    fn fill(&self, into: &mut [u8]);
}

/// The operating system's generator, fit for secrets.
///
/// Panics if the system has no randomness to give: nothing secret may be made without it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, into: &mut [u8]) {
        UnwrapErr(SysRng).fill_bytes(into);
    }
}

/// A generator that repeats itself for the same seed, on every machine and in every version. For tests only: anybody can
/// compute its secrets.
pub struct SeededRandom(Mutex<Xoshiro256PlusPlus>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, into: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(into);
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRandom")
    }
}

/// The clock and the dice that a use case is given.
#[derive(Clone, Debug)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl Env {
    /// The machine's clock and the system's randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }

    /// A played clock with the system's randomness: what the demo seeds with.
    pub fn played(clock: &PlayedClock) -> Self {
        Self { clock: Arc::new(clock.clone()), random: Arc::new(SystemRandom) }
    }

    /// A played clock and repeatable dice: what tests use.
    pub fn repeatable(clock: &PlayedClock, seed: u64) -> Self {
        Self { clock: Arc::new(clock.clone()), random: Arc::new(SeededRandom::new(seed)) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A version 7 UUID: sorts by the microsecond of its making, and at random within one. Instants before 1970 count as 1970.
    pub fn uuid(&self) -> Uuid {
        let micros = u64::try_from(self.now().as_micros()).unwrap_or(0);
        let (millis, rest) = (micros / 1000, micros % 1000);
        // RFC 9562 §6.2 method 3: the 12 bits after the milliseconds hold the fraction of one.
        let fraction = u16::try_from(rest * 4096 / 1000).unwrap_or(0);
        let mut tail: [u8; 10] = self.bytes();
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> PlayedClock {
        PlayedClock::at("2025-11-20T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_played_clock_stands_still_until_it_is_moved_and_its_clones_move_with_it() {
        let clock = noon();
        let env = Env::repeatable(&clock, 1);
        let before = env.now();
        assert_eq!(env.now(), before);
        let after = clock.advance(SignedDuration::from_mins(90));
        assert_eq!(after.to_string(), "2025-11-20T13:30:00Z");
        assert_eq!(env.now(), after);
        clock.set(before);
        assert_eq!(env.now(), before);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let draw = |seed| Env::repeatable(&noon(), seed).bytes::<32>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let env = Env::repeatable(&noon(), 7);
        assert_ne!(env.bytes::<32>(), env.bytes::<32>());
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let env = Env::system();
        assert_ne!(env.bytes::<32>(), env.bytes::<32>());
    }

    #[test]
    fn uuids_are_version_7_of_the_clock_and_sort_by_the_microsecond() {
        let clock = noon();
        let env = Env::repeatable(&clock, 3);
        let uuids: Vec<Uuid> = (0..3000)
            .map(|_| {
                clock.advance(SignedDuration::from_micros(1));
                env.uuid()
            })
            .collect();
        assert!(uuids.is_sorted_by(|a, b| a < b));
        for uuid in &uuids {
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
        let (seconds, _) = uuids[0].get_timestamp().unwrap().to_unix();
        assert_eq!(i64::try_from(seconds).unwrap(), env.now().as_micros() / 1_000_000);
    }

    #[test]
    fn uuids_of_one_instant_differ() {
        let env = Env::repeatable(&noon(), 4);
        assert_ne!(env.uuid(), env.uuid());
    }
}
