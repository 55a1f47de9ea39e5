import datetime
import ssl

import pytest

from haproxy_telemetry_operator.certificates import (
    LIFE,
    CertificateProblem,
    Pair,
    dns_names,
    join_bundle,
    make_pair,
    read_not_after,
    split_bundle,
)

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
NAMES = dns_names("injector", "telemetry")
PAIR = make_pair(NAMES, NOW)


def test_names_begin_with_the_one_that_api_servers_ask_for() -> None:
    assert NAMES[0] == "injector.telemetry.svc"
    assert "injector.telemetry.svc.cluster.local" in NAMES


def test_a_pair_is_good_for_its_names_and_its_life() -> None:
    assert PAIR.covers(NAMES)
    assert not PAIR.covers([*NAMES, "other.telemetry.svc"])
    assert PAIR.not_after == NOW + LIFE == read_not_after(PAIR.certificate)
    # A clock that is a little behind takes it as well.
    assert PAIR.not_before == NOW - datetime.timedelta(hours=1)


def test_it_is_rotated_when_two_thirds_of_its_life_are_over() -> None:
    life = PAIR.not_after - PAIR.not_before
    assert PAIR.rotate_at == PAIR.not_before + life * 2 / 3


@pytest.mark.parametrize("name", [*NAMES, "other.telemetry.svc"])
def test_a_strict_verifier_takes_it_for_its_names_alone(name: str) -> None:
    pair = make_pair(NAMES, datetime.datetime.now(datetime.UTC))
    assert _handshake(pair, pair.authority, name) is (name in NAMES)


def test_another_authority_does_not_vouch_for_it() -> None:
    now = datetime.datetime.now(datetime.UTC)
    pair, other = make_pair(NAMES, now), make_pair(NAMES, now)
    assert not _handshake(pair, other.authority, NAMES[0])
    # During a change there are both, in either order.
    assert _handshake(pair, join_bundle(other.authority, pair.authority), NAMES[0])
    assert _handshake(pair, join_bundle(pair.authority, other.authority), NAMES[0])


def test_each_pair_is_another() -> None:
    other = make_pair(NAMES, NOW)
    assert {other.key, other.certificate, other.authority}.isdisjoint({PAIR.key, PAIR.certificate, PAIR.authority})


def test_a_pair_that_fits_is_taken() -> None:
    assert Pair.checked(certificate=PAIR.certificate, key=PAIR.key, authority=PAIR.authority) == PAIR


OTHER = make_pair(NAMES, NOW)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((b"", PAIR.key, PAIR.authority), "the certificate can't be read"),
        ((PAIR.certificate, PAIR.key, b"nonsense"), "the certificate can't be read"),
        ((PAIR.certificate, b"", PAIR.authority), "the key can't be read"),
        ((PAIR.certificate, OTHER.key, PAIR.authority), "the key is another certificate's"),
        ((PAIR.certificate, PAIR.key, OTHER.authority), "another authority"),
    ],
)
def test_one_that_does_not_fit_is_refused(pair: tuple[bytes, bytes, bytes], words: str) -> None:
    certificate, key, authority = pair
    with pytest.raises(CertificateProblem, match=words):
        Pair.checked(certificate=certificate, key=key, authority=authority)


def test_an_authority_has_no_names() -> None:
    assert not Pair(certificate=PAIR.authority, key=b"", authority=PAIR.authority).covers(NAMES)


def test_bundles() -> None:
    bundle = join_bundle(PAIR.authority, OTHER.authority, PAIR.authority)
    assert split_bundle(bundle) == [PAIR.authority, OTHER.authority]
    assert split_bundle(b"# a comment\n" + bundle + bundle) == [PAIR.authority, OTHER.authority]
    for empty in (b"", b"nonsense"):
        with pytest.raises(CertificateProblem, match="no certificate"):
            split_bundle(empty)


def _handshake(pair: Pair, authorities: bytes, name: str) -> bool:
    """Whether a client that trusts these, and checks all that RFC 5280 asks for, takes it."""
    import tempfile

    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        server_context.load_cert_chain(file.name)
    client_context = ssl.create_default_context(cadata=authorities.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return client.version() is not None
