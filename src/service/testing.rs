//! What tests of use cases share: services on a migrated database of their own, and people who have signed in.

use std::net::{IpAddr, Ipv4Addr};

use jiff::SignedDuration;

use super::users::NewUser;
use super::{Limits, Services};
use crate::clock::{Env, PlayedClock};
use crate::domain::policy::RUNBOOK;
use crate::domain::user::{Actor, Role};
use crate::secret::grant::GrantKey;
use crate::secret::hasher::{Cost, PasswordHasher};
use crate::secret::password::PlainPassword;
use crate::store::dossier::PolicyCache;
use crate::store::tests::TestDb;
use crate::store::{Conn as _, Db, Engine, OpenOptions, audit, migrate};

/// The password of everybody here.
pub(crate) const PASSWORD: &str = "a tall ship and a star";

/// Where everybody here signs in from.
pub(crate) const DESK: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// Keeps the database until the test is over.
pub(crate) struct Guard(TestDb);

impl Guard {
    /// The same portal as another process would serve it: connections and caches of its own.
    pub(crate) async fn replica(&self, services: &Services) -> Services {
        let db = Db::open(&self.0.url, OpenOptions::default()).await.unwrap();
        Services { db, policies: PolicyCache::default(), ..services.clone() }
    }
}

/// Services on an empty database of the wanted kind, at noon of Thursday 2025-11-20 UTC. None if that is PostgreSQL and
/// `TEST_PG_URL` names no server.
pub(crate) async fn services(engine: Engine) -> Option<(Services, PlayedClock, Guard)> {
    let test = match engine {
        Engine::Sqlite => TestDb::sqlite().await,
        Engine::Postgres => TestDb::postgres().await?,
    };
    let clock = PlayedClock::at("2025-11-20T12:00:00Z".parse().unwrap());
    let env = Env::repeatable(&clock, 1);
    migrate::migrate(&test.db, env.now()).await.unwrap();
    let hasher = PasswordHasher::with_cost(Cost::Test, env.clone()).unwrap();
    let grant = GrantKey::generate(&env);
    let limits = Limits {
        upload: 10 << 20,
        log: 10 << 20,
        session_idle: SignedDuration::from_hours(1),
        session_max: SignedDuration::from_hours(12),
    };
    Some((Services::new(test.db.clone(), env, hasher, grant, limits), clock, Guard(test)))
}

/// Runs each `async fn(&Services, &PlayedClock)` on both engines.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { $crate::service::testing::run!(Sqlite, $name); }
        )+}
        mod on_pg_server {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { $crate::service::testing::run!(Postgres, $name); }
        )+}
    };
}
pub(crate) use on_both_engines;

macro_rules! run {
    ($engine:ident, $name:ident) => {
        let engine = $crate::store::Engine::$engine;
        if let Some((services, clock, _guard)) = $crate::service::testing::services(engine).await {
            super::$name(&services, &clock).await;
        }
    };
}
pub(crate) use run;

/// A person of this address with these roles, added at the command line, enrolled and signed in.
pub(crate) async fn person(services: &Services, email: &str, roles: &[Role]) -> Actor {
    let new = new_user(email, roles);
    let created = services.add_user(None, new, None).await.unwrap();
    services.enrol(created.enrolment.reveal(), PASSWORD.to_owned()).await.unwrap();
    services.sign_in(email, password(), DESK, "test").await.unwrap().actor
}

/// An account to be added, named after its address.
pub(crate) fn new_user(email: &str, roles: &[Role]) -> NewUser {
    let name = email.split('@').next().unwrap_or_default().to_owned();
    NewUser { email: email.to_owned(), name, roles: roles.iter().copied().collect(), person: None }
}

/// [`PASSWORD`] as somebody types it.
pub(crate) fn password() -> PlainPassword {
    PlainPassword::given(PASSWORD.to_owned())
}

/// Applies the runbook's policy: the application `trading-backend` with `staging` and `production`.
pub(crate) async fn runbook(services: &Services) {
    services.apply_policy(None, RUNBOOK).await.unwrap();
}

/// The kinds of all audit events, in order.
pub(crate) async fn log(services: &Services) -> Vec<String> {
    let mut read = services.db.read().await.unwrap();
    audit::after(&mut read, 0, 1000).await.unwrap().into_iter().map(|entry| entry.kind).collect()
}

/// How often the gates of many tickets at once may have closed.
pub(crate) async fn epoch(services: &Services) -> i64 {
    let mut read = services.db.read().await.unwrap();
    read.sql("SELECT epoch FROM gate_epoch").one().await.unwrap()
}

/// Every row of every table as text, bytes in hexadecimal, except of the tables named.
pub(crate) async fn dump(services: &Services, except: &[&str]) -> String {
    let mut read = services.db.read().await.unwrap();
    let tables: Vec<String> = read
        .sql_by_engine(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
        )
        .all()
        .await
        .unwrap();
    assert!(tables.len() > 30, "{tables:?}");
    let mut dump = String::new();
    for table in tables.iter().filter(|table| !except.contains(&table.as_str())) {
        let row = match read.engine() {
            Engine::Postgres => "CAST(t AS TEXT)".to_owned(),
            Engine::Sqlite => {
                let columns = read.sql("SELECT name FROM pragma_table_info($1)").bind(table.as_str());
                let quoted = |column: &String| format!("quote({column})");
                let columns = columns.all::<String>().await.unwrap();
                columns.iter().map(quoted).collect::<Vec<_>>().join(" || ',' || ")
            }
        };
        let rows = read.sql_owned(format!("SELECT {row} FROM {table} t ORDER BY 1")).all::<String>().await;
        dump = [&dump, table, ": ", &rows.unwrap().join("\n"), "\n"].concat();
    }
    dump
}
