"""Names."""

import re

from haproxy_telemetry_operator import names


def test_all_of_ours_can_be_told_by_their_beginning() -> None:
    for name in (names.payload_name("edge"), names.routes_name("edge")):
        assert name.startswith(names.OWN_PREFIX)
    assert names.shadow_name("controller") == "controller-haproxy-telemetry"
    assert names.payload_name("edge") != names.routes_name("edge")


def test_labels_and_annotations_are_of_our_group() -> None:
    ours = [getattr(names, name) for name in names.__all__ if name.startswith(("ANNOTATION_", "LABEL_"))]
    assert {name.partition("/")[0] for name in ours} == {names.GROUP, "app.kubernetes.io"}
    assert all(re.fullmatch(r"[a-z-]{1,63}", name.partition("/")[2]) for name in ours)
    assert len(set(ours)) == len(ours)
