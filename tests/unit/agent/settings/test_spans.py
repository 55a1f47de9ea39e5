"""What spans say: settings that are refused, with their field and the fix."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.settings import Settings, SettingsError, parse_settings
from haproxy_telemetry_agent.settings.spans import Spans, check_spans


def refusal(**spans: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"spans": spans})
    return str(caught.value)


def accepted(**spans: Any) -> Spans:
    return parse_settings({"spans": spans}).spans


def test_the_defaults_are_in_order() -> None:
    check_spans(Spans())
    assert accepted() == Settings().spans == Spans()


@pytest.mark.parametrize(
    ("spans", "error"),
    [
        ({"queryMode": "Deny"}, "spans.queryMode: 'Deny': expected one of DenyList, AllowList"),
        ({"queryMode": "AllowList", "redactQuery": False}, "spans.queryMode: 'AllowList' with redactQuery false"),
        ({"allowedQueryParameters": ["page"]}, "spans.allowedQueryParameters: only with queryMode AllowList"),
        ({"scrubPaths": [{"pattern": "a"}, {"pattern": "("}]}, "spans.scrubPaths[1].pattern: '(': is no regular expression"),
        ({"scrubPaths": [{"pattern": "(a+)+"}]}, "spans.scrubPaths[0].pattern: '(a+)+': must not repeat"),
        (
            {"scrubPaths": [{"pattern": "a", "replacement": r"\1"}]},
            "spans.scrubPaths[0].pattern: 'a': the replacement",
        ),
        ({"scrubPaths": [{"pattern": ""}]}, "spans.scrubPaths[0].pattern: ''"),
        ({"forwarded": {"trust": "Yes"}}, "spans.forwarded.trust: 'Yes': expected one of Ignore, TrustedNetworks, All"),
        ({"forwarded": {"trust": "TrustedNetworks"}}, "spans.forwarded.networks: [] with trust TrustedNetworks: list the proxies"),
        ({"forwarded": {"networks": ["10.0.0.0/8"]}}, "spans.forwarded.networks: only with trust TrustedNetworks, not Ignore"),
        (
            {"forwarded": {"trust": "TrustedNetworks", "networks": ["unix", "10.0.0.1/8"]}},
            "spans.forwarded.networks[1]: '10.0.0.1/8': this is an address within a network: write 10.0.0.0/8",
        ),
        (
            {"forwarded": {"trust": "TrustedNetworks", "networks": ["unixx"]}},
            "spans.forwarded.networks[0]: 'unixx': expected a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8, or unix",
        ),
        ({"requestHeaders": ["x tenant"]}, "spans.requestHeaders[0]: 'x tenant': expected a header's name of at most 30"),
        ({"requestHeaders": ["x" * 31]}, f"spans.requestHeaders[0]: '{'x' * 31}': expected a header's name of at most 30"),
        ({"requestHeaders": ["a", "b", "A"]}, "spans.requestHeaders[2]: 'A': is there already"),
        ({"requestHeaders": ["Authorization"]}, "spans.requestHeaders[0]: 'Authorization': carries secrets"),
        ({"responseHeaders": ["a", "set-cookie"]}, "spans.responseHeaders[1]: 'set-cookie': carries secrets"),
        (
            {"attributes": [{"name": "user", "requestHeader": "x-api-key"}]},
            "spans.attributes[0].requestHeader: 'x-api-key': carries secrets: drop it, or set spans.allowSensitiveHeaders to true",
        ),
        ({"attributes": [{"name": "a"}]}, "spans.attributes[0]: 'a': exactly one of value, env and requestHeader"),
        ({"attributes": [{"name": "a", "value": "b", "env": "C"}]}, "spans.attributes[0]: 'a': exactly one of value"),
        ({"attributes": [{"name": "a b", "value": "b"}]}, "spans.attributes[0].name: 'a b': expected an attribute's name"),
        (
            {"attributes": [{"name": "url.path", "value": "b"}]},
            "spans.attributes[0].name: 'url.path': the attribute url.path",
        ),
        ({"attributes": [{"name": "haproxy.time", "value": "b"}]}, "spans.attributes[0].name: 'haproxy.time': the attribute"),
        (
            {"attributes": [{"name": "a", "value": "b"}, {"name": "a.b", "value": "b"}]},
            "spans.attributes[1].name: 'a.b': the attribute a.b can't stand beside a: rename it",
        ),
        (
            {"attributes": [{"name": "http.request.header.x", "value": "b"}]},
            "spans.attributes[0].name: 'http.request.header.x': belongs to spans.requestHeaders",
        ),
        ({"samples": [{"name": "time", "fetch": "src"}]}, "spans.samples[0].name: 'time': the attribute haproxy.time can't"),
        ({"samples": [{"name": "retries", "fetch": "src"}]}, "spans.samples[0].name: 'retries': the attribute haproxy.retries"),
        (
            {"samples": [{"name": "a", "fetch": "src"}, {"name": "a", "fetch": "dst"}]},
            "spans.samples[1].name: 'a': the attribute haproxy.a is there already: rename it",
        ),
        ({"samples": [{"name": "A", "fetch": "src"}]}, "spans.samples[0].name: 'A': expected a name"),
        ({"samples": [{"name": "a", "fetch": "src", "at": "Later"}]}, "spans.samples[0].at: 'Later': expected one of Request"),
        ({"peerService": True}, "spans.peerService: true with servicePeerName Off"),
        ({"limits": {"attributeCount": -1}}, "spans.limits.attributeCount: -1: expected a whole number >= 0"),
        ({"routesFile": ""}, "spans.routesFile: ''"),
    ],
)
def test_what_is_refused(spans: dict[str, Any], error: str) -> None:
    assert refusal(**spans).startswith(error)


@pytest.mark.parametrize("field", ["requestHeaders", "responseHeaders"])
def test_a_second_yes_allows_headers_with_secrets(field: str) -> None:
    assert accepted(**{field: ["Authorization"], "allowSensitiveHeaders": True})


@pytest.mark.parametrize(
    "fetch",
    [
        "src",
        "src,ipmask(24)",
        "req.cook(region),lower",
        "var(txn.otel.x)",
        "req.fhdr(x-country,1)",
        "path,regsub(^/a,/b)",
        "src,map_ip(/etc/geo.map,unknown)",
        "ssl_c_s_dn(cn)",
        "fc_rtt(us)",
        "always_true()",
    ],
)
def test_a_fetch(fetch: str) -> None:
    assert accepted(samples=[{"name": "a", "fetch": fetch}]).samples[0].fetch == fetch


@pytest.mark.parametrize(
    "fetch",
    [
        "",
        "src ",
        "src\n",
        "src\n    http-request deny",
        "src] deny",
        "src%[dst]",
        'str("a")',
        "str('a')",
        "str(a b)",
        "env($HOME)",
        "src#comment",
        "path,regsub(\\d,x)",
        "src,lower)",
        "src(",
        "a(b(c))",
        ",src",
        "src,",
        "src,,lower",
        "Src",
        "{src}",
        "src;lower",
        "str(é)",
        "a" * 300,
    ],
)
def test_what_is_no_fetch_never_gets_into_haproxys_configuration(fetch: str) -> None:
    assert refusal(samples=[{"name": "a", "fetch": fetch}]).startswith("spans.samples[0].fetch: ")


@given(fetch=st.text("a(),. \n\t\"'\\#$%[]{};`é\x00", max_size=12))
def test_nothing_with_a_meaning_of_its_own_there_is_taken(fetch: str) -> None:
    try:
        accepted(samples=[{"name": "a", "fetch": fetch}])
    except SettingsError:
        return
    assert set(fetch) <= set("a(),.")


@pytest.mark.parametrize("name", ["x\ntenant", "x_y", "x]", 'x"', "x=y", "", "-x", "x.y", "é"])
def test_a_headers_name_is_a_plain_one(name: str) -> None:
    assert refusal(requestHeaders=[name]).startswith("spans.requestHeaders[0]: ")
