"""What was replaced in a pod, and how it is put back."""

import copy
from typing import Any

import pytest

from haproxy_telemetry_operator.injection.originals import Originals, restored
from haproxy_telemetry_operator.names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED

ORIGINALS = "haproxy-telemetry.io/originals"


def written(originals: Originals) -> str:
    annotations: dict[str, str] = {}
    originals.write(annotations)
    return annotations[ORIGINALS]


def test_the_first_note_of_a_container_counts() -> None:
    container: dict[str, Any] = {"name": "a", "volumeMounts": [{"name": "x"}], "args": ["1"]}
    originals = Originals()
    originals.note_mounts(container)
    originals.note_arguments(container)
    container["volumeMounts"][0]["name"] = "changed"
    container["args"][0] = "changed"
    originals.note_mounts(container)
    originals.note_arguments(container)
    assert originals.mounts == {"a": [{"name": "x"}]}
    assert originals.arguments == {"a": {"args": ["1"]}}


def test_the_default_container_of_the_user_stays() -> None:
    originals, annotations = Originals(), {"kubectl.kubernetes.io/default-container": "log"}
    originals.note_default_container(annotations, "haproxy")
    assert annotations == {"kubectl.kubernetes.io/default-container": "log"}
    assert not originals.default_container


@pytest.mark.parametrize(
    "container", [{"name": "a"}, {"name": "a", "volumeMounts": [{"name": "x", "mountPath": "/x"}], "args": ["1"]}]
)
def test_back(container: dict[str, Any]) -> None:
    original = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    pod: Any = copy.deepcopy(original)
    changed = pod["spec"]["containers"][0]
    originals = Originals()
    originals.note_mounts(changed)
    originals.note_arguments(changed)
    changed["volumeMounts"] = [{"name": "haproxy-telemetry-config-0", "mountPath": "/x"}]
    if "args" in changed:
        changed["args"] = ["2"]
    changed["env"] = [{"name": "HAPROXY_TELEMETRY", "value": "1"}]
    pod["spec"]["containers"].append({"name": "haproxy-telemetry"})
    pod["spec"]["initContainers"] = [{"name": "haproxy-telemetry-config"}]
    pod["spec"]["volumes"] = [{"name": "haproxy-telemetry"}]
    annotations = {ANNOTATION_INJECTED: "edge", ANNOTATION_CONFIG_HASH: "0"}
    originals.note_default_container(annotations, "a")
    originals.write(annotations)
    pod["metadata"]["annotations"] = annotations
    before = copy.deepcopy(pod)
    assert restored(pod) == original
    assert pod == before, "the pod that came was changed"


def test_of_the_users_variables_all_stay() -> None:
    variables = [{"name": "HAPROXY_TELEMETRY_IS_GREAT", "value": "1"}, {"name": "HAPROXY_TELEMETRY", "value": "1"}]
    pod = restored({"metadata": {}, "spec": {"containers": [{"name": "a", "env": variables}]}})
    assert pod["spec"]["containers"][0]["env"] == variables[:1]


@pytest.mark.parametrize("note", ["", "no JSON", "[]", "{}"])
def test_a_note_that_can_not_be_read_is_none(note: str) -> None:
    pod = {"metadata": {"annotations": {ORIGINALS: note, "a": "b"}}, "spec": {"containers": [{"name": "a", "args": ["1"]}]}}
    assert restored(pod) == {"metadata": {"annotations": {"a": "b"}}, "spec": {"containers": [{"name": "a", "args": ["1"]}]}}


def test_the_note_is_always_written_the_same() -> None:
    assert written(Originals(mounts={"b": [], "a": []})) == written(Originals(mounts={"a": [], "b": []}))
