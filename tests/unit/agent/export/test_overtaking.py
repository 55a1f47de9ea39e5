"""A batch is given up if it alone is refused, and not while the collector is away."""

from haproxy_telemetry_agent.export.overtaking import Overtaking

LIMIT = 60.0


def test_one_that_alone_is_refused_is_given_up_after_the_limit() -> None:
    overtaking = Overtaking()
    given_up = []
    for now in range(0, 130, 10):
        given_up.append(overtaking.failed(now, LIMIT))
        overtaking.other_answered(now + 1, is_final=True)
    assert given_up.index(True) == 7, "the first of the others came at 1 s"


def test_not_without_others() -> None:
    overtaking = Overtaking()
    assert not any(overtaking.failed(now, LIMIT) for now in range(0, 10_000, 10))


def test_not_if_others_are_refused_as_well() -> None:
    overtaking = Overtaking()
    for now in range(0, 1000, 50):
        assert not overtaking.failed(now, LIMIT)
        overtaking.other_answered(now + 10, is_final=True)
        overtaking.other_answered(now + 20, is_final=False)


def test_not_if_others_were_taken_a_while_ago() -> None:
    overtaking = Overtaking()
    overtaking.failed(0, LIMIT)
    overtaking.other_answered(1, is_final=True)
    assert not overtaking.failed(1000, LIMIT)


def test_others_before_its_first_failure_say_nothing() -> None:
    overtaking = Overtaking()
    overtaking.other_answered(0, is_final=True)
    assert not overtaking.failed(100, LIMIT)
    overtaking.other_answered(101, is_final=True)
    assert not overtaking.failed(150, LIMIT)


def test_the_next_one_begins_anew() -> None:
    overtaking = Overtaking()
    overtaking.failed(0, LIMIT)
    overtaking.other_answered(1, is_final=True)
    overtaking.begin()
    overtaking.other_answered(60, is_final=True)
    assert not overtaking.failed(62, LIMIT)
