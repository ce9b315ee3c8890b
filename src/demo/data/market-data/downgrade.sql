-- Running downgrade c95e2d07fa41 -> 1de7a4c09b83

UPDATE alembic_version SET version_num='1de7a4c09b83' WHERE alembic_version.version_num = 'c95e2d07fa41';

-- Running downgrade 1de7a4c09b83 -> 7f3bd6a9028c

ALTER TABLE sessions DROP COLUMN zone;

UPDATE alembic_version SET version_num='7f3bd6a9028c' WHERE alembic_version.version_num = '1de7a4c09b83';

-- Running downgrade 7f3bd6a9028c -> e40c92d1b7f5

CREATE INDEX ix_quotes_symbol ON quotes (symbol);

DROP INDEX ix_quotes_symbol_venue_quoted_at;

UPDATE alembic_version SET version_num='e40c92d1b7f5' WHERE alembic_version.version_num = '7f3bd6a9028c';

-- Running downgrade e40c92d1b7f5 -> ad51f08b37c6

ALTER TABLE quotes DROP COLUMN venue;

UPDATE alembic_version SET version_num='ad51f08b37c6' WHERE alembic_version.version_num = 'e40c92d1b7f5';

