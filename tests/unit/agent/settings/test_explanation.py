"""From msgspec's words to a user's, on a model of its own."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import pytest

from haproxy_telemetry_agent.settings.explanation import explain

Color = Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$", description="a color such as #00ff00")]


class Leg(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A part in a list."""

    shoe_size: Annotated[int, msgspec.Meta(ge=1)]
    color: Color = "#000000"


class Chair(msgspec.Struct, forbid_unknown_fields=True):
    """A model with everything in it that the explanation knows of."""

    name: str = ""
    weight: float = 0.0
    soft: bool = False
    kind: Literal["stool", "bench"] = "stool"
    color: Color = "#000000"
    legs: list[Leg] = []
    best_leg: Leg | None = None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"name": 1}, "name: 1: expected text, got a whole number"),
        ({"name": None}, "name: None: expected text, got nothing"),
        ({"weight": "x"}, "weight: 'x': expected a number, got text"),
        ({"soft": 1}, "soft: 1: expected true or false, got a whole number"),
        ({"kind": "sofa"}, "kind: 'sofa': expected one of stool, bench"),
        ({"kind": 1}, "kind: 1: expected one of stool, bench"),
        ({"color": "red"}, "color: 'red': expected a color such as #00ff00"),
        ({"legs": [{"shoeSize": 1}, {"shoeSize": 0}]}, "legs[1].shoeSize: 0: expected a whole number >= 1"),
        ({"legs": [{"shoeSize": 1, "color": "red"}]}, "legs[0].color: 'red': expected a color such as #00ff00"),
        ({"legs": [1]}, "legs[0]: 1: expected a mapping, got a whole number"),
        ({"legs": [{}]}, "legs[0].shoeSize: missing; it has no default"),
        ({"legs": [{"shoeSize": 1, "size": 2}]}, "legs[0].size: unknown key; known here: shoeSize, color"),
        ({"best_leg": {"shoeSize": 0}}, "best_leg.shoeSize: 0: expected a whole number >= 1"),
        ({"best_leg": {"shoeSize": 1, "color": "red"}}, "best_leg.color: 'red': expected a color such as #00ff00"),
        ({"best_leg": {"size": 2}}, "best_leg.size: unknown key; known here: shoeSize, color"),
        ({"size": 2}, "size: unknown key; known here: name, weight, soft, kind, color, legs, best_leg"),
    ],
)
def test_words(document: Mapping[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(document, Chair)
    assert explain(raised.value, document, Chair) == words
