"""Admission reviews: the API server's question about a pod, and the answer. Always allowed; a patch if there is something to add.

Source: Kubernetes, "Dynamic Admission Control", AdmissionReview v1.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jsonpatch

from .injection import Mutation

__all__ = ["Answer", "Question", "answer", "read_question"]

_MAX_WARNING_CHARACTERS = 240
"""The API server cuts longer ones off at 256."""


class Question(NamedTuple):
    """What is asked."""

    uid: str
    namespace: str
    pod: dict[str, Any]
    dry_run: bool


class Answer(NamedTuple):
    """What is answered, and what became of the pod."""

    body: dict[str, Any]
    result: str
    message: str


class BadReview(ValueError):
    """No admission review of a pod's creation."""


def read_question(body: bytes) -> Question:
    """The question in a request's body.

    Raises:
        BadReview: it is none.
    """
    try:
        review = json.loads(body)
        request = review["request"]
        pod = request["object"]
        question = Question(str(request["uid"]), str(request.get("namespace") or ""), pod, bool(request.get("dryRun")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadReview(f"no AdmissionReview: {error!r}") from None
    if not isinstance(pod, dict) or not question.namespace:
        raise BadReview("no AdmissionReview of a pod")
    return question


def answer(question: Question, mutate: Callable[[Mapping[str, Any]], Mutation]) -> Answer:
    """The answer. Whatever goes wrong, the pod is allowed as it is."""
    try:
        mutation = mutate(question.pod)
        response: dict[str, Any] = {"uid": question.uid, "allowed": True}
        if mutation.pod is not None:
            operations = jsonpatch.make_patch(question.pod, mutation.pod).patch
            if operations:
                response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}
        if mutation.message:
            response["warnings"] = [f"haproxy-telemetry: {mutation.message}"[:_MAX_WARNING_CHARACTERS]]
        result, message = mutation.result, mutation.message
    except Exception as error:  # noqa: BLE001 - no fault of ours may keep a pod from starting
        response = {"uid": question.uid, "allowed": True}
        result, message = "error", f"{type(error).__name__}: {error}"
    return Answer({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}, result, message)
