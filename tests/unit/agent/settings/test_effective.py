"""The settings in use, one by one, and no secret among them."""

import pytest

from haproxy_telemetry_agent.settings import effective_settings, parse_settings, without_credentials
from haproxy_telemetry_agent.settings.effective import DEFAULT, HIDDEN

SECRET = "s3cret"
EVERYWHERE = {
    "exporter": {
        "endpoint": f"https://user:{SECRET}@collector/{{}}?key={SECRET}#{SECRET}",
        "headers": [{"name": "a", "value": SECRET}],
    },
    "exporters": [
        {"endpoint": f"https://{SECRET}@two", "headers": [{"name": "b", "value": SECRET}, {"name": "c", "valueFile": "/run/c"}]},
        {"type": "otlp", "tracesEndpoint": f"https://u:a@b?{SECRET}@three/v1/traces"},
    ],
    "sampling": {
        "type": "Plugin",
        "plugin": "x",
        "pluginArgument": SECRET,
        "force": {"header": "x-trace", "value": SECRET, "networks": ["10.0.0.0/8"]},
        "rules": [{"name": "vip", "ratio": 1, "header": {"name": "x-key", "value": SECRET}}],
    },
    "metrics": {"push": {"endpoint": f"http://u:{SECRET}@metrics/v1"}},
    "resource": {"attributes": {"deployment.token": SECRET, "team": "edge"}},
}


def lines(document: dict[str, object], sources: dict[str, str] | None = None) -> dict[str, tuple[str, str]]:
    return {line.field: (line.value, line.source) for line in effective_settings(parse_settings(document), sources or {})}


def test_secrets_are_hidden_wherever_they_stand() -> None:
    found = lines(EVERYWHERE)
    assert [field for field, (value, _source) in found.items() if SECRET in value] == []
    assert found["exporter.endpoint"][0] == "https://***@collector/{}?***"
    assert found["exporters[1].tracesEndpoint"][0] == "https://***@three/v1/traces"
    for field in ("exporter.headers[0].value", "sampling.force.value", "sampling.rules[0].header.value", "sampling.pluginArgument"):
        assert found[field][0] == HIDDEN
    assert found["resource.attributes.deployment.token"][0] == HIDDEN


def test_what_is_no_secret_is_shown() -> None:
    found = lines(EVERYWHERE)
    assert found["exporter.headers[0].name"][0] == "a"
    assert found["exporters[0].headers[1].valueFile"][0] == "/run/c"
    assert found["exporters[0].headers[1].value"][0] == "null"
    assert found["resource.attributes.team"][0] == "edge"
    assert found["sampling.force.networks"][0] == '["10.0.0.0/8"]'
    assert lines({"spans": {"attributes": [{"name": "region", "value": "eu"}]}})["spans.attributes[0].value"][0] == "eu"


def test_every_field_is_there_with_its_default() -> None:
    found = lines({})
    assert found["profile"] == ("Standard", DEFAULT)
    assert found["exporter.batch.maxQueueSpans"] == ("20480", DEFAULT)
    assert found["exporters"] == ("[]", DEFAULT)
    assert found["debug.remote"] == ("false", DEFAULT)
    assert found["exporter.endpoint"] == ("null", DEFAULT)


def test_a_source_is_that_of_the_field_or_of_what_it_stands_in() -> None:
    document: dict[str, object] = {
        "profile": "Full",
        "exporters": [{"endpoint": "http://two"}],
        "resource": {"attributes": {"a": "b"}},
    }
    found = lines(document, {"profile": "file", "exporters": "file", "resource.attributes": "OTEL_RESOURCE_ATTRIBUTES"})
    assert found["profile"][1] == "file"
    assert found["exporters[0].endpoint"] == ("http://two", "file")
    assert found["exporters[0].timeout"] == ("10s", DEFAULT)
    assert found["exporters[0].headers"] == ("[]", DEFAULT)
    assert found["resource.attributes.a"] == ("b", "OTEL_RESOURCE_ATTRIBUTES")
    assert found["resource.serviceName"][1] == DEFAULT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide: 1 of 2?", "nothing to hide: 1 of 2?"),
        ("exporter.endpoint: 'htp://u:p@h': expected", "exporter.endpoint: 'htp://***@h': expected"),
        ("X='http://u:p'x@h/y?k=v' is ignored", "X='http://***@h/y?*** is ignored"),
        ("https://u:pa?ss#w/o@rd@h:1/p", "https://***@h:1/p"),
        ("u:p@h:1", "***@h:1"),
        ("u:p@h://x", "***@x"),
        ("https://h/p?k=v", "https://h/p?***"),
        ("a http://u:p@one, http://two?x", "a http://***@one, http://two?***"),
    ],
)
def test_credentials_in_texts(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
