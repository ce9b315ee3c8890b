"""Databases to be changed: a SQLite file, or a database of a PostgreSQL server of our own."""
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

PG_UP = Path(__file__).resolve().parents[1] / "pg-up"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'TABLE'"
KEYS = """
SELECT format(E'%s\\tSELECT %I FROM %s ORDER BY 1', own.attname, other.attname, confrelid::regclass)
  FROM pg_constraint JOIN pg_attribute own ON own.attrelid = conrelid AND own.attnum = conkey[1]
  JOIN pg_attribute other ON other.attrelid = confrelid AND other.attnum = confkey[1]
 WHERE contype = 'f' AND cardinality(conkey) = 1 AND conrelid = '"TABLE"'::regclass
"""
SEQUENCES = """
SELECT format('SELECT setval(%L, max(%I)) FROM %I;', sequence, column_name, table_name)
  FROM (SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence
          FROM information_schema.columns WHERE table_schema = 'public') AS found WHERE sequence IS NOT NULL
"""


def checked(command: list, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name}: {done.stderr[-1500:]}")
    return done.stdout


class Sqlite:
    """A copy of a made snapshot."""

    dialect = "sqlite"

    def __init__(self, folder: Path, made: Path):
        self.path, self.snapshot = folder / "target.db", folder / "snapshot.db"
        self.url, self.scratch = f"sqlite:///{self.path}", {}
        copied(made, self.path)

    def take_snapshot(self) -> None:
        copied(self.path, self.snapshot)

    def revisions(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as db:
            return [revision for (revision,) in db.execute("SELECT version_num FROM alembic_version")]

    def runs_a_file(self, python: str) -> list[str]:
        script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())"
        return [python, "-c", script, str(self.path), "{approved_sql}"]

    def close(self) -> None:
        pass


def copied(source: Path, target: Path) -> None:
    """With SQLite's backup API: what lies in a -wal file comes along."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


class Postgres:
    """An empty database on a server, dropped when it is closed."""

    dialect = "postgresql"

    def __init__(self, server: "Server", folder: Path, scheme: str):
        self.server, self.snapshot = server, folder / "snapshot.dump"
        self.name = server.create()
        self.plain = server.url(self.name)
        self.url, self.scratch = self.plain.replace("postgresql", scheme, 1), {"COUNTERSIGN_SCRATCH_URL": server.url()}

    def take_snapshot(self) -> None:
        checked([self.server.tool("pg_dump"), "--format=custom", f"--file={self.snapshot}", self.plain])

    def revisions(self) -> list[str]:
        return self.server.psql("SELECT version_num FROM alembic_version", self.plain).split()

    def runs_a_file(self, _: str) -> list[str]:
        # As docs/ci.md has it.
        return ["psql", "-X", "-q", "--set=ON_ERROR_STOP=1", f"--dbname={self.plain}", "--file={approved_sql}"]

    def fill(self, made: Path, tables: dict) -> None:
        """Brings in the rows of a SQLite snapshot: the server reads their texts as its own types."""
        with closing(sqlite3.connect(f"file:{made}?mode=ro", uri=True)) as db:
            for table in tables:
                theirs = {row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}
                names = [name for name in self.read(COLUMNS, table) if name in theirs]
                quoted = ", ".join(f'"{name}"' for name in names)
                rows = [[*map(text, row)] for row in db.execute(f'SELECT {quoted} FROM "{table}"')]
                for key in self.read(KEYS, table):
                    point(rows, names, key.split("\t")[0], self.read(key.split("\t")[1]))
                script = [f'COPY "{table}" ({quoted}) FROM STDIN;', *map("\t".join, rows), "\\.", ""]
                self.server.psql(None, self.plain, "\n".join(script))
        self.server.psql(None, self.plain, self.server.psql(SEQUENCES, self.plain))

    def read(self, query: str, table: str = "") -> list[str]:
        return self.server.psql(query.replace("TABLE", table), self.plain).splitlines()

    def close(self) -> None:
        self.server.drop(self.name)


def text(value) -> str:
    if value is None:
        return "\\N"
    return "\\\\x" + value.hex() if isinstance(value, bytes) else str(value).translate(ESCAPES)


def point(rows: list, names: list, column: str, parents: list) -> None:
    """Lets a foreign key point at rows that exist: a project may have fewer of them on SQLite."""
    if column not in names:
        return
    at, known = names.index(column), {"\\N", *parents}
    for number, row in enumerate(rows):
        if row[at] not in known:
            row[at] = parents[number % len(parents)] if parents else "\\N"


class Server:
    """The PostgreSQL of TEST_PG_URL, else one that is started here and stopped at the end."""

    def __init__(self):
        self.given, self.started, self.made, self.bin = os.environ.get("TEST_PG_URL"), None, 0, None

    def __enter__(self) -> "Server":
        found = subprocess.run([PG_UP, "find"], capture_output=True, text=True)
        self.bin = Path(found.stdout.strip()) if found.returncode == 0 else None
        if not self.given:
            self.given = checked([PG_UP, os.getpid()]).strip().removeprefix("TEST_PG_URL=")
            self.started = self.given.rpartition("host=")[2]
        return self

    def __exit__(self, *_) -> None:
        if self.started:
            checked([PG_UP, "stop", self.started])

    def url(self, database: str = "postgres") -> str:
        found = re.fullmatch(r"postgres(?:ql)?://([^/?]*)/[^?]*(.*)", self.given)
        return f"postgresql://{found[1]}/{database}{found[2]}"

    def tool(self, name: str) -> str:
        own = self.bin and self.bin / name
        return str(own) if own and own.exists() else shutil.which(name) or name

    def psql(self, query: str | None, url: str | None = None, script: str | None = None) -> str:
        command = [self.tool("psql"), "-XAtq", "--set=ON_ERROR_STOP=1", f"--dbname={url or self.url()}"]
        return checked([*command, *(["-c", query] if query else ["-f", "-"])], input=script or "")

    def create(self) -> str:
        self.made += 1
        name = f"corpus_{os.getpid()}_{self.made}"
        self.psql(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        self.psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
