"""Workers: which one this is, and where it listens."""

import pytest

from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings.http_tls import HttpTls
from haproxy_telemetry_agent.settings.model import Listen
from haproxy_telemetry_agent.supervisor import WORKER_VARIABLE
from haproxy_telemetry_agent.worker import Worker

LISTEN = Listen()


@pytest.mark.parametrize(
    ("text", "worker"),
    [
        ("0/1", (0, 1)),
        ("2/4", (2, 4)),
        ("", (0, 1)),
        ("4/4", (0, 1)),
        ("1", (0, 1)),
        ("-1/2", (0, 1)),
        ("a/b", (0, 1)),
    ],
)
def test_the_supervisor_says_which(text: str, worker: tuple[int, int]) -> None:
    assert Worker.from_environ({WORKER_VARIABLE: text}) == Worker(*worker)


def test_without_a_supervisor_it_is_alone() -> None:
    assert Worker.from_environ({}) == Worker(0, 1)
    assert not Worker().shares


def test_one_alone_listens_where_the_settings_say() -> None:
    listen = Listen(spop="unix:/run/a", records="127.0.0.1:9464", http="unix:/run/b")
    assert Worker().addresses(listen) is listen


@pytest.mark.parametrize(
    ("http", "number", "expected"),
    [
        ("127.0.0.1:9464", 0, "127.0.0.1:9464"),
        ("127.0.0.1:9464", 2, "127.0.0.1:9466"),
        ("[::1]:9464", 1, "[::1]:9465"),
        (":9464", 1, ":9465"),
        ("unix:/run/http", 0, "unix:/run/http"),
        ("unix:/run/http", 1, "unix:/run/http.1"),
    ],
)
def test_each_has_an_http_endpoint_of_its_own(http: str, number: int, expected: str) -> None:
    own = Worker(number, 3).addresses(Listen(http=http))
    assert (own.spop, own.records, own.http) == (LISTEN.spop, LISTEN.records, expected)


def test_the_rest_of_the_settings_stays() -> None:
    listen = Listen(http=":9464", http_tls=HttpTls(certificate_file="/a", key_file="/b"))
    assert Worker(1, 2).addresses(listen).http_tls == listen.http_tls


def test_each_has_a_directory_of_its_own() -> None:
    assert [Worker(number, 3).own_path("/var/spill") for number in range(3)] == ["/var/spill", "/var/spill.1", "/var/spill.2"]


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        (Listen(spop="unix:/run/spop"), "listen.spop: 'unix:/run/spop': a unix socket can't be shared by 3 workers: use host:port"),
        (Listen(records="unix:/run/r"), "listen.records: 'unix:/run/r': a unix socket can't be shared by 3 workers: use host:port"),
        (Listen(http=":65534"), "listen.http: ':65534': 3 workers need the ports 65534 to 65536"),
        (Listen(http=":12343"), "listen.http: ':12343': 3 workers need the ports 12343 to 12345"),
        (Listen(http=":10512"), "listen.http: ':10512': 3 workers need the ports 10512 to 10514"),
    ],
)
def test_what_cannot_be_shared(listen: Listen, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Worker(0, 3).addresses(listen)
    assert str(raised.value).startswith(text)
