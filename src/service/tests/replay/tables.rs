//! The tables beside the log: every row has its event, and stands where the log left it.

use std::collections::BTreeSet;

use super::Machine;
use crate::domain::digest::Digest;
use crate::domain::id::{ApplyTokenId, PersonId, RunId, TicketNumber, VoteId};
use crate::domain::run::{RunStatus, TokenState};
use crate::store::{Conn as _, Json, Read};

/// Which table holds a row for each event of a kind.
pub(super) const ROWS: [(&str, &str); 15] = [
    ("user.added", "users"),
    ("policy.applied", "policy_versions"),
    ("api-token.created", "api_tokens"),
    ("ticket.filed", "tickets"),
    ("artifact.uploaded", "artifacts"),
    ("checklist.attested", "ticks"),
    ("thread.opened", "threads"),
    ("finding.accepted", "finding_acceptances"),
    ("vote.recorded", "votes"),
    ("token.released", "apply_tokens"),
    ("token.redeemed", "runs"),
    ("stage.judged", "observations"),
    ("ticket.completed", "completions"),
    ("incident.declared", "incidents"),
    ("freeze.declared", "freezes"),
];

impl Machine {
    /// I6 and the last state of everything: the tables say what the log says.
    pub(super) async fn compare(&self, read: &mut Read) {
        for (kind, table) in ROWS {
            let rows: i64 = read.sql_owned(format!("SELECT count(*) FROM {table}")).one().await.unwrap();
            assert_eq!(rows, self.counts.get(kind).copied().unwrap_or(0), "{kind} and {table}");
        }
        let votes: Vec<VoteId> = read.sql("SELECT id FROM votes").all().await.unwrap();
        assert_eq!(votes.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), self.vote_ids);
        let tokens: Vec<(ApplyTokenId, TokenState)> =
            read.sql("SELECT id, state FROM apply_tokens").all().await.unwrap();
        for (id, state) in tokens {
            assert_eq!(state, self.tokens[&id.to_string()].state, "token {id}");
        }
        let runs: Vec<(RunId, RunStatus)> = read.sql("SELECT id, status FROM runs").all().await.unwrap();
        for (id, status) in runs {
            assert_eq!(status, self.runs[&id.to_string()].status, "run {id}");
        }
        let texts: Vec<(Digest, Vec<u8>, String)> =
            read.sql("SELECT commitment, salt, body FROM audit_texts").all().await.unwrap();
        for (commitment, salt, body) in texts {
            assert_eq!(Digest::of(&[&salt, body.as_bytes()].concat()), commitment);
            assert!(self.commitments.contains(&commitment.to_string()), "a text that no event speaks of");
        }
        self.no_author_approved(read).await;
    }

    /// Authors are typed, so the log hides them; after a run they can't be changed any more.
    async fn no_author_approved(&self, read: &mut Read) {
        let tickets: Vec<(TicketNumber, Json<Vec<String>>)> =
            read.sql("SELECT number, authors FROM tickets").all().await.unwrap();
        let people: Vec<(PersonId, String, String)> =
            read.sql("SELECT person_id, email, name FROM users").all().await.unwrap();
        for (number, authors) in tickets {
            let ran = self.runs.values().filter(|r| r.stage.0 == number.to_string());
            let approvers: BTreeSet<&String> = ran.flat_map(|r| &r.approvers).collect();
            for (person, email, name) in &people {
                let named = authors.0.iter().any(|a| a == email || a == name);
                assert!(
                    !named || !approvers.contains(&person.to_string()),
                    "{name} wrote and approved {number}"
                );
            }
        }
    }
}
