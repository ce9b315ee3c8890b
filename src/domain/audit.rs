//! What the audit log records of an act: canonical bytes, and personal free text only as a salted commitment (RULES 27).

use serde::Serialize;
use serde_json::{Map, Value};

use super::digest::{Digest, canonical_json};
use super::id::{TicketId, TicketNumber, UserId};
use super::time::Timestamp;
use super::user::{Actor, Via};

/// One change of state, ready to be given its place in the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// `area.what-happened`, stable.
    pub kind: &'static str,
    pub at: Timestamp,
    /// Who acted; none where the portal itself did (a lease that lapsed).
    pub actor: Option<Actor>,
    pub ticket: Option<(TicketId, TicketNumber)>,
    pub stage: Option<String>,
    /// Ids, digests, names of states: nothing that anybody typed.
    pub data: Map<String, Value>,
    /// What somebody typed, with the salt that hides it in the log.
    pub text: Option<(String, [u8; 16])>,
}

#[derive(Serialize)]
struct Leaf<'a> {
    v: u8,
    seq: i64,
    time: Timestamp,
    #[serde(rename = "type")]
    kind: &'a str,
    actor: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<TicketNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
    data: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_commitment: Option<Digest>,
}

impl Event {
    pub fn user(&self) -> Option<UserId> {
        self.actor.as_ref().map(|a| a.user)
    }

    /// `SHA-256(salt || text)`: proves the text to whoever has it, tells nothing to whoever has not.
    pub fn commitment(&self) -> Option<Digest> {
        self.text.as_ref().map(|(text, salt)| {
            let mut bytes = salt.to_vec();
            bytes.extend_from_slice(text.as_bytes());
            Digest::of(&bytes)
        })
    }

    /// The RFC 8785 bytes of the event at its place in the log.
    ///
    /// # Errors
    /// When the data has no canonical form.
    pub fn canonical(&self, seq: i64) -> Result<String, serde_json::Error> {
        let actor = self.actor.as_ref().map_or_else(
            || serde_json::json!({"system": "countersign"}),
            |a| {
                let mut value = serde_json::json!({"user": a.user, "person": a.person});
                match &a.via {
                    Via::Session(session) => value["session"] = Value::String(session.to_string()),
                    Via::Token { id, .. } => value["api_token"] = Value::String(id.to_string()),
                    Via::Console => value["console"] = Value::Bool(true),
                }
                value
            },
        );
        let leaf = Leaf {
            v: 1,
            seq,
            time: self.at,
            kind: self.kind,
            actor,
            ticket: self.ticket.map(|t| t.1),
            stage: self.stage.as_deref(),
            data: &self.data,
            text_commitment: self.commitment(),
        };
        canonical_json(&leaf).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
