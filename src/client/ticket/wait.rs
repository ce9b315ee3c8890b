//! `countersign ticket wait`: asks politely until the gates of a stage are open, and tells what changed meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::client::output::{Blocker, Done, Failure, note};
use crate::client::portal::shapes::Gates;
use crate::client::portal::{Portal, PortalError};
use crate::client::{OnStage, StageOf, length};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub on: OnStage,
    /// What to wait for: `applicable`, every gate is open or waived, or `approved`, the board has approved and the window may
    /// still be to come.
    #[arg(long, value_enum, default_value_t = Until::Applicable, hide_possible_values = true)]
    until: Until,
    /// How long to wait, such as 30m or 72h.
    #[arg(long, value_name = "LENGTH", default_value = "24h", value_parser = length)]
    timeout: Duration,
    /// How often to ask.
    #[arg(long, value_name = "LENGTH", default_value = "15s", value_parser = length)]
    every: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// Every gate is open or waived.
    Applicable,
    /// The board has approved; the window may still be to come.
    Approved,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applicable => "applicable",
            Self::Approved => "approved",
        })
    }
}

impl Until {
    fn reached(self, gates: &Gates) -> bool {
        match self {
            Self::Applicable => gates.applicable,
            Self::Approved => gates.gate("approvals").is_some_and(|gate| !gate.blocked()),
        }
    }
}

/// What shuts a gate for good, as far as waiting goes: only another act of a person changes it, not the one waited for.
const FINAL: [&str; 3] = ["ticket-not-open", "rejected", "already-applied"];

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.on.with.open()?;
    let started = Instant::now();
    let mut known = BTreeMap::new();
    let mut last: Option<(Gates, Value)> = None;
    loop {
        match ask(&portal, &options.on.at) {
            Ok((gates, document)) => {
                for line in changes(&mut known, &gates) {
                    note(&line);
                }
                if options.until.reached(&gates) {
                    let at = gates.evaluated_at.words();
                    return Ok(Done::new(format!("{} is {}, {at}.", options.on.at, options.until), document));
                }
                if let Some(never) = never(options.until, &gates) {
                    let message = format!("{} will not become {} by waiting.", options.on.at, options.until);
                    return Err(Failure::refused(&never.code, message).blocked_by(gates.blockers()));
                }
                last = Some((gates, document));
            }
            // Somebody who waits for days outlives a restart of the portal.
            Err(error) if error.passes() && last.is_some() => note(&Failure::from(error).message),
            Err(error) => return Err(error.into()),
        }
        let left = options.timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            let blockers = last.map(|(gates, _)| gates.blockers()).unwrap_or_default();
            let message =
                format!("{} is not {} yet; the time to wait is over.", options.on.at, options.until);
            return Err(Failure::refused("timeout", message).blocked_by(blockers));
        }
        thread::sleep(options.every.min(left));
    }
}

fn ask(portal: &Portal, at: &StageOf) -> Result<(Gates, Value), PortalError> {
    let answer = portal.download(&format!("{}/gates", at.path()))?;
    Ok((answer.read()?, answer.read()?))
}

/// What there is to tell: at first every gate that is shut, then each gate once whenever it changes.
fn changes(known: &mut BTreeMap<String, (String, String)>, gates: &Gates) -> Vec<String> {
    let mut lines = Vec::new();
    for gate in &gates.all {
        let now = (gate.status.clone(), gate.reason.clone());
        let before = known.insert(gate.key.clone(), now.clone());
        let news = before.as_ref().map_or_else(|| gate.blocked(), |before| *before != now);
        if news {
            let who = gate.cleared_by.as_ref().map_or_else(String::new, |who| format!(" (cleared by {who})"));
            lines.push(format!("{} {}: {}{who}", gate.key, gate.status, gate.reason));
        }
    }
    lines
}

/// The blocker that no waiting clears.
fn never(until: Until, gates: &Gates) -> Option<Blocker> {
    let blockers = gates.blockers();
    blockers.into_iter().find(|blocker| {
        let of_approvals = blocker.gate.as_deref() == Some("approvals") || blocker.code == "ticket-not-open";
        FINAL.contains(&blocker.code.as_str()) && (until == Until::Applicable || of_approvals)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gates(window: &str, approvals: &[&str]) -> Gates {
        let blockers: Vec<Value> = approvals
            .iter()
            .map(|code| json!({"code": code, "message": "m", "cleared_by": "c", "clears_at": null}))
            .collect();
        let status = if approvals.is_empty() { "open" } else { "blocked" };
        serde_json::from_value(json!({
            "applicable": window == "open" && approvals.is_empty(),
            "evaluated_at": "2026-11-24T14:00:00Z", "earliest": {"why": "x"},
            "from_revision": "a", "to_revision": "b", "presents": null,
            "gates": [
                {"key": "approvals", "label": "A", "status": status, "reason": "r", "cleared_by": null,
                 "clears_at": null, "blockers": blockers},
                {"key": "window", "label": "W", "status": window, "reason": window, "cleared_by": "time",
                 "clears_at": null, "blockers": []},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn each_change_is_told_once() {
        let mut known = BTreeMap::new();
        assert_eq!(
            changes(&mut known, &gates("blocked", &[])),
            ["window blocked: blocked (cleared by time)"]
        );
        assert!(changes(&mut known, &gates("blocked", &[])).is_empty());
        assert_eq!(changes(&mut known, &gates("open", &[])), ["window open: open (cleared by time)"]);
        assert!(changes(&mut known, &gates("open", &[])).is_empty());
    }

    #[test]
    fn approved_does_not_wait_for_the_window_and_a_rejection_ends_it() {
        assert!(Until::Approved.reached(&gates("blocked", &[])));
        assert!(!Until::Applicable.reached(&gates("blocked", &[])));
        assert!(never(Until::Approved, &gates("blocked", &["quorum-missing"])).is_none());
        for until in [Until::Approved, Until::Applicable] {
            assert!(never(until, &gates("blocked", &["rejected"])).is_some());
        }
        assert!(never(Until::Applicable, &gates("open", &["already-applied"])).is_some());
    }
}
