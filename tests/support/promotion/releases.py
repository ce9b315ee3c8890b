"""Projects as a release tag has them: scripts up to one revision and no further, and settings of their own."""
import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
CORPUS, SAMPLE = TESTS / "fixtures" / "corpus", TESTS / "fixtures" / "sample-project"
DATA = TESTS.parent / "src" / "demo" / "data"
# Revisions that come later are not there yet: `apply` insists that the head is what was approved.
CUT = """
import os, sys
from alembic.script import ScriptDirectory
scripts = ScriptDirectory(sys.argv[1])
kept = {script.revision for script in scripts.iterate_revisions(sys.argv[2], "base")}
for script in list(scripts.walk_revisions()):
    if script.revision not in kept:
        os.remove(script.path)
print(len(kept))
"""


def make_corpus():
    """The script that makes the projects, as a module."""
    sys.path.append(str(CORPUS))
    loader = SourceFileLoader("make_corpus", str(CORPUS / "make-corpus"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


make = make_corpus()


def said(done: subprocess.CompletedProcess) -> str | None:
    """What Alembic gave as its reason, if it failed."""
    return make.error(done).get("error", done.stderr[-500:]) if done.returncode else None


class CorpusRelease:
    """A window of one of the made projects; later revisions are cut off."""

    config, scheme = "alembic.ini", "postgresql+psycopg2"

    def __init__(self, made, window: dict, options: list, folder: Path):
        self.made, self.window, self.folder, self.python = made, window, folder, made.python
        self.name, self.from_, self.to = f"{made.case['name']} {window['id']}", window["from"], window["to"]
        self.options = options
        shutil.copytree(made.scripts, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        nowhere = made.url("sqlite", "/never.db")
        cut = made.run("-c", CUT, str(folder / "migrations"), self.to, url=nowhere)
        cut.check_returncode()
        self.revisions = int(cut.stdout.split()[-1])
        self.point_at(nowhere)

    def point_at(self, url: str) -> None:
        """Writes the database into the settings, which is where most of these projects look for it."""
        fields = {"scripts": "%(here)s/migrations", "url": url.replace("%", "%%"), "extra": ""}
        (self.folder / self.config).write_text((CORPUS / "alembic.ini.in").read_text().format(**fields))

    def prepare(self, database) -> str | None:
        """Brings an empty database to the older revision; what Alembic says if it can't."""
        done = self.made.prepare(database.url, self.window)
        return said(done)


class SampleRelease:
    """The sample project, whole."""

    config, scheme, options = "backend/alembic.ini", "postgresql", []
    name, from_, to, revisions = "sample promotion", "d48b1e9c5f62", "0c7e5d1b94fa", 7
    window = {"id": "promotion", "rollback": "done", "rows": {"trades": 3000, "positions": 200, "risk_limits": 75}}

    def __init__(self, python: Path, folder: Path):
        self.python, self.folder = str(python), folder
        shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)

    def point_at(self, url: str) -> None:
        """Its env.py takes DATABASE_URL."""

    def alembic(self, url: str, *args: str) -> subprocess.CompletedProcess:
        command = [self.python, "-m", "alembic", "-c", self.config, *args]
        env = os.environ | {"DATABASE_URL": url}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    def snapshot(self, path: Path) -> None:
        command = [self.python, self.folder / "tools" / "make_snapshot.py", path]
        subprocess.run(command, check=True, capture_output=True)

    def prepare(self, database) -> str | None:
        return said(self.alembic(database.url, "upgrade", self.from_))

    def facts(self) -> dict:
        """What is known of it, as expectations.json has it of the others."""
        facts = {"from": self.from_, "to": self.to, "rows": self.window["rows"], "round_trip_differs_in": []}
        facts |= {"online_upgrade": {"exit": 0}, "online_downgrade": {"exit": 0}}
        for dialect, ending in (("sqlite", "sql"), ("postgresql", "postgresql.sql")):
            for way in ("upgrade", "downgrade"):
                rendered = make.digest((DATA / f"{way}.{ending}").read_text())
                facts[f"{dialect}_{way}"] = {"exit": 0, "doubled_percent": 0, "sqlnorm1_sha256": rendered}
        return facts

