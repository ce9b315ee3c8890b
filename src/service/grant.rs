//! The signed grant: who may run what, on whose approval. Verifies offline with the portal's public key.

use serde_json::{Value, json};

use super::{ServiceError, Services};
use crate::domain::digest::canonical_json;
use crate::domain::facts::{Facts, Vote};
use crate::domain::gate::Clearance;
use crate::domain::presented::Expected;
use crate::domain::run::{ApplyToken, Run};
use crate::secret::grant::IN_TOTO;

/// What the predicate is, without pointing to anybody's host.
const PREDICATE: &str = "urn:countersign:grant:v1";

/// What a grant speaks of.
#[derive(Clone, Copy)]
pub(super) struct Granted<'a> {
    pub facts: &'a Facts,
    pub token: &'a ApplyToken,
    pub run: &'a Run,
    pub expected: &'a Expected,
    pub clearance: &'a Clearance,
    /// What carries it: votes on this evidence, or on the run that a rollback undoes.
    pub approvals: &'a [&'a Vote],
}

impl Services {
    /// Signs what was just authorised; the text is stored and answered byte for byte.
    pub(super) fn sign_grant(&self, granted: &Granted<'_>) -> Result<String, ServiceError> {
        let Granted { facts, token, run, expected, clearance, approvals } = *granted;
        let (from, to) = facts.range();
        let subjects: Vec<Value> = facts
            .authorised_files()
            .iter()
            .map(|a| json!({"name": format!("{}/{}", a.kind, a.filename), "digest": {"sha256": a.sha256}}))
            .collect();
        let approvals: Vec<Value> = approvals
            .iter()
            .map(|v| json!({"vote": v.id, "user": v.user, "person": v.person, "at": v.at}))
            .collect();
        let waived: Vec<&str> = clearance.waived().iter().map(|k| k.as_str()).collect();
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": PREDICATE,
            "predicate": {
                "run": run.id,
                "token": token.id,
                "ticket": facts.ticket.number,
                "application": facts.ticket.application_name,
                "stage": facts.this.stage.name,
                "direction": run.direction,
                "method": run.method,
                "undoes": run.undoes,
                "from_revision": from,
                "to_revision": to,
                "sql_digest": expected.sql_digest,
                "sql_sha256": expected.raw,
                "manifest_sha256": expected.manifest,
                "database": expected.database,
                "evidence_digest": clearance.evidence().digest,
                "approved_evidence": facts.ridden_run().map_or(clearance.evidence().digest, |r| r.evidence),
                "policy": {"version": facts.policy_version, "sha256": facts.policy_sha256},
                "waived": waived,
                "approvals": approvals,
                "released_by": token.released_by,
                "redeemed_by": run.redeemed_by,
                "redeemed_at": run.started_at,
                "window_ends": clearance.window_ends(),
            },
        });
        let payload = canonical_json(&statement)?;
        Ok(serde_json::to_string(&self.grant.sign(IN_TOTO, &payload))?)
    }

    /// The key that grants verify with, as PEM.
    pub fn grant_public_key(&self) -> String {
        self.grant.public().to_pem()
    }
}
