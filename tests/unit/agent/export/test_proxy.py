"""Proxies of the environment."""

import os

import pytest

from haproxy_telemetry_agent.export.proxy import Proxy, find_proxy


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


PLAIN = Proxy("http://proxy:3128", None, "")


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "http://collector:4318", None),
        ({"http_proxy": ""}, "http://collector:4318", None),
        ({"http_proxy": "http://proxy:3128"}, "http://collector:4318/v1/traces", PLAIN),
        ({"http_proxy": "proxy:3128"}, "http://collector:4318", PLAIN),
        ({"http_proxy": "http://proxy:3128"}, "https://collector:4318", None),
        ({"HTTPS_PROXY": "http://proxy:3128/"}, "https://collector:4318", PLAIN),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "collector"}, "http://collector:4318", None),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": ".example.com"}, "http://a.example.com:4318", None),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "*"}, "http://collector", None),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "other"}, "http://collector", PLAIN),
        ({"http_proxy": "http://me:s%40cret@proxy:3128"}, "http://collector", Proxy("http://proxy:3128", "me", "s@cret")),
        ({"http_proxy": "http://[::1]:3128"}, "http://collector", Proxy("http://[::1]:3128", None, "")),
    ],
)
def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, proxy: Proxy | None) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(url) == proxy
