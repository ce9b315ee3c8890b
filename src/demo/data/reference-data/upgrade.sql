-- Running upgrade 5b0e9d47c2a8 -> c83fa1165e90

ALTER TABLE counterparties ADD COLUMN lei VARCHAR(20);

CREATE INDEX ix_counterparties_lei ON counterparties (lei);

UPDATE alembic_version SET version_num='c83fa1165e90' WHERE alembic_version.version_num = '5b0e9d47c2a8';

-- Running upgrade c83fa1165e90 -> 20d7b96e4f3a

DELETE FROM counterparties WHERE merged_into IS NOT NULL;

CREATE UNIQUE INDEX uq_counterparties_short_code ON counterparties (short_code);

UPDATE alembic_version SET version_num='20d7b96e4f3a' WHERE alembic_version.version_num = 'c83fa1165e90';

