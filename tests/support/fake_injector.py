"""The injector as a program, with a mutation that needs no HAProxy: a native sidecar and an annotation, once."""

import argparse
import copy
import sys
from collections.abc import Mapping
from typing import Any

from haproxy_telemetry_operator.commands.inject import add_arguments, run
from haproxy_telemetry_operator.pod_decision import Refusal
from haproxy_telemetry_operator.resource import TelemetryResource

__all__ = ["ANNOTATION", "SIDECAR"]

ANNOTATION = "haproxy-telemetry.io/injected"
SIDECAR = "haproxy-telemetry"


def change(pod: Mapping[str, Any], resource: TelemetryResource, sidecar: str, *, image: str) -> Any:
    """Once only, as the real one; ``boom`` in the pod's labels is a mistake of ours."""
    if "boom" in (pod["metadata"].get("labels") or {}):
        raise RuntimeError("boom")
    if ANNOTATION in (pod["metadata"].get("annotations") or {}):
        return Refusal("unchanged", "")
    changed: Any = copy.deepcopy(dict(pod))
    changed["metadata"].setdefault("annotations", {})[ANNOTATION] = resource.name
    container = {"name": SIDECAR, "image": image, "restartPolicy": "Always"}
    changed["spec"].setdefault("initContainers", []).insert(0, container)
    return argparse.Namespace(pod=changed, result="injected", message=sidecar)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers(required=True).add_parser("inject"))
    return run(
        parser.parse_args(),
        lambda options: lambda pod, resource, sidecar: change(pod, resource, sidecar, image=options.image),
    )


if __name__ == "__main__":
    sys.exit(main())
