-- Countersign's first schema. Same tables as migrations/postgres/0001_init.sql; only types and triggers differ.

CREATE TABLE users (
    id BLOB PRIMARY KEY,
    person_id BLOB NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE user_roles (
    user_id BLOB NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('engineer', 'board', 'auditor', 'admin')),
    PRIMARY KEY (user_id, role)
) STRICT;

-- Who created an account, granted it a role or reset it: such a person's tickets are closed to its vote.
CREATE TABLE account_acts (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    act TEXT NOT NULL,
    by_person BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX account_acts_user ON account_acts (user_id);

CREATE TABLE enrolments (
    token_hash BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    agent TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE throttles (
    bucket TEXT NOT NULL,
    period INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (bucket, period)
) STRICT;

CREATE TABLE api_tokens (
    id BLOB PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    used_at INTEGER
) STRICT;
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE applications (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE environments (
    id BLOB PRIMARY KEY,
    application_id BLOB NOT NULL REFERENCES applications (id),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- Two tickets for one environment meet on this row.
    lock_version INTEGER NOT NULL,
    UNIQUE (application_id, name)
) STRICT;

CREATE TABLE policy_versions (
    id BLOB PRIMARY KEY,
    application_id BLOB NOT NULL REFERENCES applications (id),
    version INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    toml TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB REFERENCES users (id),
    UNIQUE (application_id, version)
) STRICT;

-- Raised by everything that closes gates for many tickets at once; redemption locks it too.
CREATE TABLE gate_epoch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO gate_epoch (id, epoch) VALUES (1, 0);

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters (name, value) VALUES ('ticket', 0), ('incident', 0);

CREATE TABLE tickets (
    id BLOB PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    application_id BLOB NOT NULL REFERENCES applications (id),
    policy_version_id BLOB NOT NULL REFERENCES policy_versions (id),
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
    emergency_incident BLOB,
    requester BLOB NOT NULL REFERENCES users (id),
    requested_via BLOB REFERENCES api_tokens (id),
    -- Lower-case words that the search looks in.
    search TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tickets_state ON tickets (state, number);
CREATE INDEX tickets_requester ON tickets (requester, number);

CREATE TABLE ticket_contributors (
    ticket_id BLOB NOT NULL REFERENCES tickets (id),
    person_id BLOB NOT NULL,
    act TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (ticket_id, person_id, act)
) STRICT;

CREATE TABLE stages (
    id BLOB PRIMARY KEY,
    ticket_id BLOB NOT NULL REFERENCES tickets (id),
    environment_id BLOB NOT NULL REFERENCES environments (id),
    position INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    UNIQUE (ticket_id, environment_id)
) STRICT;

-- Content-addressed and zstd-compressed. Never deleted.
CREATE TABLE blobs (
    sha256 BLOB PRIMARY KEY,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE artifacts (
    id BLOB PRIMARY KEY,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    kind TEXT NOT NULL CHECK (kind IN ('upgrade-sql', 'downgrade-sql', 'dry-run-report', 'migration-history',
        'migration-manifest', 'backup-manifest', 'smoke-report', 'monitoring-snapshot', 'run-log', 'other')),
    version INTEGER NOT NULL,
    filename TEXT NOT NULL,
    sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    bytes INTEGER NOT NULL,
    facts TEXT NOT NULL,
    uploaded_by BLOB NOT NULL REFERENCES users (id),
    uploaded_via BLOB REFERENCES api_tokens (id),
    uploaded_at INTEGER NOT NULL,
    -- Of the stage, with this upload counted: tells which files a run was approved with.
    generation INTEGER NOT NULL,
    run_id BLOB,
    UNIQUE (stage_id, kind, version)
) STRICT;

CREATE TABLE findings (
    id BLOB PRIMARY KEY,
    artifact_id BLOB NOT NULL REFERENCES artifacts (id),
    ordinal INTEGER NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('note', 'warn', 'block')),
    line INTEGER NOT NULL,
    last_line INTEGER NOT NULL,
    statement TEXT NOT NULL,
    why TEXT NOT NULL,
    advice TEXT NOT NULL,
    UNIQUE (artifact_id, ordinal)
) STRICT;

CREATE TABLE finding_acceptances (
    finding_id BLOB PRIMARY KEY REFERENCES findings (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    person_id BLOB NOT NULL,
    note TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE threads (
    id BLOB PRIMARY KEY,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    artifact_id BLOB NOT NULL REFERENCES artifacts (id),
    line INTEGER NOT NULL,
    quote TEXT NOT NULL,
    blocking INTEGER NOT NULL,
    opened_by BLOB NOT NULL REFERENCES users (id),
    opened_at INTEGER NOT NULL,
    resolved_by BLOB REFERENCES users (id),
    resolved_at INTEGER
) STRICT;
CREATE INDEX threads_stage ON threads (stage_id);

CREATE TABLE thread_posts (
    id BLOB PRIMARY KEY,
    thread_id BLOB NOT NULL REFERENCES threads (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX thread_posts_thread ON thread_posts (thread_id);

CREATE TABLE ticks (
    id BLOB PRIMARY KEY,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    item TEXT NOT NULL,
    generation INTEGER NOT NULL,
    run_id BLOB,
    done INTEGER NOT NULL,
    note TEXT NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id),
    api_token_id BLOB REFERENCES api_tokens (id),
    at INTEGER NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act INTEGER NOT NULL
) STRICT;
CREATE INDEX ticks_stage ON ticks (stage_id);

-- The canonical bytes behind every evidence digest that a vote, a token or a run names.
CREATE TABLE evidence (
    digest BLOB PRIMARY KEY,
    canonical TEXT NOT NULL
) STRICT;

CREATE TABLE votes (
    id BLOB PRIMARY KEY,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    person_id BLOB NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('approve', 'reject', 'withdraw')),
    evidence BLOB NOT NULL REFERENCES evidence (digest),
    comment TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act INTEGER NOT NULL
) STRICT;
CREATE INDEX votes_stage ON votes (stage_id);

CREATE TABLE apply_tokens (
    id BLOB PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    environment_id BLOB NOT NULL REFERENCES environments (id),
    direction TEXT NOT NULL CHECK (direction IN ('upgrade', 'rollback')),
    method TEXT CHECK (method IN ('downgrade', 'restore')),
    undoes BLOB,
    evidence BLOB NOT NULL REFERENCES evidence (digest),
    waived TEXT NOT NULL,
    released_by BLOB NOT NULL REFERENCES users (id),
    released_via BLOB REFERENCES api_tokens (id),
    released_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('issued', 'used', 'revoked', 'expired')),
    ended_at INTEGER,
    ended_why TEXT
) STRICT;
CREATE UNIQUE INDEX apply_tokens_outstanding ON apply_tokens (environment_id) WHERE state = 'issued';
CREATE INDEX apply_tokens_stage ON apply_tokens (stage_id);

CREATE TABLE runs (
    id BLOB PRIMARY KEY,
    token_id BLOB NOT NULL UNIQUE REFERENCES apply_tokens (id),
    stage_id BLOB NOT NULL REFERENCES stages (id),
    environment_id BLOB NOT NULL REFERENCES environments (id),
    direction TEXT NOT NULL CHECK (direction IN ('upgrade', 'rollback')),
    method TEXT CHECK (method IN ('downgrade', 'restore')),
    undoes BLOB,
    idempotency_key TEXT,
    request_sha256 BLOB NOT NULL,
    redeemed_by BLOB NOT NULL REFERENCES users (id),
    redeemed_via BLOB REFERENCES api_tokens (id),
    sql_digest TEXT NOT NULL,
    evidence BLOB NOT NULL REFERENCES evidence (digest),
    generation INTEGER NOT NULL,
    grant_text TEXT NOT NULL,
    window_ends INTEGER,
    started_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'partial', 'unknown')),
    finished_at INTEGER,
    exit_code INTEGER,
    revision_before TEXT,
    revision_after TEXT,
    -- What the client said after the run had become unknown: kept, decides nothing.
    late_report TEXT,
    verdict TEXT,
    log_bytes INTEGER NOT NULL,
    log_cut INTEGER NOT NULL,
    overran INTEGER NOT NULL,
    -- The ticket's version that this act made: the order of acts, whatever clocks said.
    act INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_unsettled ON runs (environment_id) WHERE status IN ('running', 'unknown');
CREATE INDEX runs_unverified ON runs (environment_id)
    WHERE status IN ('failed', 'partial') AND revision_after IS NULL AND verdict IS NULL;
CREATE INDEX runs_stage ON runs (stage_id);

CREATE TABLE run_log (
    run_id BLOB NOT NULL REFERENCES runs (id),
    start INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run_id, start)
) STRICT;

CREATE TABLE observations (
    id BLOB PRIMARY KEY,
    stage_id BLOB NOT NULL REFERENCES stages (id),
    run_id BLOB NOT NULL REFERENCES runs (id),
    verdict TEXT NOT NULL CHECK (verdict IN ('healthy', 'unhealthy')),
    note TEXT NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id),
    api_token_id BLOB REFERENCES api_tokens (id),
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX observations_stage ON observations (stage_id);

CREATE TABLE completions (
    ticket_id BLOB PRIMARY KEY REFERENCES tickets (id),
    outcome TEXT NOT NULL,
    notes TEXT NOT NULL,
    retrospective TEXT,
    user_id BLOB NOT NULL REFERENCES users (id),
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE incidents (
    id BLOB PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    application_id BLOB NOT NULL REFERENCES applications (id),
    title TEXT NOT NULL,
    opened_by BLOB NOT NULL REFERENCES users (id),
    opened_at INTEGER NOT NULL,
    resolved_by BLOB REFERENCES users (id),
    resolved_at INTEGER
) STRICT;
CREATE INDEX incidents_application ON incidents (application_id, resolved_at);

CREATE TABLE freezes (
    id BLOB PRIMARY KEY,
    application_id BLOB REFERENCES applications (id),
    environment TEXT,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    declared_by BLOB NOT NULL REFERENCES users (id),
    declared_at INTEGER NOT NULL,
    ended_by BLOB REFERENCES users (id)
) STRICT;
CREATE INDEX freezes_end ON freezes (ends_at);

-- Things that mean a secret leaked: shown on the ticket until somebody has read them.
CREATE TABLE alarms (
    id BLOB PRIMARY KEY,
    ticket_id BLOB NOT NULL REFERENCES tickets (id),
    stage_id BLOB NOT NULL REFERENCES stages (id),
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX alarms_ticket ON alarms (ticket_id);

CREATE TABLE idempotency (
    owner BLOB NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BLOB NOT NULL,
    status INTEGER,
    body TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT;

CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_seq INTEGER NOT NULL
) STRICT;
INSERT INTO audit_head (id, next_seq) VALUES (1, 1);

-- One canonical event a row, appended in the transaction of the act itself.
CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    ticket_id BLOB,
    user_id BLOB,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_ticket ON audit_events (ticket_id, seq);

-- Free text that people wrote, behind the salted commitment in its event: erasing it leaves the log whole.
CREATE TABLE audit_texts (
    commitment BLOB PRIMARY KEY,
    salt BLOB NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- What is recorded stays recorded. Texts behind commitments may be erased, so audit_texts has no such trigger.
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
CREATE TRIGGER votes_no_update BEFORE UPDATE ON votes BEGIN SELECT RAISE(ABORT, 'votes is append-only'); END;
CREATE TRIGGER votes_no_delete BEFORE DELETE ON votes BEGIN SELECT RAISE(ABORT, 'votes is append-only'); END;
CREATE TRIGGER artifacts_no_update BEFORE UPDATE ON artifacts BEGIN SELECT RAISE(ABORT, 'artifacts is append-only'); END;
CREATE TRIGGER artifacts_no_delete BEFORE DELETE ON artifacts BEGIN SELECT RAISE(ABORT, 'artifacts is append-only'); END;
CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs BEGIN SELECT RAISE(ABORT, 'blobs is append-only'); END;
CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs BEGIN SELECT RAISE(ABORT, 'blobs is append-only'); END;
CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE TRIGGER policy_versions_no_update BEFORE UPDATE ON policy_versions BEGIN SELECT RAISE(ABORT, 'policy_versions is append-only'); END;
CREATE TRIGGER policy_versions_no_delete BEFORE DELETE ON policy_versions BEGIN SELECT RAISE(ABORT, 'policy_versions is append-only'); END;
CREATE TRIGGER finding_acceptances_no_update BEFORE UPDATE ON finding_acceptances BEGIN SELECT RAISE(ABORT, 'finding_acceptances is append-only'); END;
CREATE TRIGGER finding_acceptances_no_delete BEFORE DELETE ON finding_acceptances BEGIN SELECT RAISE(ABORT, 'finding_acceptances is append-only'); END;
CREATE TRIGGER completions_no_update BEFORE UPDATE ON completions BEGIN SELECT RAISE(ABORT, 'completions is append-only'); END;
CREATE TRIGGER completions_no_delete BEFORE DELETE ON completions BEGIN SELECT RAISE(ABORT, 'completions is append-only'); END;
CREATE TRIGGER observations_no_update BEFORE UPDATE ON observations BEGIN SELECT RAISE(ABORT, 'observations is append-only'); END;
CREATE TRIGGER observations_no_delete BEFORE DELETE ON observations BEGIN SELECT RAISE(ABORT, 'observations is append-only'); END;
CREATE TRIGGER ticks_no_update BEFORE UPDATE ON ticks BEGIN SELECT RAISE(ABORT, 'ticks is append-only'); END;
CREATE TRIGGER ticks_no_delete BEFORE DELETE ON ticks BEGIN SELECT RAISE(ABORT, 'ticks is append-only'); END;
