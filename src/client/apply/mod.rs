//! `countersign apply` and `rollback`: what was approved is what runs, or nothing does.
//!
//! Everything that can be found wrong is found before the token is redeemed; what happens after it is on this machine's
//! disk before it happens, so that `--resume` can find out what is true. No command is ever started twice.

mod checks;
mod end;
mod execution;
mod grant;
mod leftover;
mod mask;
mod redeem;
mod resume;
mod signals;
mod state;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::output::{Done, Failure, note};
use super::portal::Portal;
use super::project::ProjectArgs;
use super::{OnStage, StageOf, fresh_key};
use crate::domain::run::{Direction, Method};
use checks::Checked;
use execution::Execution;
use signals::Signals;
use state::{Phase, Record, Release, Slot, VERSION};

/// What help adds to the options of `apply`.
pub(super) const APPLY_HELP: &str = "\
Examples:
  countersign apply CHG-1 --stage staging --release -- alembic upgrade head
  countersign apply CHG-1 --stage staging --token-file token -- alembic upgrade head
  countersign apply CHG-1 --stage staging --resume

The variable DATABASE_URL names the database that is changed; the API token comes from COUNTERSIGN_API_TOKEN or a file.
Before a token is redeemed, the scripts, the SQL that they render, their head and the revision of the database are compared
with what was approved. Exit codes: 0 applied, 1 failed or to be looked at, 2 wrong use, 3 refused and nothing ran, 4 the
portal can't be reached, 5 a signature does not verify.";

/// What help adds to the options of `rollback`.
pub(super) const ROLLBACK_HELP: &str = "\
Examples:
  countersign rollback CHG-1 --stage staging --method downgrade --release -- alembic downgrade d48b1e9c5f62
  countersign rollback CHG-1 --stage staging --method restore --backup trades.db --prior-tag-redeployed --release \\
    -- ./restore.sh trades.db
  countersign rollback CHG-1 --stage staging --method downgrade --resume

A downgrade starts from where the database is. After a run that succeeded, the approvals of that run carry it; after one
that ended half-way, a person's verdict comes first, then a downgrade rehearsed from there, with approvals of its own.
DATABASE_URL, COUNTERSIGN_API_TOKEN and the exit codes are as for `countersign apply`.";

/// What both commands take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    on: OnStage,
    /// A file with the apply token, or `-` for standard input; else the variable `COUNTERSIGN_APPLY_TOKEN`.
    #[arg(long, value_name = "FILE", conflicts_with = "release")]
    token_file: Option<PathBuf>,
    /// Release an apply token for this run, as the owner of the API token, once every check has passed; one that comes to
    /// nothing is revoked.
    #[arg(long)]
    release: bool,
    /// What the database says of itself, where policy wants to know.
    #[arg(long, value_name = "IDENTITY")]
    database: Option<String>,
    /// Where this machine remembers the run while it is under way; else below `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_STATE_DIR", hide_env_values = true)]
    state_dir: Option<PathBuf>,
    /// The portal's public key for grants, in PEM; else the one that the portal gives.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_GRANT_KEY_FILE", hide_env_values = true)]
    grant_key: Option<PathBuf>,
    /// Find out how an earlier run ended that was cut off here, and report that. Starts nothing.
    #[arg(long, conflicts_with_all = ["command", "token_file", "release"])]
    resume: bool,
    /// Seconds between two signs of life.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, hide = true)]
    heartbeat: u64,
    /// What to run, after `--`, in the project's folder and with `DATABASE_URL` as it is here; `{approved_sql}` in it becomes
    /// the approved file.
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "resume")]
    command: Vec<String>,
    #[command(flatten, next_help_heading = "Project")]
    project: ProjectArgs,
}

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct RollbackOptions {
    /// How: `downgrade` runs the approved downgrade SQL, `restore` puts the approved backup back.
    #[arg(long)]
    method: Method,
    /// The backup that a restore puts back; it has to be the approved one.
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// State that the prior release tag runs again when the command has ended; a restore needs it.
    #[arg(long)]
    prior_tag_redeployed: bool,
    #[command(flatten)]
    common: Common,
}

impl Options {
    pub(super) const fn json(&self) -> bool {
        self.common.on.with.json
    }
}

impl RollbackOptions {
    pub(super) const fn json(&self) -> bool {
        self.common.on.with.json
    }
}

/// How things are when somebody ends this before the token is redeemed.
const NOTHING_HAPPENED: &str = "nothing was redeemed, and nothing ran.";

/// What is to be done where.
#[derive(Clone, Debug)]
struct Target {
    at: StageOf,
    direction: Direction,
    method: Option<Method>,
    backup: Option<PathBuf>,
    prior_tag_redeployed: bool,
}

impl Target {
    /// What a token for this was released for.
    fn purpose(&self) -> Value {
        json!({
            "ticket": self.at.ticket,
            "stage": self.at.stage,
            "direction": self.direction,
            "method": self.method,
        })
    }

    fn gates_path(&self) -> String {
        let method = self.method.map_or_else(String::new, |method| format!("&method={method}"));
        format!("{}/gates?direction={}{method}", self.at.path(), self.direction)
    }

    fn command(&self) -> &'static str {
        match self.direction {
            Direction::Upgrade => "apply",
            Direction::Rollback => "rollback",
        }
    }

    /// What to type to find out how it ended.
    fn resume_command(&self) -> String {
        let method = self.method.map_or_else(String::new, |method| format!(" --method {method}"));
        format!(
            "countersign {} {} --stage {}{method} --resume, with the same --project and --state-dir",
            self.command(),
            self.at.ticket,
            self.at.stage
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The {} of {}", self.direction, self.at)
    }
}

/// `countersign apply`.
pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let target = Target {
        at: options.common.on.at.clone(),
        direction: Direction::Upgrade,
        method: None,
        backup: None,
        prior_tag_redeployed: false,
    };
    go(&options.common, &target)
}

/// `countersign rollback`.
pub(super) fn rollback(options: &RollbackOptions) -> Result<Done, Failure> {
    let restores = options.method == Method::Restore;
    if restores && !options.common.resume && (options.backup.is_none() || !options.prior_tag_redeployed) {
        return Err(Failure::usage(
            "A restore names the backup that it puts back, with --backup FILE, and states that the prior release tag runs \
             again when the command has ended, with --prior-tag-redeployed.",
        ));
    }
    let target = Target {
        at: options.common.on.at.clone(),
        direction: Direction::Rollback,
        method: Some(options.method),
        backup: options.backup.clone(),
        prior_tag_redeployed: options.prior_tag_redeployed,
    };
    go(&options.common, &target)
}

fn go(options: &Common, target: &Target) -> Result<Done, Failure> {
    let portal = options.on.with.open()?;
    let slot = Slot::claim(options.state_dir.as_deref(), portal.base(), target.at.ticket, &target.at.stage)?;
    if options.resume {
        return resume::resume(options, target, &portal, &slot);
    }
    nothing_left_open(&portal, target, &slot)?;
    let token =
        if options.release { None } else { Some(redeem::given_token(options.token_file.as_deref())?) };
    let key = grant::key(&portal, options.grant_key.as_deref())?;
    let mut signals = Signals::catch()?;
    let mut checked = checks::check(options, target, &portal, &slot, &signals)?;
    let mut record = prepare(options, target, &portal, &checked);
    slot.write(&record)?;
    signals.insist();
    let token = match token {
        Some(token) => token,
        None => redeem::release(&portal, target, &slot, &mut record)?,
    };
    if let Err(failure) = signals.check(NOTHING_HAPPENED) {
        redeem::take_back(&portal, target, &record);
        slot.forget(false);
        return Err(failure);
    }
    let redeemed = redeem::redeem(&portal, target, &slot, &record, &token, options.database.as_deref())?;
    // Only the command is left to hold a secret, and that has its own.
    drop(token);
    record.run = Some(redeemed.run.id);
    record.phase = Phase::Redeemed;
    slot.write(&record)?;
    note(&format!("{}: run {} is open.", target.at, redeemed.run.id));
    let verified =
        grant::verify(&key, &redeemed, &record, target).and_then(|()| checked.unchanged(&portal, target));
    let ending = end::Ending { target, portal: &portal, slot: &slot, project: &checked.project };
    if let Err(failure) = verified {
        // The run is open whatever was signed: it ends here, with nothing run.
        return Err(ending.not_started(&record, failure));
    }
    if let Err(failure) = signals.check("the command was not started.") {
        return Err(ending.not_started(&record, failure));
    }
    let execution = Execution::new(options, &portal, &slot, &redeemed.run);
    let log = match slot.new_log() {
        Ok(log) => log,
        Err(failure) => return Err(ending.not_started(&record, failure)),
    };
    record.phase = Phase::Started;
    slot.write(&record)?;
    match Execution::start(&checked.command, &checked.project, log) {
        Ok(child) => {
            let (ended, log) = execution.accompany(child, &signals);
            record.exit_code = Some(ended.exit_code());
            record.phase = Phase::Ended;
            slot.write(&record)?;
            ending.report(&record, Some(ended), log)
        }
        Err(failure) => Err(ending.not_started(&record, failure)),
    }
}

/// An earlier run of this machine that nobody has settled comes first.
fn nothing_left_open(portal: &Portal, target: &Target, slot: &Slot) -> Result<(), Failure> {
    slot.nothing_runs()?;
    let Some(record) = slot.read()? else { return Ok(()) };
    if record.phase == Phase::Prepared && resume::run_of(portal, &record)?.is_none() {
        resume::no_other_run(target, portal)?;
        redeem::take_back(portal, target, &record);
        slot.forget(false);
        return Ok(());
    }
    let message = format!("An earlier {} of {} was cut off here.", record.direction, target.at);
    Err(Failure::refused("unfinished", message)
        .advise(format!("Find out how it ended first: {}.", target.resume_command())))
}

fn prepare(options: &Common, target: &Target, portal: &Portal, checked: &Checked) -> Record {
    Record {
        version: VERSION,
        portal: portal.base().to_owned(),
        ticket: target.at.ticket,
        stage: target.at.stage.clone(),
        direction: target.direction,
        method: target.method,
        from: checked.gates.from_revision.clone(),
        to: checked.gates.to_revision.clone(),
        key: fresh_key(),
        sql_digest: checked.sql_digest,
        manifest_sha256: checked.manifest_sha256,
        revision_before: Some(checked.before.clone()),
        prior_tag_redeployed: target.prior_tag_redeployed,
        release: options.release.then(Release::fresh),
        phase: Phase::Prepared,
        run: None,
        exit_code: None,
    }
}

/// Where the database is. Only the command and the project's own Python ever see more than the address.
fn database_url() -> Result<String, Failure> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()).ok_or_else(|| {
        Failure::usage(
            "DATABASE_URL is not set: it says which database is changed, and stays on this machine.",
        )
    })
}

impl Common {
    const fn pulse(&self) -> Duration {
        Duration::from_secs(if self.heartbeat == 0 { 1 } else { self.heartbeat })
    }
}
