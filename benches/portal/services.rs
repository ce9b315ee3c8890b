//! Use cases without HTTP: what the database and the rules cost.

use std::path::Path;
use std::time::Instant;

use countersign::domain::facts::Choice;
use countersign::domain::gate;
use countersign::secret::hasher::Cost;
use countersign::service::tickets::Filter;

use crate::report::{Line, median};
use crate::seed::{self, Seeded};
use crate::{Fallible, cpu};

/// Runs `$body` often and says what it took; `$services` counts the statements.
macro_rules! measured {
    ($services:expr, $times:expr, $name:expr, |$n:ident| $body:expr) => {{
        for $n in 0..$times / 10 + 3 {
            let _ = $n;
            std::hint::black_box($body);
        }
        let (statements, before) = ($services.queries(), cpu::of(std::process::id())?);
        let mut times = Vec::with_capacity($times);
        for $n in 0..$times {
            let _ = $n;
            let started = Instant::now();
            std::hint::black_box($body);
            times.push(started.elapsed());
        }
        let cost = cpu::of(std::process::id())?.saturating_sub(before);
        Line {
            name: $name.to_owned(),
            wall: median(&mut times),
            cpu: cost / u32::try_from($times)?,
            statements: Some(($services.queries() - statements) / u64::try_from($times)?),
            bytes: None,
            bare: None,
        }
    }};
}

/// The lines of the table, in its order.
pub async fn measure(database: &Path, seeded: &Seeded, times: usize) -> Fallible<Vec<Line>> {
    let (db, services) = seed::services(database, Cost::Test).await?;
    let (priya, session) = seed::sign_in(&services, "priya@example.com").await?;
    let (marta, _) = seed::sign_in(&services, "marta@example.com").await?;
    let full = &seeded.full;
    let of = |word: &str| Filter { q: vec![word.to_owned()], ..Filter::default() };
    let mut lines = vec![
        measured!(services, times, "session", |_n| services.session_actor(&session).await?),
        measured!(services, times, "list of 50", |_n| services.list_tickets(&Filter::default(), 50).await?),
    ];
    for (name, word) in [
        ("search, rare word", seed::RARE),
        ("search, common word", seed::COMMON),
        ("search, no match", "zzyzx"),
    ] {
        let filter = of(word);
        lines.push(measured!(services, times, name, |_n| services.list_tickets(&filter, 50).await?));
    }
    lines.push(measured!(services, times, "queue of 50", |_n| services.open_dossiers(&priya, 50).await?));
    lines.push(measured!(services, times, "ticket just filed", |_n| {
        services.dossier(&priya, seeded.large).await?
    }));
    lines.push(measured!(services, times, "ticket with evidence", |n| {
        services.dossier(&priya, full[n % full.len()]).await?
    }));
    let dossier = services.dossier(&priya, full[0]).await?;
    lines.push(measured!(services, times, "gates of both stages", |_n| {
        for facts in dossier.all_facts() {
            std::hint::black_box(gate::evaluate(&facts)?);
        }
    }));
    lines.push(measured!(services, times, "vote, two dossiers", |n| {
        let choice = if (n / full.len()).is_multiple_of(2) { Choice::Reject } else { Choice::Approve };
        seed::vote(&services, &marta, full[n % full.len()], choice).await?;
    }));
    db.close().await;
    Ok(lines)
}
