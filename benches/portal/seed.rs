//! A portal with as many tickets as are wanted, filed, filled and voted on through the services.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign::clock::Env;
use countersign::demo::kit::{self, Kit};
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::evidence;
use countersign::domain::facts::Choice;
use countersign::domain::id::TicketNumber;
use countersign::domain::policy::RUNBOOK;
use countersign::domain::ticket::{TicketContent, TicketKind};
use countersign::domain::user::{Actor, Role};
use countersign::secret::grant::GrantKey;
use countersign::secret::hasher::{Cost, PasswordHasher};
use countersign::secret::password::PlainPassword;
use countersign::service::artifacts::Upload;
use countersign::service::review::Ballot;
use countersign::service::users::NewUser;
use countersign::service::{Limits, Services};
use countersign::store::{Db, OpenOptions, migrate};
use jiff::SignedDuration;

use crate::Fallible;

/// The application that every ticket is for, and its first stage.
pub const APPLICATION: &str = "trading-backend";
pub const STAGE: &str = "staging";
/// Everybody's password.
pub const PASSWORD: &str = "a tall ship and a star";
/// One ticket in so many has evidence and votes.
const FULL: usize = 20;
/// Lines of the large ticket's SQL.
pub const LINES: usize = 2000;
/// A word in the title of one ticket in five hundred, and one in the title of every fourth.
pub const RARE: &str = "settlement";
pub const COMMON: &str = "index";

/// What the seeding left behind, for whoever measures.
pub struct Seeded {
    /// Tickets with evidence and two approvals.
    pub full: Vec<TicketNumber>,
    /// A ticket with two versions of a long script.
    pub large: TicketNumber,
    pub took: Duration,
    pub bytes: u64,
}

/// Accounts of a seeded portal.
pub struct People {
    pub engineer: Actor,
    pub board: [Actor; 2],
}

/// Services on a database, with passwords at this cost.
pub async fn services(database: &Path, cost: Cost) -> Fallible<(Db, Services)> {
    let env = Env::system();
    let db = Db::open(&format!("sqlite:{}", database.display()), OpenOptions::default()).await?;
    migrate::migrate(&db, env.now()).await?;
    let hasher = PasswordHasher::with_cost(cost, env.clone())?;
    let grant = GrantKey::generate(&env);
    let limits = Limits {
        upload: 10 << 20,
        log: 10 << 20,
        session_idle: SignedDuration::from_hours(12),
        session_max: SignedDuration::from_hours(24),
    };
    Ok((db.clone(), Services::new(db, env, hasher, grant, limits)))
}

pub fn password() -> PlainPassword {
    PlainPassword::given(PASSWORD.to_owned())
}

/// Signs somebody in.
pub async fn sign_in(services: &Services, email: &str) -> Fallible<(Actor, String)> {
    let desk = std::net::IpAddr::from([127, 0, 0, 1]);
    let signed_in = services.sign_in(email, password(), desk, "bench").await?;
    Ok((signed_in.actor, signed_in.token.reveal().to_owned()))
}

/// An account with one role, signed in.
pub async fn person(services: &Services, name: &str, role: Role) -> Fallible<Actor> {
    let email = format!("{name}@example.com");
    let new = NewUser { email: email.clone(), name: name.to_owned(), roles: [role].into(), person: None };
    let created = services.add_user(None, new, None).await?;
    services.enrol(created.enrolment.reveal(), PASSWORD.to_owned()).await?;
    Ok(sign_in(services, &email).await?.0)
}

/// Fills an empty database with `tickets` tickets.
pub async fn fill(database: &Path, tickets: usize) -> Fallible<Seeded> {
    let started = Instant::now();
    let (db, services) = services(database, Cost::Test).await?;
    services.apply_policy(None, RUNBOOK).await?;
    let people = People {
        engineer: person(&services, "priya", Role::Engineer).await?,
        board: [
            person(&services, "daniel", Role::Board).await?,
            person(&services, "marta", Role::Board).await?,
        ],
    };
    // Marta votes at the cost of the least hash, nora at that of the real one.
    {
        let (other, dear) = self::services(database, Cost::Standard).await?;
        person(&dear, "nora", Role::Board).await?;
        other.close().await;
    }
    let mut full = Vec::new();
    for n in 1..tickets {
        let number = services.file_ticket(&people.engineer, APPLICATION, content(n)).await?;
        if n % FULL == 0 {
            complete(&services, &people, number).await?;
            full.push(number);
        }
    }
    let large = services.file_ticket(&people.engineer, APPLICATION, content(tickets)).await?;
    for version in 0..2 {
        upload(
            &services,
            &people.engineer,
            large,
            ArtifactKind::UpgradeSql,
            "upgrade.sql",
            script(version).into(),
        )
        .await?;
    }
    db.close().await;
    let bytes = std::fs::metadata(database)?.len();
    Ok(Seeded { full, large, took: started.elapsed(), bytes })
}

/// What the `n`th ticket asks for.
pub fn content(n: usize) -> TicketContent {
    const VERBS: [&str; 4] = ["Add", "Drop", "Widen", "Rename"];
    const THINGS: [&str; 4] = [COMMON, "column", "constraint", "view"];
    const TABLES: [&str; 9] =
        ["trades", "orders", "accounts", "positions", "quotes", "fills", "limits", "desks", "venues"];
    let table = if n % 500 == 499 { RARE } else { TABLES[n % TABLES.len()] };
    TicketContent {
        title: format!("{} the {} {n} of {table}", VERBS[n / 4 % VERBS.len()], THINGS[n % THINGS.len()]),
        description:
            "The desk heads asked for it.\n\nNothing reads the old shape any more: see the release notes."
                .to_owned(),
        kind: TicketKind::Normal,
        release_tag: format!("v2025.11.{n}"),
        prior_release_tag: "v2025.10.23".to_owned(),
        from_revision: kit::FROM.to_owned(),
        to_revision: kit::TO.to_owned(),
        authors: Vec::new(),
        emergency: None,
        external_links: Vec::new(),
    }
}

/// A script of [`LINES`] lines; each version has another twentieth of them.
fn script(version: usize) -> String {
    let mut text = String::from("-- A long one.\n");
    for line in 1..LINES {
        let note = if line % 20 == version { "changed" } else { "kept" };
        let statement =
            format!("INSERT INTO venue_codes (id, code, note) VALUES ({line}, 'V{line:05}', '{note}');\n");
        text.push_str(&statement);
    }
    text
}

pub async fn upload(
    services: &Services,
    engineer: &Actor,
    number: TicketNumber,
    kind: ArtifactKind,
    name: &str,
    bytes: Vec<u8>,
) -> Fallible<()> {
    let upload = Upload { kind, filename: name.to_owned(), bytes: bytes.into() };
    services.upload(engineer, number, STAGE, upload).await?;
    Ok(())
}

/// Evidence, acceptances, ticks and two approvals.
async fn complete(services: &Services, people: &People, number: TicketNumber) -> Fallible<()> {
    let now = services.now();
    let kit = Kit::new(STAGE, now - SignedDuration::from_hours(2), now - SignedDuration::from_hours(1));
    for file in kit.files()? {
        upload(services, &people.engineer, number, file.kind, &file.name, file.bytes).await?;
    }
    let [first, _] = &people.board;
    let facts = facts(services, first, number).await?;
    for finding in facts.this.findings.iter().filter(|finding| finding.blocks()) {
        services.accept_finding(first, number, STAGE, finding.id, "Agreed with the desk heads.").await?;
    }
    for item in facts.this.policy.preflight_items().filter(|item| item.is_attested()) {
        services.tick(&people.engineer, number, STAGE, &item.key, true, "seen").await?;
    }
    for voter in &people.board {
        vote(services, voter, number, Choice::Approve).await?;
    }
    Ok(())
}

pub async fn facts(
    services: &Services,
    reader: &Actor,
    number: TicketNumber,
) -> Fallible<countersign::domain::facts::Facts> {
    services.dossier(reader, number).await?.facts(STAGE).ok_or_else(|| "a ticket without its stage".into())
}

/// Votes on the evidence that stands.
pub async fn vote(services: &Services, voter: &Actor, number: TicketNumber, choice: Choice) -> Fallible<()> {
    let seen = evidence::of(&facts(services, voter, number).await?)?.digest;
    let ballot = Ballot { choice, seen, comment: "Read in full.".to_owned(), acknowledged: false };
    let proof = services.reauthenticate(voter, &password()).await?;
    services.vote(voter, proof, number, STAGE, ballot).await?;
    Ok(())
}
