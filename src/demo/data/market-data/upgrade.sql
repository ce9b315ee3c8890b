-- Running upgrade ad51f08b37c6 -> e40c92d1b7f5

ALTER TABLE quotes ADD COLUMN venue VARCHAR(8);

UPDATE quotes SET venue = (SELECT sessions.venue FROM sessions WHERE sessions.id = quotes.session_id) WHERE venue IS NULL;

UPDATE alembic_version SET version_num='e40c92d1b7f5' WHERE alembic_version.version_num = 'ad51f08b37c6';

-- Running upgrade e40c92d1b7f5 -> 7f3bd6a9028c

CREATE INDEX ix_quotes_symbol_venue_quoted_at ON quotes (symbol, venue, quoted_at);

DROP INDEX ix_quotes_symbol;

UPDATE alembic_version SET version_num='7f3bd6a9028c' WHERE alembic_version.version_num = 'e40c92d1b7f5';

-- Running upgrade 7f3bd6a9028c -> 1de7a4c09b83

ALTER TABLE sessions ADD COLUMN zone VARCHAR(40);

UPDATE alembic_version SET version_num='1de7a4c09b83' WHERE alembic_version.version_num = '7f3bd6a9028c';

-- Running upgrade 1de7a4c09b83 -> c95e2d07fa41

UPDATE quotes SET venue = (SELECT sessions.venue FROM sessions WHERE sessions.id = quotes.session_id) WHERE venue IS NULL OR venue = '';

UPDATE alembic_version SET version_num='c95e2d07fa41' WHERE alembic_version.version_num = '1de7a4c09b83';

