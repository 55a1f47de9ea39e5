import json
from pathlib import Path

from haproxy_telemetry_operator.rewrite_report import Doubt, RewriteReport
from haproxy_telemetry_operator.rewriter import Problem, ProblemKind, Reason, Remark, Rewriting, SectionReport

TRACED = SectionReport("frontend", "web", 0, 7, remarks=(Remark.LOGASAP,))
NOT_TRACED = SectionReport("listen", "", 1, 3, Reason.FCGI)
PATHS = ["/etc/haproxy/a.cfg", "/etc/haproxy/b.cfg"]


def test_what_the_rewriter_says() -> None:
    report = RewriteReport.of(Rewriting(("", ""), (TRACED, NOT_TRACED)), PATHS, PATHS[:1])
    assert json.loads(report.json()) == {
        "rewritten": ["/etc/haproxy/a.cfg"],
        "traced": 1,
        "sections": [
            {"kind": "frontend", "name": "web", "file": "/etc/haproxy/a.cfg", "line": 7, "remarks": ["Logasap"]},
            {
                "kind": "listen",
                "name": "",
                "file": "/etc/haproxy/b.cfg",
                "line": 3,
                "reason": "Fcgi",
                "message": Reason.FCGI.sentence,
            },
        ],
    }
    assert list(report.lines()) == [
        "/etc/haproxy/a.cfg:7: frontend web is traced; Logasap",
        f"/etc/haproxy/b.cfg:3: listen - is not traced: Fcgi: {Reason.FCGI.sentence}",
    ]


def test_nothing_to_be_traced() -> None:
    assert list(RewriteReport.of(Rewriting(("",)), PATHS, []).lines()) == ["nothing is traced, every file is as it was"]


def test_a_problem_is_named_with_its_place() -> None:
    report = RewriteReport.of(Rewriting(("", ""), problem=Problem(ProblemKind.NO_LINE_FEED, 1, 9)), PATHS, [])
    assert report.reason == "NoLineFeed"
    assert report.message == f"/etc/haproxy/b.cfg:9: {ProblemKind.NO_LINE_FEED.sentence}"
    assert list(report.lines()) == [f"nothing is traced, every file is as it was: NoLineFeed: {report.message}"]


def test_a_doubt() -> None:
    report = RewriteReport.left_alone(Doubt.FILE_MISSING, "/etc/\udcff")
    assert json.loads(report.json()) == {
        "rewritten": [],
        "reason": "FileMissing",
        "message": f"{Doubt.FILE_MISSING.value} (/etc/\ufffd)",
    }
    assert RewriteReport.left_alone(Doubt.PLAN_MISSING).message == Doubt.PLAN_MISSING.value


def test_a_shorter_report_says_first_what_is_not_traced() -> None:
    sections = (*[TRACED] * 100, NOT_TRACED)
    report = RewriteReport.of(Rewriting(("", ""), sections), PATHS, PATHS)
    assert report.json(1 << 20) == report.json()
    data = report.json(1000)
    assert len(data) <= 1000
    shorter = json.loads(data)
    assert (shorter["traced"], shorter["sections"][0]["reason"]) == (100, "Fcgi")
    assert shorter["omitted"] + len(shorter["sections"]) == 101
    assert json.loads(report.json(10))["omitted"] == 101


def test_the_documentation_has_every_reason() -> None:
    page = (Path(__file__).parents[3] / "docs" / "plain-haproxy.md").read_text()
    for reason in (*Reason, *ProblemKind):
        assert f"| `{reason.code}` | {reason.sentence.rstrip('.')} |" in page
    for doubt in Doubt:
        assert f"| `{doubt.code}` | {doubt.value.rstrip('.')} |" in page
    assert all(f"`{remark.code}`" in page for remark in Remark)
