"""The table of a connection's record: what must hold for every row."""

import re

import pytest

from haproxy_telemetry_agent.wiring.connection_fields import CONNECTION_FIELDS
from haproxy_telemetry_agent.wiring.field import Field
from haproxy_telemetry_agent.wiring.fields import FIELDS

each_field = pytest.mark.parametrize("field", CONNECTION_FIELDS, ids=lambda field: field.name)


def test_names_are_unique() -> None:
    names = [field.name for field in CONNECTION_FIELDS]
    assert len(set(names)) == len(names)


@each_field
def test_a_row_is_a_parameter_of_the_record_and_nothing_else(field: Field) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]{1,32}", field.name)
    assert field.meaning
    assert field.record is not None
    assert (field.argument, field.fallback, field.before) == (None, None, None)


@each_field
def test_an_alias_bears_its_own_name_and_means_what_it_means_for_requests(field: Field) -> None:
    if re.fullmatch(r"%\w+", field.record or ""):
        assert field.record == f"%{field.name}"
    for other in FIELDS:
        if other.name == field.name and field.name != "start":
            assert other.record == field.record


def test_what_is_needed_most_comes_first_and_text_that_clients_choose_last() -> None:
    names = [field.name for field in CONNECTION_FIELDS]
    assert names[0] == "id"
    assert names[-4:-1] == ["alpn", "ssl_fc_sni", "sni"]
