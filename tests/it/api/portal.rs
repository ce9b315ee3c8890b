//! A portal in process: its API called through the real router, its people acting through the services.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use countersign::api::{self, ApiState};
use countersign::clock::{Env, PlayedClock};
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::evidence;
use countersign::domain::facts::Choice;
use countersign::domain::id::TicketNumber;
use countersign::domain::policy::RUNBOOK;
use countersign::domain::user::{Actor, Role, Scope};
use countersign::secret::grant::GrantKey;
use countersign::secret::hasher::{Cost, PasswordHasher};
use countersign::secret::password::PlainPassword;
use countersign::service::api_tokens::NewApiToken;
use countersign::service::review::Ballot;
use countersign::service::users::NewUser;
use countersign::service::{Limits, Services};
use countersign::store::db::OpenOptions;
use countersign::store::{Db, migrate};
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::database::{Engine, TestDb};

const PASSWORD: &str = "a tall ship and a star";

/// The files of a real change of the sample project, and where they belong.
const FILES: [(&str, &str, &[u8]); 6] = [
    ("upgrade-sql", "upgrade.sql", include_bytes!("../../../src/demo/data/upgrade.sql")),
    ("downgrade-sql", "downgrade.sql", include_bytes!("../../../src/demo/data/downgrade.sql")),
    ("dry-run-report", "dry-run-report.json", include_bytes!("../../../src/demo/data/dry-run-report.json")),
    ("migration-history", "history.json", include_bytes!("../../../src/demo/data/migration-history.json")),
    ("migration-manifest", "manifest.json", include_bytes!("../../../src/demo/data/migration-manifest.json")),
    ("backup-manifest", "backup.json", include_bytes!("../../../src/demo/data/backup-manifest.json")),
];

pub(super) const SMOKE: &[u8] = include_bytes!("../../../src/demo/data/smoke-report.xml");

pub(super) struct Portal {
    pub services: Services,
    pub clock: PlayedClock,
    router: Router,
    /// A release engineer with every scope.
    pub engineer: Actor,
    pub token: String,
    pub board: [Actor; 2],
    _db: TestDb,
}

impl Portal {
    /// At 13:00 UTC of a Tuesday, an hour before staging's window, with the runbook's policy and its people.
    pub async fn open(engine: Engine) -> Self {
        let clock = PlayedClock::at("2026-11-24T13:00:00Z".parse().expect("a time"));
        let env = Env::repeatable(&clock, 1);
        let now = env.now();
        let db = TestDb::new(engine, async |url: String| {
            let db = Db::open(&url, OpenOptions::default()).await?;
            migrate::migrate(&db, now).await?;
            db.close().await;
            Ok(())
        })
        .await;
        let opened = Db::open(db.url(), OpenOptions::default()).await.expect("a database");
        let hasher = PasswordHasher::with_cost(Cost::Test, env.clone()).expect("a hasher");
        let limits = Limits {
            upload: 1 << 20,
            log: 1 << 16,
            session_idle: SignedDuration::from_hours(1),
            session_max: SignedDuration::from_hours(12),
        };
        let services = Services::new(opened, env.clone(), hasher, GrantKey::generate(&env), limits);
        services.apply_policy(None, RUNBOOK).await.expect("a policy");
        let router = Router::new()
            .nest(api::PREFIX, api::router(ApiState { services: services.clone() }))
            .fallback(async || (StatusCode::NOT_FOUND, "a page"));
        let engineer = person(&services, "ada@example.org", &[Role::Engineer]).await;
        let board = [
            person(&services, "bob@example.org", &[Role::Board]).await,
            person(&services, "cyd@example.org", &[Role::Board]).await,
        ];
        let token = token(&services, &engineer, Scope::ALL).await;
        Self { services, clock, router, engineer, token, board, _db: db }
    }

    pub async fn person(&self, email: &str, roles: &[Role]) -> Actor {
        person(&self.services, email, roles).await
    }

    pub async fn token_of(&self, actor: &Actor, scopes: &[Scope]) -> String {
        token(&self.services, actor, scopes).await
    }

    /// A call of the engineer's token with every scope.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        self.anonymous(method, path).header("authorization", &format!("Bearer {}", self.token))
    }

    pub fn anonymous(&self, method: &str, path: &str) -> Call<'_> {
        Call {
            portal: self,
            method: method.to_owned(),
            path: format!("{}{path}", api::PREFIX),
            headers: vec![("x-request-id".to_owned(), "op-1".to_owned())],
            body: Bytes::new(),
        }
    }

    /// Files a ticket and answers its number.
    pub async fn file(&self) -> String {
        let answer = self.call("POST", "/tickets").json(&new_ticket()).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["number"].as_str().expect("a number").to_owned()
    }

    /// Attaches every file, ticks what is attested before a run, and has the board accept what blocks and approve.
    pub async fn prepare(&self, number: &str, stage: &str, day: &str) {
        for (kind, name, bytes) in FILES {
            let path = format!("/tickets/{number}/stages/{stage}/artifacts/{kind}?filename={name}");
            let dated =
                String::from_utf8(bytes.to_vec()).expect("text").replace("2026-11-22T", &format!("{day}T"));
            let answer = self.call("PUT", &path).body(dated.into_bytes()).send().await;
            assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
        }
        self.accept_findings(number, stage).await;
        let ticket = self.call("GET", &format!("/tickets/{number}")).send().await.json();
        let stages = ticket["stages"].as_array().expect("stages");
        let found = stages.iter().find(|s| s["name"] == stage).expect("the stage");
        for item in found["checklist"].as_array().expect("a checklist") {
            if item["attested"] == true {
                let path = format!(
                    "/tickets/{number}/stages/{stage}/checklist/{}",
                    item["key"].as_str().expect("a key")
                );
                let answer = self.call("POST", &path).json(&json!({"done": true, "note": "v2"})).send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        for voter in &self.board {
            self.approve(voter, number, stage).await;
        }
    }

    async fn accept_findings(&self, number: &str, stage: &str) {
        let ticket: TicketNumber = number.parse().expect("a number");
        let dossier = self.services.dossier(&self.board[0], ticket).await.expect("a dossier");
        let record = dossier.stage(stage).expect("a stage");
        for finding in record.findings.iter().filter(|f| f.blocks()) {
            self.services
                .accept_finding(&self.board[0], ticket, stage, finding.id, "legacy_ref has no readers")
                .await
                .expect("an accepted finding");
        }
    }

    async fn approve(&self, voter: &Actor, number: &str, stage: &str) {
        let ticket: TicketNumber = number.parse().expect("a number");
        let dossier = self.services.dossier(voter, ticket).await.expect("a dossier");
        let seen = evidence::of(&dossier.facts(stage).expect("facts")).expect("evidence").digest;
        let ballot = Ballot { choice: Choice::Approve, seen, comment: String::new(), acknowledged: true };
        let password = PlainPassword::given(PASSWORD.to_owned());
        let proof = self.services.reauthenticate(voter, &password).await.expect("a proof");
        self.services.vote(voter, proof, ticket, stage, ballot).await.expect("a vote");
    }

    /// Releases a token on a stage.
    pub async fn release(&self, number: &str, stage: &str) -> Value {
        let path = format!("/tickets/{number}/stages/{stage}/apply-tokens");
        let answer = self.call("POST", &path).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Redeems a released token with the digests that it wants.
    pub async fn redeem(&self, released: &Value) -> Value {
        let answer = self.call("POST", "/apply-tokens/redeem").json(&redemption(released)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub async fn phase(&self, number: &str, stage: &str) -> String {
        let ticket = self.call("GET", &format!("/tickets/{number}")).send().await.json();
        let stages = ticket["stages"].as_array().expect("stages");
        let found = stages.iter().find(|s| s["name"] == stage).expect("the stage");
        found["phase"].as_str().expect("a phase").to_owned()
    }

    pub fn now_is(&self, time: &str) {
        self.clock.set(time.parse().expect("a time"));
    }

    /// The kinds of all audit events.
    pub async fn log(&self) -> Vec<String> {
        let entries = self.services.audit_events(0, 500).await.expect("the log");
        entries.into_iter().map(|entry| entry.kind).collect()
    }
}

/// A ticket for the change that [`FILES`] are of.
pub(super) fn new_ticket() -> Value {
    json!({
        "application": "trading-backend",
        "title": "Notional on trades, thresholds as numbers",
        "kind": "normal",
        "description": "Four revisions.",
        "release_tag": "v2.4.0",
        "prior_release_tag": "v2.3.1",
        "from_revision": "d48b1e9c5f62",
        "to_revision": "0c7e5d1b94fa",
        "external_links": ["https://example.org/42"],
    })
}

/// What redeeming a released token has to say.
pub(super) fn redemption(released: &Value) -> Value {
    json!({
        "token": released["token"],
        "sql_digest": released["sql_digest"],
        "manifest_sha256": released["manifest_sha256"],
    })
}

pub(super) fn file(kind: ArtifactKind) -> &'static [u8] {
    FILES.iter().find(|(name, ..)| *name == kind.as_str()).map(|(_, _, bytes)| *bytes).expect("a file")
}

async fn person(services: &Services, email: &str, roles: &[Role]) -> Actor {
    let name = email.split('@').next().unwrap_or_default().to_owned();
    let new = NewUser { email: email.to_owned(), name, roles: roles.iter().copied().collect(), person: None };
    let created = services.add_user(None, new, None).await.expect("an account");
    services.enrol(created.enrolment.reveal(), PASSWORD.to_owned()).await.expect("an enrolment");
    let desk = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    let password = PlainPassword::given(PASSWORD.to_owned());
    services.sign_in(email, password, desk, "test").await.expect("a session").actor
}

async fn token(services: &Services, actor: &Actor, scopes: &[Scope]) -> String {
    let scopes: BTreeSet<Scope> = scopes.iter().copied().collect();
    let new = NewApiToken { name: "CI".to_owned(), scopes, expires_at: None };
    services.create_api_token(actor, new).await.expect("a token").1.reveal().to_owned()
}

/// A call in the making.
pub(super) struct Call<'a> {
    portal: &'a Portal,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call<'_> {
    /// Adds a header; an empty value takes it away.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).expect("a request");
        let response = self.portal.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

pub(super) struct Answer {
    pub status: u16,
    headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Asserts that this is a problem of this status and code, in the shape that all problems have.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["instance"], "op-1");
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        problem
    }
}
