import base64
import copy
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_operator.admission import Answer, answer

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "edge-5d4-"},
    "spec": {"containers": [{"name": "haproxy", "image": "haproxy:3.2"}]},
}


class Decided(NamedTuple):
    pod: Mapping[str, Any] | None
    result: str
    message: str = ""


def review(pod: object = POD, **request: object) -> bytes:
    asked = {"uid": "u-1", "namespace": "edge", "operation": "CREATE", "object": pod} | request
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}).encode()


def inject(pod: Mapping[str, Any], _namespace: str) -> Decided:
    changed: Any = copy.deepcopy(dict(pod))
    changed["metadata"].setdefault("annotations", {})["injected"] = "yes"
    changed["spec"].setdefault("initContainers", []).insert(0, {"name": "haproxy-telemetry"})
    return Decided(changed, "injected")


def keep(_pod: Mapping[str, Any], _namespace: str) -> Decided:
    return Decided(None, "unsupported", "  no HAProxy\nin it " + "x" * 200)


def response(answered: Answer) -> dict[str, Any]:
    assert answered.review["apiVersion"] == "admission.k8s.io/v1"
    assert answered.review["kind"] == "AdmissionReview"
    made: dict[str, Any] = answered.review["response"]
    assert made["allowed"] is True
    json.dumps(answered.review)
    return made


def test_the_patch_makes_the_pod_that_was_decided() -> None:
    answered = answer(review(), inject)
    made = response(answered)
    assert made["uid"] == "u-1"
    assert made["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(made["patch"]))
    assert jsonpatch.apply_patch(POD, patch) == inject(POD, "edge").pod
    assert answered[1:5] == ("injected", False, "", "edge/edge-5d4-*")
    assert made["auditAnnotations"] == {"result": "injected"}
    assert "warnings" not in made


def test_no_change_is_no_patch() -> None:
    assert "patch" not in response(answer(review(), lambda pod, _: Decided(dict(pod), "unchanged")))
    assert "patch" not in response(answer(review(), lambda _pod, _: Decided(None, "unchanged")))


def test_a_pod_that_can_not_be_instrumented_is_warned_about_in_one_short_line() -> None:
    (warning,) = response(answer(review(), keep))["warnings"]
    assert warning.startswith("haproxy-telemetry: no HAProxy in it xxx")
    assert len(warning) == 120


def test_who_opts_out_is_not_warned() -> None:
    assert "warnings" not in response(answer(review(), lambda *_: Decided(None, "opted_out", "as asked")))


def test_the_namespace_is_the_requests_when_the_pod_has_none() -> None:
    asked: list[str] = []

    def note(_pod: Mapping[str, Any], namespace: str) -> Decided:
        asked.append(namespace)
        return Decided(None, "unchanged")

    answer(review(), note)
    named = answer(review(POD | {"metadata": {"name": "edge-1", "namespace": "other"}}), note)
    assert asked == ["edge", "other"]
    assert named.pod == "other/edge-1"


def test_a_dry_run_is_answered_alike_and_said() -> None:
    answered = answer(review(dryRun=True), inject)
    assert answered.dry_run
    assert answered.review == answer(review(), inject).review


@pytest.mark.parametrize("request_", [{"operation": "UPDATE"}, {"subResource": "ephemeralcontainers"}])
def test_only_new_pods_are_changed(request_: dict[str, object]) -> None:
    assert answer(review(**request_), inject).result == "unchanged"
    assert answer(review(POD | {"kind": "Deployment"}), inject).result == "unchanged"


def test_a_decision_that_fails_leaves_the_pod_as_it_is() -> None:
    def fail(_pod: Mapping[str, Any], _namespace: str) -> Decided:
        raise RuntimeError("a mistake")

    answered = answer(review(), fail)
    assert "patch" not in response(answered)
    assert (answered.result, answered.problem) == ("error", "RuntimeError: a mistake")
    assert answered.review["response"]["uid"] == "u-1"


def test_a_pod_that_is_no_json_leaves_the_pod_as_it_is() -> None:
    assert answer(review(), lambda pod, _: Decided({**pod, "spec": {1, 2}}, "injected")).result == "error"  # type: ignore[arg-type]


def test_a_decision_that_changes_the_pod_it_was_given_makes_no_wrong_patch() -> None:
    def spoil(pod: Mapping[str, Any], namespace: str) -> Decided:
        decided = inject(pod, namespace)
        pod["spec"]["containers"].clear()
        return decided

    patch = json.loads(base64.b64decode(response(answer(review(), spoil))["patch"]))
    assert jsonpatch.apply_patch(POD, patch) == inject(POD, "edge").pod


def test_a_patch_that_makes_another_pod_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = jsonpatch.JsonPatch([{"op": "remove", "path": "/spec/containers"}])
    monkeypatch.setattr(jsonpatch, "make_patch", lambda *_: wrong)
    answered = answer(review(), inject)
    assert answered.result == "error"
    assert "patch" not in response(answered)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": null}',
        b"[" * 100_000,
        review(None),
        review([]),
        review({"metadata": 1}),
        review(uid=7),
        review(namespace=None),
    ],
    ids=range(13),
)
def test_a_malformed_question_is_allowed_and_said(body: bytes) -> None:
    answered = answer(body, inject)
    assert "patch" not in response(answered)
    assert answered.result == "malformed"
    assert answered.problem


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"apiVersion": st.just("admission.k8s.io/v1"), "kind": st.just("AdmissionReview")}, optional={"request": ANYTHING}
    )
    | st.builds(
        lambda request: {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request},
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("uid", "namespace", "object", "dryRun", "operation", "subResource"), ANYTHING)
        ),
    )
)
def test_no_question_is_too_odd_for_an_answer(question: object) -> None:
    response(answer(json.dumps(question).encode(), inject))
