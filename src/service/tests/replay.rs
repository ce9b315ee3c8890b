//! Folds the audit log through a small machine of its own and compares what comes out with the tables: what was acted
//! has to be lawful at its place in the log, and nothing is in the tables that is not in the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::domain::digest::{Digest, canonical_json};
use crate::domain::policy::Policy;
use crate::domain::run::{RunStatus, TokenState};
use crate::domain::time::Timestamp;
use crate::service::Services;
use crate::store::{Conn as _, Read, audit};

mod forged;
mod tables;

type Stage = (String, String);

/// Asserts the invariants over everything that these services have recorded.
pub(crate) async fn check(services: &Services) {
    let mut read = services.db.read().await.unwrap();
    let mut machine = Machine::knowing(&mut read).await;
    let mut seq = 0;
    loop {
        let page = audit::after(&mut read, seq, 1000).await.unwrap();
        for entry in &page {
            seq += 1;
            assert_eq!(entry.seq, seq, "numbers have no gaps");
            let value: Value = serde_json::from_str(&entry.event).unwrap();
            assert_eq!(canonical_json(&value).unwrap(), entry.event.as_bytes(), "canonical bytes");
            assert!(!entry.event.contains(['\n', '\r']), "one event, one line: {}", entry.event);
            assert_eq!((&value["seq"], &value["type"]), (&seq.into(), &entry.kind.as_str().into()));
            machine.fold(&Event(value));
        }
        if page.len() < 1000 {
            break;
        }
    }
    let next: i64 = read.sql("SELECT next_seq FROM audit_head").one().await.unwrap();
    assert_eq!(next, seq + 1, "the head is where the log ends");
    machine.compare(&mut read).await;
}

/// An event as exported.
struct Event(Value);

impl Event {
    fn kind(&self) -> &str {
        self.0["type"].as_str().unwrap()
    }
    fn time(&self) -> Timestamp {
        self.0["time"].as_str().unwrap().parse().unwrap()
    }
    fn person(&self) -> Option<String> {
        self.0["actor"]["person"].as_str().map(str::to_owned)
    }
    fn ticket(&self) -> String {
        self.0["ticket"].as_str().unwrap().to_owned()
    }
    fn stage(&self) -> Stage {
        (self.ticket(), self.0["stage"].as_str().unwrap().to_owned())
    }
    fn said(&self, key: &str) -> Option<&str> {
        self.0["data"][key].as_str()
    }
    fn get(&self, key: &str) -> String {
        self.said(key).unwrap_or_else(|| panic!("{key} in {}", self.0)).to_owned()
    }
    fn names(&self, key: &str) -> BTreeSet<String> {
        let list = self.0["data"][key].as_array().into_iter().flatten();
        list.map(|v| v.as_str().unwrap().to_owned()).collect()
    }
}

struct Vote {
    user: String,
    choice: String,
    evidence: String,
}

struct Token {
    stage: Stage,
    evidence: String,
    upgrade: bool,
    expires_at: Timestamp,
    state: TokenState,
}

struct Run {
    stage: Stage,
    upgrade: bool,
    status: RunStatus,
    after: Option<String>,
    settled: bool,
    /// People whose approvals carried it.
    approvers: BTreeSet<String>,
    order: usize,
}

impl Run {
    fn unsettled(&self) -> bool {
        matches!(self.status, RunStatus::Running | RunStatus::Unknown)
            || (matches!(self.status, RunStatus::Failed | RunStatus::Partial)
                && self.after.is_none()
                && !self.settled)
    }
}

#[derive(Default)]
struct Account {
    person: String,
    active: bool,
    roles: BTreeSet<String>,
    shaped_by: BTreeSet<String>,
}

#[derive(Default)]
struct Machine {
    // What is looked up beside the log: bytes behind digests, and names behind ids.
    evidence: HashMap<String, Value>,
    policies: HashMap<String, Policy>,
    applications: HashMap<String, String>,
    // What the log builds.
    now: Option<Timestamp>,
    accounts: HashMap<String, Account>,
    tickets: HashMap<String, (String, BTreeSet<String>)>,
    closed: BTreeSet<String>,
    votes: HashMap<Stage, BTreeMap<String, Vote>>,
    tokens: HashMap<String, Token>,
    runs: HashMap<String, Run>,
    incidents: HashMap<String, String>,
    vote_ids: BTreeSet<String>,
    commitments: BTreeSet<String>,
    counts: BTreeMap<&'static str, i64>,
}

impl Machine {
    async fn knowing(read: &mut Read) -> Self {
        let mut machine = Self::default();
        let evidence: Vec<(Digest, String)> =
            read.sql("SELECT digest, canonical FROM evidence").all().await.unwrap();
        for (digest, canonical) in evidence {
            assert_eq!(Digest::of(canonical.as_bytes()), digest, "evidence hashes to its digest");
            machine.evidence.insert(digest.to_string(), serde_json::from_str(&canonical).unwrap());
        }
        let policies: Vec<(Digest, String)> =
            read.sql("SELECT sha256, toml FROM policy_versions").all().await.unwrap();
        for (sha256, toml) in policies {
            assert_eq!(Digest::of(toml.as_bytes()), sha256);
            machine.policies.insert(sha256.to_string(), Policy::parse(&toml).unwrap());
        }
        let applications: Vec<(crate::domain::id::ApplicationId, String)> =
            read.sql("SELECT id, name FROM applications").all().await.unwrap();
        machine.applications = applications.into_iter().map(|(id, name)| (id.to_string(), name)).collect();
        machine
    }

    fn fold(&mut self, event: &Event) {
        let time = event.time();
        let last = self.now.unwrap_or(time);
        assert!(last.since(time) <= jiff::SignedDuration::from_secs(5), "time runs back at {}", event.0);
        self.now = Some(last.max(time));
        if let Some(commitment) = event.0["text_commitment"].as_str() {
            assert!(self.commitments.insert(commitment.to_owned()), "a commitment twice");
        }
        if let Some((kind, _)) = tables::ROWS.iter().find(|(kind, _)| *kind == event.kind()) {
            *self.counts.entry(*kind).or_default() += 1;
        }
        match event.kind() {
            kind if kind.starts_with("user.") => self.account(event),
            kind if kind.starts_with("run.") => self.run(event),
            kind if kind.starts_with("ticket.") => self.ticket(event),
            "incident.declared" => {
                self.incidents.insert(event.get("incident"), event.get("application"));
            }
            "incident.resolved" => assert!(self.incidents.remove(&event.get("incident")).is_some()),
            "artifact.uploaded"
                if !matches!(&*event.get("kind"), "smoke-report" | "monitoring-snapshot" | "run-log") =>
            {
                self.contributes(event);
                self.void(&event.stage(), event);
            }
            "finding.accepted" => {
                assert!(event.0["actor"]["session"].is_string(), "only people accept: {}", event.0);
                self.void(&event.stage(), event);
            }
            "vote.recorded" => self.vote(event),
            "token.released" => self.released(event),
            "token.redeemed" => self.redeemed(event),
            "token.revoked" => self.end_token(event, TokenState::Revoked),
            "token.expired" => self.end_token(event, TokenState::Expired),
            _ => {}
        }
    }

    fn account(&mut self, event: &Event) {
        let Some(user) = event.said("user").map(str::to_owned) else { return };
        let account = self.accounts.entry(user).or_default();
        match event.kind() {
            "user.added" => {
                account.person = event.get("person");
                account.active = true;
                account.roles = event.names("roles");
                account.shaped_by.extend(event.person());
            }
            "user.roles-changed" => {
                let roles = event.names("roles");
                if !roles.is_subset(&account.roles) {
                    account.shaped_by.extend(event.person());
                }
                account.roles = roles;
            }
            "user.reset" => account.shaped_by.extend(event.person()),
            "user.deactivated" => account.active = false,
            _ => {}
        }
    }

    fn ticket(&mut self, event: &Event) {
        let number = event.ticket();
        if event.kind() == "ticket.filed" {
            let application = self.applications[&event.get("application")].clone();
            self.tickets.insert(number, (application, BTreeSet::new()));
            return self.contributes(event);
        }
        let stages: Vec<Stage> = self.stages().into_iter().filter(|s| s.0 == number).collect();
        for stage in stages {
            self.void(&stage, event);
        }
        match event.kind() {
            "ticket.edited" => {
                assert!(self.runs.values().all(|r| r.stage.0 != number), "edited after a run");
                self.contributes(event);
            }
            "ticket.abandoned" | "ticket.completed" => {
                let running = self.runs.values().any(|r| r.stage.0 == number && r.unsettled());
                assert!(!running, "closed with a run under way: {}", event.0);
                assert!(self.closed.insert(number), "closed twice");
            }
            _ => {}
        }
    }

    fn stages(&self) -> BTreeSet<Stage> {
        self.votes.keys().cloned().chain(self.tokens.values().map(|t| t.stage.clone())).collect()
    }

    fn contributes(&mut self, event: &Event) {
        let people = &mut self.tickets.get_mut(&event.ticket()).unwrap().1;
        people.extend(event.person());
    }

    /// The evidence changes: earlier votes are worth nothing from here on, and no token may have outlived it.
    fn void(&mut self, stage: &Stage, event: &Event) {
        self.votes.remove(stage);
        self.no_token(stage, event);
    }

    fn outstanding<'a>(&'a self, stage: &'a Stage) -> impl Iterator<Item = &'a String> {
        let now = self.now.unwrap();
        let lives = move |t: &Token| t.state == TokenState::Issued && now < t.expires_at;
        self.tokens
            .iter()
            .filter(move |(_, t)| self.same_place(&t.stage, stage) && lives(t))
            .map(|(id, _)| id)
    }

    fn no_token(&self, stage: &Stage, event: &Event) {
        let own = self.outstanding(stage).find(|id| self.tokens[*id].stage == *stage);
        assert_eq!(own, None, "a token outlived {}", event.0);
    }

    /// Whether two stages are of one application and environment.
    fn same_place(&self, a: &Stage, b: &Stage) -> bool {
        a.1 == b.1 && self.tickets[&a.0].0 == self.tickets[&b.0].0
    }

    fn vote(&mut self, event: &Event) {
        assert!(event.0["actor"]["session"].is_string(), "only people vote: {}", event.0);
        let stage = event.stage();
        let (choice, evidence) = (event.get("choice"), event.get("evidence"));
        assert!(self.evidence.contains_key(&evidence), "a vote without its evidence");
        if choice != "approve" {
            self.no_token(&stage, event);
        }
        self.vote_ids.insert(event.get("vote"));
        let user = event.0["actor"]["user"].as_str().unwrap().to_owned();
        let vote = Vote { user, choice, evidence };
        self.votes.entry(stage).or_default().insert(event.person().unwrap(), vote);
    }

    /// I1 and I2: who carries this at this place of the log.
    fn approvers(&self, stage: &Stage, evidence: &str, event: &Event) -> BTreeSet<String> {
        let known = &self.evidence[evidence];
        assert_eq!((&known["ticket"], &known["stage"]), (&stage.0.as_str().into(), &stage.1.as_str().into()));
        let contributors = &self.tickets[&stage.0].1;
        let none = BTreeMap::new();
        let votes = self.votes.get(stage).unwrap_or(&none);
        let current = |v: &&Vote| v.evidence == evidence;
        let rejected = votes.values().filter(current).any(|v| v.choice == "reject");
        assert!(!rejected, "authorised against a rejection: {}", event.0);
        let eligible = |person: &String, vote: &Vote| {
            let account = &self.accounts[&vote.user];
            account.active
                && account.person == *person
                && account.roles.contains("board")
                && !contributors.contains(person)
                && account.shaped_by.is_disjoint(contributors)
        };
        let counted = votes
            .iter()
            .filter(|(person, vote)| current(vote) && vote.choice == "approve" && eligible(person, vote));
        counted.map(|(person, _)| person.clone()).collect()
    }

    fn authorised(&self, stage: &Stage, evidence: &str, upgrade: bool, event: &Event) -> BTreeSet<String> {
        assert!(!self.closed.contains(&stage.0), "the ticket is closed: {}", event.0);
        let busy = self.runs.values().find(|r| self.same_place(&r.stage, stage) && r.unsettled());
        assert!(busy.is_none(), "another run is under way: {}", event.0);
        let waived = event.names("waived");
        let application = &self.tickets[&stage.0].0;
        let incident = self.incidents.values().any(|a| a == application);
        assert!(!incident || waived.contains("incidents"), "an incident is open: {}", event.0);
        let mut own: Vec<&Run> = self.runs.values().filter(|r| r.stage == *stage).collect();
        own.sort_by_key(|r| r.order);
        let at = own.iter().rposition(|r| r.upgrade);
        let whole = |r: &Run| r.status == RunStatus::Succeeded && !r.settled;
        let back = |r: &Run| matches!(r.status, RunStatus::Succeeded);
        let standing = at.is_some_and(|at| {
            matches!(own[at].status, RunStatus::Succeeded | RunStatus::Partial)
                && !own[at + 1..].iter().any(|r| back(r))
        });
        assert_eq!(standing, !upgrade, "up once, and down only what is up: {}", event.0);
        if let (false, Some(at)) = (upgrade, at)
            && whole(own[at])
            && own[at + 1..].iter().all(|r| r.status == RunStatus::Failed && !r.settled)
        {
            return own[at].approvers.clone();
        }
        let known = &self.evidence[evidence];
        let policy = &self.policies[known["policy"]["sha256"].as_str().unwrap()];
        let quorum = policy.environment(&stage.1).unwrap().quorum_for(known["kind"] == "standard");
        let approvers = self.approvers(stage, evidence, event);
        assert!(approvers.len() as u64 >= u64::from(quorum.max(1)), "no quorum: {}", event.0);
        approvers
    }

    fn released(&mut self, event: &Event) {
        let (stage, evidence) = (event.stage(), event.get("evidence"));
        assert_eq!(self.outstanding(&stage).next(), None, "two tokens at once: {}", event.0);
        let upgrade = event.get("direction") == "upgrade";
        self.authorised(&stage, &evidence, upgrade, event);
        let expires_at = event.get("expires_at").parse().unwrap();
        let token = Token { stage, evidence, upgrade, expires_at, state: TokenState::Issued };
        assert!(self.tokens.insert(event.get("token"), token).is_none());
    }

    fn end_token(&mut self, event: &Event, state: TokenState) {
        let token = self.tokens.get_mut(&event.get("token")).unwrap();
        assert_eq!(token.state, TokenState::Issued, "ended twice: {}", event.0);
        token.state = state;
    }

    fn redeemed(&mut self, event: &Event) {
        let (stage, id, evidence) = (event.stage(), event.get("token"), event.get("evidence"));
        let token = &self.tokens[&id];
        assert!(event.time() < token.expires_at, "redeemed too late: {}", event.0);
        assert_eq!((&token.stage, &token.evidence), (&stage, &evidence), "of another stage or evidence");
        let upgrade = token.upgrade;
        let approvers = self.authorised(&stage, &evidence, upgrade, event);
        self.end_token(event, TokenState::Used);
        let (status, order) = (RunStatus::Running, self.runs.len());
        let run = Run { stage, upgrade, status, after: None, settled: false, approvers, order };
        assert!(self.runs.insert(event.get("run"), run).is_none(), "one token, one run");
    }

    fn run(&mut self, event: &Event) {
        let run = self.runs.get_mut(&event.get("run")).unwrap();
        match event.kind() {
            "run.finished" => {
                assert_eq!(run.status, RunStatus::Running, "one end: {}", event.0);
                run.status = event.get("status").parse().unwrap();
                run.after = event.said("revision_after").map(str::to_owned);
            }
            "run.lost" => {
                assert_eq!(run.status, RunStatus::Running, "one end: {}", event.0);
                run.status = RunStatus::Unknown;
            }
            "run.settled" => {
                assert!(event.0["actor"]["session"].is_string(), "a person's verdict: {}", event.0);
                let open = run.status == RunStatus::Partial || run.unsettled();
                assert!(open && run.status != RunStatus::Running && !run.settled, "{}", event.0);
                run.settled = true;
                run.after = event.said("revision_after").map(str::to_owned);
                let verdict: crate::domain::run::RunVerdict = event.get("verdict").parse().unwrap();
                run.status = verdict.status();
            }
            _ => return,
        }
        if event.kind() != "run.lost" {
            let stage = run.stage.clone();
            self.void(&stage, event);
        }
    }
}
