r"""Records as HAProxy writes them, and everything that only looks like one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haproxy_telemetry_agent.records import record as record_module
from haproxy_telemetry_agent.records.errors import RecordError, SkipReason
from haproxy_telemetry_agent.records.record import Record, RecordCutError, dropped_count, parse_record

SD_ID = b"ht@1"
SD_IDS = frozenset({SD_ID, b"htc@1"})
HEADER = b"<134>1 2026-11-22T13:50:34.119025+00:00 - haproxy 37 - "
END_UNIX_NANO = 1_795_355_434_119_025_000

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=32)
VALUES = st.one_of(st.text(max_size=20), st.text('"\\] =a[', max_size=12))


def written_by_haproxy(parameters: dict[str, str], message: str = "") -> bytes:
    r"""A record with these parameters, escaped as ``%{+E}o`` does it: a backslash in front of ``"``, ``\`` and ``]``."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]") for name, value in parameters.items()}
    body = " ".join(f'{name}="{value}"' for name, value in escaped.items())
    return HEADER + f"[ht@1 {body}] {message}".encode()


def reason_of(data: bytes) -> SkipReason:
    with pytest.raises(RecordError) as raised:
        parse_record(data, SD_IDS)
    return raised.value.reason


def test_a_record_of_haproxys() -> None:
    data = HEADER + rb'[ht@1 ST="200" HPO="/q#22\]\\x" HQ="" ID="-"] 127.0.0.1:54786 [22/Nov/2026:13:50:34.118] fe be/one "GET"'
    assert parse_record(data, SD_IDS) == Record(END_UNIX_NANO, {"ST": "200", "HPO": "/q#22]\\x", "HQ": "", "ID": "-"}, SD_ID)


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (b"- 1 event dropped", 1),
        (b"- 892 events dropped", 892),
        (b"- 892 events dropped\n", 892),
        (b"- Connect from 10.0.0.1:1 to 10.0.0.2:80 - 3 events dropped", 0),
        (b"- 3 events dropped, said a client", 0),
        (b"- 9999999999 events dropped", 0),
        (b'[ht@1 a="b"] - 3 events dropped', 0),
    ],
)
def test_what_haproxy_dropped_is_counted_in_its_own_words_only(said: bytes, count: int) -> None:
    assert dropped_count(HEADER + said) == count


@pytest.mark.parametrize("sd_id", sorted(SD_IDS))
@pytest.mark.parametrize("value", ["plain", r"escaped \]"])
def test_a_record_says_which_of_the_wanted_ids_it_has(sd_id: bytes, value: str) -> None:
    record = parse_record(HEADER + b"[" + sd_id + f' a="{value}"] message'.encode(), SD_IDS)
    assert record == Record(END_UNIX_NANO, {"a": value.replace("\\", "")}, sd_id)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ('"', r"\""),
        ("]", r"\]"),
        ("\\", r"\\"),
        ('"]', r"\"\]"),
        ('\\"]', r"\\\"\]"),
        ("\\]", r"\\\]"),
        ("a=b c", "a=b c"),
        ('" x="1', r"\" x=\"1"),
        ("[ht@1 ", "[ht@1 "),
        ("é", "é"),
        # What HAProxy does not escape stays as it is.
        ("\\n", r"\n"),
    ],
)
def test_escapes(value: str, escaped: str) -> None:
    data = HEADER + f'[ht@1 a="{escaped}" b="plain"] message'.encode()
    assert parse_record(data, SD_IDS).fields == {"a": value, "b": "plain"}


@given(parameters=st.dictionaries(NAMES, VALUES, min_size=1, max_size=6), message=st.text(max_size=20))
@example(parameters={"a": '"]'}, message="")
@example(parameters={"a": "\\"}, message='"]')
@example(parameters={"a": "", "b": ""}, message='[ht@1 a="injected"]')
def test_any_values_come_back_equal(parameters: dict[str, str], message: str) -> None:
    assert parse_record(written_by_haproxy(parameters, message), SD_IDS) == Record(END_UNIX_NANO, parameters, SD_ID)


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert parse_record(HEADER + b'[ht@1 a="\xff"] ', SD_IDS).fields == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(HEADER + b"- 127.0.0.1:51262 [22/Nov", SkipReason.NO_STRUCTURED_DATA, id="no log-format-sd"),
        pytest.param(HEADER + b'- [ht@1 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="ours, but in the message"),
        pytest.param(HEADER + b'- GET /[ht@1 a="b"] ', SkipReason.NO_STRUCTURED_DATA, id="injected in the message"),
        pytest.param(HEADER + b'[other@1 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="another SD-ID"),
        pytest.param(HEADER + b'[other@1 x="y"][ht@1 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="ours, but not the first"),
        pytest.param(HEADER + b'ht@1 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="no bracket"),
        pytest.param(HEADER + b'-ht@1 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="something else than a bracket"),
        pytest.param(HEADER + b'[ht@12 a="b"]', SkipReason.NO_STRUCTURED_DATA, id="another version of ours"),
        pytest.param(HEADER + b"[ht@1]", SkipReason.NO_STRUCTURED_DATA, id="ours without parameters"),
        pytest.param(HEADER + b'[ht@1 a="b', SkipReason.TRUNCATED, id="cut within a value"),
        pytest.param(HEADER + b'[ht@1 a="b"', SkipReason.TRUNCATED, id="cut before the bracket"),
        pytest.param(HEADER + b"[ht@1 ", SkipReason.TRUNCATED, id="cut before the first parameter"),
        pytest.param(HEADER + rb'[ht@1 a="b\"\]', SkipReason.TRUNCATED, id="cut behind an escaped end"),
        pytest.param(b"", SkipReason.FOREIGN, id="empty"),
        pytest.param(b"<134>Nov 22 13:50:34 haproxy[37]: GET /", SkipReason.FOREIGN, id="RFC 3164"),
        pytest.param(b'<134>1 now - haproxy 37 - [ht@1 a="b"]', SkipReason.FOREIGN, id="no time stamp"),
        pytest.param(b'<134>1 - - haproxy 37 - [ht@1 a="b"]', SkipReason.FOREIGN, id="the nil time stamp"),
        pytest.param(b"134" + HEADER[3:] + b'[ht@1 a="b"]', SkipReason.FOREIGN, id="no priority"),
        pytest.param(HEADER.replace(b">1 ", b">2 ") + b'[ht@1 a="b"]', SkipReason.FOREIGN, id="another version of syslog"),
        pytest.param(HEADER + b'[ht@1 garbage"]', SkipReason.FOREIGN, id="no parameter"),
        pytest.param(HEADER + b'[ht@1 a="b" junk "c"]', SkipReason.FOREIGN, id="junk between parameters"),
    ],
)
def test_what_is_skipped_and_why(data: bytes, reason: SkipReason) -> None:
    assert reason_of(data) is reason


@given(parameters=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), data=st.data())
def test_cut_anywhere_is_skipped(parameters: dict[str, str], data: st.DataObject) -> None:
    whole = written_by_haproxy(parameters).rstrip()
    size = data.draw(st.integers(len(HEADER + b"[ht@1 "), len(whole) - 1))
    assert reason_of(whole[:size]) is SkipReason.TRUNCATED


@given(parameters=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), data=st.data())
def test_what_is_left_of_a_cut_one_is_what_was_written(parameters: dict[str, str], data: st.DataObject) -> None:
    whole = written_by_haproxy(parameters).rstrip()
    size = data.draw(st.integers(len(HEADER + b"[ht@1 "), len(whole) - 1))
    with pytest.raises(RecordCutError) as raised:
        parse_record(whole[:size], SD_IDS)
    rest = raised.value.rest
    complete = parse_record(whole, SD_IDS)
    assert (rest.end_unix_nano, rest.sd_id) == (complete.end_unix_nano, complete.sd_id)
    assert list(rest.fields.items()) == list(complete.fields.items())[: len(rest.fields)]


def test_a_record_means_the_same_whatever_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "_NAMES", {})
    odd_quotes = HEADER + b'[ht@1 once="b" twice="]'
    assert reason_of(odd_quotes) is SkipReason.FOREIGN
    parse_record(HEADER + b'[ht@1 once="b" twice="d"]', SD_IDS)
    assert reason_of(odd_quotes) is SkipReason.FOREIGN


def test_only_so_many_templates_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: dict[tuple[str, ...], list[str]] = {}
    monkeypatch.setattr(record_module, "_NAMES", remembered)
    for number in range(200):
        assert parse_record(written_by_haproxy({f"name{number}": "x"}), SD_IDS).fields == {f"name{number}": "x"}
    assert 0 < len(remembered) < 200


@given(
    data=st.one_of(
        st.binary(max_size=80), st.binary(max_size=60).map(HEADER.__add__), st.binary(max_size=40).map((HEADER + b"[ht@1 ").__add__)
    )
)
@example(data=HEADER + b'[ht@1 a="\\"]')
@example(data=HEADER + b'[ht@1 ="]')
def test_any_bytes_are_a_record_or_skipped(data: bytes) -> None:
    try:
        record = parse_record(data, SD_IDS)
    except RecordError:
        return
    assert all(isinstance(value, str) for value in record.fields.values())
