"""Admission reviews."""

import base64
import copy
import json
from functools import partial
from typing import Any

import jsonpatch
import pytest

from haproxy_telemetry_operator.admission import Answer, BadReview, Question, answer, read_question
from haproxy_telemetry_operator.injection import Mutation, mutate
from support.cluster_objects import FACTS, NAMESPACE, PODS, telemetry


def review(pod: Any, **request: Any) -> bytes:
    return json.dumps(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {"uid": "u-1", "namespace": NAMESPACE, "operation": "CREATE", "object": pod} | request,
        }
    ).encode()


def patched(pod: Any, reply: Answer) -> Any:
    response = reply.body["response"]
    assert response["patchType"] == "JSONPatch"
    return jsonpatch.apply_patch(copy.deepcopy(pod), json.loads(base64.b64decode(response["patch"])))


def test_a_question() -> None:
    assert read_question(review({"spec": {}})) == Question("u-1", NAMESPACE, {"spec": {}}, dry_run=False)
    assert read_question(review({}, dryRun=True)).dry_run


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"request": []}',
        b'{"request": {"uid": "u"}}',
        b"[" * 200_000,
        review(None),
        review([]),
        review({}, namespace=""),
        review({}, namespace=None),
    ],
)
def test_what_is_no_question(body: bytes) -> None:
    with pytest.raises(BadReview, match="no AdmissionReview"):
        read_question(body)


@pytest.mark.parametrize("name", PODS)
def test_the_patch_makes_the_pod_that_was_meant(name: str) -> None:
    pod = copy.deepcopy(dict(PODS[name]))
    change = partial(mutate, namespace=NAMESPACE, resource=telemetry(), facts=FACTS)
    reply = answer(read_question(review(pod)), change)
    assert reply.result == "injected"
    assert reply.body["response"]["uid"] == "u-1"
    assert reply.body["response"]["allowed"] is True
    once = patched(pod, reply)
    assert once == change(pod).pod
    again = answer(read_question(review(once)), change)
    assert again.result == "unchanged"
    assert again.body["response"] == {"uid": "u-1", "allowed": True}


def test_a_pod_without_the_parents_of_what_is_added() -> None:
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "a"}]}}
    wanted = {
        "metadata": {"annotations": {"a/b": "c"}},
        "spec": {
            "containers": [{"name": "a", "env": [{"name": "x"}]}],
            "initContainers": [{"name": "y"}],
            "volumes": [{"name": "v"}],
        },
    }
    assert patched(pod, answer(Question("u", "n", pod, dry_run=False), lambda _: Mutation(wanted, "injected"))) == wanted


def test_no_change_is_no_patch() -> None:
    question = Question("u", "n", {"a": 1}, dry_run=False)
    assert answer(question, lambda _: Mutation({"a": 1}, "injected")).body["response"] == {"uid": "u", "allowed": True}
    assert answer(question, lambda _: Mutation(None, "opted_out")).body["response"] == {"uid": "u", "allowed": True}


def test_a_reason_is_a_warning_that_is_not_cut_off() -> None:
    reply = answer(Question("u", "n", {}, dry_run=False), lambda _: Mutation(None, "unsupported", "x" * 500))
    (warning,) = reply.body["response"]["warnings"]
    assert warning.startswith("haproxy-telemetry: xxx")
    assert len(warning) <= 240
    assert reply.message == "x" * 500


def test_whatever_goes_wrong_the_pod_is_allowed_as_it_is() -> None:
    def fail(_: object) -> Mutation:
        raise KeyError("name")

    reply = answer(Question("u", "n", {}, dry_run=False), fail)
    assert reply == Answer(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u", "allowed": True}},
        "error",
        "KeyError: 'name'",
    )
