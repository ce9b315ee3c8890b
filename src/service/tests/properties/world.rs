//! The portal that the sequences are played on: the people, and what each act is in terms of the services.

use jiff::SignedDuration;
use uuid::Uuid;

use super::action::{Place, Presents, Who};
use super::model::{ACCOUNTS, BEARERS, Being, Content, Model, POLICIES, Policy, STAGES, WHO};
use crate::clock::PlayedClock;
use crate::demo::kit::{File, Kit, SMOKE};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::id::{ApiTokenId, IncidentId, PersonId, RunId, SessionId, TicketNumber, UserId};
use crate::domain::policy::RUNBOOK;
use crate::domain::sql_digest::SqlDigest;
use crate::domain::ticket::{Emergency, TicketContent, TicketKind};
use crate::domain::user::{Actor, Via};
use crate::service::Services;
use crate::service::api_tokens::NewApiToken;
use crate::service::testing::new_user;
use crate::service::tests::scene::{TUESDAY, at, content};
use crate::service::tokens::{Presented, Released};

pub(super) struct World<'a> {
    pub services: &'a Services,
    pub clock: &'a PlayedClock,
    pub users: Vec<UserId>,
    pub persons: Vec<PersonId>,
    pub bearers: Vec<ApiTokenId>,
    pub tickets: Vec<TicketNumber>,
    pub released: Vec<Released>,
    pub runs: Vec<RunId>,
    /// The answer to each token's redemption.
    pub grants: Vec<Option<String>>,
    pub incidents: Vec<IncidentId>,
    pub freezes: Vec<crate::domain::id::FreezeId>,
    /// The evidence of each place as it changed: what tabs may still show.
    pub shown: std::collections::BTreeMap<(usize, usize), Vec<(super::model::Evidence, Digest)>>,
}

/// The text of a policy.
pub(super) fn policy_text(policy: Policy) -> String {
    let mut quorum = format!("quorum = {}\nquorum_standard = {}", policy.quorum, policy.standard);
    if policy.database {
        quorum.push_str("\ndatabase = \"trades-1\"");
    }
    RUNBOOK
        .replace("quorum = 2", &quorum)
        .replace("length = \"2h\"", &format!("length = \"{}h\"", policy.window))
        .replace("minimum_account_age = \"0s\"", &format!("minimum_account_age = \"{}h\"", policy.age))
}

/// The file that something is made into.
pub(super) fn file(content: Content) -> File {
    let kit = |variant: u8, place: usize, taken| {
        let mut kit = Kit::new(STAGES[place], taken, taken + SignedDuration::from_mins(30));
        if variant > 0 {
            kit.upgrade = format!("CREATE INDEX ix_trades_{variant} ON trades (symbol);\n\n{}", kit.upgrade);
        }
        kit
    };
    let whole = |variant, place, taken| kit(variant, place, taken).files().unwrap();
    let start = at(TUESDAY);
    match content {
        Content::Upgrade(variant) => whole(variant, 0, start).swap_remove(0),
        Content::Downgrade => whole(0, 0, start).swap_remove(1),
        Content::WrongDowngrade => {
            let upgrade = whole(0, 0, start).swap_remove(0);
            File { kind: ArtifactKind::DowngradeSql, name: "downgrade.sql".to_owned(), ..upgrade }
        }
        Content::Report { variant, place, taken, passed } => {
            let mut report = whole(variant, place, taken).swap_remove(2);
            if !passed {
                let mut json: serde_json::Value = serde_json::from_slice(&report.bytes).unwrap();
                json["subject"]["outcome"] = "failed".into();
                json["subject"]["steps"][0]["status"] = "failed".into();
                json["subject"]["steps"][0]["why"] = "it broke".into();
                report.bytes = serde_json::to_vec_pretty(&json).unwrap();
            }
            report
        }
        Content::History => whole(0, 0, start).swap_remove(3),
        Content::Manifest => whole(0, 0, start).swap_remove(4),
        Content::Backup { place, taken } => whole(0, place, taken).swap_remove(5),
        Content::Other(text) => {
            let (name, bytes) = ("note.txt".to_owned(), format!("note {text}").into_bytes());
            File { kind: ArtifactKind::Other, name, bytes }
        }
        Content::Smoke(passed) => {
            let text = if passed {
                SMOKE.to_owned()
            } else {
                SMOKE.replace("failures=\"0\"", "failures=\"1\"").replacen(
                    "time=\"0.004\" />",
                    "time=\"0.004\"><failure message=\"no\"/></testcase>",
                    1,
                )
            };
            File { kind: ArtifactKind::SmokeReport, name: "smoke.xml".to_owned(), bytes: text.into_bytes() }
        }
    }
}

impl<'a> World<'a> {
    pub async fn new(services: &'a Services, clock: &'a PlayedClock) -> Self {
        clock.set(at(TUESDAY));
        services.apply_policy(None, &policy_text(POLICIES[0])).await.unwrap();
        let mut world = Self {
            services,
            clock,
            users: Vec::new(),
            persons: Vec::new(),
            bearers: Vec::new(),
            tickets: Vec::new(),
            released: Vec::new(),
            runs: Vec::new(),
            grants: Vec::new(),
            incidents: Vec::new(),
            freezes: Vec::new(),
            shown: std::collections::BTreeMap::new(),
        };
        for (name, person, roles) in ACCOUNTS {
            let mut new = new_user(&format!("{name}@example.com"), roles);
            new.person = world.persons.get(person).copied();
            let user = services.add_user(None, new, None).await.unwrap().user;
            world.users.push(user.id);
            if world.persons.len() == person {
                world.persons.push(user.person);
            }
        }
        for (owner, scopes) in BEARERS {
            let new = NewApiToken {
                name: "pipeline".to_owned(),
                scopes: scopes.iter().copied().collect(),
                expires_at: None,
            };
            let email = format!("{}@example.com", ACCOUNTS[owner].0);
            world.bearers.push(services.create_api_token_for(&email, new).await.unwrap().0);
        }
        world
    }

    /// Who acts, as a request would know them that began before anything was taken from them: with every role that they
    /// ever had, and not knowing of their deactivation. Only what is asked under the lock can stop them.
    pub fn actor(&self, model: &Model, who: Who) -> Actor {
        let account = Model::account(who);
        let via = match WHO[who] {
            Being::Session(_) => Via::Session(SessionId(Uuid::from_u128(who as u128 + 1))),
            Being::Bearer(bearer) => Via::Token {
                id: self.bearers[bearer],
                name: "pipeline".to_owned(),
                scopes: BEARERS[bearer].1.iter().copied().collect(),
            },
        };
        Actor {
            user: self.users[account],
            person: self.persons[model.accounts[account].person],
            name: ACCOUNTS[account].0.to_owned(),
            roles: model.accounts[account].ever.clone(),
            via,
        }
    }

    pub fn number(&self, at: Place) -> TicketNumber {
        self.tickets[at.ticket]
    }

    pub fn content(&self, kind: u8, incident: Option<usize>, author: Option<usize>) -> TicketContent {
        let kind = [TicketKind::Normal, TicketKind::Standard, TicketKind::Emergency][usize::from(kind)];
        let mut content = content(kind);
        if kind == TicketKind::Emergency {
            let reason = "Orders are late and traders wait for it.".to_owned();
            content.emergency = Some(Emergency { reason, incident: incident.map(|i| self.incidents[i]) });
        }
        content.authors =
            author.map(|account| format!("{}@example.com", ACCOUNTS[account].0)).into_iter().collect();
        content
    }

    /// The secret and the digests of a redemption.
    pub fn presented(&self, token: usize, presents: Presents) -> (String, Presented) {
        let released = &self.released[token];
        let expected = &released.expected;
        let mut presented = Presented {
            sql_digest: expected.sql_digest,
            manifest: expected.manifest,
            database: expected.database.clone(),
        };
        let mut secret = released.secret.reveal().to_owned();
        match presents {
            Presents::Right => {}
            Presents::OtherSql => presented.sql_digest = SqlDigest::Norm1(Digest::of(b"other")),
            Presents::RawSql => presented.sql_digest = SqlDigest::Raw(expected.raw),
            Presents::NoManifest => presented.manifest = None,
            Presents::OtherManifest => presented.manifest = Some(Digest::of(b"other")),
            Presents::NoDatabase => presented.database = None,
            Presents::UnknownSecret => secret.replace_range(4..8, "zzzz"),
        }
        (secret, presented)
    }
}

/// Somebody who only looks.
pub(super) fn nobody() -> Actor {
    Actor {
        user: UserId(Uuid::nil()),
        person: PersonId(Uuid::nil()),
        name: String::new(),
        roles: std::collections::BTreeSet::new(),
        via: Via::Console,
    }
}
