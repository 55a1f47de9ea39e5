"""What an API server asks before it makes a pod, and what it is answered: AdmissionReview (admission.k8s.io/v1), JSON both ways.

Whatever is wrong, with the question or with us, the pod is allowed and stays as it is: nobody's ingress may fail to start for its
telemetry.

The API server asks again when another webhook has changed the pod after us, and asks for pods that it will not make (``dryRun``);
an answer depends on the question alone and does nothing, so neither is special.
"""

import base64
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jsonpatch

__all__ = ["ERROR", "MALFORMED", "Answer", "Decision", "answer"]

_API_VERSION = "admission.k8s.io/v1"
_MAX_WARNING_LENGTH = 120
"""More than that is cut by API servers when there are many."""

MALFORMED = "malformed"
ERROR = "error"
_QUIET = frozenset({"injected", "unchanged", "opted_out"})
"""Results that are nobody's mistake."""


class Decision(Protocol):
    """What to do with a pod: ``injection.Mutation``."""

    @property
    def pod(self) -> Mapping[str, Any] | None:
        """The changed pod; None: as it is."""
        ...

    @property
    def result(self) -> str:
        """A word, for counting."""
        ...

    @property
    def message(self) -> str:
        """For people; empty: nothing to say."""
        ...


class Answer(NamedTuple):
    """What to answer, and what to count and log of it."""

    review: dict[str, Any]
    result: str
    dry_run: bool = False
    problem: str = ""
    """For the log: what went wrong with the question or with us."""
    pod: str = ""
    """For the log: ``namespace/name``, the name with ``*`` at its end if the API server is still to make one up."""
    message: str = ""
    """For the log: what there is to say about the pod."""


def answer(body: bytes, decide: Callable[[Mapping[str, Any], str], Decision]) -> Answer:
    """Answer one question; never raises.

    Args:
        body: an AdmissionReview with a request, JSON.
        decide: ``(pod, namespace)``. What it raises is answered as well.
    """
    uid = ""
    dry_run = False
    name = ""
    try:
        review = json.loads(body)
        if review["apiVersion"] != _API_VERSION or review["kind"] != "AdmissionReview":
            raise ValueError(f"expected an AdmissionReview of {_API_VERSION}")  # noqa: TRY301 - all that is wrong is one case
        request = review["request"]
        uid = _text(request["uid"])
        dry_run = request.get("dryRun") is True
        pod = request["object"]
        metadata = pod.get("metadata") or {}
        # While a pod is made, its own metadata may lack the namespace.
        namespace = _text(metadata.get("namespace") or request["namespace"])
        name = f"{namespace}/{metadata.get('name') or str(metadata.get('generateName', '')) + '*'}"
        if request.get("operation") != "CREATE" or request.get("subResource") or pod.get("kind", "Pod") != "Pod":
            return Answer(_review(uid, "unchanged"), "unchanged", dry_run, "", name)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        return Answer(_review(uid, MALFORMED), MALFORMED, dry_run, _describe(problem), name)
    try:
        # A copy: should it be changed in place, the patch would be one for another pod than the API server's.
        decision = decide(copy.deepcopy(pod), namespace)
        patch = None if decision.pod is None else _patch(pod, decision.pod)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the pod starts
        return Answer(_review(uid, ERROR), ERROR, dry_run, _describe(problem), name)
    warning = decision.message if decision.pod is None and decision.result not in _QUIET else ""
    return Answer(_review(uid, decision.result, patch, warning), decision.result, dry_run, "", name, decision.message)


def _patch(pod: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = jsonpatch.make_patch(pod, wanted)
    # A patch that made another pod than we checked would be worse than none.
    if made.apply(pod) != wanted:
        raise ValueError("the patch does not make the pod that was wanted")
    return list(made.patch)


def _review(uid: str, result: str, patch: list[dict[str, Any]] | None = None, warning: str = "") -> dict[str, Any]:
    response: dict[str, Any] = {"uid": uid, "allowed": True, "auditAnnotations": {"result": result}}
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    if warning:
        response["warnings"] = [_shorten(f"haproxy-telemetry: {warning}")]
    return {"apiVersion": _API_VERSION, "kind": "AdmissionReview", "response": response}


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_WARNING_LENGTH else f"{line[: _MAX_WARNING_LENGTH - 3]}..."


def _describe(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"[:500]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {type(value).__name__}")
    return value
