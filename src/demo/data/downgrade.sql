-- Running downgrade 0c7e5d1b94fa -> f50d9e7b3a26

ALTER TABLE scheduler_jobs DROP COLUMN max_retries;

DROP INDEX ix_audit_log_created_at;

DROP INDEX ix_trades_symbol_executed_at;

UPDATE alembic_version SET version_num='f50d9e7b3a26' WHERE alembic_version.version_num = '0c7e5d1b94fa';

-- Running downgrade f50d9e7b3a26 -> e6c2b8a4f107

ALTER TABLE trades ADD COLUMN legacy_ref VARCHAR(40);

UPDATE alembic_version SET version_num='e6c2b8a4f107' WHERE alembic_version.version_num = 'f50d9e7b3a26';

-- Running downgrade e6c2b8a4f107 -> d9a7f3b06e58

CREATE TABLE _alembic_tmp_risk_limits (
    id INTEGER NOT NULL, 
    account VARCHAR(20) NOT NULL, 
    kind VARCHAR(30) NOT NULL, 
    threshold VARCHAR(30), 
    PRIMARY KEY (id)
);

INSERT INTO _alembic_tmp_risk_limits (id, account, kind, threshold) SELECT risk_limits.id, risk_limits.account, risk_limits.kind, CAST(risk_limits.threshold AS VARCHAR(30)) AS threshold 
FROM risk_limits;

DROP TABLE risk_limits;

ALTER TABLE _alembic_tmp_risk_limits RENAME TO risk_limits;

UPDATE alembic_version SET version_num='d9a7f3b06e58' WHERE alembic_version.version_num = 'e6c2b8a4f107';

-- Running downgrade d9a7f3b06e58 -> d48b1e9c5f62

ALTER TABLE trades DROP COLUMN notional;

UPDATE alembic_version SET version_num='d48b1e9c5f62' WHERE alembic_version.version_num = 'd9a7f3b06e58';

