"""How requests are counted: all of them, each once, under the words of their spans, and never in too many series."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.request_metrics import BOUNDS_SECONDS, LABELS, OVERFLOW, Exemplar, RequestMetrics, Series
from haproxy_telemetry_agent.tracing import AlwaysOff, AlwaysOn, Attribute, Exchange, ExchangeTracer, IdGenerator, ParentBased
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder, AttributeOptions
from haproxy_telemetry_agent.tracing.forwarded import ForwardedReader, Trust
from haproxy_telemetry_agent.tracing.routes import RouteEntry, RouteTable
from haproxy_telemetry_agent.wiring import Plan, Profile, record_fields

END_UNIX_NANO = 1_795_355_434_119_025_000
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NUMBERS = {"ST": "200", "TR": "0", "Tw": "0", "Tc": "1", "Tr": "2", "Ta": "3", "rc": "0", "bq": "0", "sq": "0", "U": "1", "B": "2"}
TEXTS = {"ts": "--", "HM": "GET", "HV": "HTTP/1.1", "f": "fe", "b": "be", "s": "one", "ssl_bc": "0", "HPO": "/", "HQ": ""}
PARAMETERS = {field.name: "-" for field in record_fields(Plan())} | NUMBERS | TEXTS
ORDINARY = {
    "http.request.method": "GET",
    "http.response.status_code": "200",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
    "haproxy.frontend.name": "fe",
    "haproxy.backend.name": "be",
}

Count = Callable[..., Exchange]


class Counted:
    """Metrics, and a tracer with the same words."""

    def __init__(
        self,
        *,
        options: AttributeOptions | None = None,
        routes: RouteTable | None = None,
        profile: Profile = "Standard",
        sampled: bool = True,
        labels: tuple[str, ...] = LABELS,
        max_series: int = 2_000,
        exemplars: bool = True,
        excluded_requests: bool = True,
    ) -> None:
        attributes = AttributeBuilder(options, routes or RouteTable())
        self.metrics = RequestMetrics(
            attributes=attributes, labels=labels, max_series=max_series, exemplars=exemplars, excluded_requests=excluded_requests
        )
        self._tracer = ExchangeTracer(
            sampler=ParentBased(AlwaysOn() if sampled else AlwaysOff()),
            ids=IdGenerator(random.Random(1).getrandbits),
            attributes=attributes,
            profile=profile,
        )

    def record(self, **changes: str) -> Exchange:
        """Count one record: an ordinary one, changed."""
        exchange = self._tracer.trace(END_UNIX_NANO, PARAMETERS | {name.replace("__", "."): text for name, text in changes.items()})
        self.metrics.count(exchange)
        return exchange

    @property
    def only(self) -> Series:
        (series,) = self.metrics.series
        return series

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.only.labels)


def test_an_ordinary_request() -> None:
    counted = Counted()
    counted.record()
    assert counted.labels == ORDINARY
    assert counted.only.counts == [1, *[0] * 14]
    assert counted.only.total_nanoseconds == 3_000_000


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"HM": "BREW"}, {"http.request.method": "_OTHER"}),
        ({"HM": "<BADREQ>", "ts": "PR", "ST": "400"}, {"http.request.method": "_OTHER", "http.response.status_code": "400"}),
        ({"ST": "503", "ts": "SC"}, {"http.response.status_code": "503", "error.type": "503"}),
        ({"ST": "-1", "ts": "CD"}, {"http.response.status_code": "", "error.type": "haproxy.client_abort"}),
        ({"ts": "SD"}, {"error.type": "haproxy.server_abort"}),
        ({"ST": "404"}, {"http.response.status_code": "404"}),
        ({"sslv": "TLSv1.3"}, {"url.scheme": "https"}),
        ({"HV": "HTTP/2.0"}, {"network.protocol.version": "2"}),
        ({"HV": "HTTP/0.9"}, {"network.protocol.version": ""}),
        ({"b": "fe"}, {"haproxy.backend.name": "fe"}),
    ],
)
def test_what_the_labels_say(changes: dict[str, str], labels: dict[str, str]) -> None:
    counted = Counted()
    counted.record(**changes)
    assert counted.labels == {name: value for name, value in (ORDINARY | labels).items() if value}


def test_a_connection_that_closed_before_a_request_came_is_none() -> None:
    counted = Counted()
    counted.record(HM="<BADREQ>", ts="CR", ST="400")
    assert counted.metrics.series == []


def test_excluded_requests_count_unless_told_otherwise() -> None:
    for excluded_requests in (True, False):
        counted = Counted(excluded_requests=excluded_requests)
        counted.record(excluded="1")
        assert len(counted.metrics.series) == excluded_requests
    counted = Counted()
    counted.record(excluded="1", Ta="30")
    assert counted.only.total_nanoseconds == 30_000_000


@pytest.mark.parametrize("profile", ["Standard", "Full", "Stream"])
def test_sampled_or_not_is_the_same(profile: Profile) -> None:
    sampled, unsampled = Counted(sampled=True, profile=profile), Counted(sampled=False, profile=profile)
    for counted in (sampled, unsampled):
        counted.record(Ta="70", start="1795355434000000")
    assert (sampled.only.labels, sampled.only.counts, sampled.only.total_nanoseconds) == (
        unsampled.only.labels,
        unsampled.only.counts,
        unsampled.only.total_nanoseconds,
    )
    assert any(sampled.only.exemplars)
    assert not any(unsampled.only.exemplars)


def test_an_exemplar_is_the_server_span_of_the_last_one_in_its_bucket() -> None:
    counted = Counted()
    counted.record(traceparent=SAMPLED, Ta="3")
    counted.record(traceparent=SAMPLED, Ta="60")
    last = counted.record(traceparent=SAMPLED, Ta="4")
    span = last.spans[0]
    exemplars = [Exemplar(span.trace_id, span.span_id, nanoseconds, END_UNIX_NANO) for nanoseconds in (4_000_000, 60_000_000)]
    assert counted.only.exemplars == [exemplars[0], None, None, None, exemplars[1], *[None] * 10]
    without = Counted(exemplars=False)
    without.record(traceparent=SAMPLED)
    assert not any(without.only.exemplars)


def test_routes_and_forwarded_schemes_and_grpc_are_as_in_the_spans() -> None:
    options = AttributeOptions(forwarded=ForwardedReader(trust=Trust.ALL), grpc=True)
    counted = Counted(options=options, routes=RouteTable([RouteEntry(host="shop.example.com", path="/api")]), sampled=False)
    more = {"x-forwarded-proto": "https", "content_type": "application/grpc", "grpc_status": "14"}
    counted.record(host="shop.example.com:80", HPO="/api/users", **more)
    assert counted.labels == ORDINARY | {"http.route": "/api", "url.scheme": "https", "error.type": "UNAVAILABLE"}
    counted.record(host="shop.example.com:80", HPO="/api/users", **(more | {"grpc_status": "0"}))
    assert [dict(series.labels).get("error.type") for series in counted.metrics.series] == ["UNAVAILABLE", None]


def test_labels_that_nobody_wants_tell_nothing_apart() -> None:
    counted = Counted(labels=("haproxy.frontend.name", "error.type"))
    counted.record()
    counted.record(ST="404", HM="POST", b="other", HV="HTTP/2.0")
    assert counted.labels == {"haproxy.frontend.name": "fe"}
    assert sum(counted.only.counts) == 2
    nothing = Counted(labels=())
    nothing.record(ts="SD")
    assert nothing.only.labels == ()


def test_too_many_series_are_one_that_says_so() -> None:
    counted = Counted(max_series=3)
    for backend in ("a", "b"):
        counted.record(b=backend)
    assert counted.metrics.overflowed == 0
    assert len(counted.metrics.series) == 2
    for number in range(5):
        counted.record(b=f"more-{number}")
    counted.record(b="a")
    *usual, overflow = counted.metrics.series
    assert [sum(series.counts) for series in usual] == [2, 1]
    assert overflow.labels == OVERFLOW
    assert sum(overflow.counts) == counted.metrics.overflowed == 5


def test_what_is_remembered_is_bounded() -> None:
    counted = Counted(max_series=3)
    for number in range(100):
        counted.record(b=f"{number}")
    assert len(counted.metrics._kinds) <= 12
    assert counted.metrics.overflowed == 98


@given(milliseconds=st.lists(st.one_of(st.integers(-1, 12_000), st.sampled_from([round(1000 * it) for it in BOUNDS_SECONDS]))))
def test_every_request_is_in_the_bucket_of_its_upper_bound(milliseconds: list[int]) -> None:
    counted = Counted(sampled=False)
    for total in milliseconds:
        counted.record(Ta=str(total))
    if not milliseconds:
        assert counted.metrics.series == []
        return
    for index, bound in enumerate(BOUNDS_SECONDS):
        assert sum(counted.only.counts[: index + 1]) == sum(total / 1000 <= bound for total in milliseconds)
    assert sum(counted.only.counts) == len(milliseconds)
    assert counted.only.total_nanoseconds == sum(max(total, 0) for total in milliseconds) * 1_000_000


WORDS: dict[str, list[str]] = {
    "HM": ["GET", "BREW", "<BADREQ>"],
    "ST": ["200", "404", "500", "-1"],
    "ts": ["--", "CD", "SD", "sH", "PR", "LR", "SC", "IH"],
    "HV": ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/0.9"],
    "sslv": ["-", "TLSv1.3"],
    "b": ["fe", "be"],
    "HPO": ["/", "/api", "/api/x"],
    "content_type": ["-", "application/grpc"],
    "grpc_status": ["-", "0", "5", "13"],
    "x-forwarded-proto": ["-", "http", "https"],
}
OPTIONS = AttributeOptions(forwarded=ForwardedReader(trust=Trust.ALL), grpc=True)


@given(records=st.lists(st.fixed_dictionaries({name: st.sampled_from(texts) for name, texts in WORDS.items()}), max_size=6))
def test_labels_are_the_attributes_of_the_span(records: list[dict[str, str]]) -> None:
    """The conventions want metrics and spans to agree, ``error.type`` above all; also for what was remembered."""
    counted = Counted(options=OPTIONS, routes=RouteTable([RouteEntry(path="/api")]))
    before: dict[tuple[tuple[str, str], ...], int] = {}
    for changes in records:
        exchange = counted.record(**changes)
        now = {series.labels: sum(series.counts) for series in counted.metrics.series}
        grown = [labels for labels in now if now[labels] != before.get(labels, 0)]
        before = now
        if not exchange.had_request:
            assert grown == []
            continue
        (labels,) = grown
        attributes: dict[str, Attribute] = dict(exchange.spans[0].attributes)
        attributes.setdefault("haproxy.backend.name", "fe")
        assert dict(labels) == {name: str(attributes[name]) for name in LABELS if name in attributes}
