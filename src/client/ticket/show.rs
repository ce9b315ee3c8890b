//! `countersign ticket show`: the answer first, then what is behind it.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::client::With;
use crate::client::output::{Done, Failure};
use crate::client::portal::segment;
use crate::client::portal::shapes::{Earliest, Gates, Stage, Ticket};
use crate::domain::id::TicketNumber;
use crate::domain::ticket::TicketState;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub with: With,
    /// The ticket's number, such as CHG-1.
    ticket: TicketNumber,
    /// Only this stage.
    #[arg(long)]
    stage: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.with.open()?;
    let answer = portal.download(&format!("/tickets/{}", options.ticket))?;
    let (ticket, document): (Ticket, Value) = (answer.read()?, answer.read()?);
    let wanted = |stage: &&Stage| options.stage.as_ref().is_none_or(|name| *name == stage.name);
    let stages: Vec<&Stage> = ticket.stages.iter().filter(wanted).collect();
    if stages.is_empty() {
        let names: Vec<&str> = ticket.stages.iter().map(|stage| stage.name.as_str()).collect();
        return Err(Failure::failed("no-such-stage", format!("{} has no such stage.", ticket.number))
            .advise(format!("Its stages are {}.", names.join(", "))));
    }
    let mut text = format!(
        "{} {} ({}, {})\n{} → {}, release {}, filed by {}\n",
        ticket.number,
        ticket.title,
        ticket.application,
        ticket.kind,
        ticket.from_revision,
        ticket.to_revision,
        ticket.release_tag,
        ticket.requester.name
    );
    for alarm in &ticket.alarms {
        let stage = alarm.stage.as_deref().unwrap_or("the ticket");
        let _ = writeln!(text, "ALARM on {stage}: {}, {}", alarm.kind, alarm.at.words());
    }
    if ticket.state != TicketState::Open {
        let _ = writeln!(text, "The ticket is {}.", ticket.state);
    }
    let mut documents = Vec::new();
    for stage in stages {
        let path = format!("/tickets/{}/stages/{}/gates", ticket.number, segment(&stage.name));
        let answer = portal.download(&path)?;
        let (gates, gates_document): (Gates, Value) = (answer.read()?, answer.read()?);
        let _ = write!(text, "\n{}", of_stage(stage, &gates));
        documents.push(json!({"stage": stage.name, "gates": gates_document}));
    }
    text.push_str(&portal.page(&format!("/tickets/{}", ticket.number)));
    Ok(Done::new(text, json!({"ticket": document, "stages": documents})))
}

/// Can it be applied; if not, why, who can clear it, and when at the earliest.
fn of_stage(stage: &Stage, gates: &Gates) -> String {
    let mut text = format!("{}: ", stage.name);
    if gates.applicable {
        text.push_str("can be applied now\n");
    } else {
        let shut = gates.all.iter().filter(|gate| gate.blocked()).count();
        let _ = writeln!(text, "can’t be applied now: {shut} of {} gates are shut", gates.all.len());
        for blocker in gates.blockers() {
            let _ = writeln!(text, "  {}", blocker.line());
        }
        let _ = match &gates.earliest {
            Earliest::At(at) => writeln!(text, "  at the earliest {}, if people act", at.words()),
            Earliest::Why(why) => writeln!(text, "  no earliest moment: {why}"),
        };
    }
    for gate in gates.all.iter().filter(|gate| gate.status == "waived") {
        let _ = writeln!(text, "  waived: {}: {}", gate.label, gate.reason);
    }
    let _ = write!(text, "  phase {}", stage.phase);
    if let Some(run) = &stage.last_run {
        let at = run.revision_after.as_deref().map_or_else(String::new, |at| format!(", database at {at}"));
        let _ = write!(text, "; last {} {}, by {}{at}", run.direction, run.status, run.redeemed_by);
    }
    text.push('\n');
    text
}
