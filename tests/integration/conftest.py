"""Every test that asks for `found_haproxy` runs once with each HAProxy of this machine."""

import pytest

from support.haproxies import found_haproxies


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "found_haproxy" in metafunc.fixturenames:
        metafunc.parametrize("found_haproxy", found_haproxies(), ids=str, scope="module")
