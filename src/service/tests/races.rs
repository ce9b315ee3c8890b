//! Acts that race each other on several replicas of one portal: whichever comes first, the log that is read back is
//! lawful, and a token opens one run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;

use super::replay;
use super::scene::{Scene, code, content};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Intent};
use crate::domain::gate::GateReport;
use crate::domain::id::{RunId, UserId};
use crate::domain::run::{Outcome, RunVerdict};
use crate::domain::ticket::{Emergency, TicketKind};
use crate::domain::user::{Actor, Role};
use crate::service::artifacts::Upload;
use crate::service::review::{Ballot, Reauthenticated};
use crate::service::testing::{self, log};
use crate::service::tokens::{Presented, Redeemed, Released};
use crate::service::{ServiceError, Services};
use crate::store::Engine;

fn long() -> bool {
    std::env::var_os("TEST_LONG").is_some()
}

/// One portal as several processes see it: each with its own connections and caches.
async fn replicas(services: &Services, guard: &testing::Guard) -> Vec<Services> {
    let mut all = vec![services.clone()];
    for _ in 0..2 {
        all.push(guard.replica(services).await);
    }
    all
}

/// A ticket that may be applied at any time, with nothing left to do but to release the token.
async fn urgent<'a>(services: &'a Services, clock: &'a PlayedClock) -> Scene<'a> {
    let mut urgent = content(TicketKind::Emergency);
    let reason = "Orders are late and traders wait for it.".to_owned();
    urgent.emergency = Some(Emergency { reason, incident: None });
    let scene = Scene::with(services, clock, urgent).await;
    scene.prepare("staging").await;
    scene
}

fn presented(released: &Released) -> Presented {
    let expected = released.expected.clone();
    Presented { sql_digest: expected.sql_digest, manifest: expected.manifest, database: expected.database }
}

/// Redeems one token so many times at once, with the key that `key` gives to each.
async fn stampede(
    scene: &Scene<'_>,
    replicas: &[Services],
    released: &Arc<Released>,
    count: usize,
    key: fn(usize) -> Option<String>,
) -> Vec<Result<Redeemed, ServiceError>> {
    let barrier = Arc::new(Barrier::new(count));
    let racers: Vec<_> = (0..count)
        .map(|number| {
            let (services, ci) = (replicas[number % replicas.len()].clone(), scene.ci.clone());
            let (barrier, released) = (Arc::clone(&barrier), Arc::clone(released));
            tokio::spawn(async move {
                barrier.wait().await;
                let key = key(number);
                let secret = released.secret.reveal();
                loop {
                    let asked = services.redeem(&ci, secret, presented(&released), key.as_deref());
                    match asked.await {
                        // No answer, and nothing was recorded.
                        Err(ServiceError::Busy) => {}
                        answer => return answer,
                    }
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }
    answers
}

async fn one_token_opens_one_run(services: &Services, clock: &PlayedClock, guard: &testing::Guard) {
    let scene = urgent(services, clock).await;
    let replicas = replicas(services, guard).await;
    let count = if long() { 2_000 } else { 300 };

    // Each with a key of its own, or with none: one wins.
    let released = Arc::new(scene.release("staging").await.unwrap());
    let own = |number: usize| number.is_multiple_of(2).then(|| format!("key-{number}"));
    let answers = stampede(&scene, &replicas, &released, count, own).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "of {count} redemptions of one token");
    assert!(
        lost.iter().filter_map(|answer| answer.as_ref().err()).all(|error| code(error) == "already-redeemed")
    );
    let run = won.into_iter().next().unwrap().unwrap().run;
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    let runs: Vec<RunId> = dossier.stages[0].runs.iter().map(|run| run.id).collect();
    assert_eq!((runs, dossier.alarms.len()), (vec![run], 1));
    let events = log(services).await;
    let told = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!(told("token.redeemed"), 1);
    scene.finish(run, Outcome::Failed, Some(kit::FROM)).await.unwrap();
    replay::check(services).await;

    // All with the same key: one run, told to each in the same bytes.
    scene.agree("staging").await;
    let released = Arc::new(scene.release("staging").await.unwrap());
    let answers = stampede(&scene, &replicas, &released, count, |_| Some("retry".to_owned())).await;
    let answers: Vec<Redeemed> = answers.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.run == answers[0].run && answer.grant == answers[0].grant));
    assert_eq!(services.grant_of(answers[0].run).await.unwrap(), answers[0].grant);
    let dossier = services.dossier(&scene.priya, scene.ticket).await.unwrap();
    assert_eq!((dossier.stages[0].runs.len(), dossier.alarms.len()), (2, 1));
    replay::check(services).await;
}

/// How many rounds each side came first, and how many microseconds the one is now made to wait for the other.
#[derive(Debug, Default)]
struct Orders {
    one: u32,
    other: u32,
    lead: i64,
}

impl Orders {
    /// Whoever was first starts a little later the next time: so they stay close to each other.
    fn count(&mut self, one_first: bool) {
        *(if one_first { &mut self.one } else { &mut self.other }) += 1;
        self.lead += if one_first { 400 } else { -400 };
    }

    fn both_occurred(&self) {
        eprintln!("{self:?}");
        assert!(!long() || (self.one > 0 && self.other > 0), "{self:?}");
    }

    /// Runs two acts at once.
    async fn race<A: Send + 'static, B: Send + 'static>(
        &self,
        one: impl Future<Output = A> + Send + 'static,
        other: impl Future<Output = B> + Send + 'static,
    ) -> (A, B) {
        async fn start<T>(barrier: Arc<Barrier>, after: i64, act: impl Future<Output = T>) -> T {
            barrier.wait().await;
            if let Ok(after @ 1..) = u64::try_from(after) {
                tokio::time::sleep(Duration::from_micros(after)).await;
            }
            act.await
        }
        let barrier = Arc::new(Barrier::new(2));
        let one = tokio::spawn(start(Arc::clone(&barrier), self.lead, one));
        let other = tokio::spawn(start(barrier, -self.lead, other));
        (one.await.unwrap(), other.await.unwrap())
    }
}

fn rounds() -> usize {
    if long() { 500 } else { 40 }
}

/// Why gates kept an act from being done.
fn shut(error: &ServiceError) -> Vec<&'static str> {
    match error {
        ServiceError::Refused(crate::domain::refusal::Refusal::GatesClosed(report)) => {
            GateReport::blocked(report).map(|gate| gate.key.as_str()).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn ballot(scene: &Scene<'_>, who: &Actor, choice: Choice) -> (Reauthenticated, Ballot) {
    let seen = evidence::of(&scene.facts("staging").await).unwrap().digest;
    let ballot = Ballot { choice, seen, comment: "read in full".to_owned(), acknowledged: false };
    (Reauthenticated::as_user(who.user), ballot)
}

/// Releases a token while something is done that shuts these gates: whichever comes first, no token outlives it.
async fn meets_a_release<T: Send + 'static>(
    scene: &Scene<'_>,
    replica: &Services,
    orders: &mut Orders,
    act: impl Future<Output = T> + Send + 'static,
    gates: &[&str],
) -> T {
    let (replica, priya, ticket) = (replica.clone(), scene.priya.clone(), scene.ticket);
    let release = async move { replica.release(&priya, ticket, "staging", Intent::Upgrade).await };
    let (released, done) = Box::pin(orders.race(release, act)).await;
    orders.count(released.is_ok());
    match released {
        Ok(released) => {
            assert_eq!(code(&scene.redeem(&released, None).await.unwrap_err()), "token-revoked");
        }
        Err(error) => assert_eq!(shut(&error), gates),
    }
    assert!(!scene.outstanding("staging").await, "a token outlived what shut the gates");
    done
}

async fn a_withdrawal_meets_a_release(services: &Services, clock: &PlayedClock, guard: &testing::Guard) {
    let scene = urgent(services, clock).await;
    let replicas = replicas(services, guard).await;
    let mut orders = Orders::default();
    for _ in 0..rounds() {
        let (replica, daniel, ticket) = (replicas[2].clone(), scene.daniel.clone(), scene.ticket);
        let (proof, ballot_of) = ballot(&scene, &daniel, Choice::Withdraw).await;
        let withdraw = async move { replica.vote(&daniel, proof, ticket, "staging", ballot_of).await };
        let done =
            Box::pin(meets_a_release(&scene, &replicas[1], &mut orders, withdraw, &["approvals"])).await;
        done.unwrap();
        scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
    }
    replay::check(services).await;
    orders.both_occurred();
}

async fn an_upload_meets_a_release(services: &Services, clock: &PlayedClock, guard: &testing::Guard) {
    let scene = urgent(services, clock).await;
    let replicas = replicas(services, guard).await;
    let mut orders = Orders::default();
    for round in 0..rounds() {
        let (replica, ci, ticket) = (replicas[2].clone(), scene.ci.clone(), scene.ticket);
        let bytes = format!("round {round}").into_bytes().into();
        let upload = Upload { kind: ArtifactKind::Other, filename: "note.txt".to_owned(), bytes };
        let upload = async move { replica.upload(&ci, ticket, "staging", upload).await };
        let shut = ["checklist", "approvals"];
        let done = Box::pin(meets_a_release(&scene, &replicas[1], &mut orders, upload, &shut)).await;
        assert!(done.unwrap().created);
        scene.agree("staging").await;
    }
    replay::check(services).await;
    orders.both_occurred();
}

/// Closes an account while a token is redeemed that needs it.
async fn closing(
    scene: &Scene<'_>,
    replicas: &[Services],
    orders: &mut Orders,
    user: UserId,
    ci: &Actor,
) -> Result<Redeemed, ServiceError> {
    let released = Arc::new(scene.release("staging").await.unwrap());
    let (one, other) = (replicas[1].clone(), replicas[2].clone());
    let (ci, token) = (ci.clone(), Arc::clone(&released));
    let redeem = async move { one.redeem(&ci, token.secret.reveal(), presented(&token), None).await };
    let close = async move { other.deactivate_user(None, user).await };
    let (redeemed, closed) = orders.race(redeem, close).await;
    assert!(!closed.unwrap().active);
    orders.count(redeemed.is_ok());
    redeemed
}

async fn a_deactivation_meets_a_redemption(services: &Services, clock: &PlayedClock, guard: &testing::Guard) {
    let scene = urgent(services, clock).await;
    let replicas = replicas(services, guard).await;
    scene.vote(&scene.marta, "staging", Choice::Withdraw).await.unwrap();
    let (mut voters, mut owners) = (Orders::default(), Orders::default());
    for round in 0..rounds() {
        scene.accept_all("staging").await;
        scene.tick_all("staging").await;
        // In even rounds one of the two who approved goes, in odd ones whoever owns the redeeming token.
        let second = testing::person(services, &format!("voter.{round}@example.com"), &[Role::Board]).await;
        scene.vote(&scene.daniel, "staging", Choice::Approve).await.unwrap();
        scene.vote(&second, "staging", Choice::Approve).await.unwrap();
        if round.is_multiple_of(2) {
            match closing(&scene, &replicas, &mut voters, second.user, &scene.ci).await {
                Ok(redeemed) => {
                    drop(scene.finish(redeemed.run, Outcome::Failed, Some(kit::FROM)).await.unwrap());
                }
                Err(error) => {
                    assert_eq!(shut(&error), ["approvals"]);
                    services.revoke_token(&scene.priya, scene.ticket, "staging", None).await.unwrap();
                }
            }
        } else {
            let owner =
                testing::person(services, &format!("owner.{round}@example.com"), &[Role::Engineer]).await;
            let ci = super::scene::pipeline(services, &owner).await;
            match closing(&scene, &replicas, &mut owners, owner.user, &ci).await {
                Ok(redeemed) => {
                    // Nobody can report on it any more.
                    clock.advance(jiff::SignedDuration::from_secs(61));
                    let verdict = RunVerdict::NotApplied;
                    services.settle_run(&scene.daniel, redeemed.run, verdict, None, "looked").await.unwrap();
                }
                Err(error) => {
                    assert_eq!(code(&error), "not-signed-in");
                    services.revoke_token(&scene.priya, scene.ticket, "staging", None).await.unwrap();
                }
            }
        }
        // Whoever is left: the next round begins with new approvals.
        let withdrawn = scene.vote(&scene.daniel, "staging", Choice::Withdraw).await;
        assert!(withdrawn.is_ok(), "{withdrawn:?}");
    }
    replay::check(services).await;
    voters.both_occurred();
    owners.both_occurred();
}

macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() { super::play!(Sqlite, $name); }
        )+}
        mod on_pg_server {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() { super::play!(Postgres, $name); }
        )+}
    };
}

macro_rules! play {
    ($engine:ident, $name:ident) => {
        if let Some((services, clock, guard)) = super::testing::services(super::Engine::$engine).await {
            super::$name(&services, &clock, &guard).await;
        }
    };
}
use play;

on_both_engines! {
    one_token_opens_one_run, a_withdrawal_meets_a_release, an_upload_meets_a_release, a_deactivation_meets_a_redemption,
}
