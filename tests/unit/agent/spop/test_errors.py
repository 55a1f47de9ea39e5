"""Status codes against the table of HAProxy's doc/SPOE.txt, section 3.5."""

import pytest

from haproxy_telemetry_agent.spop import errors
from haproxy_telemetry_agent.spop.errors import LocalProtocolError, RemoteProtocolError, SpopError, StatusCode

TOLD_TO_THE_PEER = {
    errors.InvalidFrame: 4,
    errors.FrameTooBig: 3,
    errors.MissingVersion: 5,
    errors.MissingMaxFrameSize: 6,
    errors.MissingCapabilities: 7,
    errors.UnsupportedVersion: 8,
    errors.BadMaxFrameSize: 9,
    errors.FragmentationRefused: 10,
}


def test_the_specifications_codes() -> None:
    assert [int(code) for code in StatusCode] == [*range(14), 99]


@pytest.mark.parametrize(("error", "code"), TOLD_TO_THE_PEER.items())
def test_raising_an_error_is_choosing_its_code(error: type[RemoteProtocolError], code: int) -> None:
    assert error("text").status_code == code


def test_every_error_of_a_peer_is_in_the_table() -> None:
    assert set(RemoteProtocolError.__subclasses__()) == set(TOLD_TO_THE_PEER)


def test_our_own_mistakes_have_no_code_to_tell() -> None:
    assert issubclass(LocalProtocolError, SpopError)
    assert not hasattr(LocalProtocolError, "status_code")
