"""Headers from the settings and from files, which are read again when they change."""

from pathlib import Path

import pytest

from haproxy_telemetry_agent.export.headers import Headers, HeadersError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("Bearer one\n")
    return path


def test_names_are_in_lower_case(path: Path) -> None:
    headers = Headers({"X-Tenant": "A"}, {"Authorization": str(path)})
    assert headers.current() == {"x-tenant": "A", "authorization": "Bearer one"}


@pytest.mark.parametrize(
    ("raw", "value"), [(b"", ""), (b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b" a ", " a "), (b"x" * 4096 + b"\n", "x" * 4096)]
)
def test_a_line_feed_at_the_end_is_no_part_of_the_value(path: Path, raw: bytes, value: str) -> None:
    path.write_bytes(raw)
    assert Headers({}, {"a": str(path)}).current() == {"a": value}


@pytest.mark.parametrize("raw", [b"s3cret\nx: y", b"s3cret\x00", b"s3cret\xff", b"s3cret\rx", b"s3cret" + b"x" * 4096])
def test_what_is_no_value_is_refused_and_never_shown(path: Path, raw: bytes) -> None:
    path.write_bytes(raw + b"\n")
    with pytest.raises(HeadersError) as raised:
        Headers({}, {"A": str(path)})
    assert str(raised.value).startswith(f"header a: {str(path)!r} ")
    assert "s3cret" not in str(raised.value)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(HeadersError, match=r"^header a: '.*/none' can't be read: No such file or directory$"):
        Headers({}, {"a": str(tmp_path / "none")})


def test_a_new_value_is_taken(path: Path) -> None:
    headers = Headers({}, {"a": str(path)})
    path.write_text("Bearer second")
    assert headers.current() == {"a": "Bearer second"}


def test_one_that_cannot_be_used_is_not(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    headers = Headers({}, {"a": str(path)})
    path.write_text("s3cret\ntwo lines")
    assert [headers.current(), headers.current()] == [{"a": "Bearer one"}] * 2
    (message,) = caplog.messages
    assert message.endswith("must be one line of printable ASCII; the headers stay as they were")
    assert "s3cret" not in message
    path.write_text("Bearer third")
    assert headers.current() == {"a": "Bearer third"}
