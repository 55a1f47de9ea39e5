"""The waterfall: every span has its place, whatever its parent is said to be."""

from haproxy_telemetry_agent.debug.exchange_view import LinkView, SpanView
from haproxy_telemetry_agent.debug.waterfall import bar, branch, outcome, waterfall

MILLISECOND = 1_000_000


def span(
    name: str,
    parent: str | None = None,
    *,
    start: int = 0,
    end: int = 100,
    link: str | None = None,
    status: str = "unset",
    message: str = "",
    **attributes: str | int,
) -> SpanView:
    """Its id is its name; times are milliseconds."""
    return SpanView(
        name=name,
        kind="internal",
        span_id=name,
        parent_span_id=parent,
        start_unix_nano=start * MILLISECOND,
        end_unix_nano=end * MILLISECOND,
        status=status,
        status_message=message,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
        links=[] if link is None else [LinkView(trace_id="t", span_id=link)],
    )


def drawn(*spans: SpanView) -> list[str]:
    return [f"{branch(row)}{row.span.name} {bar(row, 10)}" for row in waterfall(spans)]


def test_children_stand_below_their_parents_in_the_order_of_their_starts() -> None:
    assert drawn(
        span("late", "root", start=50),
        span("root", "the caller's"),
        span("early", "root", start=10, end=50),
        span("below", "early", start=20, end=40),
        span("next", "root", start=60, end=100, link="late"),
    ) == [
        "root ██████████",
        "├ early  ████",
        "│ └ below   ██",
        "├ late      █████",
        "└ ⇢ next       ████",
    ]


def test_several_roots() -> None:
    assert drawn(span("b", start=50), span("a", end=50)) == ["a █████", "b      █████"]


def test_every_bar_can_be_seen_and_none_is_too_long() -> None:
    assert drawn(span("root"), span("point", "root", start=100, end=100), span("backwards", "root", start=60, end=20)) == [
        "root ██████████",
        "├ backwards       █",
        "└ point          █",
    ]
    assert drawn(span("point", start=5, end=5)) == ["point █"]


def test_circles_and_strangers_are_shown_too() -> None:
    rows = waterfall([span("a", "b"), span("b", "a", start=1), span("self", "self", start=2), span("root", start=3)])
    assert [(row.span.name, branch(row)) for row in rows] == [("root", ""), ("a", ""), ("b", "└ "), ("self", "")]
    assert waterfall([]) == []


def test_spans_of_one_id_are_all_there() -> None:
    assert [row.span.name for row in waterfall([span("twice"), span("twice")])] == ["twice", "twice"]


def test_a_deep_chain_is_no_obstacle() -> None:
    chain = [span(str(number), str(number - 1), start=number, end=5_000) for number in range(5_000)]
    assert len(waterfall(chain)) == 5_000


def test_times_of_a_row() -> None:
    root, child = waterfall([span("root"), span("child", "root", start=25, end=75)])
    assert (root.start, root.share, root.seconds) == (0, 1, 0.1)
    assert (child.start, child.share, child.seconds) == (0.25, 0.5, 0.05)


def test_outcomes() -> None:
    assert outcome(span("a", http__response__status_code=200, haproxy__termination_state="--")) == "200"
    assert outcome(span("a", http__response__status_code=503, haproxy__termination_state="SC", error__type="503")) == "503 SC"
    assert outcome(span("a", error__type="haproxy.connect")) == "haproxy.connect"
    assert outcome(span("a", message="not finished")) == "not finished"
    assert outcome(span("a")) == ""
