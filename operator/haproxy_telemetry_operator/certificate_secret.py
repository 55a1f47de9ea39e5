"""What stands in the injector's Secret, and what has to be done with it now.

A certificate is changed in steps, so that at no moment an API server meets one that it does not trust yet:

1. *stage*: the next certificate is made and put aside; the bundle (``ca.crt``) has its authority beside the one in use;
2. *promote*: when every webhook has had that bundle for a while, the injectors get the next certificate;
3. *prune*: a while later, when all injectors have it, the old authority leaves the bundle.

All of it stands in the Secret itself, which is only written if it is still as it was read (``resourceVersion``): of two operators
one wins, and the other reads again and finds nothing to do. A Secret of the user's own, or cert-manager's, is only read.
"""

import base64
import binascii
import datetime
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from .certificates import CertificateProblem, Pair, join_bundle, make_pair, split_bundle
from .names import FIELD_MANAGER, LABEL_MANAGED_BY

__all__ = [
    "AUTHORITY",
    "CERTIFICATE",
    "KEY",
    "OVERLAP",
    "Plan",
    "Step",
    "current",
    "provided_bundle",
    "read_data",
    "secret_body",
]

CERTIFICATE = "tls.crt"
KEY = "tls.key"
AUTHORITY = "ca.crt"
"""A bundle: during a change it has two."""
_NEXT_CERTIFICATE = "next.crt"
_NEXT_KEY = "next.key"
_NEXT_AUTHORITY = "next-ca.crt"
_SINCE = "since"
"""When the last step was made; RFC 3339."""
OVERLAP = datetime.timedelta(minutes=10)
"""Several API servers read a webhook anew within seconds, an injector its Secret likewise."""
_AT_LEAST = datetime.timedelta(hours=24)
"""An injector whose certificate is good for less is not ready."""


class Step(Enum):
    """What is to be done with the Secret."""

    KEEP = "keep"
    MAKE = "make"
    STAGE = "stage"
    PROMOTE = "promote"
    PRUNE = "prune"


class Plan(NamedTuple):
    """The step to make now."""

    step: Step
    data: dict[str, bytes] | None
    """All of the Secret's data as it is to be written; None: as it is."""
    bundle: bytes
    """For ``caBundle`` of the webhooks, once ``data`` is written."""
    look_again: datetime.datetime
    """When there may be another step, UTC."""
    reason: str
    """For people."""


def current(
    data: Mapping[str, bytes] | None,
    now: datetime.datetime,
    *,
    names: Sequence[str],
    published: bool,
    overlap: datetime.timedelta = OVERLAP,
) -> Plan:
    """The step to make.

    Args:
        data: the Secret's, decoded (``read_data``); None: there is no Secret.
        now: UTC.
        names: DNS names that the certificate has to be good for.
        published: whether all webhooks have the Secret's bundle.
        overlap: how long a bundle has to be known before the next step.
    """
    if data is None:
        return _make(names, now, "there is no certificate")
    try:
        bundle = split_bundle(data.get(AUTHORITY, b""))
        pair = _pair_in_use(data, bundle)
    except CertificateProblem as problem:
        return _make(names, now, f"the certificate can't be used: {problem}")
    if pair.not_after <= now:
        return _make(names, now, "the certificate has expired")
    if not pair.covers(names):
        return _make(names, now, "the certificate is for other names")
    since = _since(data, now)
    staged = _staged_pair(data, names, now)
    if staged is not None:
        if staged.authority in bundle and published and now - since >= overlap:
            promoted = _data(staged, join_bundle(staged.authority, pair.authority), now)
            return Plan(Step.PROMOTE, promoted, promoted[AUTHORITY], now + overlap, "the webhooks know the next authority")
        return Plan(
            Step.KEEP,
            None,
            data[AUTHORITY],
            max(since + overlap, now + overlap / 10),
            "the webhooks are learning the next authority",
        )
    if now >= min(pair.rotate_at, pair.not_after - _AT_LEAST):
        return _stage(pair, names, now, overlap)
    if bundle != [pair.authority]:
        if now - since >= overlap:
            pruned = _data(pair, pair.authority, now)
            return Plan(Step.PRUNE, pruned, pair.authority, pair.rotate_at, "all injectors have the certificate")
        return Plan(Step.KEEP, None, data[AUTHORITY], since + overlap, "the injectors are reading the certificate")
    return Plan(Step.KEEP, None, data[AUTHORITY], pair.rotate_at, "the certificate is good")


def provided_bundle(data: Mapping[str, bytes] | None) -> bytes:
    """The bundle of a Secret that somebody else writes (the user, cert-manager): nothing of it is made or changed.

    Raises:
        CertificateProblem: naming the key and the fix.
    """
    if data is None:
        raise CertificateProblem("the Secret does not exist: create it, or let the operator make the certificate")
    for key in (CERTIFICATE, KEY):
        if not data.get(key):
            raise CertificateProblem(f"{key} is missing: a Secret of type kubernetes.io/tls has it")
    if not data.get(AUTHORITY):
        raise CertificateProblem(f"{AUTHORITY} is missing: put the certificate of the authority there that signed {CERTIFICATE}")
    try:
        return join_bundle(*split_bundle(data[AUTHORITY]))
    except CertificateProblem as problem:
        raise CertificateProblem(f"{AUTHORITY}: {problem}") from None


def read_data(secret: Mapping[str, Any] | None) -> dict[str, bytes] | None:
    """The data of a Secret as the API has it; None for None. What is not base64 is left out: then it is missing."""
    if secret is None:
        return None
    data = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            data[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    return data


def secret_body(namespace: str, name: str, data: Mapping[str, bytes], resource_version: str | None) -> dict[str, Any]:
    """The Secret to write.

    Args:
        namespace, name: where.
        data: decoded.
        resource_version: as it was read, to replace it (409: somebody else was faster); None: to create it.
    """
    metadata: dict[str, Any] = {"namespace": namespace, "name": name, "labels": {LABEL_MANAGED_BY: FIELD_MANAGER}}
    if resource_version is not None:
        metadata["resourceVersion"] = resource_version
    encoded = {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": encoded}


def _make(names: Sequence[str], now: datetime.datetime, reason: str) -> Plan:
    pair = make_pair(names, now)
    return Plan(Step.MAKE, _data(pair, pair.authority, now), pair.authority, pair.rotate_at, reason)


def _stage(pair: Pair, names: Sequence[str], now: datetime.datetime, overlap: datetime.timedelta) -> Plan:
    upcoming = make_pair(names, now)
    staged = _data(pair, join_bundle(pair.authority, upcoming.authority), now) | {
        _NEXT_CERTIFICATE: upcoming.certificate,
        _NEXT_KEY: upcoming.key,
        _NEXT_AUTHORITY: upcoming.authority,
    }
    return Plan(Step.STAGE, staged, staged[AUTHORITY], now + overlap, "two thirds of the certificate's life are over")


def _pair_in_use(data: Mapping[str, bytes], bundle: Sequence[bytes]) -> Pair:
    problem = CertificateProblem("there is no certificate in it")
    for authority in bundle:
        try:
            return Pair.checked(certificate=data.get(CERTIFICATE, b""), key=data.get(KEY, b""), authority=authority)
        except CertificateProblem as found:
            problem = found
    raise problem


def _staged_pair(data: Mapping[str, bytes], names: Sequence[str], now: datetime.datetime) -> Pair | None:
    try:
        pair = Pair.checked(
            certificate=data.get(_NEXT_CERTIFICATE, b""), key=data.get(_NEXT_KEY, b""), authority=data.get(_NEXT_AUTHORITY, b"")
        )
    except CertificateProblem:
        return None
    return pair if pair.covers(names) and now < pair.rotate_at else None


def _data(pair: Pair, bundle: bytes, now: datetime.datetime) -> dict[str, bytes]:
    return {
        CERTIFICATE: pair.certificate,
        KEY: pair.key,
        AUTHORITY: bundle,
        _SINCE: now.astimezone(datetime.UTC).isoformat(timespec="seconds").encode(),
    }


def _since(data: Mapping[str, bytes], now: datetime.datetime) -> datetime.datetime:
    """When the last step was made: long ago if that can't be read, now if it lies ahead."""
    try:
        since = datetime.datetime.fromisoformat(data.get(_SINCE, b"").decode())
    except ValueError:
        return _LONG_AGO
    if since.tzinfo is None:
        return _LONG_AGO
    return min(since, now)


_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
