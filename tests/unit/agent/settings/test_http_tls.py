"""TLS of the agent's own endpoint: what goes together."""

from typing import Any

import pytest

from haproxy_telemetry_agent.settings.explanation import SettingsError
from haproxy_telemetry_agent.settings.http_tls import HttpTls
from haproxy_telemetry_agent.settings.model import parse_settings


def http_tls(**fields: object) -> HttpTls:
    return parse_settings({"listen": {"httpTls": fields}}).listen.http_tls


def test_it_is_off() -> None:
    assert http_tls() == HttpTls(certificate_file=None, key_file=None, client_ca_file=None)


def test_with_and_without_clients_certificates() -> None:
    assert http_tls(certificateFile="/c", keyFile="/k") == HttpTls(certificate_file="/c", key_file="/k")
    assert http_tls(certificateFile="/c", keyFile="/k", clientCaFile="/a").client_ca_file == "/a"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"certificateFile": "/c"}, "listen.httpTls: certificateFile and keyFile belong together: set both or neither"),
        ({"keyFile": "/k"}, "listen.httpTls: certificateFile and keyFile belong together: set both or neither"),
        ({"clientCaFile": "/a"}, "listen.httpTls.clientCaFile: '/a' without certificateFile and keyFile"),
        ({"certificateFile": ""}, "listen.httpTls.certificateFile: '': expected text of length >= 1"),
        ({"caFile": "/a"}, "listen.httpTls.caFile: unknown key; known here: certificateFile, keyFile, clientCaFile"),
    ],
)
def test_names_field_value_and_fix(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError) as caught:
        http_tls(**fields)
    assert str(caught.value).startswith(error)
