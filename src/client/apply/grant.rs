//! The grant: the portal's signed word for what may run. It is checked before anything runs, and verifies offline later.

use std::path::Path;

use serde_json::Value;

use super::Target;
use super::redeem::Redeemed;
use super::state::Record;
use crate::client::output::{Exit, Failure};
use crate::client::portal::Portal;
use crate::secret::grant::{GrantPublicKey, IN_TOTO};

/// The key that grants verify with: a pinned one, else the portal's word for it.
pub(super) fn key(portal: &Portal, pinned: Option<&Path>) -> Result<GrantPublicKey, Failure> {
    let (pem, from) = if let Some(path) = pinned {
        let pem = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        (pem, path.display().to_string())
    } else {
        let pem = portal.download("/keys/grant")?.into_bytes();
        (String::from_utf8_lossy(&pem).into_owned(), "/keys/grant".to_owned())
    };
    GrantPublicKey::from_pem(&pem).map_err(|_| {
        Failure::new(Exit::Unverified, "grant-key", format!("{from} holds no Ed25519 public key."))
    })
}

/// Whether the portal signed exactly what is about to run.
pub(super) fn verify(
    key: &GrantPublicKey,
    redeemed: &Redeemed,
    record: &Record,
    target: &Target,
) -> Result<(), Failure> {
    let wrong = |what: String| {
        Failure::new(
            Exit::Unverified,
            "grant",
            format!("The portal’s grant does not verify: {what}. Nothing ran."),
        )
        .advise("Somebody between here and the portal may be answering in its place: tell its operator.")
    };
    let payload =
        key.verify(IN_TOTO, redeemed.grant.get().as_bytes()).map_err(|why| wrong(why.to_string()))?;
    let statement: Value = serde_json::from_slice(&payload).map_err(|why| wrong(why.to_string()))?;
    let predicate = &statement["predicate"];
    let wanted = [
        ("run", Some(redeemed.run.id.to_string())),
        ("ticket", Some(target.at.ticket.to_string())),
        ("stage", Some(target.at.stage.clone())),
        ("direction", Some(target.direction.to_string())),
        ("method", target.method.map(|method| method.to_string())),
        ("from_revision", Some(record.from.clone())),
        ("to_revision", Some(record.to.clone())),
        ("sql_digest", Some(record.sql_digest.to_string())),
        ("manifest_sha256", record.manifest_sha256.map(|digest| digest.to_string())),
    ];
    for (name, value) in wanted {
        if predicate[name].as_str() != value.as_deref() {
            return Err(wrong(format!("it names another {name}")));
        }
    }
    let run = &redeemed.run;
    let same = run.ticket == target.at.ticket
        && run.stage == target.at.stage
        && (run.direction, run.method) == (target.direction, target.method)
        && run.sql_digest == record.sql_digest;
    if same { Ok(()) } else { Err(wrong("the run is another one".to_owned())) }
}
