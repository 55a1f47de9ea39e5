"""A record factory writes what HAProxy's ring sends: by default the end of a request that HAProxy answered itself."""

from haproxy_telemetry_agent.wiring import Plan, record_fields

__all__ = ["TRACE_ID", "framed", "record", "syslog"]

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

_VALUES = {
    "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01",
    "ST": "200",
    "ts": "--",
    "HM": "GET",
    "HV": "HTTP/1.1",
    "HPO": "/",
    "HQ": "",
    "f": "edge",
    "b": "edge",
    "s": "<NOSRV>",
    **dict.fromkeys(("TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "ssl_bc"), "0"),
}


def record(**values: str) -> bytes:
    """A whole record; `values` replace parameters of its structured data."""
    given = {**_VALUES, **values}
    parameters = " ".join(f'{field.name}="{given.get(field.name, "-")}"' for field in record_fields(Plan()))
    return syslog(f"[ht@1 {parameters}] message of the user's own".encode())


def syslog(rest: bytes) -> bytes:
    """The header of RFC 5424, and whatever follows it."""
    return b"<134>1 2026-11-22T13:50:34.119025+00:00 - haproxy 37 - " + rest


def framed(data: bytes) -> bytes:
    """With its length in front, as RFC 6587 counts octets."""
    return b"%d %s" % (len(data), data)
