//! A portal that is killed in the middle of its writing, again and again: whatever it had acknowledged is there when it
//! is opened the next time, with the audit event of each, and nothing is half there.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::replay;
use super::scene::content;
use crate::clock::Env;
use crate::demo::kit::Kit;
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::evidence;
use crate::domain::facts::Choice;
use crate::domain::id::{SessionId, TicketNumber};
use crate::domain::ticket::TicketKind;
use crate::domain::user::{Actor, Role, Via};
use crate::secret::grant::GrantKey;
use crate::secret::hasher::{Cost, PasswordHasher};
use crate::service::artifacts::Upload;
use crate::service::review::{Ballot, Reauthenticated};
use crate::service::testing::{new_user, runbook};
use crate::service::{Limits, ServiceError, Services};
use crate::store::{Conn as _, Db, OpenOptions, audit, migrate};

/// Tells the child which database is its own. Without it the child's test has nothing to do.
const DATABASE: &str = "TEST_KILLS_DATABASE";
const CHILD: &str = "service::tests::kills::a_child_writes_until_it_is_killed";
const TICKET: TicketNumber = TicketNumber(1);

/// Services on the file, as `serve` would open it.
async fn open(path: &Path) -> Services {
    let db = Db::open(path.to_str().unwrap(), OpenOptions::default()).await.unwrap();
    let env = Env::system();
    migrate::migrate(&db, env.now()).await.unwrap();
    let hasher = PasswordHasher::with_cost(Cost::Test, env.clone()).unwrap();
    let grant = GrantKey::generate(&env);
    let hour = jiff::SignedDuration::from_hours(1);
    let limits = Limits { upload: 10 << 20, log: 10 << 20, session_idle: hour, session_max: hour };
    Services::new(db, env, hasher, grant, limits)
}

async fn actor(services: &Services, name: &str) -> Actor {
    let user = services.find_user(&format!("{name}@example.com")).await.unwrap().unwrap();
    let via = Via::Session(SessionId(Uuid::from_u128(1)));
    Actor { user: user.id, person: user.person, name: user.name, roles: user.roles, via }
}

/// A ticket whose evidence is complete, and people who may work on it.
async fn prepare(path: &Path) {
    let services = open(path).await;
    runbook(&services).await;
    for (name, roles) in [("priya", [Role::Engineer]), ("daniel", [Role::Board])] {
        services.add_user(None, new_user(&format!("{name}@example.com"), &roles), None).await.unwrap();
    }
    let priya = actor(&services, "priya").await;
    let ticket = services.file_ticket(&priya, "trading-backend", content(TicketKind::Normal)).await.unwrap();
    assert_eq!(ticket, TICKET);
    let now = services.now();
    for file in Kit::new("staging", now, now).files().unwrap() {
        let upload = Upload { kind: file.kind, filename: file.name, bytes: file.bytes.into() };
        services.upload(&priya, TICKET, "staging", upload).await.unwrap();
    }
    services.db.close().await;
}

/// One write, and the line that acknowledges it; none if it was lawfully refused.
async fn write(
    services: &Services,
    people: &[Actor; 2],
    turn: usize,
) -> Result<Option<String>, ServiceError> {
    let [priya, daniel] = people;
    let unique = Uuid::from_u128(u128::from_be_bytes(services.env.bytes()));
    let told = match turn % 5 {
        0 => {
            let email = format!("{unique}@example.com");
            services.add_user(None, new_user(&email, &[Role::Auditor]), None).await?;
            format!("user {email}")
        }
        1 => {
            let note = format!("note {unique}");
            services.tick(priya, TICKET, "staging", "release-frozen", turn.is_multiple_of(2), &note).await?;
            format!("tick {note}")
        }
        2 => {
            // Noise, so that the log of the database fills and is written back while others write.
            let noise: Vec<u8> = (0..if turn.is_multiple_of(3) { 4096 } else { 4 })
                .flat_map(|_| services.env.bytes::<16>())
                .collect();
            // Lines, as a page shows them: what no page shows would have to be downloaded before each vote.
            let lines: Vec<String> = noise.chunks(32).map(hex::encode).collect();
            let bytes = lines.join("\n").into_bytes();
            let sha256 = Digest::of(&bytes);
            let upload =
                Upload { kind: ArtifactKind::Other, filename: "noise.txt".to_owned(), bytes: bytes.into() };
            services.upload(priya, TICKET, "staging", upload).await?;
            format!("upload {sha256}")
        }
        3 => {
            let facts = services.dossier(daniel, TICKET).await?.facts("staging").unwrap();
            let seen = evidence::of(&facts)?.digest;
            let proof = Reauthenticated::as_user(daniel.user);
            let ballot =
                Ballot { choice: Choice::Approve, seen, comment: String::new(), acknowledged: false };
            match services.vote(daniel, proof, TICKET, "staging", ballot).await {
                Ok(vote) => format!("vote {vote}"),
                // Somebody uploaded in between.
                Err(ServiceError::Refused(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        _ => {
            let row = services.declare_incident(priya, "trading-backend", "Orders are late").await?;
            services.resolve_incident(priya, row.id).await?;
            format!("incident {}", row.id)
        }
    };
    Ok(Some(told))
}

/// Not a test of its own: what [`acknowledged_writes_survive_a_kill`] starts, and kills. Ends by itself when nobody
/// listens any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let services = open(Path::new(&path)).await;
    let people = [actor(&services, "priya").await, actor(&services, "daniel").await];
    let end = Instant::now() + Duration::from_mins(1);
    let writers: Vec<_> = (0..4)
        .map(|start| {
            let (services, people) = (services.clone(), people.clone());
            tokio::spawn(async move {
                let mut turn = start;
                while Instant::now() < end {
                    let line = match write(&services, &people, turn).await {
                        Ok(None) => String::new(),
                        Ok(Some(told)) => format!("ack {told}\n"),
                        Err(error) => format!("fault {error:?}\n"),
                    };
                    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
                        std::process::exit(1);
                    }
                    turn += 1;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// A child that does not outlive its test.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lets a child write for so long after its first acknowledgement, kills it, and answers all of them.
fn killed_after(path: &Path, delay: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture"])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Child)
        .unwrap();
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    let mut next = move || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        // A line that was cut off acknowledges nothing.
        line.strip_suffix('\n').map(str::to_owned)
    };
    let mut acknowledged = Vec::new();
    let mut take = |line: String| {
        assert!(!line.starts_with("fault "), "{line}");
        acknowledged.extend(line.strip_prefix("ack ").map(str::to_owned));
        !acknowledged.is_empty()
    };
    while !take(next().expect("the child wrote nothing and ended")) {}
    std::thread::sleep(delay);
    child.0.kill().unwrap();
    while let Some(line) = next() {
        take(line);
    }
    let status = child.0.wait().unwrap();
    assert!(!status.success() && status.code().is_none(), "it ended by itself: {status}");
    acknowledged
}

/// What is there, in the words of the acknowledgements: in the tables, and in the audit log.
async fn found(services: &Services) -> [BTreeSet<String>; 2] {
    let mut read = services.db.read().await.unwrap();
    let mut tables = BTreeSet::new();
    let users: Vec<String> = read.sql("SELECT email FROM users").all().await.unwrap();
    tables.extend(users.iter().map(|email| format!("user {email}")));
    let notes: Vec<String> = read.sql("SELECT note FROM ticks").all().await.unwrap();
    tables.extend(notes.iter().map(|note| format!("tick {note}")));
    let files: Vec<Digest> =
        read.sql("SELECT a.sha256 FROM artifacts a JOIN blobs b ON b.sha256 = a.sha256").all().await.unwrap();
    tables.extend(files.iter().map(|sha256| format!("upload {sha256}")));
    let votes: Vec<Uuid> = read.sql("SELECT id FROM votes").all().await.unwrap();
    tables.extend(votes.iter().map(|vote| format!("vote {vote}")));
    let incidents: Vec<Uuid> =
        read.sql("SELECT id FROM incidents WHERE resolved_at IS NOT NULL").all().await.unwrap();
    tables.extend(incidents.iter().map(|incident| format!("incident {incident}")));

    let emails: Vec<(Uuid, String)> = read.sql("SELECT id, email FROM users").all().await.unwrap();
    let mut log = BTreeSet::new();
    for entry in audit::after(&mut read, 0, i64::MAX).await.unwrap() {
        let event: serde_json::Value = serde_json::from_str(&entry.event).unwrap();
        let data = |key: &str| event["data"][key].as_str().unwrap_or_default().to_owned();
        let told = match entry.kind.as_str() {
            "user.added" => emails
                .iter()
                .find(|(id, _)| id.to_string() == data("user"))
                .map(|(_, email)| format!("user {email}")),
            "artifact.uploaded" => Some(format!("upload {}", data("sha256"))),
            "vote.recorded" => Some(format!("vote {}", data("vote"))),
            "incident.resolved" => Some(format!("incident {}", data("incident"))),
            "checklist.attested" => {
                let commitment = event["text_commitment"].as_str().unwrap().parse().unwrap();
                audit::text(&mut read, commitment).await.unwrap().map(|note| format!("tick {note}"))
            }
            _ => None,
        };
        log.extend(told);
    }
    [tables, log]
}

/// Opens what a killed process left, and looks at all of it.
async fn inspect(path: &Path, acknowledged: &[String]) {
    let services = open(path).await;
    assert_eq!(migrate::pending(&services.db).await.unwrap(), [] as [&str; 0]);
    let mut read = services.db.read().await.unwrap();
    assert_eq!(read.sql("PRAGMA integrity_check").all::<String>().await.unwrap(), ["ok"]);
    let strays: i64 = read.sql("SELECT count(*) FROM pragma_foreign_key_check").one().await.unwrap();
    assert_eq!(strays, 0, "rows that point nowhere");
    drop(read);
    let [tables, log] = found(&services).await;
    for write in acknowledged {
        assert!(tables.contains(write), "acknowledged and lost: {write}");
        assert!(log.contains(write), "acknowledged without an audit event: {write}");
    }
    assert_eq!(tables, log, "half of an act is there");
    // Numbers without gaps, and every row accounted for.
    replay::check(&services).await;
    services.db.close().await;
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let kills = if std::env::var_os("TEST_LONG").is_some() { 100 } else { 10 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    let mut recovered = 0;
    for kill in 0..kills {
        // A new database now and then, or the looking at it takes longer than the writing.
        let path = folder.path().join(format!("{}.db", kill / 10));
        if kill % 10 == 0 {
            acknowledged.clear();
            runtime.block_on(prepare(&path));
        }
        let delay = Duration::from_micros(u64::from(u16::from_be_bytes(Env::system().bytes())) * 4);
        acknowledged.extend(killed_after(&path, delay));
        recovered += u32::from(std::fs::metadata(wal(&path)).is_ok_and(|file| file.len() > 0));
        runtime.block_on(inspect(&path, &acknowledged));
        assert!(!wal(&path).exists(), "closing writes the log of the database back");
        eprintln!("kill {kill} after {delay:?}: {} writes acknowledged", acknowledged.len());
    }
    assert!(recovered > 0, "nothing was ever left to recover");
}
