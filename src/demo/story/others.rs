//! Two smaller applications with policies of their own: one with an open incident, one that changes at night.

use super::super::sample::{MARKET, REFERENCE};
use super::{Act, BadKit, Deed, Kit, Line, Request, Times, Who, content, mins};
use crate::domain::facts::Intent;
use crate::domain::ticket::{Emergency, TicketContent, TicketKind};

const INCIDENT: &str = "merged-counterparties";

pub(super) fn acts(times: &Times) -> Result<Vec<Act>, BadKit> {
    let mut acts = Vec::new();
    for line in [
        ready_for_the_night(times)?,
        observing(times)?,
        verifying(times)?,
        running(times)?,
        stopped_by_incident(times)?,
        released(times)?,
    ] {
        acts.extend(line.acts);
    }
    let title = "Orders are booked against merged counterparties";
    acts.push(Act {
        at: times.ago(4 * 60 + 12),
        ticket: "",
        stage: "",
        by: Who::Priya,
        deed: Deed::Declare { incident: INCIDENT, application: "reference-data", title },
    });
    Ok(acts)
}

/// The same request as an emergency.
fn emergency(content: TicketContent, reason: &str) -> TicketContent {
    let emergency = Some(Emergency { reason: reason.to_owned(), incident: None });
    TicketContent { kind: TicketKind::Emergency, emergency, ..content }
}

fn ready_for_the_night(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&MARKET, "ad51f08b37c6", "e40c92d1b7f5")?;
    let request = Request {
        application: "market-data",
        title: "Quotes name their venue",
        description: "Adds quotes.venue and fills it from the session that a quote came in.",
    };
    let by = Who::Tomasz;
    let mut line = Line::filed("venue", times.ago(52 * 60), by, &kit, &request);
    let ready = times.ago(50 * 60);
    line.on("staging")
        .reviewed(ready, by, Who::Ines, &kit)
        .signed(ready, &[(Who::Ines, "Fine for staging.")]);
    line.applied(times.ago(46 * 60), by, &kit)?;
    line.monitored(times.ago(22 * 60), by);
    line.healthy(times.ago(21 * 60), by, "The feed wrote all night, gap detection found nothing.");
    let ready = times.ago(8 * 60);
    line.on("production").reviewed(ready, by, Who::Marta, &kit);
    line.signed(ready, &[(Who::Marta, "Same bytes as on staging."), (Who::Daniel, "Good for tonight.")]);
    Ok(line)
}

fn observing(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&MARKET, "e40c92d1b7f5", "7f3bd6a9028c")?;
    let request = Request {
        application: "market-data",
        title: "Look up quotes by symbol, venue and time",
        description: "One index in place of another. The old one is dropped after the new one is there.",
    };
    let by = Who::Priya;
    let mut line = Line::filed("lookup", times.ago(13 * 60), by, &kit, &request);
    let ready = times.ago(12 * 60);
    line.on("staging").reviewed(ready, by, Who::Marta, &kit);
    line.signed(ready, &[(Who::Marta, "Order of the two statements is right.")]);
    line.applied(times.ago(9 * 60 + 20), by, &kit)?;
    line.monitored(times.ago(8 * 60 + 30), by);
    Ok(line)
}

fn verifying(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&MARKET, "7f3bd6a9028c", "1de7a4c09b83")?;
    let request = Request {
        application: "market-data",
        title: "Sessions keep the time zone of their venue",
        description: "A column that the next release fills. Nothing reads it yet.",
    };
    let by = Who::Priya;
    let mut line = Line::filed("zones", times.ago(5 * 60 + 30), by, &kit, &request);
    let ready = times.ago(5 * 60 + 20);
    line.on("staging").reviewed(ready, by, Who::Ines, &kit);
    line.signed(ready, &[(Who::Ines, "Can't break what doesn't read it.")]);
    // The smoke tests are still to come.
    line.ran(times.ago(34), by, &kit)?;
    Ok(line)
}

fn running(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&MARKET, "1de7a4c09b83", "c95e2d07fa41")?;
    let request = Request {
        application: "market-data",
        title: "Late quotes get their venue as well",
        description: "Fills quotes.venue for quotes that came in while the first fill ran. Takes a few hours.",
    };
    let by = Who::Tomasz;
    let at = times.ago(130);
    let reason = "Staging's gap alarm rings without a break, and hides real gaps until the late quotes have their venue.";
    let filing = Deed::File {
        application: request.application,
        content: emergency(content(&kit, at, &request), reason),
        incident: None,
    };
    let mut line = Line::with("late-quotes", at, by, filing);
    let ready = times.ago(124);
    line.on("staging").reviewed(ready, by, Who::Ines, &kit);
    line.signed(ready, &[(Who::Ines, "The alarm has to stop. One statement, and it can be repeated.")]);
    // The last acts of the story: whoever keeps the run alive takes over from here.
    line.act(times.ago(7), by, Deed::Release { intent: Intent::Upgrade });
    line.act(times.ago(6), by, Deed::Begin { log: kit.log(&kit.to)? });
    Ok(line)
}

fn stopped_by_incident(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&REFERENCE, "5b0e9d47c2a8", "c83fa1165e90")?;
    let request = Request {
        application: "reference-data",
        title: "Legal entity identifiers of counterparties",
        description: "A new column and its index; the nightly import fills it from then on.",
    };
    let by = Who::Priya;
    let mut line = Line::filed("lei", times.ago(29 * 60), by, &kit, &request);
    let ready = times.ago(28 * 60);
    line.on("production").reviewed(ready, by, Who::Daniel, &kit);
    line.signed(ready, &[(Who::Daniel, "Nothing is lost either way."), (Who::Ines, "Agreed.")]);
    Ok(line)
}

fn released(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&REFERENCE, "5b0e9d47c2a8", "20d7b96e4f3a")?;
    let request = Request {
        application: "reference-data",
        title: "Remove merged counterparties now",
        description: "Deletes the 37 rows that were merged into others, and keeps short codes unique from now on.",
    };
    let by = Who::Tomasz;
    let at = times.ago(3 * 60 + 40);
    let reason = "Every order that is booked against a merged counterparty has to be corrected by hand before settlement.";
    let filing = Deed::File {
        application: request.application,
        content: emergency(content(&kit, at, &request), reason),
        incident: Some(INCIDENT),
    };
    let mut line = Line::with("merged", at, by, filing);
    let ready = at + mins(20);
    line.on("production").reviewed(ready, by, Who::Marta, &kit);
    line.signed(
        ready,
        &[(Who::Marta, "The 37 rows are in the backup."), (Who::Daniel, "Ends the incident. Go.")],
    );
    line.act(times.ago(20), by, Deed::Release { intent: Intent::Upgrade });
    Ok(line)
}
