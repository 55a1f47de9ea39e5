"""Each line goes to the place where it must stand; the agent's own texts part without a rest."""

import pytest

from haproxy_telemetry_agent.wiring import Capture, Plan, Profile, Sampling
from haproxy_telemetry_operator.rewriter.insertions import Insertions, SectionLines

PROFILES: list[Profile] = ["Standard", "Full", "Stream"]


def plan(profile: Profile) -> Plan:
    capture = Capture("r.content-type", "res.fhdr(content-type)", "response")
    return Plan(
        profile, captures=(capture,), sampling=Sampling(threshold="c0000000000000", excluded_paths=(("prefix", "/healthz"),))
    )


def test_lines_by_place(insertions: Insertions) -> None:
    http, tcp = insertions.by_mode["http"], insertions.by_mode["tcp"]
    assert http.targets == ("log ring@ours format rfc5424 local0",)
    assert http.top == ('log-format-sd "[http]"', "filter spoe engine ours config /spoe.cfg")
    assert [line.split()[0] for line in http.rules] == [".if", "http-request", ".else", "http-request", ".endif", "http-request"]
    assert http.end == ("http-after-response set-var(txn.type) res.fhdr(content-type)",)
    assert (http.engines, http.target_addresses, http.has_filter) == ({"ours"}, {"ring@ours"}, True)
    assert tcp.top == (".if version_atleast(3.0)", 'log-format-sd "[tcp]"', ".else", 'log-format-sd "[old-tcp]"', ".endif")
    assert (tcp.rules, tcp.end, tcp.has_filter) == (("tcp-request content set-var(txn.routed) date(0,us)",), (), False)
    assert insertions.section_names == {"ours", "ours-spoa"}


def test_without_lines_for_a_mode_there_are_none() -> None:
    assert set(Insertions("log x\n", " \n", "").by_mode) == {"http"}
    assert set(Insertions.of_plan(Plan(), with_tcp=False).by_mode) == {"http"}


def test_an_open_condition_loses_no_line() -> None:
    assert SectionLines.of(".if x\n\nhttp-request deny\n").rules == (".if x", "http-request deny")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_agents_own_texts_part_without_a_rest(profile: Profile) -> None:
    insertions = Insertions.of_plan(plan(profile))
    for mode, text in (("http", insertions.frontend), ("tcp", insertions.tcp_frontend)):
        lines = insertions.by_mode[mode]
        parted = [*lines.targets, *lines.top, *lines.rules, *lines.end]
        assert sorted(parted) == sorted(line.strip() for line in text.splitlines())
        assert {line.split()[0] for line in lines.rules if not line.startswith(".")} == {
            "http-request" if mode == "http" else "tcp-request"
        }
        assert {line.split()[0] for line in lines.targets} == {"log"}
        assert {line.split()[0] for line in lines.top if not line.startswith(".")} <= {"log-format-sd", "filter"}
    assert insertions.by_mode["http"].has_filter is (profile != "Stream")
    assert "haproxy-telemetry" in insertions.section_names


def test_rules_of_several_kinds_under_one_condition_stay_together() -> None:
    lines = SectionLines.of(".if x\nlog-format-sd y\nhttp-request deny\n.endif\n")
    assert lines.top == ()
    assert lines.rules == (".if x", "log-format-sd y", "http-request deny", ".endif")
