//! The apply token: where it comes from, and the one exchange in which it is used up.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::state::{Record, Release, Slot};
use super::{Target, resume};
use crate::client::output::{Exit, Failure, note};
use crate::client::portal::shapes::Run;
use crate::client::portal::{Portal, PortalError};
use crate::client::text_of;
use crate::domain::id::ApplyTokenId;
use crate::secret::Secret;
use crate::secret::token::{PlainToken, TokenKind};

/// The token that somebody released and handed over.
pub(super) fn given_token(file: Option<&Path>) -> Result<Secret<String>, Failure> {
    let text = match file {
        Some(path) => text_of(path)?,
        None => std::env::var("COUNTERSIGN_APPLY_TOKEN").map_err(|_| {
            Failure::usage(
                "An apply token is needed: --token-file FILE (`-` reads standard input), the variable \
                 COUNTERSIGN_APPLY_TOKEN, or --release to release one for this run.",
            )
        })?,
    };
    read_token(&text)
}

fn read_token(text: &str) -> Result<Secret<String>, Failure> {
    let text = text.trim();
    PlainToken::parse(TokenKind::Apply, text)
        .map_err(|why| Failure::usage(format!("This can’t be an apply token: {why}.")))?;
    Ok(Secret::new(text.to_owned()))
}

#[derive(Deserialize)]
struct Released {
    id: ApplyTokenId,
    token: Secret<String>,
}

/// Releases a token for this very run. The record is on the disk by now, and knows which token it was before this returns.
pub(super) fn release(
    portal: &Portal,
    target: &Target,
    slot: &Slot,
    record: &mut Record,
) -> Result<Secret<String>, Failure> {
    let answer = match ask(portal, target, &release_of(record).key) {
        Err(PortalError::Refused { problem, after }) if problem.code == "already-released" => {
            // The secret was in the answer that got lost, so that token can be nobody's any more.
            let lost = problem.token_id.ok_or(PortalError::Refused { problem, after })?;
            revoke(portal, target, lost)?;
            keep(slot, record, Release::fresh())?;
            ask(portal, target, &release_of(record).key)
        }
        answer => answer,
    };
    match answer {
        Ok(released) => {
            let kept = keep(slot, record, Release { token: Some(released.id), ..release_of(record) });
            kept.and_then(|()| read_token(released.token.reveal())).inspect_err(|_| {
                take_back(portal, target, record);
                slot.forget(false);
            })
        }
        // A token may be out there: a resume takes it back.
        Err(error) if error.leaves_open() => {
            let failure = Failure::from(error);
            Err(Failure {
                message: format!(
                    "{} Whether a token was released is not known here; nothing ran.",
                    failure.message
                ),
                advice: Some(format!("When the portal answers again: {}.", target.resume_command())),
                ..failure
            })
        }
        Err(error) => {
            slot.forget(false);
            Err(error.into())
        }
    }
}

fn release_of(record: &Record) -> Release {
    record.release.clone().unwrap_or_else(Release::fresh)
}

fn keep(slot: &Slot, record: &mut Record, release: Release) -> Result<(), Failure> {
    record.release = Some(release);
    slot.write(record)
}

fn ask(portal: &Portal, target: &Target, key: &str) -> Result<Released, PortalError> {
    let intent = json!({"direction": target.direction, "method": target.method});
    portal.post(&format!("{}/apply-tokens", target.at.path()), &intent, key)?.read()
}

/// Revokes one token and no other. One that is gone already, by whatever way, is as good as revoked.
fn revoke(portal: &Portal, target: &Target, token: ApplyTokenId) -> Result<(), PortalError> {
    portal.delete(&format!("{}/apply-tokens?id={token}", target.at.path())).map(drop)
}

/// Takes the token back, if one was released for a run which never came: nobody else has it, and it would shut the gates.
/// Says what has become of it.
pub(super) fn take_back(portal: &Portal, target: &Target, record: &Record) -> &'static str {
    let Some(release) = &record.release else { return "the token is unused" };
    let revoked = match which(portal, target, release) {
        Ok(Some(token)) => revoke(portal, target, token),
        Ok(None) => return "no token is known to have been released for it",
        Err(error) => Err(error),
    };
    match revoked {
        Ok(()) => "the token that was released for it is revoked",
        Err(error) => {
            let why = Failure::from(error).message;
            note(&format!("The apply token that was released could not be revoked: {why}"));
            "the token that was released for it expires by itself"
        }
    }
}

/// The token that was released; none if there was none. Where the answer got lost, its key leads to it. Should the question
/// never have come to the portal, it is answered now: then there is a token to be revoked, too.
fn which(portal: &Portal, target: &Target, release: &Release) -> Result<Option<ApplyTokenId>, PortalError> {
    if release.token.is_some() {
        return Ok(release.token);
    }
    match ask(portal, target, &release.key) {
        Ok(released) => Ok(Some(released.id)),
        Err(PortalError::Refused { problem, .. }) if problem.code == "already-released" => {
            Ok(problem.token_id)
        }
        // The key is given back with a refusal, so nothing was done under it, by this API token at least.
        Err(PortalError::Refused { problem, .. }) if problem.status == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The run that was opened, and the right to it.
#[derive(Debug, Deserialize)]
pub(super) struct Redeemed {
    pub run: Run,
    pub grant: Box<RawValue>,
}

/// Redeems the token. The record is on the disk by now: should the answer get lost, its key leads to the run.
pub(super) fn redeem(
    portal: &Portal,
    target: &Target,
    slot: &Slot,
    record: &Record,
    token: &Secret<String>,
    database: Option<&str>,
) -> Result<Redeemed, Failure> {
    let body = json!({
        "token": token.reveal(),
        "sql_digest": record.sql_digest,
        "manifest_sha256": record.manifest_sha256,
        "database": database,
        "for": target.purpose(),
    });
    let answer = portal.post("/apply-tokens/redeem", &body, &record.key).and_then(|answer| answer.read());
    match answer {
        Ok(redeemed) => Ok(redeemed),
        Err(error) if error.leaves_open() => Err(unanswered(error, target)),
        Err(error) => {
            // A plain no may answer a repetition whose first try got through: only if there is no run is all as it was.
            match resume::run_of(portal, record) {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return Err(unanswered(error, target)),
            }
            take_back(portal, target, record);
            slot.forget(false);
            let failure = Failure::from(error);
            if failure.code == "already-redeemed" || failure.exit != Exit::Refused {
                return Err(failure);
            }
            let message = format!("{} Nothing ran.", failure.message);
            Err(Failure { message, ..failure })
        }
    }
}

fn unanswered(error: PortalError, target: &Target) -> Failure {
    let failure = Failure::from(error);
    Failure {
        message: format!(
            "{} Whether the token was redeemed is not known here; the command was not started.",
            failure.message
        ),
        advice: Some(format!("When the portal answers again: {}.", target.resume_command())),
        ..failure
    }
}
