//! Differences of large files, each asked for the first time: until the page's first byte, beside the search alone.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::policy::RUNBOOK;
use countersign::domain::user::Role;
use countersign::secret::hasher::Cost;
use countersign::sql::diff::{TIME_LIMIT, diff};

use crate::Fallible;
use crate::client::{Ask, Client};
use crate::report::{Opened, median};
use crate::seed::{self, STAGE};
use crate::serve::{PORTAL, Server};

/// Of each script: 100 bytes a line, so 5 MB.
const LINES: usize = 50_000;
/// Pairs of each kind: one page is asked for once, since the portal keeps what it found.
const PAIRS: usize = 5;

/// A kind of change, and how many lines of a hundred it touches.
const KINDS: [(&str, usize); 3] =
    [("2 % of the lines touched", 2), ("20 % of the lines touched", 20), ("all lines different", 100)];

/// The rows of the table: a fresh portal in `folder`, and a new process for every kind of change.
pub async fn measure(folder: &Path) -> Fallible<Vec<Opened>> {
    let mut rows = Vec::new();
    for (name, touched) in KINDS {
        let database = folder.join(format!("large-{touched}.db"));
        let scripts: Vec<String> = (0..=PAIRS).map(|version| script(version, touched)).collect();
        let (db, services) = seed::services(&database, Cost::Test).await?;
        services.apply_policy(None, RUNBOOK).await?;
        let engineer = seed::person(&services, "priya", Role::Engineer).await?;
        let number = services.file_ticket(&engineer, seed::APPLICATION, seed::content(1)).await?;
        for text in &scripts {
            let bytes = text.clone().into_bytes();
            seed::upload(&services, &engineer, number, ArtifactKind::UpgradeSql, "upgrade.sql", bytes)
                .await?;
        }
        let cookie = format!("csid={}", seed::sign_in(&services, "priya@example.com").await?.1);
        db.close().await;

        let server = Server::start(PORTAL, &database)?;
        let mut client = Client::connect(server.address)?;
        client.ask(&Ask::get("/tickets", &cookie))?;
        let (mut search, mut first, mut bytes) = (Vec::new(), Vec::new(), 0);
        for version in 1..=PAIRS {
            let (old, new) = (scripts[version - 1].as_bytes(), scripts[version].as_bytes());
            let started = Instant::now();
            diff(old, new, TIME_LIMIT)?;
            search.push(started.elapsed());
            let sides = format!("from={STAGE}:{version}&to={STAGE}:{}", version + 1);
            let path = format!("/tickets/{number}/stages/{STAGE}/diff?kind=upgrade-sql&{sides}");
            let answer = client.ask(&Ask::get(path, &cookie))?;
            if answer.status != 200 {
                return Err(format!("the page answered {}", answer.status).into());
            }
            first.push(answer.first_byte);
            bytes = bytes.max(answer.body.len());
        }
        rows.push(Opened {
            name: name.to_owned(),
            search: median(&mut search),
            first_byte: median(&mut first),
            slowest: first.iter().max().copied().unwrap_or(Duration::ZERO),
            bytes,
        });
    }
    Ok(rows)
}

/// A script in which each version has touched other lines.
fn script(version: usize, touched: usize) -> String {
    let line = |n: usize| {
        // Spreads the touched lines, the same ones on every machine.
        let dice = n.wrapping_mul(2_654_435_761).wrapping_add(version * 37) >> 7;
        let note =
            if dice % 100 < touched { format!("changed by version {version}") } else { "kept".to_owned() };
        let text = format!("INSERT INTO venue_codes (id, code, note) VALUES ({n}, 'V{n:05}', '{note}");
        format!("{text:-<95}');\n")
    };
    (0..LINES).map(line).collect()
}
