BEGIN;

-- Running upgrade d48b1e9c5f62 -> d9a7f3b06e58

ALTER TABLE trades ADD COLUMN notional NUMERIC(20, 4);

UPDATE trades SET notional = quantity * price WHERE notional IS NULL;

UPDATE alembic_version SET version_num='d9a7f3b06e58' WHERE alembic_version.version_num = 'd48b1e9c5f62';

COMMIT;

BEGIN;

-- Running upgrade d9a7f3b06e58 -> e6c2b8a4f107

UPDATE risk_limits SET threshold = '0' WHERE threshold IS NULL OR threshold = '';

ALTER TABLE risk_limits ALTER COLUMN threshold TYPE NUMERIC(20, 4) USING threshold::numeric(20,4);

ALTER TABLE risk_limits ALTER COLUMN threshold SET NOT NULL;

ALTER TABLE risk_limits ADD CONSTRAINT uq_risk_limits_account_kind UNIQUE (account, kind);

ALTER TABLE risk_limits ADD CONSTRAINT ck_risk_limits_threshold_not_negative CHECK (threshold >= 0);

UPDATE alembic_version SET version_num='e6c2b8a4f107' WHERE alembic_version.version_num = 'd9a7f3b06e58';

COMMIT;

BEGIN;

-- Running upgrade e6c2b8a4f107 -> f50d9e7b3a26

ALTER TABLE trades DROP COLUMN legacy_ref;

UPDATE alembic_version SET version_num='f50d9e7b3a26' WHERE alembic_version.version_num = 'e6c2b8a4f107';

COMMIT;

BEGIN;

-- Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa

CREATE INDEX ix_trades_symbol_executed_at ON trades (symbol, executed_at);

CREATE INDEX ix_audit_log_created_at ON audit_log (created_at);

ALTER TABLE scheduler_jobs ADD COLUMN max_retries INTEGER DEFAULT '3' NOT NULL;

UPDATE alembic_version SET version_num='0c7e5d1b94fa' WHERE alembic_version.version_num = 'f50d9e7b3a26';

COMMIT;

