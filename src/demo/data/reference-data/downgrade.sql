-- Running downgrade 20d7b96e4f3a -> c83fa1165e90

DROP INDEX uq_counterparties_short_code;

UPDATE alembic_version SET version_num='c83fa1165e90' WHERE alembic_version.version_num = '20d7b96e4f3a';

-- Running downgrade c83fa1165e90 -> 5b0e9d47c2a8

DROP INDEX ix_counterparties_lei;

ALTER TABLE counterparties DROP COLUMN lei;

UPDATE alembic_version SET version_num='5b0e9d47c2a8' WHERE alembic_version.version_num = 'c83fa1165e90';

