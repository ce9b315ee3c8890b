//! Everything that has to hold before a token is redeemed. Each thing that does not is one sentence and exit code 3.

use std::path::{Path, PathBuf};

use super::signals::Signals;
use super::state::Slot;
use super::{Common, Target, database_url};
use crate::alembic::formats;
use crate::alembic::manifest::{self, MigrationManifest};
use crate::alembic::report::DryRunReport;
use crate::client::output::{Blocker, Failure};
use crate::client::portal::Portal;
use crate::client::portal::shapes::{Artifact, Gates, Page, Presents, Ticket};
use crate::client::project::{self, Project, ProjectError, Render};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::run::{Direction, Method};
use crate::domain::sql_digest::SqlDigest;
use crate::sql::dialect::Dialect;
use crate::sql::normalise::sqlnorm1;

/// What stands for the approved file in a command.
const PLACE: &str = "{approved_sql}";

/// What was found right.
pub(super) struct Checked {
    pub project: Project,
    pub gates: Gates,
    /// What redemption presents.
    pub sql_digest: SqlDigest,
    pub manifest_sha256: Option<Digest>,
    /// Where the database is now.
    pub before: String,
    /// What is run, with the approved file in its place.
    pub command: Vec<String>,
    ticket: Ticket,
}

pub(super) fn check(
    options: &Common,
    target: &Target,
    portal: &Portal,
    slot: &Slot,
    signals: &Signals,
) -> Result<Checked, Failure> {
    let checked = check_all(options, target, portal, slot, signals);
    // Whoever stopped it knows why it ended, and wants to hear only that nothing happened.
    signals.check(super::NOTHING_HAPPENED)?;
    let mut checked = checked?;
    checked.project.stop_for_nobody();
    Ok(checked)
}

fn check_all(
    options: &Common,
    target: &Target,
    portal: &Portal,
    slot: &Slot,
    signals: &Signals,
) -> Result<Checked, Failure> {
    let url = database_url()?;
    let gates: Gates = portal.get(&target.gates_path())?;
    gates_open(options, target, &gates)?;
    let presents = gates.presents.clone().ok_or_else(|| {
        Failure::refused("no-approved-file", format!("{} has no approved file that could be run.", target.at))
    })?;
    identity(options, &presents)?;
    let ticket: Ticket = portal.get(&format!("/tickets/{}", target.at.ticket))?;
    let project = Project::open_until(&options.project, signals.stop()).map_err(not_as_approved)?;
    // Nothing that nobody approved comes near the database: the scripts first, and env.py with them.
    if target.direction == Direction::Upgrade {
        head_unmoved(&project, &gates.to_revision)?;
    }
    let manifest_sha256 = match presents.manifest_sha256 {
        Some(approved) => Some(scripts_unchanged(&project, portal, target, &ticket, approved)?),
        None => None,
    };
    let sql_digest = match target.method {
        Some(Method::Restore) => backup(target, &presents)?,
        Some(Method::Downgrade) | None => sql(options, target, portal, &project, &gates, &presents)?,
    };
    let command = placed(options, target, portal, slot, &presents)?;
    let command = found(&project, command)?;
    let before = one(&project.current(&url)?);
    if before != gates.from_revision {
        let at = if before.is_empty() { "no revision".to_owned() } else { before };
        return Err(Failure::refused(
            "other-revision",
            format!("The database is at {at}, and what was approved starts from {}.", gates.from_revision),
        )
        .advise(
            "Check DATABASE_URL; if it is right, the change has to be rehearsed and approved from there.",
        ));
    }
    let mut checked = Checked { project, gates, sql_digest, manifest_sha256, before, command, ticket };
    checked.unchanged(portal, target)?;
    Ok(checked)
}

impl Checked {
    /// The scripts once more, as they are on the disk by now: what was checked may have been replaced since.
    pub fn unchanged(&mut self, portal: &Portal, target: &Target) -> Result<(), Failure> {
        self.project.list_again().map_err(not_as_approved)?;
        if target.direction == Direction::Upgrade {
            head_unmoved(&self.project, &self.gates.to_revision)?;
        }
        if let Some(approved) = self.manifest_sha256 {
            scripts_unchanged(&self.project, portal, target, &self.ticket, approved)?;
        }
        Ok(())
    }
}

/// A project that can't be read is not the one that was approved, which could.
fn not_as_approved(error: ProjectError) -> Failure {
    let ours = ["E03", "E04", "E05"].contains(&error.code);
    let exit = if error.exit == 1 && !ours { 3 } else { error.exit };
    ProjectError { exit, ..error }.into()
}

/// The command with its program's full path: a name that leads nowhere must not cost a token and every approval.
fn found(project: &Project, mut command: Vec<String>) -> Result<Vec<String>, Failure> {
    let Some(program) = command.first_mut() else { return Err(Failure::usage("What is to be run?")) };
    let places: Vec<PathBuf> = if program.contains(std::path::is_separator) {
        vec![project.cwd().join(&program)]
    } else {
        project.search_path().into_iter().map(|folder| project.cwd().join(folder).join(&program)).collect()
    };
    let Some(place) = places.into_iter().find(|place| runs(place)) else {
        return Err(Failure::usage(format!("{program} is no program that could be run."))
            .advise("It is sought from the project’s folder, beside the project’s Python, and in PATH."));
    };
    text_path(&place)?.clone_into(program);
    Ok(command)
}

#[cfg(unix)]
fn runs(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runs(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

/// The revisions of a database as one text: mostly one, none before the first migration.
pub(super) fn one(revisions: &[String]) -> String {
    revisions.join(",")
}

/// A token that was handed over shuts the gate `single-run` by itself; whether it is this one, redemption will tell.
fn gates_open(options: &Common, target: &Target, gates: &Gates) -> Result<(), Failure> {
    let own_token = |blocker: &Blocker| !options.release && blocker.code == "token-outstanding";
    let shut: Vec<Blocker> = gates.blockers().into_iter().filter(|blocker| !own_token(blocker)).collect();
    if shut.is_empty() {
        return Ok(());
    }
    let message = format!("{target} is held back by its gates; no token was redeemed.");
    let advice = match target.direction {
        Direction::Upgrade => {
            format!(
                "`countersign ticket wait {} --stage {}` waits for them.",
                target.at.ticket, target.at.stage
            )
        }
        Direction::Rollback => "Clear them on the stage’s page, then run this again.".to_owned(),
    };
    Err(Failure::refused("gates-closed", message).advise(advice).blocked_by(shut))
}

fn identity(options: &Common, presents: &Presents) -> Result<(), Failure> {
    match (&presents.database, &options.database) {
        (Some(wanted), Some(given)) if wanted != given => Err(Failure::refused(
            "database-mismatch",
            format!("Policy names the database {wanted} for this environment, not {given}."),
        )),
        (Some(_), None) => {
            Err(Failure::usage("Policy wants to know which database this is: name it with --database."))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// `alembic upgrade head` goes to whatever the head is, so that has to be what was approved.
fn head_unmoved(project: &Project, to: &str) -> Result<(), Failure> {
    let heads = project.history()?.heads;
    if heads == [to] {
        return Ok(());
    }
    Err(Failure::refused(
        "head-moved",
        format!("The head of the migrations here is {}, and {to} was approved.", heads.join(" and ")),
    )
    .advise("Apply from the release tag that was approved."))
}

fn scripts_unchanged(
    project: &Project,
    portal: &Portal,
    target: &Target,
    ticket: &Ticket,
    approved: Digest,
) -> Result<Digest, Failure> {
    let here = project.manifest(&ticket.from_revision, &ticket.to_revision).map_err(not_as_approved)?;
    let digest = here.sha256().map_err(|error| Failure::failed("manifest", error.to_string()))?;
    if digest == approved {
        return Ok(digest);
    }
    let files = match approved_manifest(portal, target, approved) {
        Ok(Some(there)) => differences(&here, &there),
        // Which file it is would be good to know, but that something changed is known.
        Ok(None) | Err(_) => Vec::new(),
    };
    let message = if files.is_empty() {
        "The migration scripts here are not the ones that were approved.".to_owned()
    } else {
        format!("The migration scripts changed after they were approved: {}.", files.join(", "))
    };
    Err(Failure::refused("scripts-changed", message)
        .advise("Apply from the commit that was approved, or rehearse this one and have it approved."))
}

fn approved_manifest(
    portal: &Portal,
    target: &Target,
    approved: Digest,
) -> Result<Option<MigrationManifest>, Failure> {
    let all: Page<Artifact> = portal.get(&format!("{}/artifacts", target.at.path()))?;
    let Some(artifact) = all.items.iter().find(|a| a.sha256 == approved) else { return Ok(None) };
    let path = format!("{}/artifacts/{}?version={}", target.at.path(), artifact.kind, artifact.version);
    Ok(manifest::read(&portal.download(&path)?.into_bytes()).ok())
}

/// Each file that differs, and how.
fn differences(here: &MigrationManifest, there: &MigrationManifest) -> Vec<String> {
    let mut words = Vec::new();
    for file in &there.files {
        match here.files.iter().find(|f| f.path == file.path) {
            None => words.push(format!("{} is missing", file.path)),
            Some(now) if now.sha256 != file.sha256 => words.push(format!("{} differs", file.path)),
            Some(_) => {}
        }
    }
    let added = here.files.iter().filter(|file| there.files.iter().all(|f| f.path != file.path));
    words.extend(added.map(|file| format!("{} is new", file.path)));
    words
}

/// The SQL that these scripts mean, compared with what was approved.
fn sql(
    options: &Common,
    target: &Target,
    portal: &Portal,
    project: &Project,
    gates: &Gates,
    presents: &Presents,
) -> Result<SqlDigest, Failure> {
    let SqlDigest::Norm1(approved) = presents.sql_digest else {
        return if options.command.iter().any(|part| part.contains(PLACE)) {
            Ok(presents.sql_digest)
        } else {
            Err(Failure::refused(
                "unreproducible",
                "The approved SQL can’t be rendered again, so only the approved file itself may run.",
            )
            .advise(format!("Name it in the command as {PLACE}, such as: -- psql --file {PLACE}")))
        };
    };
    let direction = match target.direction {
        Direction::Upgrade => project::Direction::Upgrade,
        Direction::Rollback => project::Direction::Downgrade,
    };
    let dialect = dialect(options, target, portal)?;
    let Render { bytes, reproducible, .. } =
        project.render(direction, dialect, &gates.from_revision, &gates.to_revision)?;
    let here = sqlnorm1(&String::from_utf8_lossy(&bytes));
    if here == approved && reproducible {
        return Ok(presents.sql_digest);
    }
    let message = if reproducible {
        format!("These migrations render other SQL than the {} that was approved.", presents.kind.label())
    } else {
        "Two renders of these migrations differ, so they can’t be compared with what was approved.".to_owned()
    };
    Err(Failure::refused("sql-differs", message).advise(
        "Use the versions of Alembic and SQLAlchemy that the dry-run report names, with the same --dialect and settings.",
    ))
}

/// The dialect that was rehearsed, unless somebody names one.
fn dialect(options: &Common, target: &Target, portal: &Portal) -> Result<Dialect, Failure> {
    if let Some(dialect) = options.project.dialect {
        return Ok(dialect);
    }
    let report = portal
        .download(&format!("{}/artifacts/{}", target.at.path(), ArtifactKind::DryRunReport))?
        .into_bytes();
    let report: DryRunReport = formats::read(&report).map_err(|error| {
        Failure::failed("report", error.to_string()).advise("Name the dialect with --dialect.")
    })?;
    Ok(report.subject.dialect)
}

/// A restore puts back the backup that was approved, and no other.
fn backup(target: &Target, presents: &Presents) -> Result<SqlDigest, Failure> {
    let path = target.backup.as_deref().ok_or_else(|| Failure::usage("Name the backup with --backup."))?;
    let file = std::fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
    let here = crate::client::attach::digest(&file).map_err(|error| Failure::file(path, &error))?;
    if SqlDigest::Raw(here) == presents.sql_digest {
        return Ok(presents.sql_digest);
    }
    Err(Failure::refused("other-backup", format!("{} is not the backup that was approved.", path.display())))
}

/// The command with the approved file where it is asked for: fetched anew, and byte for byte what was approved.
fn placed(
    options: &Common,
    target: &Target,
    portal: &Portal,
    slot: &Slot,
    presents: &Presents,
) -> Result<Vec<String>, Failure> {
    if !options.command.iter().any(|part| part.contains(PLACE)) {
        return Ok(options.command.clone());
    }
    if !presents.kind.is_sql() {
        return Err(Failure::usage(format!("A restore runs no SQL, so {PLACE} stands for nothing.")));
    }
    let path = format!("{}/artifacts/{}?version={}", target.at.path(), presents.kind, presents.version);
    let bytes = portal.download(&path)?.into_bytes();
    if Digest::of(&bytes) != presents.sha256 {
        return Err(Failure::refused(
            "file-differs",
            "The portal’s file is not the one whose digest was approved.",
        ));
    }
    let path = slot.write_sql(&bytes)?;
    let text = text_path(&path)?;
    Ok(options.command.iter().map(|part| part.replace(PLACE, text)).collect())
}

fn text_path(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .ok_or_else(|| Failure::usage("A folder on the way to what is to be run has a name that is no text."))
}
