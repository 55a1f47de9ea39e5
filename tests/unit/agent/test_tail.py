"""Following an agent: where it is, what is written, and one clear line for each thing that is wrong."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haproxy_telemetry_agent.debug.exchange_view import ExchangeView, view_exchange
from haproxy_telemetry_agent.debug.tail_event import Greeting, TailEvent, encode_event
from haproxy_telemetry_agent.tail import TailError, Target, TlsOptions, follow, target_of_address, target_of_url, write_events
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from support.made import exchange
from support.record_factory import TRACE_ID

VIEW: ExchangeView = view_exchange(exchange(Ta="20"), AttributeBuilder(), follows_parent=True, with_spans=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson; charset=utf-8\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Serve = Callable[[bytes], str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answers one request with these bytes and closes; says at which URL. No agent would do so."""
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def answer_one() -> None:
            with listening, listening.accept()[0] as client:
                client.recv(65_536)
                client.sendall(answer)

        threads.append(threading.Thread(target=answer_one))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("127.0.0.1:9464", Target("127.0.0.1:9464", "127.0.0.1", 9464)),
        (":9464", Target(":9464", "127.0.0.1", 9464)),
        ("0.0.0.0:9464", Target("0.0.0.0:9464", "127.0.0.1", 9464)),
        ("[::]:9464", Target("[::]:9464", "::1", 9464)),
        ("[::1]:9464", Target("[::1]:9464", "::1", 9464)),
        ("unix:/run/a.sock", Target("unix:/run/a.sock", "localhost", 80, unix_path="/run/a.sock")),
    ],
)
def test_where_settings_say_it_is(address: str, target: Target) -> None:
    assert target_of_address(address) == target


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "secure"),
    [
        ("http://10.0.0.1:9464", "10.0.0.1", 9464, "/debug/tail", False),
        ("http://agent/", "agent", 80, "/debug/tail", False),
        ("https://agent/edge/", "agent", 443, "/edge/debug/tail", True),
        ("http://[::1]:1/debug/tail", "::1", 1, "/debug/tail", False),
    ],
)
def test_where_a_user_says_it_is(url: str, host: str, port: int, path: str, secure: bool) -> None:
    assert target_of_url(url) == Target(url, host, port, path, secure)
    assert target_of_url("unix:/run/a.sock").unix_path == "/run/a.sock"


@pytest.mark.parametrize(
    "url", ["agent:9464", "ftp://agent", "http://", "http://user@agent", "http://agent:99999", "unix:relative", ""]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        target_of_url(url)


def test_lines_come_as_they_are_sent(serve: Serve) -> None:
    url = serve(CHUNKED + b"5\r\none\nt\r\n4\r\nwo\n\n\r\n0\r\n\r\n")
    assert list(follow(target_of_url(url), {"errors": "true"})) == [b"one\n", b"two\n", b"\n"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nonly\n  this\n", r"refuses \(403\): only this"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", r"refuses \(404\): Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "is no agent that can be followed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP|can't be reached"),
        (CHUNKED + b"5\r\none\nt", "has gone away"),
        (CHUNKED + b"5\r\none\n", "has gone away"),
    ],
)
def test_one_line_for_each_thing_that_is_wrong(serve: Serve, answer: bytes, complaint: str) -> None:
    url = serve(answer)
    with pytest.raises(TailError, match=complaint) as raised:
        list(follow(target_of_url(url), {}))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(url)


def test_an_agent_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    for missing in (address, f"unix:{tmp_path}/none.sock"):
        with pytest.raises(TailError, match=f"^{missing} can't be reached: .+: does the agent run, and is this its listen.http"):
            list(follow(target_of_address(missing), {}))


def test_an_agent_without_tls_at_a_url_with_it(serve: Serve) -> None:
    url = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:")
    with pytest.raises(TailError, match="can't be reached"):
        list(follow(target_of_url(url), {}))


def test_files_of_tls_that_cannot_be_used(tmp_path: Path) -> None:
    missing = f"{tmp_path}/none.pem"
    for target, options in (
        (target_of_address("127.0.0.1:1", missing), TlsOptions()),
        (target_of_url("https://127.0.0.1:1"), TlsOptions(ca_file=missing)),
        (target_of_url("https://127.0.0.1:1"), TlsOptions(certificate_file=missing, key_file=missing)),
    ):
        with pytest.raises(TailError, match=r"^TLS: .*none\.pem: can't be used: No such file or directory$"):
            list(follow(target, {}, options))


def test_silence_is_an_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haproxy_telemetry_agent.tail._SILENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lines = follow(target_of_address(f"127.0.0.1:{silent.getsockname()[1]}"), {})
        with pytest.raises(TailError, match="can't be reached: timed out"):
            next(lines)

        def answer() -> None:
            with silent.accept()[0], silent.accept()[0] as client:
                client.sendall(CHUNKED)
                released.wait(10)

        released = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TailError, match=r"has been silent for 0\.05 s"):
            list(follow(target_of_address(f"127.0.0.1:{silent.getsockname()[1]}"), {}))
        released.set()
        thread.join()


def written(*events: TailEvent, as_json: bool = False, out: io.StringIO | None = None, **environ: str) -> tuple[str, str]:
    out, tell = out or io.StringIO(), io.StringIO()
    lines = (encode_event(event) for event in (*events, TailEvent(end="it stops")))
    write_events(lines, out, tell, as_json=as_json, environ=environ)
    assert tell.getvalue().endswith("the end: it stops\n")
    return out.getvalue(), tell.getvalue().removesuffix("the end: it stops\n")


def test_exchanges_are_waterfalls() -> None:
    out, tell = written(TailEvent(agent=Greeting(service_name="edge", version="1")), TailEvent(exchange=VIEW))
    assert out.splitlines()[0] == f"13:50:34.119  GET /  200  20.0 ms  edge  trace {TRACE_ID}"
    assert len(out.splitlines()[1]) == 120
    assert out.endswith("█\n\n")
    assert tell == ""


def test_what_was_not_sampled_stands_close_together() -> None:
    unsampled = view_exchange(
        exchange(traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-00"), AttributeBuilder(), follows_parent=True, with_spans=True
    )
    out, _tell = written(TailEvent(exchange=unsampled), TailEvent(exchange=unsampled))
    assert out.count("\n") == 2


def test_json_is_a_line_each() -> None:
    out, tell = written(TailEvent(exchange=VIEW), TailEvent(lost=3), TailEvent(exchange=VIEW), as_json=True)
    assert [line[:14] for line in out.splitlines()] == ['{"kind":"http"'] * 2
    assert tell == "3 exchanges were lost here: they came faster than they were read\n"


def test_colours_are_for_terminals_that_want_them() -> None:
    event = TailEvent(exchange=VIEW)
    assert "\x1b" not in written(event)[0]
    assert "\x1b" in written(event, out=Terminal())[0]
    assert "\x1b" not in written(event, out=Terminal(), NO_COLOR="1")[0]
    assert "\x1b" not in written(event, out=Terminal(), TERM="dumb")[0]


def test_who_is_followed_is_told_to_people() -> None:
    tell = Terminal()
    lines = [TailEvent(agent=Greeting(service_name="edge", version="1")), TailEvent(end="it stops"), TailEvent(lost=1)]
    write_events(map(encode_event, lines), io.StringIO(), tell, as_json=False, environ={})
    assert tell.getvalue() == "following edge (agent 1), Ctrl-C ends\nthe end: it stops\n"


def test_an_end_without_a_word_is_none() -> None:
    with pytest.raises(TailError, match="the agent has gone away without a word"):
        write_events(iter([b"\n"]), io.StringIO(), io.StringIO(), as_json=False, environ={})


def test_what_is_not_from_an_agent() -> None:
    with pytest.raises(TailError, match="not from an agent of version"):
        write_events(iter([b"<html>\n"]), io.StringIO(), io.StringIO(), as_json=False, environ={})
