"""Protobuf's wire format, read back by protobuf's own classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from haproxy_telemetry_agent.export import protobuf as protobuf_module
from haproxy_telemetry_agent.export.protobuf import AttributeEncoder, field, key_value, length, text, varint
from haproxy_telemetry_agent.tracing.span import Attribute

TAG_OF_SPAN_ATTRIBUTES = b"\x4a"


def decoded(attributes: list[tuple[str, Attribute]], encoder: AttributeEncoder) -> list[KeyValue]:
    return [*OtlpSpan.FromString(b"".join(encoder.encode(attributes))).attributes]


@given(number=st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([127, 128, 16_383, 16_384])))
def test_numbers(number: int) -> None:
    expected = OtlpSpan(dropped_links_count=1).SerializeToString()[:1]  # a varint's tag of one byte
    assert varint(number)[-1] < 128
    assert sum((byte & 0x7F) << 7 * index for index, byte in enumerate(varint(number))) == number
    assert OtlpSpan.FromString(expected + varint(number & 0xFFFFFFFF)).dropped_links_count == number & 0xFFFFFFFF
    assert length(number) == varint(number)


@given(value=st.one_of(st.text(max_size=10), st.sampled_from([127, 128, 16_384]).map("x".__mul__)))
def test_texts_and_fields(value: str) -> None:
    name = b"\x2a"
    assert OtlpSpan.FromString(name + text(value)).name == value
    assert OtlpSpan.FromString(field(name, value.encode())).name == value


def test_an_attribute_is_the_same_the_second_time() -> None:
    encoder = AttributeEncoder(TAG_OF_SPAN_ATTRIBUTES)
    attributes: list[tuple[str, Attribute]] = [("text", "x"), ("number", 1), ("double", 1.0), ("yes", True), ("list", ["a", "b"])]
    assert decoded(attributes, encoder) == decoded(attributes, encoder)
    kinds = [attribute.value.WhichOneof("value") for attribute in decoded(attributes, encoder)]
    assert kinds == ["string_value", "int_value", "double_value", "bool_value", "array_value"]


def test_what_is_equal_and_of_another_type_is_another_attribute() -> None:
    encoder = AttributeEncoder(TAG_OF_SPAN_ATTRIBUTES)
    values: list[Attribute] = [1, 1.0, True]
    kinds = [decoded([("same", value)], encoder)[0].value.WhichOneof("value") for value in values * 2]
    assert kinds == ["int_value", "double_value", "bool_value"] * 2


def test_only_so_many_attributes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf_module, "_MAX_REMEMBERED", 10)
    encoder = AttributeEncoder(TAG_OF_SPAN_ATTRIBUTES)
    attributes: list[tuple[str, Attribute]] = [("port", number) for number in range(35)]
    assert [attribute.value.int_value for attribute in decoded(attributes, encoder)] == [*range(35)]
    assert sum(map(len, encoder._remembered.values())) <= 10


def test_long_ones_are_not_remembered() -> None:
    encoder = AttributeEncoder(TAG_OF_SPAN_ATTRIBUTES)
    assert decoded([("path", "x" * 300)], encoder)[0].value == AnyValue(string_value="x" * 300)
    assert not any(encoder._remembered.values())


def test_a_key_value_is_one() -> None:
    assert KeyValue.FromString(key_value("key", "value")) == KeyValue(key="key", value=AnyValue(string_value="value"))
