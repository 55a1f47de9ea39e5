"""URLs that can't be connected to are refused beforehand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings.endpoints import check_url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "unix:/run/c.sock",
        "http://collector",
        "https://a.b:4318/x",
        "http://a.:1",
        "http://[::1]:4318",
        "http://ü.de",
        "http://a_b",
    ],
)
def test_good_ones(url: str | None) -> None:
    check_url(url, "exporter.endpoint")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://x..y", "'x..y' is no host's name"),
        ("http://x..y:4318/path", "'x..y' is no host's name"),
        (f"http://{'a' * 64}", f"'{'a' * 64}' is no host's name"),
        ("http://a\u200db", "'a\\u200db' is no host's name"),
        ("http://:4318", "names no host"),
        ("http://a:99999", "is no URL: Port out of range 0-65535"),
        ("http://a:port", "is no URL: Port could not be cast to integer value as 'port'"),
        ("http://a[::1]", "'::1' is no host's name"),
        ("http://[::1", "is no URL: Invalid IPv6 URL"),
    ],
)
def test_bad_ones(url: str, error: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check_url(url, "exporters[0].endpoint")
    assert str(raised.value) == f"exporters[0].endpoint: {url!r}: {error}"


@given(host=st.text(st.sampled_from("ab.-_:[]@%1\u200dü。"), min_size=1, max_size=12))
def test_what_is_taken_is_a_url_for_the_client_as_well(host: str) -> None:
    url = f"http://{host}"
    try:
        check_url(url, "exporter.endpoint")
    except SettingsError:
        return
    assert URL(url).host
