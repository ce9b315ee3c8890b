BEGIN;

-- Running downgrade 0c7e5d1b94fa -> f50d9e7b3a26

ALTER TABLE scheduler_jobs DROP COLUMN max_retries;

DROP INDEX ix_audit_log_created_at;

DROP INDEX ix_trades_symbol_executed_at;

UPDATE alembic_version SET version_num='f50d9e7b3a26' WHERE alembic_version.version_num = '0c7e5d1b94fa';

COMMIT;

BEGIN;

-- Running downgrade f50d9e7b3a26 -> e6c2b8a4f107

ALTER TABLE trades ADD COLUMN legacy_ref VARCHAR(40);

UPDATE alembic_version SET version_num='e6c2b8a4f107' WHERE alembic_version.version_num = 'f50d9e7b3a26';

COMMIT;

BEGIN;

-- Running downgrade e6c2b8a4f107 -> d9a7f3b06e58

ALTER TABLE risk_limits DROP CONSTRAINT ck_risk_limits_threshold_not_negative;

ALTER TABLE risk_limits DROP CONSTRAINT uq_risk_limits_account_kind;

ALTER TABLE risk_limits ALTER COLUMN threshold TYPE VARCHAR(30);

ALTER TABLE risk_limits ALTER COLUMN threshold DROP NOT NULL;

UPDATE alembic_version SET version_num='d9a7f3b06e58' WHERE alembic_version.version_num = 'e6c2b8a4f107';

COMMIT;

BEGIN;

-- Running downgrade d9a7f3b06e58 -> d48b1e9c5f62

ALTER TABLE trades DROP COLUMN notional;

UPDATE alembic_version SET version_num='d48b1e9c5f62' WHERE alembic_version.version_num = 'd9a7f3b06e58';

COMMIT;

