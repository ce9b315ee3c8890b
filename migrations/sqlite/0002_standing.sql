-- Which upgrade was the last to change an environment, and whether it was undone.
CREATE INDEX runs_standing ON runs (environment_id, started_at)
    WHERE direction = 'upgrade' AND status IN ('succeeded', 'partial');
CREATE INDEX runs_undoes ON runs (undoes) WHERE undoes IS NOT NULL;
-- One key of one token names one redemption (RULES 16).
CREATE UNIQUE INDEX runs_idempotency ON runs (redeemed_via, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- An acceptance counts as long as its author's word does; after that somebody else accepts the finding.
CREATE TABLE acceptances (
    finding_id BLOB NOT NULL REFERENCES findings (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    person_id BLOB NOT NULL,
    note TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (finding_id, user_id)
) STRICT;
INSERT INTO acceptances SELECT finding_id, user_id, person_id, note, at FROM finding_acceptances;
DROP TABLE finding_acceptances;
ALTER TABLE acceptances RENAME TO finding_acceptances;
CREATE TRIGGER finding_acceptances_no_update BEFORE UPDATE ON finding_acceptances BEGIN SELECT RAISE(ABORT, 'finding_acceptances is append-only'); END;
CREATE TRIGGER finding_acceptances_no_delete BEFORE DELETE ON finding_acceptances BEGIN SELECT RAISE(ABORT, 'finding_acceptances is append-only'); END;
