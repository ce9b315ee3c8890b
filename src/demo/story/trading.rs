//! The trading backend, by the runbook's policy: Tuesdays on staging, Thursdays in production.

use jiff::SignedDuration;

use super::super::sample::TRADING;
use super::{Act, BadKit, Deed, Kit, Line, Request, Talk, Times, Who, hours, mins, tag};
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::{Choice, Intent};
use crate::domain::run::{Health, Method, Outcome};
use crate::domain::time::Timestamp;
use crate::service::incidents::FreezeInput;

const APPLICATION: &str = "trading-backend";

/// Where databases are after each release.
const NOTIONAL: &str = "d9a7f3b06e58";
const LIMITS: &str = "e6c2b8a4f107";
const NO_LEGACY: &str = "f50d9e7b3a26";
const RETRIES: &str = "0c7e5d1b94fa";

const READ: &str = "Read in full, both directions.";
const AGREED: &str = "The dry run's figures match what the desk expects.";

pub(super) fn acts(times: &Times) -> Result<Vec<Act>, BadKit> {
    let mut acts = Vec::new();
    for line in [
        completed(times)?,
        rolled_back(times)?,
        abandoned(times)?,
        waiting_in_production(times)?,
        partly_applied(times)?,
        rejected(times)?,
        one_signature_short(times)?,
        half_attached(times)?,
        nothing_attached(times)?,
    ] {
        acts.extend(line.acts);
    }
    acts.extend(surroundings(times));
    Ok(acts)
}

const fn request(title: &'static str, description: &'static str) -> Request {
    Request { application: APPLICATION, title, description }
}

/// Staging: evidence the day before the window, two signatures, applied, watched for a day.
fn through_staging(line: &mut Line, tuesday: Timestamp, by: Who, kit: &Kit) -> Result<(), BadKit> {
    let ready = tuesday - hours(26);
    line.on("staging").reviewed(ready, by, Who::Marta, kit);
    line.signed(ready, &[(Who::Marta, READ), (Who::Daniel, AGREED)]);
    line.applied(tuesday + mins(6), by, kit)?;
    line.monitored(tuesday + hours(20), by);
    line.healthy(tuesday + hours(25), by, "A day of normal load, no new errors, /risk answers as before.");
    Ok(())
}

/// Production: evidence once staging is healthy, two signatures, applied in the window.
fn into_production(line: &mut Line, thursday: Timestamp, by: Who, kit: &Kit) -> Result<(), BadKit> {
    let ready = thursday - hours(21);
    line.on("production").reviewed(ready, by, Who::Ines, kit);
    line.signed(ready, &[(Who::Ines, READ), (Who::Daniel, "Same SQL as on staging, and staging was quiet.")]);
    line.applied(thursday + mins(4), by, kit)?;
    Ok(())
}

fn completed(times: &Times) -> Result<Line, BadKit> {
    let tuesday = times.tuesdays[2];
    let thursday = tuesday + hours(48);
    let kit = Kit::of(&TRADING, super::super::kit::FROM, NOTIONAL)?;
    let request = request(
        "Keep the notional of every trade",
        "Adds trades.notional and fills it for the trades that are there, so that /risk no longer multiplies on every \
         request.",
    );
    let by = Who::Priya;
    let mut line = Line::filed("notional", tuesday - hours(31), by, &kit, &request);
    through_staging(&mut line, tuesday, by, &kit)?;
    line.act(
        tuesday - hours(25) - mins(40),
        Who::Marta,
        Deed::Discuss(Talk {
            line: "SET notional = quantity * price",
            blocking: true,
            body: "How long is trades locked while this fills three million rows in production?",
            answers: &[
                (
                    Who::Priya,
                    "36 ms on the copy with 3,000 rows. Production's nightly copy took 31 s, and nobody trades at \
                     14:00 UTC on a Thursday before the US open.",
                ),
                (Who::Marta, "Half a minute in the window is fine."),
            ],
            resolved: true,
        }),
    );
    into_production(&mut line, thursday, by, &kit)?;
    line.monitored(thursday + mins(40), by);
    line.healthy(thursday + mins(48), by, "Trade log writer and scheduler loop are normal after 40 minutes.");
    let notes = format!(
        "Applied in both windows without a retry. /risk answers in a third of the time. The downgrade was rehearsed and \
         not needed; the backup of {} is kept until the next release.",
        tag(thursday)
    );
    line.act(thursday + mins(70), by, Deed::Complete { notes });
    Ok(line)
}

fn rolled_back(times: &Times) -> Result<Line, BadKit> {
    let tuesday = times.tuesdays[1];
    let thursday = tuesday + hours(48);
    let kit = Kit::of(&TRADING, NOTIONAL, LIMITS)?;
    let request = request(
        "Store risk limits as numbers",
        "Rebuilds risk_limits with a numeric threshold, a unique key and a check. Empty thresholds become 0.",
    );
    let by = Who::Tomasz;
    let mut line = Line::filed("limits", tuesday - hours(30), by, &kit, &request);
    through_staging(&mut line, tuesday, by, &kit)?;
    into_production(&mut line, thursday, by, &kit)?;
    let unhealthy = Deed::Judge {
        verdict: Health::Unhealthy,
        note: "Accounts whose threshold was “-” read 0 now, and every order of theirs is stopped.",
    };
    line.act(thursday + mins(19), by, unhealthy);
    let back = Intent::Rollback(Method::Downgrade);
    let undone = |log: &str| Deed::Run {
        log: log.to_owned(),
        outcome: Outcome::Succeeded,
        before: LIMITS.to_owned(),
        after: NOTIONAL.to_owned(),
    };
    let log = format!(
        "INFO  [alembic.runtime.migration] Running downgrade {LIMITS} -> {NOTIONAL}, risk limits: numeric threshold\n"
    );
    line.act(thursday + mins(27), by, Deed::Release { intent: back });
    line.act(thursday + mins(28), by, undone(&log));
    line.on("staging").act(thursday + hours(19), by, Deed::Release { intent: back });
    line.act(thursday + hours(19) + mins(1), by, undone(&log));
    let notes = "Undone in production 23 minutes after it was applied, and on staging the day after. Staging's snapshot had \
                 no threshold of “-”: the next attempt is rehearsed on production's rows first.";
    line.act(thursday + hours(21), by, Deed::Complete { notes: notes.to_owned() });
    Ok(line)
}

fn abandoned(times: &Times) -> Result<Line, BadKit> {
    let filed = times.tuesdays[1] - hours(52);
    let kit = Kit::of(&TRADING, NOTIONAL, RETRIES)?;
    let request = request(
        "Risk limits, legacy references, indexes and retries in one release",
        "Everything that has gathered since the notional.",
    );
    let mut line = Line::filed("everything", filed, Who::Priya, &kit, &request);
    let kit = kit.rehearsed("staging", filed + hours(2));
    line.on("staging").act(filed + hours(2), Who::Priya, Deed::Attach { kit, only: &[] });
    let reason = "Too much for one window: the drop of legacy_ref needs an export first, the rest does not. Split into \
                  three tickets.";
    line.act(filed + hours(24), Who::Priya, Deed::Abandon { reason });
    Ok(line)
}

fn waiting_in_production(times: &Times) -> Result<Line, BadKit> {
    let tuesday = times.tuesdays[0];
    let kit = Kit::of(&TRADING, NOTIONAL, LIMITS)?;
    let request = request(
        "Store risk limits as numbers, second attempt",
        "As before, but thresholds of “-” are taken for empty where they occur: in production. The scripts read the \
         placeholder from the environment, so production's SQL differs from staging's in one line.",
    );
    let by = Who::Tomasz;
    let mut line = Line::filed("limits-again", tuesday - hours(29), by, &kit, &request);
    through_staging(&mut line, tuesday, by, &kit)?;
    let ready = times.ago(20 * 60).max(tuesday + hours(26));
    let kit = kit.with_upgrade("threshold = '';", "threshold IN ('', '-');");
    line.on("production").reviewed(ready, by, Who::Ines, &kit);
    line.act(
        ready + mins(12),
        Who::Ines,
        Deed::Discuss(Talk {
            line: "threshold IN ('', '-')",
            blocking: true,
            body: "Is 0 right for “-”? Last time 0 stopped every order of those accounts.",
            answers: &[
                (
                    Who::Tomasz,
                    "The new release reads 0 as “no limit of its own” and falls back to the desk's.",
                ),
                (Who::Ines, "Seen in the release notes of the tag. Fine with me."),
            ],
            resolved: true,
        }),
    );
    Ok(line)
}

fn partly_applied(times: &Times) -> Result<Line, BadKit> {
    let tuesday = times.tuesdays[0];
    let kit = Kit::of(&TRADING, LIMITS, RETRIES)?;
    let request = request(
        "Drop legacy references; indexes for the audit screens",
        "Drops trades.legacy_ref, which the export of October has kept, and adds two indexes and the scheduler's retries.",
    );
    let by = Who::Priya;
    let mut line = Line::filed("legacy", tuesday - hours(27), by, &kit, &request);
    let ready = tuesday - hours(25);
    line.on("staging").reviewed(ready, by, Who::Ines, &kit);
    line.signed(ready, &[(Who::Ines, READ), (Who::Marta, AGREED)]);
    let log = format!(
        "{}sqlite3.OperationalError: database or disk is full\n[SQL: CREATE INDEX ix_trades_symbol_executed_at ON trades \
         (symbol, executed_at)]\n",
        kit.log(RETRIES)?
    );
    line.act(tuesday + mins(41), by, Deed::Release { intent: Intent::Upgrade }).act(
        tuesday + mins(43),
        by,
        Deed::Run { log, outcome: Outcome::Failed, before: LIMITS.to_owned(), after: NO_LEGACY.to_owned() },
    );
    let text = kit.downgrade_from(NO_LEGACY)?;
    let upload =
        Deed::Upload { kind: ArtifactKind::DowngradeSql, name: "downgrade-from-f50d9e7b3a26.sql", text };
    line.act(tuesday + hours(2), by, upload);
    line.act(
        tuesday + hours(3),
        Who::Daniel,
        Deed::Discuss(Talk {
            line: "DROP COLUMN legacy_ref",
            blocking: false,
            body: "The column is gone and the index isn't there. Are you rolling back or asking for more disk?",
            answers: &[(
                Who::Priya,
                "Rolling back. The downgrade from f50d9e7b3a26 is attached; its dry run follows once the disk is larger.",
            )],
            resolved: false,
        }),
    );
    Ok(line)
}

fn rejected(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&TRADING, LIMITS, NO_LEGACY)?;
    let request = request(
        "Drop trades.legacy_ref on its own",
        "In case the larger release slips: nothing reads the column since the settlement reports moved.",
    );
    let mut line = Line::filed("legacy-alone", times.ago(27 * 60), Who::Tomasz, &kit, &request);
    let kit = kit.rehearsed("staging", times.ago(26 * 60));
    line.on("staging").act(times.ago(26 * 60), Who::Tomasz, Deed::Attach { kit, only: &[] });
    let comment =
        "2,000 values go for good and no export is linked. Attach where they are kept, then I look again.";
    line.act(times.ago(25 * 60), Who::Daniel, Deed::Vote { choice: Choice::Reject, comment });
    Ok(line)
}

fn one_signature_short(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&TRADING, NO_LEGACY, RETRIES)?;
    let request = request(
        "Indexes for the audit and trade screens, scheduler retries",
        "Two indexes and a column with a default. The screens time out on Mondays without them.",
    );
    let by = Who::Priya;
    let mut line = Line::filed("indexes", times.ago(24 * 60), by, &kit, &request);
    let first = times.ago(23 * 60);
    line.on("staging").reviewed(first, by, Who::Marta, &kit).signed(first, &[(Who::Daniel, READ)]);
    line.act(
        first + hours(3),
        Who::Marta,
        Deed::Discuss(Talk {
            line: "max_retries INTEGER",
            blocking: true,
            body: "Three retries give up before the exchange's nightly pause is over. Was five not agreed?",
            answers: &[
                (Who::Priya, "It was. A new render with five follows this afternoon."),
                (Who::Marta, "Then I sign that one."),
            ],
            resolved: true,
        }),
    );
    let second = times.ago(9 * 60);
    let kit = kit.with_upgrade("DEFAULT '3'", "DEFAULT '5'");
    line.reviewed(second, by, Who::Marta, &kit);
    line.act(
        second + mins(50),
        Who::Ines,
        Deed::Vote { choice: Choice::Approve, comment: "Five, as agreed. Fits the window easily." },
    );
    Ok(line)
}

fn half_attached(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&TRADING, LIMITS, RETRIES)?;
    let request = request(
        "Drop legacy references, second attempt",
        "The same release on a larger disk, once the first attempt is undone. Dry run pending.",
    );
    let mut line = Line::filed("legacy-again", times.ago(6 * 60), Who::Tomasz, &kit, &request);
    let only = &[ArtifactKind::UpgradeSql, ArtifactKind::DowngradeSql, ArtifactKind::MigrationHistory];
    let kit = kit.rehearsed("staging", times.ago(5 * 60));
    line.on("staging").act(times.ago(5 * 60), Who::Tomasz, Deed::Attach { kit, only });
    line.act(
        times.ago(4 * 60),
        Who::Ines,
        Deed::Discuss(Talk {
            line: "DROP COLUMN legacy_ref",
            blocking: true,
            body: "Link the export that keeps these values before this goes anywhere.",
            answers: &[],
            resolved: false,
        }),
    );
    Ok(line)
}

fn nothing_attached(times: &Times) -> Result<Line, BadKit> {
    let kit = Kit::of(&TRADING, NO_LEGACY, RETRIES)?;
    let request = request(
        "Retries for the end-of-day scheduler",
        "Filed ahead of the release so that the board knows of it. Evidence follows with the tag.",
    );
    Ok(Line::filed("retries", times.ago(3 * 60), Who::Priya, &kit, &request))
}

/// What closes gates for a while: an incident that is over, and a freeze that is to come.
fn surroundings(times: &Times) -> Vec<Act> {
    let thursday = times.tuesdays[1] + hours(48);
    let alone = |at, by, deed| Act { at, ticket: "", stage: "", by, deed };
    let incident = "orders-stopped";
    let declare =
        Deed::Declare { incident, application: APPLICATION, title: "Orders of 14 accounts are stopped" };
    // From midnight on, UTC.
    let from = times.now + hours(9 * 24);
    let from = from - SignedDuration::from_micros(from.as_micros() % 86_400_000_000);
    let freeze = Deed::Freeze(FreezeInput {
        application: None,
        environment: Some("production".to_owned()),
        starts_at: from,
        ends_at: from + hours(3 * 24),
        reason: "Quarter end: figures are drawn from production for three days.".to_owned(),
    });
    vec![
        alone(thursday + mins(15), Who::Tomasz, declare),
        alone(thursday + mins(55), Who::Tomasz, Deed::Resolve { incident }),
        alone(times.ago(31 * 60), Who::Daniel, freeze),
    ]
}
