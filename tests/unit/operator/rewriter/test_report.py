"""Words for people, names for machines."""

import pytest

from haproxy_telemetry_operator.rewriter.report import Problem, ProblemKind, Reason, Remark, Rewriting, SectionReport

EVERYTHING_SAID = [*Reason, *Remark, *ProblemKind]


@pytest.mark.parametrize("said", EVERYTHING_SAID, ids=lambda said: said.code)
def test_each_has_a_code_and_a_sentence(said: Reason | Remark | ProblemKind) -> None:
    assert said.code.isalnum()
    assert said.code[0].isupper()
    assert said.sentence[0].isupper() or said.sentence[0] in "`."
    assert said.sentence.endswith(".")


def test_no_two_say_the_same() -> None:
    assert len({said.sentence for said in EVERYTHING_SAID}) == len({said.code for said in EVERYTHING_SAID}) == len(EVERYTHING_SAID)


def test_code() -> None:
    assert Reason.LOG_FORMAT_SD.code == "LogFormatSd"
    assert Problem(ProblemKind.NO_LINE_FEED, 0, 1).kind.code == "NoLineFeed"


def test_traced_sections_are_those_without_a_reason() -> None:
    web, internal = SectionReport("frontend", "web", 0, 1), SectionReport("frontend", "internal", 0, 9, Reason.EXCLUDED)
    assert Rewriting(("",), (web, internal)).traced == (web,)
