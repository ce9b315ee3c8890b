//! Fills an empty portal: people and policies first, then the story, then the run that goes on.

use jiff::SignedDuration;

use super::cast::{Cast, Person, Who};
use super::play::{DemoError, Player};
use super::pulse::{BEAT, Pulse};
use super::story::{self, Times};
use crate::clock::{Env, PlayedClock};
use crate::domain::policy::RUNBOOK;
use crate::secret::token::PlainToken;
use crate::service::Services;

const POLICIES: [&str; 3] =
    [RUNBOOK, include_str!("data/reference-data.toml"), include_str!("data/market-data.toml")];

/// What there is once the portal is filled. Passwords and the token are kept nowhere else in the clear.
pub struct Seeded {
    pub people: Vec<Person>,
    /// The API token of Priya's pipeline, with every scope.
    pub pipeline_token: PlainToken,
    /// What keeps the running run alive.
    pub pulse: Pulse,
}

/// Fills an empty portal with a story that ends now. `env` has the clock that the portal goes by afterwards.
///
/// # Errors
/// When the portal is not empty, or its database fails.
pub async fn seed(services: &Services, env: &Env) -> Result<Seeded, DemoError> {
    let times = Times::before(env.now())?;
    let clock = PlayedClock::at(times.beginning());
    let played = services.with_env(Env { clock: std::sync::Arc::new(clock.clone()), ..env.clone() });
    let cast = Cast::assemble(&played, env).await?;
    for policy in POLICIES {
        played.apply_policy(Some(cast.actor(Who::Admin)?), policy).await?;
    }
    let mut stage_hand = Player::new(&played, &clock, &cast);
    stage_hand.play(story::acts(&times)?).await?;
    let (run, written) = stage_hand.running.ok_or(DemoError::Missing("the run that goes on"))?;
    let mut pulse = Pulse { pipeline: cast.pipeline.clone(), run, written, beats: 0 };
    // However long the story took to play, the run has to reach the present alive.
    while clock.advance(SignedDuration::try_from(BEAT).unwrap_or(SignedDuration::from_secs(10))) < env.now() {
        pulse.beat(&played).await?;
    }
    pulse.beat(&played.with_env(env.clone())).await?;
    Ok(Seeded { people: cast.people, pipeline_token: cast.pipeline_token, pulse })
}
