"""What a dry run says, compared with what was measured by hand."""
import json


def ends(dialect, want, subject):
    if (subject["from"], subject["to"], subject["dialect"]) != (want["from"], want["to"], dialect):
        yield "other ends or another dialect"


def rows(want, report):
    counted = {t["table"].removeprefix("public."): t["rows_before"] for t in report["measurements"]["tables"]}
    for table, count in want["rows"].items():
        if counted.get(table) != count:
            yield f"{table} has {counted.get(table)} rows, not {count}"


def upgrade_sql(dialect, want, subject):
    up, steps = want[f"{dialect}_upgrade"], {s["name"]: s for s in subject["steps"]}
    if up["exit"]:
        if not subject["upgrade"]["captured_online"] or not steps["render-upgrade"]["why"].startswith("E30"):
            yield f"an upgrade that can't be rendered: {steps['render-upgrade']}"
    elif up["sqlnorm1_sha256"]:
        if subject["upgrade"]["sqlnorm1"] != f"sqlnorm1:sha256:{up['sqlnorm1_sha256']}":
            yield f"other upgrade SQL: {subject['upgrade']}"
    warnings = [w["code"] for w in subject["checks"]["warnings"]]
    if not up["exit"] and (up["doubled_percent"] > 0) != ("E34" in warnings):
        yield f"doubled percent signs: {warnings}"


def compare(dialect, want, graph, found, out):
    """Sentences about what is not as it was measured, of a SQLite snapshot."""
    report = found.get("report")
    if not report:
        yield f"no report: {found}"
        return
    subject, steps = report["subject"], {s["name"]: s for s in report["subject"]["steps"]}
    yield from ends(dialect, want, subject)
    history = json.loads((out / "migration-history.json").read_text())
    if len(history["revisions"]) != graph["revisions"] or sorted(history["heads"]) != graph["heads"]:
        yield "another history"
    if (steps["upgrade"]["status"] == "passed") != (want["online_upgrade"]["exit"] == 0):
        yield f"upgrade: {steps['upgrade']}"
    yield from rows(want, report)
    yield from upgrade_sql(dialect, want, subject)
    warnings = [w["code"] for w in subject["checks"]["warnings"]]
    down, online = want[f"{dialect}_downgrade"], want["online_downgrade"]
    if online["exit"]:
        if steps["downgrade"]["status"] == "passed" or not subject["downgrade"]["impossible"]:
            yield f"a downgrade that raises: {steps['downgrade']}"
        return
    if down["exit"] and not subject["downgrade"]["impossible"]:
        yield "a downgrade that can't be rendered"
    if not down["exit"] and subject["downgrade"]["sqlnorm1"] != f"sqlnorm1:sha256:{down['sqlnorm1_sha256']}":
        yield f"other downgrade SQL: {subject['downgrade']}"
    if steps["downgrade"]["status"] != "passed":
        yield f"downgrade: {steps['downgrade']}"
    differs = want["round_trip_differs_in"]
    if subject["downgrade_restores"]["schema"] != (not differs):
        yield f"round trip: {steps['compare']}"
    if "E54" not in warnings and any(table not in steps["compare"]["why"] for table in differs):
        yield f"round trip: {steps['compare']}, not {differs}"


def compare_dump(want, graph, found, out):
    """The same of a dump of PostgreSQL, whose round trip nobody measured by hand."""
    report = found.get("report")
    if not report:
        yield f"no report: {found}"
        return
    yield from ends("postgresql", want, report["subject"])
    history = json.loads((out / "migration-history.json").read_text())
    if len(history["revisions"]) != graph["revisions"] or sorted(history["heads"]) != graph["heads"]:
        yield "another history"
    yield from rows(want, report)
    yield from upgrade_sql("postgresql", want, report["subject"])
