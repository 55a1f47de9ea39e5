"""The style sheet and the policy that allows nothing else."""

import base64
import hashlib
import re

from haproxy_telemetry_agent.debug.style import HEADERS, STYLE


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    policy = HEADERS["Content-Security-Policy"]
    (allowed,) = re.findall(r"'sha256-([^']*)'", policy)
    assert base64.b64decode(allowed) == hashlib.sha256(STYLE.encode()).digest()
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_nothing_is_from_elsewhere() -> None:
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "</" not in STYLE
