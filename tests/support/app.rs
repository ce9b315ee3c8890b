//! The running portal: the real router and accept loop on a free port of this machine, with a clock that stands still.

use std::net::SocketAddr;

use countersign::app::{self, AppState, Schema};
use countersign::clock::{Env, PlayedClock};
use countersign::config::Config;
use countersign::domain::user::{Role, Scope};
use countersign::secret::hasher::Cost;
use countersign::service::Services;
use countersign::service::api_tokens::NewApiToken;
use countersign::service::users::NewUser;
use countersign::store::{Db, OpenOptions, migrate};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{Anonymous, ApiClient, PASSWORD, Person};
use super::database::{Engine, TestDb};

/// A portal that serves until this is dropped.
pub struct TestApp {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    pub address: SocketAddr,
    /// Stands at noon of Thursday 2025-11-20 UTC.
    pub clock: PlayedClock,
    /// For what no page or API does; tests act through pages and API otherwise.
    pub services: Services,
    pub state: AppState,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    database: TestDb,
    data: TempDir,
}

impl TestApp {
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// With settings that differ from a test's usual ones, such as `("max_upload_bytes", "2048")`.
    pub async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let database = TestDb::new(engine, async |url| {
            let db = Db::open(&url, OpenOptions::default()).await?;
            migrate::migrate(&db, Env::system().now()).await?;
            db.close().await;
            Ok(())
        })
        .await;
        let data = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        Self::on(database, data, settings).await
    }

    async fn on(database: TestDb, data: TempDir, settings: &[(&str, &str)]) -> Self {
        let usual = [
            ("database", database.url()),
            ("listen", "127.0.0.1:0"),
            ("data_dir", data.path().to_str().expect("a path in UTF-8")),
            ("session_idle", "1h"),
            ("session_max", "12h"),
        ];
        let env = usual
            .iter()
            .chain(settings)
            .map(|(key, value)| (format!("COUNTERSIGN_{}", key.to_uppercase()), (*value).to_owned()));
        // Settings are read in the order of their names and the last value of one wins.
        let env: std::collections::BTreeMap<String, String> = env.collect();
        let config = Config::load(None, env.into_iter()).expect("settings");
        let clock = PlayedClock::at("2025-11-20T12:00:00Z".parse().expect("a time"));
        let env = Env::played(&clock);
        let state = AppState::open(&config, Schema::MustBeCurrent, env, Cost::Test).await.expect("a portal");
        let listener = TcpListener::bind(config.listen).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = state.clone();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            app::serve(listener, serving, stopped).await.expect("serving");
        });
        Self {
            base: format!("http://{address}"),
            address,
            clock,
            services: state.services.clone(),
            state,
            stop: Some(stop),
            served,
            database,
            data,
        }
    }

    /// Ends the server in good order and starts another one on the same database and folder.
    pub async fn restart(mut self) -> Self {
        let now = self.services.now();
        self.stop.take().expect("a running portal").send(()).expect("a listening portal");
        (&mut self.served).await.expect("an orderly end");
        let (database, data) = (self.database, self.data);
        let again = Self::on(database, data, &[]).await;
        again.clock.set(now);
        again
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::new(&self.base)
    }

    /// Adds an account as the operator does, and hands back its one-time link's path.
    pub async fn invited(&self, name: &str, roles: &[Role]) -> (String, String) {
        let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        let new = NewUser {
            email: email.clone(),
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            person: None,
        };
        let created = self.services.add_user(None, new, None).await.expect("a new account");
        (email, format!("/enrol/{}", created.enrolment.reveal()))
    }

    /// A person with these roles who has followed their one-time link and is signed in.
    pub async fn person(&self, name: &str, roles: &[Role]) -> Person {
        let (email, link) = self.invited(name, roles).await;
        let browser = self.anonymous();
        let fields = [("username", email.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
        let answer = browser.submit(&link, &link, &fields).await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{}", answer.text);
        Person::of(browser, &email).await
    }

    /// A program that acts for this person through an API token.
    pub async fn api(&self, owner: &Person, scopes: &[Scope]) -> ApiClient {
        let new = NewApiToken {
            name: "tests".to_owned(),
            scopes: scopes.iter().copied().collect(),
            expires_at: None,
        };
        let made = self.services.create_api_token_for(&owner.email, new).await;
        ApiClient::new(&self.base, made.expect("an API token").1.reveal())
    }

    /// Makes `trading-backend` with `staging` and `production`, under the runbook's policy.
    pub async fn runbook(&self) {
        let policy = countersign::domain::policy::RUNBOOK;
        self.services.apply_policy(None, policy).await.expect("the runbook's policy");
    }
}
