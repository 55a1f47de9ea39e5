"""The injector's certificate, kept in a Secret; the steps of a change are those of ``certificate_secret``."""

import base64
import datetime
from typing import Any

import pytest

from haproxy_telemetry_operator.certificate_keeper import CertificateKeeper
from haproxy_telemetry_operator.certificate_secret import AUTHORITY, CERTIFICATE, KEY, read_data
from haproxy_telemetry_operator.certificates import Pair, make_pair, split_bundle
from haproxy_telemetry_operator.cluster import SECRETS, ApiError
from haproxy_telemetry_operator.settings import OperatorSettings
from support.fake_cluster import FakeCluster

SETTINGS = OperatorSettings(image="agent:1", own_namespace="telemetry", injector_service="injector")
NAME = SETTINGS.certificate_secret
DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


class Case:
    def __init__(self, **settings: Any) -> None:
        self.cluster = FakeCluster()
        self.time = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
        fields = {"image": "agent:1", "own_namespace": "telemetry", "injector_service": "injector"} | settings
        self.keeper = CertificateKeeper(self.cluster, OperatorSettings(**fields), lambda: self.time)

    @property
    def data(self) -> dict[str, bytes]:
        data = read_data(self.cluster.find(SECRETS, "telemetry", NAME))
        assert data is not None
        return data

    def pair(self) -> Pair:
        """What injectors serve now."""
        data = self.data
        for authority in split_bundle(data[AUTHORITY]):
            try:
                return Pair.checked(certificate=data[CERTIFICATE], key=data[KEY], authority=authority)
            except ValueError:
                continue
        raise AssertionError("no authority of the bundle has signed the certificate")

    def put(self, data: dict[str, bytes]) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.cluster.put(SECRETS, {"metadata": {"name": NAME, "namespace": "telemetry"}, "data": encoded})

    async def bundle(self) -> bytes:
        config = await self.keeper.client_config()
        assert isinstance(config, dict)
        return base64.b64decode(config["caBundle"])


async def test_the_first_one_is_made_when_it_is_asked_for() -> None:
    case = Case()
    config = await case.keeper.client_config()
    assert config == {
        "service": {"name": "injector", "namespace": "telemetry", "port": 443},
        "caBundle": base64.b64encode(case.data[AUTHORITY]).decode(),
    }
    assert case.pair().covers(["injector.telemetry.svc"])
    assert case.keeper.expires == case.pair().not_after
    assert case.cluster.writes() == ["POST secrets"]
    await case.keeper.look()
    await case.keeper.client_config()
    assert case.cluster.writes() == []


async def test_another_operator_takes_over_what_there_is() -> None:
    case = Case()
    await case.keeper.look()
    before = case.data
    case.keeper = CertificateKeeper(case.cluster, SETTINGS, lambda: case.time)
    assert await case.bundle() == before[AUTHORITY]
    assert case.data == before


async def test_a_change_waits_for_the_webhooks() -> None:
    case = Case()
    old = await case.bundle()
    case.keeper.published = old
    first = case.pair().certificate
    case.time += 61 * DAY
    await case.keeper.look()
    staged = await case.bundle()
    assert len(split_bundle(staged)) == 2
    assert case.data[CERTIFICATE] == first
    for _ in range(5):
        case.time += 11 * MINUTE
        await case.keeper.look()
    assert case.data[CERTIFICATE] == first, "the webhooks still have the bundle before"
    case.keeper.published = staged
    await case.keeper.look()
    assert case.data[CERTIFICATE] != first
    promoted = await case.bundle()
    assert set(split_bundle(promoted)) == set(split_bundle(staged))
    case.keeper.published = promoted
    await case.keeper.look()
    assert await case.bundle() == promoted
    case.time += 11 * MINUTE
    await case.keeper.look()
    assert await case.bundle() == case.pair().authority == case.data[AUTHORITY]
    assert case.keeper.expires == case.pair().not_after > case.time + 80 * DAY
    assert case.cluster.writes() == ["POST secrets", *[f"PUT secrets/{NAME}"] * 3]


async def test_what_webhooks_have_is_said_only_once_it_is_written() -> None:
    case = Case()
    old = await case.bundle()
    case.time += 61 * DAY
    case.cluster.fail("PUT", 409)
    await case.keeper.look()
    assert await case.bundle() == old == case.data[AUTHORITY]
    await case.keeper.look()
    assert await case.bundle() == case.data[AUTHORITY] != old


async def test_two_operators_make_one_certificate() -> None:
    case = Case()
    other = Case()
    other.cluster = case.cluster
    other.keeper = CertificateKeeper(case.cluster, SETTINGS, lambda: case.time)
    theirs: list[dict[str, Any]] = []

    def faster() -> None:
        pair = make_pair(["injector.telemetry.svc"], case.time)
        case.put({CERTIFICATE: pair.certificate, KEY: pair.key, AUTHORITY: pair.authority})
        theirs.append(case.data)

    case.cluster.meanwhile.append(faster)
    assert await case.keeper.client_config() == "somebody else is writing the injector's certificate at this moment"
    assert case.data == theirs[0]
    assert isinstance(await case.keeper.client_config(), dict)


async def test_refusals_are_told() -> None:
    case = Case()
    case.cluster.fail("POST", 403, "no right")
    with pytest.raises(ApiError, match="no right"):
        await case.keeper.look()
    case.cluster.fail("GET", 0, "away")
    with pytest.raises(ApiError, match="away"):
        await case.keeper.client_config()


async def test_a_secret_of_somebody_elses_is_only_read() -> None:
    case = Case(manage_certificates=False)
    assert await case.keeper.client_config() == (
        f"Secret telemetry/{NAME}: the Secret does not exist: create it, or let the operator make the certificate."
    )
    pair = make_pair(["injector.telemetry.svc"], case.time - 80 * DAY)
    case.put({CERTIFICATE: pair.certificate, KEY: pair.key, AUTHORITY: pair.authority})
    assert await case.bundle() == pair.authority
    assert case.keeper.expires == pair.not_after
    case.put({CERTIFICATE: b"no PEM", KEY: pair.key, AUTHORITY: pair.authority})
    await case.keeper.look()
    assert case.keeper.expires is None
    case.put({})
    await case.keeper.look()
    assert await case.bundle() == pair.authority, "a Secret that is broken for a moment changes nothing"
    assert case.cluster.writes() == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://injector.example:8443", "injector.example"),
        ("https://injector.example", "injector.example"),
        ("https://injector.example/base", "injector.example"),
        ("https://10.0.0.7:8443/", "10.0.0.7"),
        ("https://[fd00::7]:8443", "fd00::7"),
        ("https://[fd00::7]", "fd00::7"),
    ],
)
async def test_an_injector_outside_of_the_cluster(url: str, host: str) -> None:
    case = Case(injector_url=url)
    config = await case.keeper.client_config()
    assert isinstance(config, dict)
    assert config["url"] == url
    assert "service" not in config
    assert case.pair().covers([host, "injector.telemetry.svc"])
