//! What happened to a ticket, newest first: the audit log's entries, taken apart for reading.

use serde_json::{Map, Value};

use super::{ServiceError, Services};
use crate::domain::id::TicketId;
use crate::domain::time::Timestamp;
use crate::store::audit;

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    pub seq: i64,
    pub at: Timestamp,
    /// `area.what-happened`.
    pub kind: String,
    /// The actor's name today; none where the portal acted itself.
    pub who: Option<String>,
    /// The API token that the actor spoke through.
    pub by_token: bool,
    pub stage: Option<String>,
    /// Ids, digests and names of states: nothing that anybody typed.
    pub data: Map<String, Value>,
}

impl Services {
    /// The newest entries about a ticket, in one query. `limit` is at most 100.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ticket_events(
        &self,
        ticket: TicketId,
        limit: i64,
    ) -> Result<Vec<TimelineEntry>, ServiceError> {
        let mut read = self.db.read().await?;
        let entries = audit::newest(&mut read, Some(ticket), i64::MAX, limit.clamp(1, 100)).await?;
        entries.into_iter().map(read_entry).collect()
    }
}

fn read_entry(entry: audit::Entry) -> Result<TimelineEntry, ServiceError> {
    let mut leaf: Value = serde_json::from_str(&entry.event)?;
    let data = match leaf.get_mut("data").map(Value::take) {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    Ok(TimelineEntry {
        seq: entry.seq,
        at: entry.at,
        kind: entry.kind,
        who: entry.name,
        by_token: leaf.pointer("/actor/api_token").is_some(),
        stage: leaf.get("stage").and_then(Value::as_str).map(ToOwned::to_owned),
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_taken_apart() {
        let entry = audit::Entry {
            seq: 7,
            at: Timestamp::from_micros(0),
            kind: "artifact.uploaded".into(),
            event: r#"{"actor":{"api_token":"x","user":"u"},"data":{"version":3},"stage":"staging"}"#.into(),
            name: Some("Priya Nair".into()),
        };
        let read = read_entry(entry).unwrap();
        assert!(read.by_token);
        assert_eq!(read.stage.as_deref(), Some("staging"));
        assert_eq!(read.data["version"], 3);
    }
}
