"""Every test that asks for `found_haproxy` runs once with each HAProxy of this machine, one that asks for `one_haproxy` with the
first one: what it looks at does not depend on HAProxy's version.
"""

import pytest

from support.haproxies import found_haproxies


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "found_haproxy" in metafunc.fixturenames:
        metafunc.parametrize("found_haproxy", found_haproxies(), ids=str, scope="module")
    if "one_haproxy" in metafunc.fixturenames:
        metafunc.parametrize("one_haproxy", found_haproxies()[:1], ids=str, scope="module")
