-- Which upgrade was the last to change an environment, and whether it was undone.
CREATE INDEX runs_standing ON runs (environment_id, started_at)
    WHERE direction = 'upgrade' AND status IN ('succeeded', 'partial');
CREATE INDEX runs_undoes ON runs (undoes) WHERE undoes IS NOT NULL;
-- One key of one token names one redemption (RULES 16).
CREATE UNIQUE INDEX runs_idempotency ON runs (redeemed_via, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- An acceptance counts as long as its author's word does; after that somebody else accepts the finding.
ALTER TABLE finding_acceptances DROP CONSTRAINT finding_acceptances_pkey;
ALTER TABLE finding_acceptances ADD PRIMARY KEY (finding_id, user_id);
