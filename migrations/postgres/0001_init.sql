-- Countersign's first schema. Same tables as migrations/sqlite/0001_init.sql; only types and triggers differ.

CREATE TABLE users (
    id UUID PRIMARY KEY,
    person_id UUID NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT,
    active BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE user_roles (
    user_id UUID NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('engineer', 'board', 'auditor', 'admin')),
    PRIMARY KEY (user_id, role)
);

-- Who created an account, granted it a role or reset it: such a person's tickets are closed to its vote.
CREATE TABLE account_acts (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    act TEXT NOT NULL,
    by_person UUID NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX account_acts_user ON account_acts (user_id);

CREATE TABLE enrolments (
    token_hash BYTEA PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ
);

CREATE TABLE sessions (
    id UUID PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    user_id UUID NOT NULL REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    agent TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE throttles (
    bucket TEXT NOT NULL,
    period TIMESTAMPTZ NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (bucket, period)
);

CREATE TABLE api_tokens (
    id UUID PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    user_id UUID NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    used_at TIMESTAMPTZ
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE applications (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE environments (
    id UUID PRIMARY KEY,
    application_id UUID NOT NULL REFERENCES applications (id),
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    -- Two tickets for one environment meet on this row.
    lock_version BIGINT NOT NULL,
    UNIQUE (application_id, name)
);

CREATE TABLE policy_versions (
    id UUID PRIMARY KEY,
    application_id UUID NOT NULL REFERENCES applications (id),
    version BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    toml TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by UUID REFERENCES users (id),
    UNIQUE (application_id, version)
);

-- Raised by everything that closes gates for many tickets at once; redemption locks it too.
CREATE TABLE gate_epoch (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL
);
INSERT INTO gate_epoch (id, epoch) VALUES (1, 0);

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('ticket', 0), ('incident', 0);

CREATE TABLE tickets (
    id UUID PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    application_id UUID NOT NULL REFERENCES applications (id),
    policy_version_id UUID NOT NULL REFERENCES policy_versions (id),
    kind TEXT NOT NULL CHECK (kind IN ('normal', 'standard', 'emergency')),
    state TEXT NOT NULL CHECK (state IN ('draft', 'open', 'completed', 'abandoned')),
    outcome TEXT CHECK (outcome IN ('promoted', 'rolled-back')),
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    release_tag TEXT NOT NULL,
    prior_release_tag TEXT NOT NULL,
    from_revision TEXT NOT NULL,
    to_revision TEXT NOT NULL,
    authors TEXT NOT NULL,
    external_links TEXT NOT NULL,
    emergency_reason TEXT,
    emergency_incident UUID,
    requester UUID NOT NULL REFERENCES users (id),
    requested_via UUID REFERENCES api_tokens (id),
    -- Lower-case words that the search looks in.
    search TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX tickets_state ON tickets (state, number);
CREATE INDEX tickets_requester ON tickets (requester, number);

CREATE TABLE ticket_contributors (
    ticket_id UUID NOT NULL REFERENCES tickets (id),
    person_id UUID NOT NULL,
    act TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (ticket_id, person_id, act)
);

CREATE TABLE stages (
    id UUID PRIMARY KEY,
    ticket_id UUID NOT NULL REFERENCES tickets (id),
    environment_id UUID NOT NULL REFERENCES environments (id),
    position BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    UNIQUE (ticket_id, environment_id)
);

-- Content-addressed and zstd-compressed. Never deleted.
CREATE TABLE blobs (
    sha256 BYTEA PRIMARY KEY,
    bytes BIGINT NOT NULL,
    body BYTEA NOT NULL
);

CREATE TABLE artifacts (
    id UUID PRIMARY KEY,
    stage_id UUID NOT NULL REFERENCES stages (id),
    kind TEXT NOT NULL CHECK (kind IN ('upgrade-sql', 'downgrade-sql', 'dry-run-report', 'migration-history',
        'migration-manifest', 'backup-manifest', 'smoke-report', 'monitoring-snapshot', 'run-log', 'other')),
    version BIGINT NOT NULL,
    filename TEXT NOT NULL,
    sha256 BYTEA NOT NULL REFERENCES blobs (sha256),
    bytes BIGINT NOT NULL,
    facts TEXT NOT NULL,
    uploaded_by UUID NOT NULL REFERENCES users (id),
    uploaded_via UUID REFERENCES api_tokens (id),
    uploaded_at TIMESTAMPTZ NOT NULL,
    -- Of the stage, with this upload counted: tells which files a run was approved with.
    generation BIGINT NOT NULL,
    run_id UUID,
    UNIQUE (stage_id, kind, version)
);

CREATE TABLE findings (
    id UUID PRIMARY KEY,
    artifact_id UUID NOT NULL REFERENCES artifacts (id),
    ordinal BIGINT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('note', 'warn', 'block')),
    line BIGINT NOT NULL,
    last_line BIGINT NOT NULL,
    statement TEXT NOT NULL,
    why TEXT NOT NULL,
    advice TEXT NOT NULL,
    UNIQUE (artifact_id, ordinal)
);

CREATE TABLE finding_acceptances (
    finding_id UUID PRIMARY KEY REFERENCES findings (id),
    user_id UUID NOT NULL REFERENCES users (id),
    person_id UUID NOT NULL,
    note TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);

CREATE TABLE threads (
    id UUID PRIMARY KEY,
    stage_id UUID NOT NULL REFERENCES stages (id),
    artifact_id UUID NOT NULL REFERENCES artifacts (id),
    line BIGINT NOT NULL,
    quote TEXT NOT NULL,
    blocking BOOLEAN NOT NULL,
    opened_by UUID NOT NULL REFERENCES users (id),
    opened_at TIMESTAMPTZ NOT NULL,
    resolved_by UUID REFERENCES users (id),
    resolved_at TIMESTAMPTZ
);
CREATE INDEX threads_stage ON threads (stage_id);

CREATE TABLE thread_posts (
    id UUID PRIMARY KEY,
    thread_id UUID NOT NULL REFERENCES threads (id),
    user_id UUID NOT NULL REFERENCES users (id),
    body TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX thread_posts_thread ON thread_posts (thread_id);

CREATE TABLE ticks (
    id UUID PRIMARY KEY,
    stage_id UUID NOT NULL REFERENCES stages (id),
    item TEXT NOT NULL,
    generation BIGINT NOT NULL,
    run_id UUID,
    done BOOLEAN NOT NULL,
    note TEXT NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id),
    api_token_id UUID REFERENCES api_tokens (id),
    at TIMESTAMPTZ NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act BIGINT NOT NULL
);
CREATE INDEX ticks_stage ON ticks (stage_id);

-- The canonical bytes behind every evidence digest that a vote, a token or a run names.
CREATE TABLE evidence (
    digest BYTEA PRIMARY KEY,
    canonical TEXT NOT NULL
);

CREATE TABLE votes (
    id UUID PRIMARY KEY,
    stage_id UUID NOT NULL REFERENCES stages (id),
    user_id UUID NOT NULL REFERENCES users (id),
    person_id UUID NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('approve', 'reject', 'withdraw')),
    evidence BYTEA NOT NULL REFERENCES evidence (digest),
    comment TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act BIGINT NOT NULL
);
CREATE INDEX votes_stage ON votes (stage_id);

CREATE TABLE apply_tokens (
    id UUID PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    stage_id UUID NOT NULL REFERENCES stages (id),
    environment_id UUID NOT NULL REFERENCES environments (id),
    direction TEXT NOT NULL CHECK (direction IN ('upgrade', 'rollback')),
    method TEXT CHECK (method IN ('downgrade', 'restore')),
    undoes UUID,
    evidence BYTEA NOT NULL REFERENCES evidence (digest),
    waived TEXT NOT NULL,
    released_by UUID NOT NULL REFERENCES users (id),
    released_via UUID REFERENCES api_tokens (id),
    released_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('issued', 'used', 'revoked', 'expired')),
    ended_at TIMESTAMPTZ,
    ended_why TEXT
);
CREATE UNIQUE INDEX apply_tokens_outstanding ON apply_tokens (environment_id) WHERE state = 'issued';
CREATE INDEX apply_tokens_stage ON apply_tokens (stage_id);

CREATE TABLE runs (
    id UUID PRIMARY KEY,
    token_id UUID NOT NULL UNIQUE REFERENCES apply_tokens (id),
    stage_id UUID NOT NULL REFERENCES stages (id),
    environment_id UUID NOT NULL REFERENCES environments (id),
    direction TEXT NOT NULL CHECK (direction IN ('upgrade', 'rollback')),
    method TEXT CHECK (method IN ('downgrade', 'restore')),
    undoes UUID,
    idempotency_key TEXT,
    request_sha256 BYTEA NOT NULL,
    redeemed_by UUID NOT NULL REFERENCES users (id),
    redeemed_via UUID REFERENCES api_tokens (id),
    sql_digest TEXT NOT NULL,
    evidence BYTEA NOT NULL REFERENCES evidence (digest),
    generation BIGINT NOT NULL,
    grant_text TEXT NOT NULL,
    window_ends TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'partial', 'unknown')),
    finished_at TIMESTAMPTZ,
    exit_code BIGINT,
    revision_before TEXT,
    revision_after TEXT,
    -- What the client said after the run had become unknown: kept, decides nothing.
    late_report TEXT,
    verdict TEXT,
    log_bytes BIGINT NOT NULL,
    log_cut BOOLEAN NOT NULL,
    overran BOOLEAN NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act BIGINT NOT NULL
);
CREATE UNIQUE INDEX runs_unsettled ON runs (environment_id) WHERE status IN ('running', 'unknown');
CREATE INDEX runs_unverified ON runs (environment_id)
    WHERE status IN ('failed', 'partial') AND revision_after IS NULL AND verdict IS NULL;
CREATE INDEX runs_stage ON runs (stage_id);

CREATE TABLE run_log (
    run_id UUID NOT NULL REFERENCES runs (id),
    start BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (run_id, start)
);

CREATE TABLE observations (
    id UUID PRIMARY KEY,
    stage_id UUID NOT NULL REFERENCES stages (id),
    run_id UUID NOT NULL REFERENCES runs (id),
    verdict TEXT NOT NULL CHECK (verdict IN ('healthy', 'unhealthy')),
    note TEXT NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id),
    api_token_id UUID REFERENCES api_tokens (id),
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX observations_stage ON observations (stage_id);

CREATE TABLE completions (
    ticket_id UUID PRIMARY KEY REFERENCES tickets (id),
    outcome TEXT NOT NULL,
    notes TEXT NOT NULL,
    retrospective TEXT,
    user_id UUID NOT NULL REFERENCES users (id),
    at TIMESTAMPTZ NOT NULL
);

CREATE TABLE incidents (
    id UUID PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    application_id UUID NOT NULL REFERENCES applications (id),
    title TEXT NOT NULL,
    opened_by UUID NOT NULL REFERENCES users (id),
    opened_at TIMESTAMPTZ NOT NULL,
    resolved_by UUID REFERENCES users (id),
    resolved_at TIMESTAMPTZ
);
CREATE INDEX incidents_application ON incidents (application_id, resolved_at);

CREATE TABLE freezes (
    id UUID PRIMARY KEY,
    application_id UUID REFERENCES applications (id),
    environment TEXT,
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    declared_by UUID NOT NULL REFERENCES users (id),
    declared_at TIMESTAMPTZ NOT NULL,
    ended_by UUID REFERENCES users (id)
);
CREATE INDEX freezes_end ON freezes (ends_at);

-- Things that mean a secret leaked: shown on the ticket until somebody has read them.
CREATE TABLE alarms (
    id UUID PRIMARY KEY,
    ticket_id UUID NOT NULL REFERENCES tickets (id),
    stage_id UUID NOT NULL REFERENCES stages (id),
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX alarms_ticket ON alarms (ticket_id);

CREATE TABLE idempotency (
    owner UUID NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BYTEA NOT NULL,
    status BIGINT,
    body TEXT,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    next_seq BIGINT NOT NULL
);
INSERT INTO audit_head (id, next_seq) VALUES (1, 1);

-- One canonical event a row, appended in the transaction of the act itself.
CREATE TABLE audit_events (
    seq BIGINT PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    kind TEXT NOT NULL,
    ticket_id UUID,
    user_id UUID,
    event TEXT NOT NULL
);
CREATE INDEX audit_events_ticket ON audit_events (ticket_id, seq);

-- Free text that people wrote, behind the salted commitment in its event: erasing it leaves the log whole.
CREATE TABLE audit_texts (
    commitment BYTEA PRIMARY KEY,
    salt BYTEA NOT NULL,
    body TEXT NOT NULL
);

-- What is recorded stays recorded. Texts behind commitments may be erased, so audit_texts has no such trigger.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER votes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON votes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER artifacts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON artifacts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER blobs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON blobs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER policy_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER finding_acceptances_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finding_acceptances FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER completions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON completions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER observations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON observations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ticks_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ticks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
