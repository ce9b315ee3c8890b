//! Requests to the portal, each beside a bare page of as many bytes.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign::domain::evidence;
use countersign::secret::hasher::Cost;

use crate::client::{Ask, Client};
use crate::report::{Line, median};
use crate::seed::{self, PASSWORD, RARE, STAGE, Seeded};
use crate::serve::{BARE, PORTAL, Server};
use crate::{Fallible, cpu};

/// Somebody's browser.
struct Browser {
    cookie: String,
    csrf: String,
}

struct Measured {
    wall: Duration,
    cpu: Duration,
    bytes: usize,
}

/// Both servers, and what is asked of them.
struct Run {
    portal: (Server, Client),
    bare: (Server, Client),
    times: usize,
}

impl Run {
    fn measure(
        (server, client): &mut (Server, Client),
        times: usize,
        status: u16,
        ask: impl Fn(usize) -> Ask,
    ) -> Fallible<Measured> {
        let warm = times / 10 + 3;
        let (mut walls, mut bytes, mut before) = (Vec::with_capacity(times), 0, Duration::ZERO);
        for n in 0..warm + times {
            if n == warm {
                before = cpu::of(server.id())?;
            }
            let ask = ask(n);
            let started = Instant::now();
            let answer = client.ask(&ask)?;
            if n >= warm {
                walls.push(started.elapsed());
            }
            if answer.status != status {
                let text: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
                return Err(format!("{} answered {}: {text}", ask.path, answer.status).into());
            }
            bytes = answer.body.len();
        }
        let cpu = cpu::of(server.id())?.saturating_sub(before) / u32::try_from(times)?;
        Ok(Measured { wall: median(&mut walls), cpu, bytes })
    }

    fn line(&mut self, name: &str, status: u16, ask: impl Fn(usize) -> Ask) -> Fallible<Line> {
        let times = if status == 200 { self.times } else { self.times.min(200) };
        let portal = Self::measure(&mut self.portal, times, status, ask)?;
        let path = format!("/?bytes={}", portal.bytes);
        let bare = Self::measure(&mut self.bare, self.times, 200, |_| Ask::get(path.as_str(), ""))?;
        Ok(Line {
            name: name.to_owned(),
            wall: portal.wall,
            cpu: portal.cpu,
            statements: None,
            bytes: Some(portal.bytes),
            bare: Some(bare.cpu),
        })
    }
}

/// The lines of the table, in its order.
pub async fn measure(database: &Path, seeded: &Seeded, times: usize) -> Fallible<Vec<Line>> {
    let (db, services) = seed::services(database, Cost::Standard).await?;
    let browser = async |email: &str| -> Fallible<Browser> {
        let (_, token) = seed::sign_in(&services, email).await?;
        let session = services.session_actor(&token).await?.ok_or("a session that is over")?;
        Ok(Browser { cookie: format!("csid={token}"), csrf: session.csrf.reveal().clone() })
    };
    let priya = browser("priya@example.com").await?;
    let (marta, nora) = (browser("marta@example.com").await?, browser("nora@example.com").await?);
    let reader = seed::sign_in(&services, "priya@example.com").await?.0;
    let mut ballots = Vec::new();
    for number in &seeded.full {
        let seen = evidence::of(&seed::facts(&services, &reader, *number).await?)?.digest;
        ballots.push((format!("/tickets/{number}/stages/{STAGE}/decide"), seen));
    }
    db.close().await;

    let start = |kind| -> Fallible<(Server, Client)> {
        let server = Server::start(kind, database)?;
        let client = Client::connect(server.address)?;
        Ok((server, client))
    };
    let mut run = Run { portal: start(PORTAL)?, bare: start(BARE)?, times };
    let full = &seeded.full;
    let page = |path: &str| -> Vec<String> { full.iter().map(|n| format!("/tickets/{n}{path}")).collect() };
    let large = format!("/tickets/{}/stages/{STAGE}", seeded.large);
    let pages = [
        ("list of 50", vec!["/tickets".to_owned()]),
        ("search, rare word", vec![format!("/tickets?q={RARE}")]),
        ("search, common word", vec![format!("/tickets?q={}", seed::COMMON)]),
        ("search, no match", vec!["/tickets?q=zzyzx".to_owned()]),
        ("queue", vec!["/".to_owned()]),
        ("ticket just filed", vec![format!("/tickets/{}", seeded.large)]),
        ("ticket with evidence", page("")),
        ("stage with evidence", page(&format!("/stages/{STAGE}"))),
        ("SQL, 2,000 lines", vec![format!("{large}/artifacts/upgrade-sql")]),
        ("diff of 2,000 lines", vec![format!("{large}/diff?kind=upgrade-sql&from={STAGE}:1&to={STAGE}:2")]),
    ];
    let mut lines = Vec::new();
    for (name, paths) in &pages {
        lines.push(run.line(name, 200, |n| Ask::get(paths[n % paths.len()].as_str(), &priya.cookie))?);
    }
    for (name, voter) in [("vote", &nora), ("vote, password check made cheap", &marta)] {
        let vote = |n: usize| {
            let (path, seen) = &ballots[n % ballots.len()];
            // Each vote differs from the voter's last one on the ticket, which would be recorded once.
            let choice = if (n / ballots.len()).is_multiple_of(2) { "reject" } else { "approve" };
            let password = PASSWORD.replace(' ', "+");
            let form = format!(
                "_csrf={}&evidence_digest={seen}&decision={choice}&comment=Read+in+full.&password={password}",
                voter.csrf
            );
            Ask { path: path.clone(), cookie: voter.cookie.clone(), form: Some(form) }
        };
        lines.push(run.line(name, 303, vote)?);
    }
    Ok(lines)
}
