"""The parameters of a connection's record, read."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.tracing.connection_ending import read_connection_ending
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS

Record = Callable[..., dict[str, str]]

NUMBERS = ["fc_err", "Th", "Tw", "Tc", "Tt", "rc", "bq", "sq", "U", "B", "start", "routed"]


@pytest.mark.parametrize(
    ("parameters", "attribute", "value"),
    [
        ({}, "trace_id", bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")),
        ({"ts": "SD"}, "termination_state", "SD"),
        ({"fc_err": "0", "ts": "PR"}, "handshake_failed", False),
        ({"fc_err": "34", "ts": "PR"}, "handshake_failed", True),
        ({"fc_err": "-", "ts": "PR"}, "handshake_failed", False),
        ({"fc_err": "47", "ts": "CD"}, "handshake_failed", False),
        ({"f": "mail"}, "frontend", "mail"),
        ({"b": "imap"}, "backend", "imap"),
        ({"s": "one"}, "server", "one"),
        ({"s": "<NOSRV>"}, "server", None),
        ({"ci": "2001:db8::1"}, "client_address", "2001:db8::1"),
        ({"ci": "-"}, "client_address", None),
        ({"cp": "54614"}, "client_port", 54_614),
        ({"ci": "unix", "cp": "1"}, "client_port", None),
        ({"fi": "192.0.2.1"}, "listen_address", "192.0.2.1"),
        ({"fi": "unix"}, "listen_address", None),
        ({"fi": "-"}, "listen_address", None),
        ({"fp": "993"}, "listen_port", 993),
        ({"fi": "unix", "fp": "1"}, "listen_port", None),
        ({"si": "-"}, "server_address", None),
        ({"sp": "-"}, "server_port", None),
        ({"si": "unix", "sp": "0"}, "server_port", None),
        ({"sp": "8080"}, "server_port", 8080),
        ({"sslv": "-"}, "tls_version", None),
        ({"sslv": "TLSv1.3"}, "tls_version", "TLSv1.3"),
        ({"sslc": "TLS_AES_256_GCM_SHA384"}, "tls_cipher", "TLS_AES_256_GCM_SHA384"),
        ({"sslc": "(NONE)"}, "tls_cipher", None),
        ({"sslc": "-"}, "tls_cipher", None),
        ({"ssl_bc": "0"}, "server_encrypted", False),
        ({"ssl_bc": "1"}, "server_encrypted", True),
        ({"Th": "2"}, "handshake_milliseconds", 2),
        ({"Th": "-1"}, "handshake_milliseconds", -1),
        # Without a request HAProxy counts from -1 ms on.
        ({"Tw": "121"}, "turn_milliseconds", 120),
        ({"Tw": "1"}, "turn_milliseconds", 0),
        ({"Tw": "0"}, "turn_milliseconds", 0),
        ({"Tw": "-1"}, "turn_milliseconds", -1),
        ({"Tc": "3"}, "connect_milliseconds", 3),
        ({"Tt": "4"}, "total_milliseconds", 4),
        # With ``option logasap`` the record comes early, and says so.
        ({"Tt": "+4"}, "total_milliseconds", 4),
        ({"B": "+5"}, "sent_bytes", 5),
        ({"rc": "2"}, "retries", 2),
        ({"rc": "2"}, "redispatched", False),
        ({"rc": "+1"}, "retries", 1),
        ({"rc": "+1"}, "redispatched", True),
        ({"bq": "5"}, "backend_queue", 5),
        ({"sq": "6"}, "server_queue", 6),
        ({"U": "7"}, "received_bytes", 7),
        ({"B": "8"}, "sent_bytes", 8),
        ({"start": "-"}, "start_unix_micro", None),
        ({"start": "1795355434000250"}, "start_unix_micro", 1_795_355_434_000_250),
        ({"routed": "-"}, "routed_unix_micro", None),
        ({"routed": "1795355434000250"}, "routed_unix_micro", 1_795_355_434_000_250),
        ({"alpn": "-"}, "application_protocol", None),
        ({"alpn": "imap"}, "application_protocol", "imap"),
        ({"ssl_fc_sni": "a.example"}, "server_name", "a.example"),
        ({"sni": "b.example"}, "server_name", "b.example"),
        ({"ssl_fc_sni": "a.example", "sni": "b.example"}, "server_name", "a.example"),
        ({"sni": ""}, "server_name", None),
        ({"ID": "-"}, "unique_id", None),
        ({"ID": "a"}, "unique_id", "a"),
    ],
)
def test_parameter(connection_record: Record, parameters: dict[str, str], attribute: str, value: object) -> None:
    ending = read_connection_ending(1, connection_record(**parameters))
    read = getattr(ending, attribute)
    assert read == value
    assert type(read) is type(value)


def test_the_end_is_the_records_own(connection_record: Record) -> None:
    assert read_connection_ending(1_795_355_434, connection_record()).end_unix_nano == 1_795_355_434


@pytest.mark.parametrize("name", [field.name for field in CONNECTION_FIELDS])
def test_a_parameter_that_is_missing_is_an_error(connection_record: Record, name: str) -> None:
    parameters = connection_record()
    del parameters[name]
    if name == "sni":  # read only where HAProxy does not terminate TLS itself
        parameters["ssl_fc_sni"] = "-"
    with pytest.raises(KeyError, match=name):
        read_connection_ending(1, parameters)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["", "many", "1.5"])
def test_a_number_that_is_none_is_an_error(connection_record: Record, name: str, text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        read_connection_ending(1, connection_record(**{name: text}))


@pytest.mark.parametrize(
    "uuid",
    [
        "-",
        "",
        "garbage",
        "4bf92f35-77b3-4da6-a3ce-929d0e0e47",
        "00000000-0000-0000-0000-000000000000",
        "4bf92f35-77b3-1da6-a3ce-929d0e0e4736",
    ],
)
def test_a_trace_id_that_is_not_random_is_an_error(connection_record: Record, uuid: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|non-hexadecimal"):
        read_connection_ending(1, connection_record(id=uuid))
