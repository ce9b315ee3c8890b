//! `countersign ticket list`.

use clap::Args;
use serde_json::Value;

use crate::client::With;
use crate::client::output::{Done, Failure};
use crate::client::portal::shapes::Page;
use crate::domain::ticket::{TicketKind, TicketState};

/// As many as the portal gives at once.
const AT_ONCE: usize = 100;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub with: With,
    /// Words that all have to occur.
    query: Vec<String>,
    /// draft, open, completed or abandoned.
    #[arg(long)]
    state: Option<TicketState>,
    /// The system whose database is changed.
    #[arg(long)]
    application: Option<String>,
    /// normal, standard or emergency.
    #[arg(long)]
    kind: Option<TicketKind>,
    /// The requester's address.
    #[arg(long, value_name = "EMAIL")]
    requester: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.with.open()?;
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while items.len() < options.limit {
        let mut query = vec![
            ("q", options.query.join(" ")),
            ("limit", (options.limit - items.len()).min(AT_ONCE).to_string()),
        ];
        let given = [
            ("state", options.state.map(|state| state.as_str().to_owned())),
            ("application", options.application.clone()),
            ("kind", options.kind.map(|kind| kind.as_str().to_owned())),
            ("requester", options.requester.clone()),
            ("cursor", cursor.take()),
        ];
        query.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let query = serde_urlencoded::to_string(&query).map_err(|error| Failure::usage(error.to_string()))?;
        let page: Page<Value> = portal.get(&format!("/tickets?{query}"))?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let lines: Vec<String> = items.iter().map(line).collect();
    let text = if lines.is_empty() { "No ticket is like this.".to_owned() } else { lines.join("\n") };
    Ok(Done::new(text, serde_json::json!({"items": items, "more": cursor.is_some()})))
}

fn line(ticket: &Value) -> String {
    let text = |name: &str| ticket[name].as_str().unwrap_or_default();
    let stages: Vec<String> = ticket["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stage| {
            let name = stage["name"].as_str().unwrap_or_default();
            let said = if stage["rolled_back"] == true {
                "rolled back"
            } else {
                stage["health"].as_str().or(stage["run_status"].as_str()).unwrap_or("not run")
            };
            format!("{name} {said}")
        })
        .collect();
    format!(
        "{}\t{}\t{}\t{}\t{}",
        text("number"),
        text("state"),
        text("application"),
        text("title"),
        stages.join(", ")
    )
}
