"""Runs one verb of Alembic for Countersign, in the project's own Python.

    python shim.py REQUEST.json

Answers go to the files that the request names; standard output and standard error stay the project's own.
The database's URL comes in DATABASE_URL. Standard input is a pipe that is never written to: when it closes, whoever
started this has gone, and this goes too.
"""
import functools
import json
import os
import re
import sys
import threading
import time
import traceback

STARTED = time.monotonic()


def watch(pipe):
    while os.read(pipe, 1):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), 9)
    os._exit(9)


def short(text, most=2000):
    return str(text)[:most]


class Events:
    """One JSON line for each thing that happens while a database is changed."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.revision = None
        self.count = 0

    def put(self, event, **fields):
        of = fields.pop("of", None) or self.revision
        fields.update(event=event, at=round((time.monotonic() - STARTED) * 1000, 3), revision=of)
        self.file.write(json.dumps(fields, default=str) + "\n")
        self.file.flush()


# --- SQL text -------------------------------------------------------------------------------------------------------

NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
PATH = NAME + r"(?:\s*\.\s*" + NAME + r")*"
QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1"
COMMENT = re.compile(r"(?P<keep>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(?P<dollar>\$\w*\$).*?(?P=dollar))|--[^\n]*|/\*.*?\*/", re.S)
MARKS = {
    "qmark": re.compile(QUOTED + r"|(?P<mark>\?)", re.S),
    "format": re.compile(QUOTED + r"|(?P<mark>%s)|(?P<double>%%)", re.S),
    "pyformat": re.compile(QUOTED + r"|(?P<mark>%\((?P<name>[^)]+)\)s|%s)|(?P<double>%%)", re.S),
    "named": re.compile(QUOTED + r"|(?<!:)(?P<mark>:(?P<name>\w+))", re.S),
    "numeric": re.compile(QUOTED + r"|(?P<mark>:(?P<at>\d+))", re.S),
    "numeric_dollar": re.compile(QUOTED + r"|(?P<mark>\$(?P<at>\d+))", re.S),
}


def literal(value, dialect):
    if value is None:
        return "NULL"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value) if value - value == 0 else "'%s'" % value
    if isinstance(value, (bytes, bytearray, memoryview)):
        text = bytes(value).hex()
        return "'\\x" + text + "'" if dialect == "postgresql" else "X'" + text + "'"
    if isinstance(value, tuple) and dialect == "postgresql":
        return "(%s)" % ", ".join(literal(v, dialect) for v in value)
    if isinstance(value, list) and dialect == "postgresql":
        value = array(value)
    elif isinstance(value, (dict, list, tuple)):
        value = json.dumps(value, default=str)
    return "'" + str(value).replace("'", "''") + "'"


def array(values):
    """PostgreSQL's own text of an array."""

    def element(value):
        if isinstance(value, (list, tuple)):
            return array(value)
        if value is None:
            return "NULL"
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = "\\x" + bytes(value).hex()
        text = json.dumps(value, default=str) if isinstance(value, (dict, bool)) else str(value)
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(map(element, values)) + "}"


def rendered(statement, parameters, style, dialect):
    """The statement with its parameters written into it."""
    if not parameters or style not in MARKS:
        return statement
    rest = iter(parameters) if not isinstance(parameters, dict) else None

    def put(found):
        parts = found.groupdict()
        if parts.get("double"):
            return "%"
        if not parts.get("mark"):
            return found.group().replace("%%", "%") if style in ("format", "pyformat") else found.group()
        if parts.get("name") is not None:
            return literal(parameters[parts["name"]], dialect)
        if parts.get("at") is not None:
            return literal(parameters[int(parts["at"]) - 1], dialect)
        return literal(next(rest), dialect)

    try:
        return MARKS[style].sub(put, statement)
    except (KeyError, IndexError, StopIteration, TypeError):
        return statement


def faces(statement, many, style, dialect):
    """The texts to judge an UPDATE by: one for each set of its parameters that is NULL."""
    if not re.search(r"\bUPDATE\b", statement, re.I):
        return [statement]
    found = {}
    for parameters in many:
        pairs = parameters.items() if isinstance(parameters, dict) else enumerate(parameters or ())
        found.setdefault(tuple(key for key, value in pairs if value is None), parameters)
    return [rendered(statement, p, style, dialect) if nulls else statement for nulls, p in found.items()] or [statement]


def bare(statement):
    """Without comments and the white space around."""
    return COMMENT.sub(lambda m: m.group("keep") or " ", statement).strip().rstrip(";").strip()


def parts(text):
    """Split at commas outside quotes and brackets."""
    found, depth, start = [], 0, 0
    for m in re.finditer(QUOTED + r"|[(),]", text, re.S):
        if m.group() == "(":
            depth += 1
        elif m.group() == ")":
            depth -= 1
        elif m.group() == "," and not depth:
            found.append(text[start : m.start()])
            start = m.end()
    return [*found, text[start:]]


def plain(name):
    """The last part of a name, without its quotes."""
    return unquoted(re.findall(NAME, name)[-1])


def unquoted(name):
    return name[1:-1].replace('""', '"') if name[0] in '"`[' else name


def opened(text):
    """The statements of WITH and the one that they lead to; the text itself without WITH."""
    m = re.match(r"WITH\s+(?:RECURSIVE\s+)?", text, re.I)
    if not m:
        return [text]
    found, at = [], m.end()
    head = re.compile(NAME + r"\s*(?:\([^()]*\)\s*)?AS\s+(?:(?:NOT\s+)?MATERIALIZED\s+)?\(", re.I)
    while True:
        m = head.match(text, at)
        if not m:
            return [*found, text]
        depth, start, at = 1, m.end(), len(text)
        for b in re.finditer(QUOTED + r"|[()]", text[start:], re.S):
            depth += {"(": 1, ")": -1}.get(b.group(), 0)
            if not depth:
                found += opened(text[start : start + b.start()].strip())
                at = start + b.end()
                break
        comma = re.compile(r"\s*,\s*").match(text, at)
        if not comma:
            return [*found, text[at:].strip()]
        at = comma.end()


def threats(texts):
    """What a statement with these texts may destroy: {(kind, table): columns}, None for all of them; and the
    (kind, table, column) that every text has, not only some."""
    found, every = {}, None
    for text in texts:
        here = judged(text)
        for kind, table, columns in here:
            known = found.setdefault((kind, table), None if columns is None else [])
            if known is not None:
                known += [c for c in columns if c not in known]
        named = {(kind, table, c) for kind, table, columns in here for c in columns or ()}
        every = named if every is None else every & named
    return found, every or set()


@functools.lru_cache(maxsize=64)
def judged(text):
    """(kind, table, columns) of everything that this text may destroy."""
    return [(kind, t, c) for part in opened(bare(text)) for kind, tables in threat(part) for t, c in tables]


def threat(text):
    m = re.match(r"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(.*?)(?:\s+(?:CASCADE|RESTRICT))?$", text, re.I | re.S)
    if m:
        return [("drop", [(t.strip(), None) for t in parts(m.group(1))])]
    m = re.match(r"TRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?(.*?)(?:\s+(?:RESTART|CONTINUE|CASCADE|RESTRICT)\b.*)?$", text, re.I | re.S)
    if m:
        return [("delete", [(re.sub(r"\s*\*$", "", t.strip()), None) for t in parts(m.group(1))])]
    m = re.match(r"DELETE\s+FROM\s+(?:ONLY\s+)?(" + PATH + ")", text, re.I)
    m = m or re.match(r"MERGE\s+INTO\s+(?:ONLY\s+)?(" + PATH + r")(?=.*\bTHEN\s+DELETE\b)", text, re.I | re.S)
    if m:
        return [("delete", [(m.group(1), None)])]
    m = re.match(r"(?:REPLACE|INSERT\s+OR\s+REPLACE)\s+INTO\s+(" + PATH + ")", text, re.I)
    if m:
        return [("replace", [(m.group(1), None)])]
    m = re.match(r"UPDATE\s+(?:OR\s+\w+\s+)?(?:ONLY\s+)?(" + PATH + r")\s+(?:(?:AS\s+)?\w+\s+)?SET\s+(.*)$", text, re.I | re.S)
    if m:
        columns = []
        for part in parts(re.split(r"\bWHERE\b", m.group(2), maxsplit=1, flags=re.I)[0]):
            name, _, value = part.partition("=")
            if re.search(r"\b(?:NULL|NULLIF|SELECT)\b", value, re.I):
                name = name.strip()
                names = parts(name[1:-1]) if name.startswith("(") else [name]
                columns += [n.strip() for n in names if re.fullmatch(PATH, n.strip())]
        found = [("update", [(m.group(1), columns)])] if columns else []
        if re.match(r"UPDATE\s+OR\s+REPLACE\b", text, re.I):
            found.append(("delete", [(m.group(1), None)]))
        return found
    m = re.match(r"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(" + PATH + r")\s+(.*)$", text, re.I | re.S)
    if m:
        dropped, changed = [], []
        for part in parts(m.group(2)):
            d = re.match(r"\s*DROP\s+(?!CONSTRAINT\b|INDEX\b|KEY\b|PRIMARY\b|FOREIGN\b|CHECK\b|DEFAULT\b|PARTITION\b)(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?(" + NAME + ")", part, re.I)
            c = re.match(r"\s*ALTER\s+(?:COLUMN\s+)?(" + NAME + r")\s+(?:SET\s+DATA\s+)?TYPE\b", part, re.I)
            if d:
                dropped.append(d.group(1))
            elif c:
                changed.append(c.group(1))
        if dropped:
            return [("column", [(m.group(1), dropped)])]
        return [("update", [(m.group(1), changed)])] if changed else []
    return []


def renamed(statement):
    m = re.match(r"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(" + PATH + r")\s+RENAME\s+TO\s+(" + NAME + ")$", bare(statement), re.I)
    return m.groups() if m else None


def created(statement):
    """The table that a statement makes, if none was there."""
    m = re.match(r"CREATE\s+(?:(?:GLOBAL|LOCAL)\s+)?(?:TEMP(?:ORARY)?\s+|UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + PATH + ")", bare(statement), re.I)
    return m.group(1) if m else None


# --- what is lost ---------------------------------------------------------------------------------------------------


class Losses:
    """Counts rows and values around statements that may destroy some. Its own queries never harm the migration."""

    MOST = 300

    def __init__(self, events):
        self.events = events
        self.spent = 0
        self.run = None  # the statement that is being repeated
        self.drops = {}  # full name -> (number, revision, counts): a rebuild may still bring the rows back
        self.making = None
        self.made = set()  # full names of tables that this upgrade made

    def query(self, connection, sql):
        cursor = connection.connection.cursor()
        try:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else [], [d[0] for d in cursor.description or ()]
        finally:
            cursor.close()

    def aside(self, connection, ask):
        """What a few queries find out; None if one fails, and then the transaction goes on as if none had been."""
        kept = False
        try:
            if connection.dialect.name == "postgresql":
                try:
                    self.query(connection, "SAVEPOINT countersign")
                    kept = True
                except Exception:  # autocommit: a failure ends nothing but itself
                    pass
            return ask()
        except Exception:  # whatever it is, the migration's own statement is the one to complain
            return None
        finally:
            if kept:
                try:
                    self.query(connection, "ROLLBACK TO SAVEPOINT countersign")
                    self.query(connection, "RELEASE SAVEPOINT countersign")
                except Exception:  # the connection is gone
                    pass

    def full(self, connection, table):
        """(schema, name) as the database knows the table; None if there is no such table."""
        if connection.dialect.name == "postgresql":
            sql = "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('%s')"
            rows = self.query(connection, sql.replace("%s", table.replace("'", "''")))[0]
            return tuple(rows[0]) if rows else None
        names = [unquoted(n).lower() for n in re.findall(NAME, table)]
        schemas = names[:-1] or ["temp", "main"]
        for schema in schemas:
            master = "sqlite_temp_master" if schema == "temp" else '"%s".sqlite_master' % schema.replace('"', '""')
            sql = "SELECT name FROM %s WHERE type IN ('table', 'view') AND lower(name) = '%s'" % (master, names[-1].replace("'", "''"))
            if self.query(connection, sql)[0]:
                return schema, names[-1]
        return None

    def shown(self, key, table):
        """A table's name for the report: with its schema only where that is not the usual one."""
        return key[0] + "." + key[1] if key and key[0] not in ("public", "main", "temp") else plain(table)

    def counts(self, connection, table, columns=None):
        """{None: rows, column: values that are not NULL}; none where it can't be told."""
        if self.spent >= self.MOST:
            return None
        self.spent += 1

        def ask():
            if columns is None:
                names = self.query(connection, "SELECT * FROM %s LIMIT 0" % table)[1]
                quoted = ['"' + n.replace('"', '""') + '"' for n in names]
            else:
                names, quoted = [plain(c) for c in columns], columns
            sql = "SELECT count(*)%s FROM %s" % ("".join(", count(%s)" % q for q in quoted), table)
            return dict(zip([None, *names], self.query(connection, sql)[0][0]))

        return self.aside(connection, ask)

    def before(self, connection, statement, number, texts):
        asked, every = threats(texts)
        if self.run and self.run["text"] == statement and self.covers(asked):
            self.run["every"] &= every
            return
        self.settle()
        new = created(statement)
        # A table that is there already is not made by IF NOT EXISTS.
        there = new and self.aside(connection, lambda: (self.full(connection, new),))
        self.making = new if there == (None,) else None
        found = []
        for (kind, table), columns in asked.items():
            known = self.aside(connection, lambda: (self.full(connection, table),))
            if known == (None,) or plain(table) == self.events.version_table:
                continue
            key = known[0] if known else (None, table)
            found.append((kind, table, key, self.counts(connection, table, columns)))
        self.run = {"text": statement, "number": number, "revision": self.events.revision, "connection": connection, "asked": asked, "every": every, "found": found, "rows": 0, "done": False}

    def covers(self, asked):
        """Whether what may be destroyed is being counted already."""
        of_run = self.run["asked"]
        return all(key in of_run and set(columns or ()) <= set(of_run[key] or ()) for key, columns in asked.items())

    def after(self, connection, statement, rows):
        if self.making:
            full = self.aside(connection, lambda: self.full(connection, self.making))
            self.made |= {full} if full else set()
            self.making = None
        names = renamed(statement)
        if names:
            old, new = names
            target = new if "." not in old else old.rsplit(".", 1)[0] + "." + new
            full = self.aside(connection, lambda: self.full(connection, target))
            before = full and (full[0], unquoted(re.findall(NAME, old)[-1]))
            ours = [key for key in self.made if before and key[0] == before[0] and key[1].lower() == before[1].lower()]
            if ours:
                # Only what was made in this upgrade can be the dropped table made anew.
                self.made -= set(ours)
                self.made.add(full)
                start = self.drops.pop(full, None)
                if start:
                    self.rebuilt(start, self.shown(full, target), self.counts(connection, target))
        if self.run and self.run["text"] == statement:
            self.run["rows"] += max(rows, 0)
            self.run["done"] = True

    def rebuilt(self, start, table, after):
        number, revision, before = start[0], start[1], start[2]
        if after is None or before is None:
            return self.lost(number, revision, table, None, None, None)
        rows = max(0, before[None] - after[None])
        if rows:
            self.lost(number, revision, table, None, rows, 0)
        for column, values in before.items():
            if column is not None and values > after.get(column, 0):
                self.lost(number, revision, table, column, 0, values - after.get(column, 0))

    def settle(self):
        """The run of one statement is over: count again."""
        run, self.run = self.run, None
        # A statement that the database refused destroyed nothing.
        for kind, table, key, before in run["found"] if run and run["done"] else []:
            self.settled(run, kind, table, key, before)

    def settled(self, run, kind, table, key, before):
        connection, number, revision, rows = run["connection"], run["number"], run["revision"], run["rows"]
        name = self.shown(key, table)
        if kind == "drop":
            self.dropped(key)
            self.made.discard(key)
            self.drops[key] = (number, revision, before, name)
        elif before is None:
            # Silence would say that nothing was lost; the driver's own number of rows is all there is.
            self.lost(number, revision, name, None, rows if kind == "delete" and rows else None, None)
        elif kind == "column":
            for column, values in before.items():
                if column is not None:
                    self.lost(number, revision, name, column, 0, values)
        else:
            after = self.counts(connection, table, self.quoted(before) if kind == "update" else None)
            if after is None:
                self.lost(number, revision, name, None, rows if kind == "delete" else None, None)
            elif kind == "delete":
                values = sum(before[c] - after.get(c, 0) for c in before if c is not None)
                self.lost(number, revision, name, None, max(0, before[None] - after[None]), max(0, values))
            elif kind == "replace":
                replaced = before[None] + rows - after[None]
                if replaced > 0:
                    # What stood in those rows is gone, how much of it had a value can't be told any more.
                    self.lost(number, revision, name, None, replaced, None)
            else:
                always = {plain(c) for of_kind, of_table, c in run["every"] if (of_kind, of_table) == (kind, table)}
                for column, values in before.items():
                    if column is not None and values > after[column]:
                        self.lost(number, revision, name, column, 0, values - after[column])
                    if column is not None and column not in always and 0 < values < before[None]:
                        # Some rows got a value where others lost theirs, and only the difference is known.
                        self.lost(number, revision, name, column, 0, None)

    @staticmethod
    def quoted(counts):
        return ['"' + c.replace('"', '""') + '"' for c in counts if c is not None]

    def dropped(self, key):
        """A dropped table that nothing brought back."""
        if key in self.drops:
            number, revision, before, name = self.drops.pop(key)
            rows = None if before is None else before[None]
            values = None if before is None else sum(v for c, v in before.items() if c is not None)
            self.lost(number, revision, name, None, rows, values)

    def end(self):
        self.settle()
        for key in list(self.drops):
            self.dropped(key)

    def lost(self, number, revision, table, column, rows, values):
        self.events.put("loss", statement=number, table=table, column=column, rows=rows, values=values, of=revision)


# --- the verbs ------------------------------------------------------------------------------------------------------


# Functions that a query may call and still only read: those of PostgreSQL's catalog, and the usual ones.
READS = re.compile(
    r"(?:pg_catalog\s*\.\s*\w+|pg_(?:get|table|type|relation|total|size|encoding)_\w+|array_\w+|json\w*_(?:agg|build\w*|object\w*)|string_agg|"
    r"has_\w+_privilege|(?:col|obj)_description|generate_\w+|unnest|format_type|format|to_\w+|current_\w+|version|count|sum|min|max|avg|coalesce|"
    r"nullif|greatest|least|lower|upper|length|substr|substring|trim|replace|concat|cast|round|abs|exists|any|all|some|in|as|on|and|or|not|"
    r"over|row_number|rank|filter|values|select|from|where|when|then|else|case|having|by|using|lateral|row|array|now|date_\w+|extract|char|varchar|numeric|decimal)$",
    re.I,
)


def quiet(statement, dialect):
    """Whether a statement only reads."""
    text = bare(statement)
    if re.match(r"PRAGMA\b", text, re.I):
        return "=" not in text
    if not re.match(r"(?:SELECT|SHOW|EXPLAIN(?!\s+(?:\([^)]*)?ANALYZE))\b", text, re.I):
        return False
    if dialect != "postgresql":
        return True
    text = re.sub(r"'(?:[^']|'')*'", "''", text)
    calls = re.findall(r"((?:" + NAME + r"\s*\.\s*)?" + NAME + r")\s*\(", text)
    return not re.search(r"\bINTO\b", text, re.I) and all(READS.match(c.strip()) for c in calls)


def listen(events, losses):
    """Writes down what SQLAlchemy executes."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "before_cursor_execute")
    def before(connection, cursor, statement, parameters, context, executemany):
        if not quiet(statement, connection.dialect.name):
            events.count += 1
            if losses:
                many = parameters if executemany else [parameters]
                texts = faces(statement, many, connection.dialect.paramstyle, connection.dialect.name)
                losses.before(connection, statement, events.count, texts)
        if context is not None:
            context._countersign_start = time.monotonic()

    @event.listens_for(Engine, "after_cursor_execute")
    def after(connection, cursor, statement, parameters, context, executemany):
        if quiet(statement, connection.dialect.name):
            return
        ms = round((time.monotonic() - getattr(context, "_countersign_start", time.monotonic())) * 1000, 3)
        rows = cursor.rowcount if isinstance(cursor.rowcount, int) else -1
        style, name = connection.dialect.paramstyle, connection.dialect.name
        many = parameters if executemany else [parameters]
        texts = [rendered(statement, p, style, name) for p in many]
        events.put("statement", number=events.count, text=statement, sql=texts, ms=ms, rows=rows)
        if losses:
            losses.after(connection, statement, rows)

    @event.listens_for(Engine, "handle_error")
    def failed(context):
        if context.statement:
            events.put("failed", text=context.statement, message=short(context.original_exception))


def follow(events):
    """Writes down which revision runs, from where Alembic says so itself."""
    from alembic.runtime import migration

    class Log:
        def __init__(self, log):
            self.log = log

        def __getattr__(self, name):
            return getattr(self.log, name)

        def info(self, message, *args, **kw):
            step = args[0] if args else None
            if hasattr(step, "migration_fn"):
                step_is(step)
            return self.log.info(message, *args, **kw)

    def step_is(step):
        up = getattr(step, "is_upgrade", True)
        revision = getattr(getattr(step, "revision", None), "revision", None)
        ends = [list(getattr(step, k, ())) for k in ("from_revisions", "to_revisions")]
        events.revision = revision
        events.put("step", upgrade=up, source=ends[0], target=ends[1])

    migration.log = Log(migration.log)
    make = migration.MigrationContext.__init__

    def made(self, *args, **kw):
        make(self, *args, **kw)
        events.version_table = self.version_table
        events.put("context", version_table=self.version_table, schema=self.version_table_schema, dialect=self.dialect.name)

    migration.MigrationContext.__init__ = made


def place(name, positional, named):
    """Where these arguments of a driver lead; nothing where that is memory."""
    if name == "sqlite":
        path = str(positional[0] if positional else named.get("database", ""))
        path = re.sub(r"^file:(?://(?=/))?([^?]*).*$", r"\1", path)
        return "" if path in ("", ":memory:") or "mode=memory" in str(positional) else os.path.realpath(path)
    keys = ("host", "hostaddr", "port", "database", "dbname", "service", "unix_sock", "dsn")
    found = {"port": "5432", **{k: str(named[k]) for k in keys if named.get(k)}}
    return [*map(str, positional), *sorted(found.items())]


class Elsewhere(Exception):
    """The project turned to another database than the copy. Nothing was done there."""


class Connects(Exception):
    """The project turned to a database though SQL is rendered offline. Nothing was done there."""


def stay_away():
    """Lets nothing connect to any database."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "do_connect")
    def connecting(dialect, record, positional, named):
        # What lives in memory belongs to nobody else.
        if place(dialect.name, positional, named) != "":
            raise Connects("a database of %s" % dialect.name)


def stay():
    """Lets nothing connect to, let alone migrate, another database than the copy."""
    from alembic.runtime import migration
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.url import make_url

    url = make_url(os.environ["DATABASE_URL"])

    def elsewhere(what):
        return Elsewhere("env.py does not use the URL of the copy: it %s" % what)

    @event.listens_for(Engine, "do_connect")
    def connecting(dialect, record, positional, named):
        if dialect.name != url.get_backend_name():
            raise elsewhere("connects to a database of %s" % dialect.name)
        given = place(dialect.name, *dialect.create_connect_args(url))
        here = place(dialect.name, positional, named)
        # What lives in memory belongs to nobody else.
        if here != given and here != "":
            raise elsewhere("connects to another database")

    def at(connection):
        """Asks the connection itself, whatever made it."""
        name = connection.dialect.name
        if name != url.get_backend_name():
            return False
        cursor = connection.connection.cursor()
        try:
            cursor.execute("PRAGMA database_list" if name == "sqlite" else "SELECT current_database()")
            rows = cursor.fetchall()
        finally:
            cursor.close()
        if name == "sqlite":
            main = [row[2] for row in rows if row[1] == "main"]
            return bool(main and main[0]) and os.path.realpath(main[0]) == os.path.realpath(url.database)
        return rows[0][0] == url.database  # a random name: no other server has it

    run = migration.MigrationContext.run_migrations

    def checked(self, *args, **kw):
        if self.connection is not None and not at(self.connection):
            raise elsewhere("migrates another database")
        return run(self, *args, **kw)

    migration.MigrationContext.run_migrations = checked


def options(request, *verb):
    from alembic.config import CommandLine

    argv = ["-c", request["config"]] if request.get("config") else []
    argv += ["-n", request["name"]] if request.get("name") else []
    url = os.environ.get("DATABASE_URL", "")
    for x in request.get("x", []):
        argv += ["-x", x.replace("{url}", url)]
    return CommandLine(prog="alembic").parser.parse_args([*argv, *verb])


def configured(request, buffer, *verb, given_url=True):
    from alembic.config import Config

    given = options(request, *verb)
    extra = {"output_buffer": buffer} if buffer else {}
    config = Config(request["config"], ini_section=given.name, cmd_opts=given, **extra)
    url = os.environ.get("DATABASE_URL")
    if url and given_url:
        config.set_section_option(config.config_ini_section, "sqlalchemy.url", url.replace("%", "%%"))
    return config, given


def tools(request):
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("alembic", "sqlalchemy"):
        module = __import__(name)
        found[name] = getattr(module, "__version__", "unknown")
    return found


def history(request):
    import warnings

    from alembic.script import ScriptDirectory

    config, _ = configured(request, None, "history")
    script = ScriptDirectory.from_config(config)
    listed = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for item in script.walk_revisions():
            down = item.down_revision
            depends = item.dependencies
            listed.append(
                {
                    "revision": item.revision,
                    "down_revisions": [down] if isinstance(down, str) else list(down or ()),
                    "branch_labels": sorted(item._orig_branch_labels if hasattr(item, "_orig_branch_labels") else item.branch_labels),
                    "depends_on": [depends] if isinstance(depends, str) else list(depends or ()),
                    "is_head": item.is_head,
                    "doc": short((item.doc or "").strip().split("\n")[0], 1000),
                    "path": os.path.abspath(item.path),
                }
            )
    places = getattr(script, "_version_locations", None) or script.version_locations or [os.path.join(script.dir, "versions")]
    return {
        "tools": tools(request),
        "script_location": os.path.abspath(script.dir),
        "version_locations": [os.path.abspath(p) for p in places],
        "revisions": listed,
        "warnings": [short(w.message) for w in caught],
    }


def render(request):
    from alembic import command

    stay_away()
    # Nobody waits for a render before the rehearsal beside it is over.
    os.nice(5)
    with open(request["sql"], "w", encoding="utf-8", newline="\n") as sql:
        way = request["direction"]
        config, given = configured(request, sql, way, request["range"], "--sql")
        getattr(command, way)(config, given.revision, sql=True)
    return {}


def online(request):
    from alembic import command

    events = Events(request["events"])
    events.version_table = "alembic_version"
    losses = Losses(events) if request["direction"] == "upgrade" else None
    stay()
    follow(events)
    listen(events, losses)
    if losses:
        # While the connection is still there: counting again needs it.
        from alembic.runtime import migration

        run = migration.MigrationContext.run_migrations

        def counted(self, *args, **kw):
            run(self, *args, **kw)
            losses.settle()

        migration.MigrationContext.run_migrations = counted
    config, given = configured(request, sys.stdout, request["direction"], request["target"])
    try:
        getattr(command, request["direction"])(config, given.revision)
    finally:
        events.revision = None
        if losses:
            losses.run = None
            losses.end()
        events.put("end")
    return {}


class OtherDatabase(Exception):
    pass


def same_database(one, other):
    """Whether two URLs of SQLAlchemy lead to the same database, whoever asks and by whatever driver."""

    def place(url):
        url = make_url(url)
        kind = url.get_backend_name().replace("mariadb", "mysql")
        kind = "postgresql" if kind.startswith("postgres") else kind
        if kind == "sqlite":
            path = (url.database or ":memory:").removeprefix("file:").split("?")[0]
            return kind, path if path == ":memory:" else os.path.realpath(path)
        port = url.port or url.query.get("port") or {"postgresql": 5432, "mysql": 3306}.get(kind)
        host = url.query.get("host") or url.query.get("unix_socket") or url.host
        return kind, host, str(port), url.database or url.query.get("dbname") or url.username

    from sqlalchemy.engine import make_url

    return place(one) == place(other)


def only_there():
    """Refuses every database but the one of DATABASE_URL, before anything is asked of it."""
    from alembic.runtime import migration

    make = migration.MigrationContext.__init__

    def made(self, *args, **kw):
        make(self, *args, **kw)
        if self.connection is not None and not same_database(self.connection.engine.url, os.environ["DATABASE_URL"]):
            raise OtherDatabase("env.py does not use DATABASE_URL")

    migration.MigrationContext.__init__ = made


def current(request):
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config, _ = configured(request, sys.stdout, "current", given_url=False)
    only_there()
    script = ScriptDirectory.from_config(config)
    found = {"revisions": []}

    def look(revision, context):
        found["revisions"] += sorted(revision) if isinstance(revision, (tuple, list, set)) else [revision]
        return []

    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    found["revisions"] = [r for r in found["revisions"] if r]
    return found


def told(error):
    frames = [[f.filename, f.lineno, f.name] for f in traceback.extract_tb(error.__traceback__)]
    kind = type(error).__name__
    return {
        "kind": kind,
        "message": short(error).strip(),
        "missing": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        "frames": frames[-200:],
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    threading.Thread(target=watch, args=(pipe,), daemon=True).start()
    sys.path.pop(0)
    sys.argv = ["alembic"]
    answer = {"ok": True}
    try:
        answer.update({"tools": tools, "history": history, "render": render, "online": online, "current": current}[request["verb"]](request))
    except SystemExit as error:
        answer = {"ok": False, **told(error)}
    except BaseException as error:
        traceback.print_exc()
        answer = {"ok": False, **told(error)}
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if answer["ok"] else 1)


main()
