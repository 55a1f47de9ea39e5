"""What may be open behind ``.if`` and its like."""

from haproxy_telemetry_operator.rewriter.conditions import MAX_POSSIBILITIES, NOTHING, Conditions, Possible


def opened(conditions: Conditions, section: int) -> None:
    conditions.open = Possible(frozenset((section,)), conditions.open.defaults)


def open_sections(conditions: Conditions) -> set[int]:
    return set(conditions.open.sections)


def test_a_branch_begins_with_what_was_open_at_its_if() -> None:
    conditions = Conditions()
    opened(conditions, 1)
    conditions.enter(10)
    opened(conditions, 2)
    assert conditions.switch(is_else=False)
    assert open_sections(conditions) == {1}
    opened(conditions, 3)
    assert conditions.leave()
    assert open_sections(conditions) == {1, 2, 3}


def test_an_else_leaves_no_other_way() -> None:
    conditions = Conditions()
    opened(conditions, 1)
    conditions.enter(10)
    opened(conditions, 2)
    assert conditions.switch(is_else=True)
    opened(conditions, 3)
    assert conditions.leave()
    assert open_sections(conditions) == {2, 3}


def test_where_nothing_is_opened_nothing_changes() -> None:
    conditions = Conditions()
    opened(conditions, 1)
    conditions.enter(10)
    conditions.enter(11)
    assert (conditions.depth, conditions.index_of_if(0), conditions.index_of_if(1)) == (2, 10, 11)
    assert conditions.leave()
    assert conditions.leave()
    assert (conditions.depth, open_sections(conditions)) == (0, {1})


def test_what_does_not_fit_together() -> None:
    conditions = Conditions()
    assert not conditions.leave()
    assert not conditions.switch(is_else=True)
    conditions.enter(0)
    assert conditions.switch(is_else=True)
    assert not conditions.switch(is_else=True)
    assert not conditions.switch(is_else=False)


def test_the_same_of_defaults() -> None:
    conditions = Conditions(Possible(defaults=frozenset((1,))))
    conditions.enter(0)
    conditions.open = Possible(frozenset((2,)), frozenset((2,)))
    assert conditions.leave()
    assert conditions.open == (frozenset((2, NOTHING)), frozenset((1, 2)))


def test_too_much_that_is_possible_is_told_once() -> None:
    conditions = Conditions()
    for section in range(2 * MAX_POSSIBILITIES):
        conditions.enter(section)
        conditions.open = Possible(frozenset((section,)), frozenset((section,)))
        assert conditions.leave()
    assert len(conditions.open.sections) <= MAX_POSSIBILITIES
    assert conditions.open.defaults == frozenset()
    assert conditions.lost >= set(range(MAX_POSSIBILITIES))
