"""One change on a running portal: ticket, dry run, findings, attestations, votes, run, and back if there is a way."""
import json
import subprocess
from pathlib import Path

from .facts import compare, compare_dump
from .portal import Browser, Portal, Wrong

ATTESTED = ("release-frozen", "application-smoke")


class Journey:
    def __init__(self, portal: Portal, release, database, want: dict, application: str):
        self.portal, self.release, self.database, self.want = portal, release, database, want
        self.application, self.said = application, []

    def go(self, out: Path) -> str:
        """The whole way; what was seen on it."""
        self.at("before", self.release.from_)
        self.file()
        report = self.rehearse(out)
        self.approve()
        self.apply(report)
        if way := self.release.window.get("rollback"):
            self.roll_back(way)
        return ", ".join(self.said)

    def at(self, when: str, revision: str) -> None:
        if (found := self.database.revisions()) != [revision]:
            raise Wrong(f"{when}, the database is at {found}, not at {revision}")

    def cli(self, command: str, *args, exit: int = 0, **env: str) -> subprocess.CompletedProcess:
        done = self.portal.client(*command.split(), *args, **env)
        if done.returncode != exit:
            raise Wrong(f"{command} ended with {done.returncode}: {done.stderr[-3000:]}")
        return done

    def file(self) -> None:
        of = ["--application", self.application, "--title", self.release.name]
        tags = ["--release-tag", "v2", "--prior-release-tag", "v1"]
        done = self.cli("ticket new", "--json", *of, *tags, "--from", self.release.from_, "--to", self.release.to)
        self.number = json.loads(done.stdout)["number"]
        self.stage = f"/tickets/{self.number}/stages/staging"

    def project(self) -> list:
        release = self.release
        return ["--project", release.folder, "--config", release.config, "--python", release.python, *release.options]

    def rehearse(self, out: Path) -> dict:
        dialect, other = self.database.dialect, self.release.window.get("offline_differs", {})
        graph = {"revisions": self.release.revisions, "heads": [self.release.to]}
        attach = ["--ticket", self.number, "--stage", "staging"]
        if dialect in other:
            # The offline SQL is another change: nothing is attached until what was executed is declared to be meant.
            found = self.dry_run(out, *attach, exit=1)
            step = next(s for s in found["report"]["subject"]["steps"] if s["name"] == "verify-sql")
            if step["status"] != "failed" or not step["why"].startswith("E43") or other[dialect] not in step["why"]:
                raise Wrong(f"offline SQL that differs in {other[dialect]}: {step}")
            self.refute(compare_dump(self.want, graph, found, out))
            self.said.append(f"offline SQL refused (E43, {other[dialect]})")
            found = self.dry_run(out, *attach, "--no-render", f"Offline, the scripts leave {other[dialect]} as it was.")
        else:
            found = self.dry_run(out, *attach)
            facts = (self.want, graph, found, out)
            self.refute(compare(dialect, *facts) if dialect == "sqlite" else compare_dump(*facts))
        return found["report"]["subject"]

    def dry_run(self, out: Path, *args, exit: int = 0) -> dict:
        release, database = self.release, self.database
        of = ["--snapshot", database.snapshot, "--dialect", database.dialect, "--out", out, "--time-limit", "900"]
        ends = ["--from", release.from_, "--to", release.to]
        done = self.cli("dry-run", "--json", *self.project(), *of, *ends, *args, exit=exit, **database.scratch)
        return json.loads(done.stdout)

    def refute(self, wrong) -> None:
        if wrong := list(wrong):
            raise Wrong("dry run: " + "; ".join(wrong))

    def approve(self) -> None:
        daniel = Browser(self.portal, "board")
        if accepted := daniel.accept_findings(self.stage):
            self.said.append(f"{accepted} findings accepted")
        for item in ATTESTED:
            self.cli("ticket attest", self.number, "--stage", "staging", item, "--note", "v2")
        for member in (daniel, Browser(self.portal, "board too")):
            unseen = member.approve(self.stage)
        if unseen:
            self.said.append(f"{unseen} files downloaded to be seen")
        gates = self.portal.ask(f"{self.stage}/gates")
        shut = [f"{gate['key']}: {gate['reason']}" for gate in gates["gates"] if gate["status"] == "blocked"]
        if shut:
            raise Wrong(f"with two votes, gates are shut: {'; '.join(shut)}")

    def run(self, command: str, *args, program: list, exit: int = 0) -> subprocess.CompletedProcess:
        of = [self.number, "--stage", "staging", *self.project(), "--time-limit", "900", "--json", "--release"]
        self.release.point_at(self.database.url)
        return self.cli(command, *of, *args, "--", *program, exit=exit, DATABASE_URL=self.database.url)

    def alembic(self, *args: str) -> list:
        return ["alembic", "-c", self.release.config, *args]

    def apply(self, subject: dict) -> None:
        release, rendered = self.release, subject["upgrade"]
        program = self.alembic("upgrade", release.to)
        if not rendered["sqlnorm1"]:
            # What can't be rendered again is not run by Alembic: the approved file itself is all that may run.
            self.run("apply", program=program, exit=3)
            self.at("after a refusal", release.from_)
            program = self.database.runs_a_file(release.python)
            self.said.append("captured SQL" if rendered["captured_online"] else "SQL in another order each time")
        self.run("apply", program=program)
        self.at("after the run", release.to)
        self.ran("upgrade", release.from_, release.to)
        self.said.append(f"applied by {Path(program[0]).name}")

    def ran(self, direction: str, before: str, after: str) -> None:
        """What the portal has of it, as programs and as people are told."""
        stage = next(s for s in self.portal.ask(f"/tickets/{self.number}")["stages"] if s["name"] == "staging")
        run = stage["last_run"]
        seen = (run["direction"], run["status"], run["revision_before"], run["revision_after"])
        if seen != (direction, "succeeded", before, after):
            raise Wrong(f"the portal has a run {seen}")
        status, page = Browser(self.portal, "board").visit(f"{self.stage}/run")
        if status != 200 or after not in page.decode():
            raise Wrong(f"the run's page answers {status}, without {after}")

    def roll_back(self, way: str) -> None:
        release, program = self.release, self.alembic("downgrade", self.release.from_)
        if way == "refused":
            done = self.run("rollback", "--method", "downgrade", program=program, exit=3)
            self.at("after a refused rollback", release.to)
            self.said.append(f"rollback refused ({json.loads(done.stdout)['error']['code']})")
            return
        self.run("rollback", "--method", "downgrade", program=program)
        self.at("after the rollback", release.from_)
        self.ran("rollback", release.to, release.from_)
        self.said.append("rolled back")
