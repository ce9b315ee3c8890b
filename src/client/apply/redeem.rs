//! The apply token: where it comes from, and the one exchange in which it is used up.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::state::{Record, Slot};
use super::{Target, resume};
use crate::client::output::{Failure, note};
use crate::client::portal::shapes::Run;
use crate::client::portal::{Portal, PortalError};
use crate::client::{fresh_key, text_of};
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

/// Releases a token for this very run.
pub(super) fn release(portal: &Portal, target: &Target) -> Result<Secret<String>, Failure> {
    #[derive(Deserialize)]
    struct Released {
        token: Secret<String>,
    }
    let path = format!("{}/apply-tokens", target.at.path());
    let intent = json!({"direction": target.direction, "method": target.method});
    let answer = match portal.post(&path, &intent, &fresh_key()) {
        Err(error) if error.code() == Some("already-released") => {
            // The secret was in the answer that got lost, so that token can be nobody's any more.
            portal.delete(&path)?;
            portal.post(&path, &intent, &fresh_key())
        }
        answer => answer,
    };
    read_token(answer?.read::<Released>()?.token.reveal())
}

/// Takes a token back that was released for a run which never came: nobody else has it, and it would shut the gates.
pub(super) fn revoke(portal: &Portal, target: &Target) {
    // One that is gone already, by whatever way, is as good as revoked; where nobody answers, it expires by itself.
    if let Err(error) = portal.delete(&format!("{}/apply-tokens", target.at.path()))
        && error.leaves_open()
    {
        note(&format!("The apply token could not be revoked: {}", Failure::from(error).message));
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
            if record.released {
                revoke(portal, target);
            }
            slot.forget(false);
            let failure = Failure::from(error);
            if failure.code == "already-redeemed" || failure.exit != crate::client::output::Exit::Refused {
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
