"""A running portal with its people, and a browser's part of it: forms, cookies, passwords."""
import http.cookiejar
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

PASSWORD = "every row is still where it was"
PEOPLE = {"engineer": "priya@example.org", "board": "daniel@example.org", "board too": "marta@example.org"}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RUNBOOK = Path(__file__).resolve().parents[3] / "src" / "demo" / "data" / "trading-backend.toml"


class Wrong(Exception):
    """Something is not as it should be; says what."""


def run(command: list, env: dict | None = None) -> subprocess.CompletedProcess:
    """Runs a program to its end; if we are interrupted, asks it to end, so that it can clean up behind itself. It is in
    a group of its own, because it does not clean up if it is asked twice: by the terminal and by us."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*map(str, command)], env=env, process_group=0, **streams) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def policy(application: str) -> str:
    """The staging of the policy that ships, for another application and with a window that is never shut."""
    before, header, rest = RUNBOOK.read_text().partition("[[environment]]\n")
    staging = rest.split("[[environment]]\n")[0]
    days = ", ".join(f'{{ day = "{d}", start = "00:00", length = "24h", zone = "UTC" }}' for d in DAYS)
    staging, windows = re.subn(r"(?m)^windows = .*$", f"windows = [{days}]", staging)
    before, names = re.subn(r"(?m)^application = .*$", f'application = "{application}"', before)
    assert (windows, names) == (1, 1), "the policy that ships has another form"
    return before + header + staging


class Portal:
    """`countersign serve` on a store and a port of its own; gone with the end of `with`."""

    def __init__(self, program: Path, folder: Path):
        self.program, self.folder, self.server, self.governed = program, folder, None, set()
        (folder / "home").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.base, self.log = f"http://{self.address}", folder / "serve.log"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8", "TZ": "UTC"}

    def __enter__(self) -> "Portal":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.server and self.server.poll() is None:
            end(self.server)

    def start(self) -> None:
        store = {"COUNTERSIGN_DATABASE": f"sqlite:{self.folder}/portal.db", "COUNTERSIGN_DATA_DIR": str(self.folder)}
        self.store = self.env | store | {"COUNTERSIGN_LISTEN": self.address}
        with self.log.open("w") as log:
            own = {"env": self.store, "cwd": self.folder, "process_group": 0}
            self.server = subprocess.Popen([self.program, "serve"], stdout=log, stderr=log, **own)
        until = time.monotonic() + 60
        while not self.ready():
            if self.server.poll() is not None or time.monotonic() > until:
                raise Wrong(f"the portal did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)
        for who, email in PEOPLE.items():
            name = email.split("@")[0].title()
            link = self.admin("user", "add", "--email", email, "--name", name, "--role", who.split()[0]).split()[-1]
            Browser(self).submit(urllib.parse.urlsplit(link).path, "/enrol/", password=PASSWORD, again=PASSWORD)
        scopes = [f"--scope={scope}" for scope in ("tickets:read", "tickets:write", "artifacts:write", "apply")]
        self.token = self.admin("token", "add", "--user", PEOPLE["engineer"], "--name", "corpus", *scopes).split()[-1]

    def ready(self) -> bool:
        try:
            return urllib.request.urlopen(self.base + "/readyz", timeout=5).status == 200
        except OSError:
            return False

    def admin(self, *args: str, text: str | None = None) -> str:
        command = [str(self.program), *args]
        done = subprocess.run(command, env=self.store, cwd=self.folder, input=text, capture_output=True, text=True)
        if done.returncode:
            raise Wrong(f"countersign {' '.join(args[:2])}: {done.stderr[-1000:]}")
        return done.stdout

    def govern(self, application: str) -> None:
        if application in self.governed:
            return
        self.governed.add(application)
        self.admin("policy", "apply", "-", text=policy(application))

    def client(self, *args, **env: str) -> subprocess.CompletedProcess:
        """The client half, as a pipeline runs it."""
        own = {"COUNTERSIGN_URL": self.base, "COUNTERSIGN_API_TOKEN": self.token}
        own["COUNTERSIGN_STATE_DIR"] = str(self.folder / "state")
        return run([self.program, *args], self.env | own | env)

    def ask(self, path: str) -> dict:
        bearer = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.base}/api/v1{path}", headers=bearer)
        return json.loads(urllib.request.urlopen(request, timeout=60).read())


class Seen(HTMLParser):
    """Of a page: its forms with the fields that a browser sends back, its errors, and the links of what is unseen."""

    def __init__(self, text: str):
        super().__init__()
        self.forms, self.faults, self.unseen = [], [], []
        self.inside, self.near = None, None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        at = dict(attributes)
        if tag == "form":
            self.forms.append((at.get("action", ""), {}))
            self.inside = self.forms[-1][1]
        elif tag == "input" and self.inside is not None and at.get("type") == "hidden":
            self.inside[at["name"]] = at.get("value", "")
        elif tag == "p":
            self.near = "unseen" if at.get("id") == "unseen" else "fault" if at.get("class") == "er" else None
        elif tag == "a" and self.near == "unseen":
            self.unseen.append(at["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = None
        elif tag == "p":
            self.near = None

    def handle_data(self, data: str) -> None:
        if self.near == "fault" and data.strip():
            self.faults.append(data.strip())


class Stay(urllib.request.HTTPRedirectHandler):
    """Where a form leads to is an answer like any other."""

    def redirect_request(self, *_):
        return None


class Browser:
    """A person at the portal's pages, without JavaScript."""

    def __init__(self, portal: Portal, who: str | None = None):
        self.base = portal.base
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, Stay())
        if who:
            self.submit("/sign-in", "/sign-in", email=PEOPLE[who], password=PASSWORD)

    def visit(self, path: str, fields: dict | None = None) -> tuple[int, bytes]:
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        try:
            answer = self.opener.open(urllib.request.Request(self.base + path, data=data), timeout=120)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read()

    def page(self, path: str) -> Seen:
        status, body = self.visit(path)
        if status != 200:
            raise Wrong(f"{path} answers {status}")
        return Seen(body.decode())

    def submit(self, path: str, action: str, **fields: str) -> None:
        """Fills in the page's form whose action begins so."""
        self.send(next(form for form in self.page(path).forms if form[0].startswith(action)), **fields)

    def send(self, form: tuple[str, dict], **fields: str) -> None:
        action, hidden = form
        status, body = self.visit(action, hidden | fields)
        if status != 303:
            raise Wrong(f"{action} answers {status}: {' '.join(Seen(body.decode()).faults)}")

    def accept_findings(self, stage: str) -> int:
        """Accepts everything that a member of the board has to accept, as the decision sheet has it."""
        accepted = 0
        while True:
            forms = self.page(f"{stage}/decide").forms
            form = next((form for form in forms if form[0].endswith("/accept")), None)
            if form is None:
                return accepted
            self.send(form, note="Read, and acceptable on a copy that is thrown away.")
            accepted += 1

    def approve(self, stage: str) -> int:
        """Downloads what no page shows whole, and signs. How many files that were."""
        unseen = self.page(f"{stage}/decide").unseen
        for link in unseen:
            status, _ = self.visit(link)
            if status != 200:
                raise Wrong(f"{link} answers {status}")
        self.submit(f"{stage}/decide", f"{stage}/decide", decision="approve", comment="Read.", password=PASSWORD)
        return len(unseen)
