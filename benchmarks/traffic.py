"""What HAProxy says during an exchange: the NOTIFY of its request, and the record at its end.

Names and order are those of ``wiring.fields``, values are like a web shop's behind TLS. Some thousand different exchanges are drawn
once, from a fixed seed, and used in turn: every agent sees the same ones, and a cache in one gets no more hits than in production.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, FrameFlags, FrameType
from haproxy_telemetry_agent.spop.values import Value, encode_string, encode_value
from haproxy_telemetry_agent.spop.varint import encode_varint
from haproxy_telemetry_agent.wiring import REQUEST_MESSAGE, SD_ID, Plan
from haproxy_telemetry_agent.wiring.fields import arguments, record_fields

__all__ = ["Traffic"]

_SEED = 20_261_122
_SCRIPTS = 4_000
_FRAME_ID = 1
_FRAME_HEAD = bytes((FrameType.NOTIFY,)) + int(FrameFlags.FIN).to_bytes(4, "big")
_MICROSECONDS_PER_SECOND = 1_000_000
_ABSENT = "-"
_FRONTEND = "https"

_HOSTS = ("shop.example.com", "www.example.com", "api.example.com:8443", "static.example.com")
_USER_AGENTS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "Linux; Android 10; K")
    for version in range(136, 142)
)
_COLLECTIONS = ("catalog/items", "customers", "orders", "carts", "reviews")
_QUERIES = ("", "", "?page=3&sort=price&currency=EUR", "?q=winter+jacket&size=m&in_stock=1")
_STATUS_CODES = (200,) * 17 + (304, 404, 503)
_PROTOCOLS = ("HTTP/2.0", "HTTP/2.0", "HTTP/1.1")


@dataclass(frozen=True, slots=True)
class _Script:
    """One exchange, but for its times and for what the agent answers."""

    notify_tail: bytes
    """The message behind its first argument's value."""
    record_template: bytes
    """With named ``%``-places."""
    duration_microseconds: int


class Traffic:
    """Exchanges by their number; the same number is the same exchange in every run."""

    def __init__(self) -> None:
        rng = random.Random(_SEED)
        first, *rest = (field.name for field in arguments(Plan()) if field.before is None)
        assert first == "start", "the first argument is written while the load runs"
        self._notify_head = b"".join((encode_string(REQUEST_MESSAGE), bytes((len(rest) + 1,)), encode_string(first)))
        self._scripts = [_script(rng, rest) for _ in range(_SCRIPTS)]

    def notify(self, number: int, stream_id: int, now_unix_micro: int) -> bytes:
        """The whole NOTIFY frame of exchange ``number``."""
        body = b"".join(
            (
                _FRAME_HEAD,
                encode_varint(stream_id),
                encode_varint(_FRAME_ID),
                self._notify_head,
                encode_value(now_unix_micro),
                self._scripts[number % _SCRIPTS].notify_tail,
            )
        )
        return len(body).to_bytes(LENGTH_BYTES, "big") + body

    def record(self, number: int, now_unix_micro: int, variables: dict[str, Value]) -> bytes:
        """The octet-counted record of exchange ``number``; ``variables`` are what the agent has set."""
        script = self._scripts[number % _SCRIPTS]
        second, microsecond = divmod(now_unix_micro + script.duration_microseconds, _MICROSECONDS_PER_SECOND)
        record = script.record_template % {
            b"timestamp": b"%b.%06d+00:00" % (_timestamp(second), microsecond),
            b"traceparent": str(variables.get("traceparent", _ABSENT)).encode(),
            b"state": str(variables.get("state", _ABSENT)).encode(),
            b"tracestate": str(variables.get("tracestate", _ABSENT)).encode(),
            b"routed": now_unix_micro,
        }
        return b"%d %b" % (len(record), record)


@lru_cache(maxsize=4)
def _timestamp(unix_second: int) -> bytes:
    return datetime.fromtimestamp(unix_second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _script(rng: random.Random, argument_names: list[str]) -> _Script:
    continued = rng.random() < 0.5
    host = rng.choice(_HOSTS)
    user_agent = rng.choice(_USER_AGENTS)
    values: dict[str, Value] = {
        "traceparent_1": f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01" if continued else None,
        "traceparent_2": None,
        "tracestate_1": None,
        "tracestate_2": None,
        "tracestate_3": None,
        "host": host,
        "user_agent": user_agent,
    }
    exchange = _exchange(rng)
    values |= {"method": exchange.method, "path": exchange.path, "frontend": _FRONTEND, "client": IPv4Address(exchange.client)}
    tail = b"".join(encode_string(name) + encode_value(values[name]) for name in argument_names)
    milliseconds = min(int(rng.lognormvariate(3, 1)), 5_000)
    return _Script(tail, _record_template(rng, exchange, milliseconds), milliseconds * 1_000 + rng.randrange(1_000))


class _Exchange(NamedTuple):
    """What HAProxy says twice: while the request waits, and in the record."""

    method: str
    path: str
    client: str


def _exchange(rng: random.Random) -> _Exchange:
    return _Exchange(
        rng.choice(("GET", "GET", "GET", "POST")),
        f"/api/v2/{rng.choice(_COLLECTIONS)}/{rng.randrange(100_000)}",
        f"203.0.113.{rng.randrange(1, 255)}",
    )


def _record_template(rng: random.Random, exchange: _Exchange, milliseconds: int) -> bytes:
    method, path, client = exchange
    status_code = rng.choice(_STATUS_CODES)
    query = rng.choice(_QUERIES)
    protocol = rng.choice(_PROTOCOLS)
    client_port = rng.randrange(32_768, 61_000)
    server = rng.randrange(1, 9)
    sent_bytes = int(rng.lognormvariate(9, 1))
    received_bytes = rng.randrange(350, 900)
    values: dict[str, object] = {
        "traceparent": "%(traceparent)b",
        "state": "%(state)b",
        "tracestate": "%(tracestate)b",
        "routed": "%(routed)d",
        # What the agent answered in time HAProxy has not set itself.
        **dict.fromkeys(("error", "start", "seen", "parent", "host", "user_agent", "ID"), _ABSENT),
        "ST": status_code,
        "ts": "--",
        "HM": method,
        "HV": protocol,
        "f": _FRONTEND,
        "b": "shop",
        "s": f"web-{server}",
        "ci": client,
        "cp": client_port,
        "si": f"10.42.3.{server}",
        "sp": 8080,
        "sslv": "TLSv1.3",
        "ssl_bc": 0,
        "TR": 0,
        "Tw": 0,
        "Tc": rng.randrange(2),
        "Tr": milliseconds * 9 // 10,
        "Ta": milliseconds,
        "rc": 0,
        "bq": 0,
        "sq": 0,
        "U": received_bytes,
        "B": sent_bytes,
        "HPO": path,
        "HQ": query,
    }
    parameters = " ".join(f'{field.name}="{values[field.name]}"' for field in record_fields(Plan()))
    message = (
        f"{client}:{client_port} [22/Nov/2026:13:50:34.094] https~ shop/web-{server} 0/0/1/{milliseconds * 9 // 10}/{milliseconds} "
        f'{status_code} {sent_bytes} - - ---- 12/12/3/1/0 0/0 "{method} {path}{query} {protocol}"'
    )
    return f"<134>1 %(timestamp)b - haproxy 37 - [{SD_ID} {parameters}] {message}\n".encode()
