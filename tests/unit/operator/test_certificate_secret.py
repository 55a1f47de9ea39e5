import datetime
import itertools
from collections.abc import Mapping

import pytest

from haproxy_telemetry_operator.certificate_secret import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    OVERLAP,
    Plan,
    Step,
    current,
    provided_bundle,
    read_data,
    secret_body,
)
from haproxy_telemetry_operator.certificates import CertificateProblem, Pair, dns_names, join_bundle, make_pair, split_bundle

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
NAMES = dns_names("injector", "telemetry")
DAY = datetime.timedelta(days=1)


def plan(data: Mapping[str, bytes] | None, now: datetime.datetime = NOW, *, published: bool = True) -> Plan:
    return current(data, now, names=NAMES, published=published)


def made() -> dict[str, bytes]:
    data = plan(None).data
    assert data is not None
    return data


def test_the_first_one_is_made_and_kept() -> None:
    first = plan(None)
    assert first.step is Step.MAKE
    assert first.data is not None
    assert first.bundle == first.data[AUTHORITY]
    Pair.checked(certificate=first.data[CERTIFICATE], key=first.data[KEY], authority=first.bundle)
    kept = plan(first.data)
    assert (kept.step, kept.data, kept.bundle) == (Step.KEEP, None, first.bundle)
    assert kept.look_again == first.look_again > NOW + 50 * DAY


def test_no_key_of_an_authority_is_kept() -> None:
    assert sum(b"PRIVATE KEY" in value for value in made().values()) == 1


def test_a_change_goes_in_steps_and_each_bundle_vouches_for_what_is_served_before_and_after() -> None:
    data = made()
    now = plan(data).look_again
    steps: list[Step] = []
    served: list[list[bytes]] = []
    for _ in range(20):
        planned = plan(data, now)
        if planned.data is not None:
            steps.append(planned.step)
            data = planned.data
            assert planned.bundle == data[AUTHORITY]
        served.append([data[CERTIFICATE], *split_bundle(data[AUTHORITY])])
        if steps[-1:] == [Step.PRUNE]:
            break
        assert planned.look_again > now
        now = planned.look_again
    assert steps == [Step.STAGE, Step.PROMOTE, Step.PRUNE]
    for (before, *_), (_, *bundle) in itertools.pairwise(served):
        # What an injector that is behind still serves is trusted after the step too.
        assert any(_signed(before, authority) for authority in bundle)
    assert len(data) == 4
    assert plan(data, now).step is Step.KEEP


def test_the_next_one_is_not_used_before_the_webhooks_know_it() -> None:
    data = made()
    rotate_at = plan(data).look_again
    staged = plan(data, rotate_at)
    assert staged.step is Step.STAGE
    assert staged.data is not None
    assert staged.data[CERTIFICATE] == data[CERTIFICATE]
    assert plan(staged.data, rotate_at + OVERLAP / 2).step is Step.KEEP
    assert plan(staged.data, rotate_at + OVERLAP, published=False).step is Step.KEEP
    assert plan(staged.data, rotate_at + 5 * DAY, published=False).step is Step.KEEP
    assert plan(staged.data, rotate_at + OVERLAP).step is Step.PROMOTE


def test_the_old_authority_stays_until_all_injectors_have_read_the_new_certificate() -> None:
    data = made()
    rotate_at = plan(data).look_again
    staged = plan(data, rotate_at).data
    promoted = plan(staged, rotate_at + OVERLAP).data
    assert promoted is not None
    assert set(split_bundle(promoted[AUTHORITY])) == {*split_bundle(data[AUTHORITY])} | {*split_bundle(promoted[AUTHORITY])[:1]}
    assert plan(promoted, rotate_at + 1.5 * OVERLAP).step is Step.KEEP
    assert plan(promoted, rotate_at + 2 * OVERLAP).step is Step.PRUNE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({CERTIFICATE: b""}, "can't be read"),
        ({KEY: b"nonsense"}, "key can't be read"),
        ({AUTHORITY: b""}, "no certificate in it"),
        ({AUTHORITY: make_pair(NAMES, NOW).authority}, "another authority"),
    ],
)
def test_what_can_not_be_used_is_made_anew(change: dict[str, bytes], reason: str) -> None:
    planned = plan(made() | change)
    assert planned.step is Step.MAKE
    assert reason in planned.reason


def test_an_expired_one_and_one_for_other_names_are_made_anew() -> None:
    assert plan(made(), NOW + 90 * DAY).step is Step.MAKE
    other = current(made(), NOW, names=[*NAMES, "other.telemetry.svc"], published=True)
    assert other.step is Step.MAKE
    assert "other names" in other.reason


@pytest.mark.parametrize("since", [b"nonsense", b"\xff", b"2026-11-24T12:00:00", b"2999-01-01T00:00:00+00:00"])
def test_a_time_that_can_not_be_read_holds_nothing_up_for_good(since: bytes) -> None:
    data = made()
    rotate_at = plan(data).look_again
    staged = plan(data, rotate_at).data
    assert staged is not None
    assert plan(staged | {"since": since}, rotate_at + OVERLAP).step is (Step.KEEP if since.startswith(b"2999") else Step.PROMOTE)


def test_a_next_one_that_can_not_be_used_is_staged_again() -> None:
    data = made()
    rotate_at = plan(data).look_again
    staged = plan(data, rotate_at).data
    assert staged is not None
    for damage in ({"next.key": b""}, {"next-ca.crt": data[AUTHORITY]}):
        assert plan(staged | damage, rotate_at + OVERLAP).step is Step.STAGE


def test_a_bundle_of_somebody_else_is_only_read() -> None:
    data = made()
    assert provided_bundle(data) == data[AUTHORITY]
    other = make_pair(NAMES, NOW).authority
    assert provided_bundle(data | {AUTHORITY: data[AUTHORITY] + other}) == join_bundle(data[AUTHORITY], other)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "does not exist"),
        ({}, "tls.crt is missing"),
        ({CERTIFICATE: b"x"}, "tls.key is missing"),
        ({CERTIFICATE: b"x", KEY: b"x"}, "ca.crt is missing"),
        ({CERTIFICATE: b"x", KEY: b"x", AUTHORITY: b"x"}, "ca.crt: there is no certificate"),
    ],
)
def test_what_it_lacks_is_said(data: dict[str, bytes] | None, words: str) -> None:
    with pytest.raises(CertificateProblem, match=words):
        provided_bundle(data)


def test_a_secret_is_written_over_what_was_read_only() -> None:
    data = made()
    created = secret_body("telemetry", "injector-tls", data, None)
    assert "resourceVersion" not in created["metadata"]
    assert created["type"] == "kubernetes.io/tls"
    assert read_data(created) == data
    assert secret_body("telemetry", "injector-tls", data, "7")["metadata"]["resourceVersion"] == "7"


def test_data_that_is_no_base64_is_missing() -> None:
    assert read_data(None) is None
    assert read_data({"metadata": {}}) == {}
    assert read_data({"data": {"tls.crt": "%%%", "tls.key": None, "ca.crt": "YQ=="}}) == {"ca.crt": b"a"}


def _signed(certificate: bytes, authority: bytes) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (InvalidSignature, ValueError):
        return False
    return True
