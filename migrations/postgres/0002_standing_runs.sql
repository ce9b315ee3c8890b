-- Which upgrade was the last to change an environment, and whether it was undone.
CREATE INDEX runs_standing ON runs (environment_id, started_at)
    WHERE direction = 'upgrade' AND status IN ('succeeded', 'partial');
CREATE INDEX runs_undoes ON runs (undoes) WHERE undoes IS NOT NULL;
-- One key of one token names one redemption (RULES 16).
CREATE UNIQUE INDEX runs_idempotency ON runs (redeemed_via, idempotency_key) WHERE idempotency_key IS NOT NULL;
