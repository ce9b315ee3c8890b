//! Password hashes: argon2id on two dedicated threads that keep their memory, behind a bounded queue.
//!
//! Hashing on the runtime's blocking pool leaves one 19 MiB arena behind per thread that ever hashed; two threads with
//! memory of their own stay at two.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;

use super::password::PlainPassword;
use crate::clock::Env;

const THREADS: usize = 2;
/// Requests that may wait for a thread: at about 40 ms each, the last of them waits for two thirds of a second.
const QUEUE: usize = 32;
const SALT_LENGTH: usize = 16;
const OUTPUT_LENGTH: usize = 32;
/// A stored hash that asks for more memory (KiB) or passes than this was not written by us.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;

/// A stored password: the PHC string of its argon2id hash. `Debug` shows the name of the type.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as it was stored. It is read when a password is checked against it.
    pub const fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string to store.
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Why a password could be neither hashed nor checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many people are signing in at once; the same request may succeed in a second.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    #[error("the threads that check passwords have stopped")]
    Stopped,
    /// The stored hash is not one that this program writes.
    #[error("the stored password hash can't be read")]
    Unreadable,
    #[error("hashing the password failed: {0}")]
    Failed(#[from] argon2::Error),
}

/// How much work a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cost {
    /// 19 MiB and two passes, OWASP's figure: about 40 ms.
    #[default]
    Standard,
    /// The least that argon2 allows. For tests only.
    Test,
}

impl Cost {
    fn params(self) -> Result<Params, argon2::Error> {
        match self {
            Self::Standard => Params::new(19_456, 2, 1, Some(OUTPUT_LENGTH)),
            Self::Test => Params::new(Params::MIN_M_COST, 1, 1, Some(OUTPUT_LENGTH)),
        }
    }
}

enum Work {
    Hash { password: PlainPassword, salt: [u8; SALT_LENGTH], reply: Reply<PasswordHash> },
    Verify { password: PlainPassword, stored: Option<PasswordHash>, reply: Reply<bool> },
}

type Reply<T> = oneshot::Sender<Result<T, PasswordError>>;

/// Hashes and checks passwords. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct PasswordHasher {
    queue: SyncSender<Work>,
    env: Env,
    done: Arc<AtomicU64>,
}

impl PasswordHasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(env: Env) -> io::Result<Self> {
        Self::with_cost(Cost::Standard, env)
    }

    /// As [`start`](Self::start), at a cost of one's choice.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn with_cost(cost: Cost, env: Env) -> io::Result<Self> {
        let params = cost.params().map_err(io::Error::other)?;
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let done = Arc::new(AtomicU64::new(0));
        for number in 1..=THREADS {
            let (jobs, params, done) = (Arc::clone(&jobs), params.clone(), Arc::clone(&done));
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || Worker { params, blocks: Vec::new(), done }.serve(&jobs))?;
        }
        Ok(Self { queue, env, done })
    }

    /// The hash to store for a password, with a fresh salt.
    ///
    /// # Errors
    /// [`Busy`](PasswordError::Busy) at once if the queue is full.
    pub async fn hash(&self, password: &PlainPassword) -> Result<PasswordHash, PasswordError> {
        let (password, salt) = (password.clone(), self.env.bytes());
        self.submit(|reply| Work::Hash { password, salt, reply }).await
    }

    /// Whether this is the password behind the stored hash. Without a stored hash (an unknown person) the answer is no, and
    /// costs the same.
    ///
    /// # Errors
    /// [`Busy`](PasswordError::Busy) at once if the queue is full; [`Unreadable`](PasswordError::Unreadable), after the same
    /// work, if the stored hash is damaged.
    pub async fn verify(
        &self,
        password: &PlainPassword,
        stored: Option<&PasswordHash>,
    ) -> Result<bool, PasswordError> {
        let (password, stored) = (password.clone(), stored.cloned());
        self.submit(|reply| Work::Verify { password, stored, reply }).await
    }

    /// How many hashes have been computed, for the metrics.
    pub fn hashes_done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn submit<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(work(reply)).map_err(|error| match error {
            TrySendError::Full(_) => PasswordError::Busy,
            TrySendError::Disconnected(_) => PasswordError::Stopped,
        })?;
        answer.await.unwrap_or(Err(PasswordError::Stopped))
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHasher")
    }
}

/// One thread's state: the memory it keeps between hashes.
struct Worker {
    params: Params,
    blocks: Vec<Block>,
    done: Arc<AtomicU64>,
}

impl Worker {
    fn serve(mut self, jobs: &Mutex<Receiver<Work>>) {
        loop {
            // The lock is held while waiting, so the other thread waits for the lock instead: either way one wakes per job.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // A reply nobody waits for any more (the browser went away) is not worth a hash; nor is a failed send.
            match job {
                Ok(Work::Hash { password, salt, reply }) if !reply.is_closed() => {
                    let _ = reply.send(self.hash(&password, salt));
                }
                Ok(Work::Verify { password, stored, reply }) if !reply.is_closed() => {
                    let _ = reply.send(self.verify(&password, stored.as_ref()));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn hash(
        &mut self,
        password: &PlainPassword,
        salt: [u8; SALT_LENGTH],
    ) -> Result<PasswordHash, PasswordError> {
        let output = self.argon2(&self.params.clone(), password, &salt)?;
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.into(),
            version: Some(Version::V0x13.into()),
            params: (&self.params).try_into().map_err(|_| PasswordError::Unreadable)?,
            salt: Some(phc::Salt::new(&salt).map_err(|_| PasswordError::Unreadable)?),
            hash: Some(phc::Output::new(&output).map_err(|_| PasswordError::Unreadable)?),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    fn verify(
        &mut self,
        password: &PlainPassword,
        stored: Option<&PasswordHash>,
    ) -> Result<bool, PasswordError> {
        if let Some(stored) = stored.and_then(Stored::read) {
            let output = self.argon2(&stored.params, password, &stored.salt)?;
            return Ok(output.ct_eq(&stored.output).into());
        }
        self.argon2(&self.params.clone(), password, &[0; SALT_LENGTH])?;
        if stored.is_some() { Err(PasswordError::Unreadable) } else { Ok(false) }
    }

    fn argon2(
        &mut self,
        params: &Params,
        password: &PlainPassword,
        salt: &[u8],
    ) -> Result<[u8; OUTPUT_LENGTH], argon2::Error> {
        if self.blocks.len() < params.block_count() {
            self.blocks.resize(params.block_count(), Block::new());
        }
        let mut output = [0; OUTPUT_LENGTH];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()).hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            &mut output,
            &mut self.blocks,
        )?;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(output)
    }
}

/// What a PHC string of ours says.
struct Stored {
    params: Params,
    salt: Vec<u8>,
    output: [u8; OUTPUT_LENGTH],
}

impl Stored {
    fn read(stored: &PasswordHash) -> Option<Self> {
        let phc = phc::PasswordHash::new(&stored.0).ok()?;
        let ours = phc.algorithm == Algorithm::Argon2id.into() && phc.version == Some(Version::V0x13.into());
        let params = Params::try_from(&phc).ok()?;
        let bounded =
            params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES && params.p_cost() == 1;
        let output = phc.hash?.as_bytes().try_into().ok()?;
        (ours && bounded).then_some(Self { params, salt: phc.salt?.to_vec(), output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::PlayedClock;
    use crate::domain::time::Timestamp;

    fn env() -> Env {
        Env::repeatable(&PlayedClock::at(Timestamp::default()), 11)
    }

    fn hasher() -> PasswordHasher {
        PasswordHasher::with_cost(Cost::Test, env()).unwrap()
    }

    fn plain(text: &str) -> PlainPassword {
        PlainPassword::given(text.to_owned())
    }

    #[tokio::test]
    async fn the_right_password_is_accepted_and_any_other_is_not() {
        let hasher = hasher();
        let stored = hasher.hash(&plain("seven grey herons")).await.unwrap();
        assert_eq!(hasher.verify(&plain("seven grey herons"), Some(&stored)).await, Ok(true));
        for wrong in ["seven grey heron", "seven grey herons ", "Seven grey herons", ""] {
            assert_eq!(hasher.verify(&plain(wrong), Some(&stored)).await, Ok(false), "{wrong:?}");
        }
        let again = hasher.hash(&plain("seven grey herons")).await.unwrap();
        assert_ne!(again, stored, "every hash has its own salt");
    }

    #[tokio::test]
    async fn the_standard_cost_is_written_into_the_hash_and_another_program_reads_it() {
        use argon2::PasswordVerifier as _;

        let hasher = PasswordHasher::start(env()).unwrap();
        let stored = hasher.hash(&plain("seven grey herons")).await.unwrap();
        assert!(stored.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.as_phc());
        let read = phc::PasswordHash::new(stored.as_phc()).unwrap();
        Argon2::default().verify_password(b"seven grey herons", &read).unwrap();
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_checked_at_its_own_cost() {
        let cheap = hasher().hash(&plain("seven grey herons")).await.unwrap();
        let hasher = PasswordHasher::start(env()).unwrap();
        assert_eq!(hasher.verify(&plain("seven grey herons"), Some(&cheap)).await, Ok(true));
    }

    #[tokio::test]
    async fn an_unknown_person_and_a_damaged_hash_cost_one_hash_each() {
        let hasher = hasher();
        assert_eq!(hasher.verify(&plain("seven grey herons"), None).await, Ok(false));
        assert_eq!(hasher.hashes_done(), 1);
        let damaged = [
            "",
            "$argon2id$v=19$m=8,t=1,p=1",
            "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=4000000,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ];
        for (already, phc) in (1_u64..).zip(damaged) {
            let stored = PasswordHash::from_stored(phc.to_owned());
            let answer = hasher.verify(&plain("seven grey herons"), Some(&stored)).await;
            assert_eq!(answer, Err(PasswordError::Unreadable), "{phc}");
            assert_eq!(hasher.hashes_done(), already + 1);
        }
    }

    #[tokio::test]
    async fn a_full_queue_answers_busy_at_once() {
        let (queue, jobs) = sync_channel(1);
        let hasher = PasswordHasher { queue, env: env(), done: Arc::default() };
        let waiting = plain("seven grey herons");
        let mut first = Box::pin(hasher.verify(&waiting, None));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert_eq!(hasher.verify(&waiting, None).await, Err(PasswordError::Busy));
        drop(jobs);
        assert_eq!(first.await, Err(PasswordError::Stopped));
        assert_eq!(hasher.verify(&waiting, None).await, Err(PasswordError::Stopped));
    }

    #[tokio::test]
    async fn debug_prints_names_and_never_the_secret() {
        let hasher = hasher();
        let stored = hasher.hash(&plain("seven grey herons")).await.unwrap();
        assert_eq!(format!("{stored:?} {hasher:?}"), "PasswordHash PasswordHasher");
    }
}
