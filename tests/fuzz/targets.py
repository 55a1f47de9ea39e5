"""What any bytes must do to the agent, as functions of bytes: give events, or one error that is defined. They raise if it is more.

A target knows no fuzzer. Those of the suite (``test_targets.py``) and those that run for long (``__main__.py``) call the same ones.
"""

import contextlib
import ipaddress
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from haproxy_telemetry_agent.access_log import AccessLog
from haproxy_telemetry_agent.content import make_attribute_builder
from haproxy_telemetry_agent.export.segment import (
    Origin,
    SegmentError,
    decode_batch,
    encode_batch,
    encode_segment_header,
    list_batches,
    read_segment_header,
)
from haproxy_telemetry_agent.foreign_messages import ForeignMessages, make_minilanguage
from haproxy_telemetry_agent.pipeline import Pipeline
from haproxy_telemetry_agent.records import RecordReader, RecordStreamError
from haproxy_telemetry_agent.settings import Settings
from haproxy_telemetry_agent.settings.minilanguage import MiniLanguageSettings
from haproxy_telemetry_agent.settings.model import parse_settings
from haproxy_telemetry_agent.spop import AgentConnection, Event, Message, NotifyReceived, ProtocolViolated, State
from haproxy_telemetry_agent.spop.errors import InvalidFrame
from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, Frame, FrameFlags, FrameType, encode_frame
from haproxy_telemetry_agent.spop.messages import decode_actions, decode_messages, encode_actions, encode_pairs
from haproxy_telemetry_agent.spop.values import Value
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import (
    Answerer,
    ConnectionTracer,
    ExchangeTracer,
    IdGenerator,
    ParentBased,
    Propagation,
    Ratio,
)
from haproxy_telemetry_agent.tracing.forwarded import ForwardedReader, Trust
from haproxy_telemetry_agent.tracing.propagation.baggage import MAX_VALUE_CHARACTERS, baggage_attributes
from haproxy_telemetry_agent.tracing.propagation.tracecontext import format_traceparent, parse_traceparent, parse_tracestate
from haproxy_telemetry_agent.tracing.state import MAX_TOKEN_CHARACTERS, VERSION, decode_state, encode_state
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS, FORMATS, REQUEST_MESSAGE, SPOE_EVENTS, Plan, record_fields

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

MAX_FRAME_BYTES = 512
MAX_RECORD_BYTES = 256
MAX_LENGTH_CHARACTERS = 8
MAX_SERIES = 400
"""Of the agent's own counters; nothing a peer says may add to them without end."""
NOW_UNIX_MICRO = 1_795_355_434_119_025
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TIME = "2026-11-22T13:50:34.119025+00:00"
LISTS_OF_PROXIES = ["10.0.0.0/8", "fd00::/8", "unix"]
BAGGAGE_KEYS = ["tenant", "a"]

MINILANGUAGE = MiniLanguageSettings(
    max_exchanges=8, max_bytes=1_048_576, max_spans=8, max_tags=8, max_text_characters=64, server_timeout="1m"
)
EVERYTHING: Settings = parse_settings(
    {
        "profile": "Full",
        "spans": {
            "forwarded": {"trust": "TrustedNetworks", "networks": LISTS_OF_PROXIES},
            "requestHeaders": ["x-one"],
            "responseHeaders": ["x-two"],
            "scrubPaths": [{"pattern": "/[0-9]+", "replacement": "/N"}],
            "servicePeerName": "KubernetesBackend",
            "samples": [{"name": "one", "fetch": "src"}],
            "grpc": True,
            "tls": True,
        },
    }
)
"""Settings that make the agent look at as much as it can."""

EXCHANGE = {field.name: "-" for field in record_fields(Plan())} | {
    **dict.fromkeys(("ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B"), "1"),
    "ts": "--",
    "HM": "GET",
    "HV": "HTTP/1.1",
    "f": "fe",
    "b": "be",
    "s": "one",
    "ssl_bc": "0",
    "HPO": "/",
    "HQ": "",
}
CONNECTION = {field.name: "-" for field in CONNECTION_FIELDS} | {
    **dict.fromkeys(("fc_err", "Th", "Tw", "Tc", "Tt", "rc", "bq", "sq", "U", "B"), "1"),
    "id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "ts": "--",
    "f": "mail",
    "b": "imap",
    "s": "one",
    "ssl_bc": "0",
}
CAPTURED = ["q.x-one", "r.x-two", "x.one", "forwarded", "x-forwarded-for", "content_type", "grpc_status", "tls.version", "baggage"]
HEADERS = list(dict.fromkeys(field.name for row in FORMATS for field in row.arguments))
ARGUMENTS = ["state", "session", "now", "start", "seen", "host", "path", "user_agent", "method", *HEADERS, *CAPTURED]
WORDS = ["id", "span", "child-of", "follows-from", "tag", "baggage", "log", "finish", "traceparent", "tracestate"]


class Agent:
    """A pipeline of its own, and what came out of it."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.exported = 0
        self.logged = 0
        self.now_unix_nano = 1_000
        ids = IdGenerator(random.Random(1).getrandbits)
        sampler = ParentBased(Ratio(0.5))
        self.foreign = ForeignMessages(
            minilanguage=make_minilanguage(MINILANGUAGE, sampler=sampler, ids=ids),
            telemetry=self.telemetry,
            offer=self._offer,
            now_unix_nano=lambda: self.now_unix_nano,
        )
        self.pipeline = Pipeline(
            answerer=Answerer(
                sampler=sampler,
                ids=ids,
                propagation=Propagation(("tracecontext", "b3", "b3multi", "jaeger", "xray")),
                baggage_keys=BAGGAGE_KEYS,
            ),
            tracer=ExchangeTracer(
                sampler=sampler,
                ids=ids,
                attributes=make_attribute_builder(EVERYTHING.spans, {}),
                profile="Full",
                baggage_keys=BAGGAGE_KEYS,
                describe=True,
                describe_excluded=True,
            ),
            connection_tracer=ConnectionTracer(sampler=sampler, describe=True),
            foreign=self.foreign,
            telemetry=self.telemetry,
            offer=self._offer,
            access_log=AccessLog(offer=self._log, telemetry=self.telemetry.watch_logs()),
        )

    def _log(self, record: bytes) -> None:
        decoded = OtlpLogRecord.FromString(record)
        assert (len(decoded.trace_id), len(decoded.span_id)) in {(16, 8), (0, 0)}, decoded
        assert decoded.body.string_value, decoded
        self.logged += 1

    def _offer(self, span: bytes) -> None:
        decoded = OtlpSpan.FromString(span)
        assert len(decoded.trace_id) == 16, decoded
        assert len(decoded.span_id) == 8, decoded
        self.exported += 1

    def counted(self, *names: str) -> int:
        """The sum of some counters of its own, all labels together."""
        samples = [sample for family in self.telemetry.collect() if family.type == "counter" for sample in family.samples]
        assert len(samples) <= MAX_SERIES
        return sum(int(sample.value) for sample in samples if sample.name.removeprefix(PREFIX) in names)


def spop(data: bytes) -> None:
    """A connection, from its first byte: whole, byte by byte and in pieces it says the same, and keeps one frame at most."""
    half = len(data) // 2
    whole = _converse([data])
    assert _converse([data[:half], data[half:]]) == whole
    assert _converse(data[index : index + 1] for index in range(len(data))) == whole


def spop_after_hello(data: bytes) -> None:
    """A connection whose handshake went well."""
    pairs: list[tuple[str, Value]] = [
        ("supported-versions", "2.0"),
        ("max-frame-size", MAX_FRAME_BYTES),
        ("capabilities", "pipelining"),
    ]
    spop(encode_frame(Frame(FrameType.HAPROXY_HELLO, FrameFlags.FIN, 0, 0, encode_pairs(pairs))) + data)


def _converse(segments: Iterable[bytes]) -> tuple[list[str], bytes, State]:
    """Events (as text: errors have no equality), what was sent, and the state at the end."""
    connection = AgentConnection(max_frame_size_bytes=MAX_FRAME_BYTES)
    events: list[Event] = []
    for segment in segments:
        before = len(segment) + len(connection._buffer)
        received = connection.receive(segment)
        assert len(connection._buffer) <= min(before, LENGTH_BYTES + MAX_FRAME_BYTES)
        for event in received:
            if isinstance(event, NotifyReceived):
                connection.acknowledge(event, [])
        events += received
    assert not any(isinstance(event, ProtocolViolated) for event in events[:-1]), "an error is the last event"
    sent = connection.data_to_send()
    return [repr(event) for event in events], _without_acknowledgements(sent), connection.state


def _without_acknowledgements(sent: bytes) -> bytes:
    """What is said in any case: a NOTIFY that came together with the end of its connection is not answered any more."""
    frames = []
    while sent:
        end = LENGTH_BYTES + int.from_bytes(sent[:LENGTH_BYTES], "big")
        frames.append(sent[:end])
        sent = sent[end:]
    return b"".join(frame for frame in frames if frame[LENGTH_BYTES] != FrameType.ACK)


def notify(data: bytes) -> None:
    """The payload of a NOTIFY: its messages are counted once each, and their answer can be written."""
    agent = Agent()
    try:
        messages = decode_messages(data)
    except InvalidFrame:
        return
    actions = agent.pipeline.notify(messages)
    assert decode_actions(encode_actions(actions)) == actions
    agent.foreign.close()
    assert agent.counted("messages_total") == len(messages)
    assert agent.counted("minilang_spans_made_total") == agent.exported


def arguments(data: bytes) -> None:
    """Our own messages with any arguments: a line each, to all events, one after the other as profile Full has them."""
    agent = Agent()
    values = dict(zip(ARGUMENTS, map(_value, data.split(b"\n")), strict=False))
    for event in SPOE_EVENTS:
        actions = agent.pipeline.notify([Message(event.message, list(values.items()))])
        assert decode_actions(encode_actions(actions)) == actions
        said = {action.name: getattr(action, "value", None) for action in actions}
        if event.message == REQUEST_MESSAGE:
            assert parse_traceparent(str(said["traceparent"])) is not None
        for name in {"state", "session"} & said.keys():
            assert len(str(said[name])) <= MAX_TOKEN_CHARACTERS
            assert decode_state(str(said[name])) is not None
        values.update(said)
    record = EXCHANGE | {name: str(values.get(name, "-")) for name in ("traceparent", "state", "tracestate")}
    agent.pipeline.record(_record("ht@1", record))
    assert agent.counted("exchanges_recorded_total", "records_skipped_total") == 1


def minilanguage(data: bytes) -> None:
    """Messages of the mini-language, an argument a line: the word's number, then a value; an empty line ends a message."""
    agent = Agent()
    messages: list[list[tuple[str, Value]]] = [[]]
    for line in data.split(b"\n"):
        if line:
            word = WORDS[line[0] % len(WORDS)]
            name, equals, value = line[1:].partition(b"=")
            messages[-1].append((word if not equals else f"{word}={name.decode('utf-8', 'replace')}", _value(value or name)))
        else:
            messages.append([])
    for one in messages:
        actions = agent.pipeline.notify([Message("any", one)])
        assert decode_actions(encode_actions(actions)) == actions
        agent.now_unix_nano += 30_000_000_000
        agent.foreign.expire()
        assert len(agent.foreign._minilanguage) <= MINILANGUAGE.max_exchanges
        assert agent.foreign._minilanguage.size_bytes <= MINILANGUAGE.max_bytes
    agent.foreign.close()
    assert agent.foreign._minilanguage.size_bytes == 0
    assert agent.counted("messages_total") == len(messages)
    assert agent.counted("minilang_spans_made_total") == agent.exported


def record_stream(data: bytes) -> None:
    """A record connection: whole and byte by byte it gives the same records, or the one error, and keeps one record at most."""
    whole = _read([data])
    assert _read(data[index : index + 1] for index in range(len(data))) == whole
    cuts = [0, len(data) // 3, len(data) // 2, len(data)]
    assert _read(data[start:end] for start, end in pairwise(cuts)) == whole


def _read(segments: Iterable[bytes]) -> tuple[int, bool]:
    """How many were too long, and whether the stream was given up; records that came in the segment of the error go with it."""
    reader = RecordReader(max_record_bytes=MAX_RECORD_BYTES)
    try:
        for segment in segments:
            for record in reader.receive(segment):
                assert len(record) <= MAX_RECORD_BYTES
            assert len(reader._buffer) <= MAX_RECORD_BYTES + MAX_LENGTH_CHARACTERS
    except RecordStreamError:
        return reader.too_long_count, True
    return reader.too_long_count, False


def record(data: bytes) -> None:
    """Any bytes as a record: one count, and spans and a log record that can be read."""
    agent = Agent()
    agent.pipeline.record(data)
    assert agent.counted("exchanges_recorded_total", "records_skipped_total") == 1
    assert agent.counted("spans_made_total") == agent.exported
    assert agent.counted("log_records_made_total") == agent.logged <= 1
    assert agent.logged or not agent.exported


def parameters(data: bytes, *, sd_id: str, plausible: dict[str, str], captured: tuple[str, ...] = ()) -> None:
    """A record whose parameters say anything: a line each; an empty line leaves what is plausible."""
    changes = zip([*plausible, *captured], data.decode("utf-8", "replace").split("\n"), strict=False)
    record(_record(sd_id, plausible | {name: value for name, value in changes if value}))


def state(data: bytes) -> None:
    """A forged token, by what its base64 means: a state or none, through all events of profile Full, and in a record."""
    token = urlsafe_b64encode(data).decode()
    found = decode_state(token)
    assert found is None or found.version == VERSION
    agent = Agent()
    for now in (NOW_UNIX_MICRO, 0, (1 << 64) - 1, -(1 << 63)):
        for event in SPOE_EVENTS:
            message = Message(event.message, [("now", now), ("state", token), ("session", token)])
            actions = agent.pipeline.notify([message])
            assert decode_actions(encode_actions(actions)) == actions
    agent.pipeline.record(_record("ht@1", EXCHANGE | {"state": token, "traceparent": SAMPLED}))
    assert agent.counted("exchanges_recorded_total", "records_skipped_total") == 1
    if found is not None:
        assert len(encode_state(found)) <= MAX_TOKEN_CHARACTERS


def context(data: bytes) -> None:
    """Headers of all formats, a line each: a context or none; what goes on is valid and says the same again."""
    headers: dict[str, object] = dict(zip(HEADERS, data.decode("utf-8", "replace").split("\n"), strict=False))
    for name in ("tracecontext", "b3", "b3multi", "jaeger", "xray"):
        propagation = Propagation((name,))
        inbound = propagation.extract(headers)
        assert not (inbound.parent and inbound.denied)
        if inbound.parent is None:
            continue
        parent = inbound.parent
        assert any(parent.trace_id)
        assert any(parent.span_id)
        assert parse_tracestate([parent.tracestate]) == parent.tracestate
        written = [("traceparent_1", format_traceparent(parent)), *propagation.inject(parent)]
        again = propagation.extract(dict(written)).parent
        assert again is not None
        assert (again.trace_id, again.span_id, again.flags & 1) == (parent.trace_id, parent.span_id, parent.flags & 1)
    for key, value in baggage_attributes([str(value) for value in headers.values()], BAGGAGE_KEYS):
        assert key.removeprefix("baggage.") in BAGGAGE_KEYS
        assert len(value) <= MAX_VALUE_CHARACTERS


def forwarded(data: bytes) -> None:
    """The headers of other proxies, a line each: what is believed is an address, a port and a scheme, or nothing."""
    names = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
    headers = dict(zip(names, data.decode("utf-8", "replace").split("\n"), strict=False))
    for trust in (Trust.TRUSTED_NETWORKS, Trust.ALL):
        found = ForwardedReader(trust, LISTS_OF_PROXIES).read("10.0.0.1", headers)
        assert found.address is None or ipaddress.ip_address(found.address)
        assert found.scheme in (None, "http", "https")
        assert found.port is None or 0 < found.port < 65_536
        assert found.host_port is None or 0 < found.host_port < 65_536


def segment(data: bytes) -> None:
    """A file of the spill: batches of spans, or the one error; what is read and written again is read the same."""
    origin, found = _read_segment(data)
    assert sum(len(span) for spans in found for span in spans) <= len(data)
    if origin is not None:
        again = encode_segment_header(origin) + b"".join(map(encode_batch, found))
        assert _read_segment(again) == (origin, found)


def _read_segment(data: bytes) -> tuple[Origin | None, list[list[bytes]]]:
    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    found: list[list[bytes]] = []
    origin = None
    with contextlib.suppress(SegmentError):
        origin, first = read_segment_header(read)
        for entry in list_batches(read, first, len(data)):
            end = entry.offset + entry.size_bytes
            assert end <= len(data)
            found.append(decode_batch(entry, read(end - entry.body_bytes, entry.body_bytes)))
    return origin, found


def _value(line: bytes) -> Value:
    """A value of any of SPOP's types, by the first byte of a line."""
    kind, rest = line[:1], line[1:]
    number = int.from_bytes(rest[:8], "big")
    if kind == b"\x00":
        return None
    if kind == b"\x01":
        return number % 2 == 1
    if kind == b"\x02":
        return number - (1 << 63)
    if kind == b"\x03":
        return number
    if kind == b"\x04":
        return ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    if kind == b"\x05":
        return ipaddress.IPv6Address(number)
    return rest if kind == b"\x06" else line.decode("utf-8", "replace")


def _record(sd_id: str, fields: dict[str, str]) -> bytes:
    """As HAProxy writes it."""
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("]", r"\]")) for name, value in fields.items())
    body = " ".join(f'{name}="{value}"' for name, value in escaped)
    return f"<134>1 {TIME} - haproxy 37 - [{sd_id} {body}] message".encode()


TARGETS: dict[str, Target] = {
    "arguments": arguments,
    "connection": partial(parameters, sd_id="htc@1", plausible=CONNECTION),
    "context": context,
    "exchange": partial(parameters, sd_id="ht@1", plausible=EXCHANGE, captured=tuple(CAPTURED)),
    "forwarded": forwarded,
    "minilanguage": minilanguage,
    "notify": notify,
    "record": record,
    "record_stream": record_stream,
    "segment": segment,
    "spop": spop,
    "spop_after_hello": spop_after_hello,
    "state": state,
}
