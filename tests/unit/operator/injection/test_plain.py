"""The way into a plain HAProxy: which mounts are swapped, and what the init containers get."""

from typing import Any

import pytest

from haproxy_telemetry_operator.injection import Mutation, mutate
from support.cluster_objects import FACTS, NAMESPACE, PODS, pod_of, telemetry


def pod(paths: list[str], mounts: list[dict[str, Any]], volumes: list[dict[str, Any]] | None = None, **container: Any) -> Any:
    arguments = [word for path in paths for word in ("-f", path)]
    return pod_of(
        {"name": "haproxy", "image": "haproxy:3", "args": arguments, "volumeMounts": mounts, **container}, volumes=volumes
    )


def inject(given: Any, spec: Any = None) -> Mutation:
    return mutate(given, namespace=NAMESPACE, resource=telemetry(spec), facts=FACTS)


def injected(given: Any, spec: Any = None) -> dict[str, Any]:
    mutation = inject(given, spec)
    assert mutation.pod is not None, mutation
    spec_: dict[str, Any] = mutation.pod["spec"]
    return spec_


def init(spec: Any, name: str) -> dict[str, Any]:
    return next(entry for entry in spec["initContainers"] if entry["name"] == f"haproxy-telemetry-{name}")


def swapped(spec: Any) -> list[dict[str, Any]]:
    return [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"].startswith("haproxy-telemetry-config")]


def words_of(container: Any, option: str, count: int) -> list[tuple[str, ...]]:
    arguments = container["args"]
    return [tuple(arguments[index + 1 : index + 1 + count]) for index, word in enumerate(arguments) if word == option]


CONFIG = {"name": "c", "configMap": {"name": "c"}}
VOLUME = "haproxy-telemetry-config-0"


def test_a_folder() -> None:
    spec = injected(pod(["/etc/haproxy/haproxy.cfg"], [{"name": "c", "mountPath": "/etc/haproxy"}], [CONFIG]))
    assert swapped(spec) == [{"name": VOLUME, "mountPath": "/etc/haproxy", "readOnly": True}]
    rewriter = init(spec, "config")
    assert words_of(rewriter, "--mount", 3) == [("/etc/haproxy", "/haproxy-telemetry/source/0", "/haproxy-telemetry/destination/0")]
    assert words_of(rewriter, "--file", 1) == [("/etc/haproxy/haproxy.cfg",)]
    assert words_of(rewriter, "--plan", 1) == [("/etc/haproxy-telemetry/insertions.json",)]
    assert {"name": "c", "mountPath": "/haproxy-telemetry/source/0", "readOnly": True} in rewriter["volumeMounts"]
    assert {"name": VOLUME, "mountPath": "/haproxy-telemetry/destination/0"} in rewriter["volumeMounts"]


def test_a_single_file() -> None:
    mount = {"name": "c", "mountPath": "/etc/haproxy/haproxy.cfg", "subPath": "key", "readOnly": True}
    spec = injected(pod(["/etc/haproxy/haproxy.cfg"], [mount], [CONFIG]))
    assert swapped(spec) == [{"name": VOLUME, "mountPath": "/etc/haproxy/haproxy.cfg", "subPath": "haproxy.cfg", "readOnly": True}]
    assert {"name": "c", "subPath": "key", "mountPath": "/haproxy-telemetry/source/0", "readOnly": True} in init(spec, "config")[
        "volumeMounts"
    ]


@pytest.mark.parametrize(
    ("mount", "volume", "is_file"),
    [
        ({}, {"configMap": {"name": "c"}}, False),
        ({}, {"emptyDir": {}}, False),
        ({"subPath": "conf.d"}, {"persistentVolumeClaim": {"claimName": "c"}}, False),
        ({"subPath": "haproxy.cfg"}, {"persistentVolumeClaim": {"claimName": "c"}}, True),
        ({"subPath": "key"}, {"configMap": {"name": "c"}}, True),
        ({"subPath": "key"}, {"secret": {"secretName": "c"}}, True),
        ({"subPath": "a"}, {"configMap": {"name": "c", "items": [{"key": "k", "path": "a/x.cfg"}]}}, False),
        ({"subPath": "a/x.cfg"}, {"configMap": {"name": "c", "items": [{"key": "k", "path": "a/x.cfg"}]}}, True),
        ({}, {"hostPath": {"path": "/srv/x"}}, False),
        ({}, {"hostPath": {"path": "/srv/x.cfg"}}, True),
        ({}, {"hostPath": {"path": "/srv/x.y", "type": "Directory"}}, False),
        ({}, {"hostPath": {"path": "/srv/x", "type": "File"}}, True),
    ],
)
@pytest.mark.parametrize("path", ["/etc/haproxy/main", "/etc/haproxy/conf.d", "/etc/haproxy/haproxy.cfg"])
def test_the_mount_tells_a_file_from_a_folder_and_not_its_name(path: str, mount: Any, volume: Any, is_file: bool) -> None:
    """A folder mounted as a file would be empty, and a file mounted as a folder keeps the container from starting."""
    spec = injected(pod([path], [{"name": "c", "mountPath": path, **mount}], [{"name": "c", **volume}]))
    assert swapped(spec)[0].get("subPath") == (path.rpartition("/")[2] if is_file else None)


def test_several_files_on_one_mount_are_one_swap_and_on_two_are_two() -> None:
    spec = injected(PODS["plain-folder"])
    assert [mount["mountPath"] for mount in swapped(spec)] == ["/etc/haproxy", "/etc/haproxy/conf.d"]
    one = injected(pod(["/etc/h/a.cfg", "/etc/h/b.cfg"], [{"name": "c", "mountPath": "/etc/h/"}], [CONFIG]))
    assert [mount["mountPath"] for mount in swapped(one)] == ["/etc/h/"]
    assert words_of(init(one, "config"), "--file", 1) == [("/etc/h/a.cfg",), ("/etc/h/b.cfg",)]


def test_a_mount_beside_the_path_stays() -> None:
    mounts = [{"name": "c", "mountPath": "/etc/haproxy"}, {"name": "certs", "mountPath": "/etc/haproxy-certs"}]
    spec = injected(pod(["/etc/haproxy/haproxy.cfg"], mounts, [CONFIG, {"name": "certs", "emptyDir": {}}]))
    assert mounts[1] in spec["containers"][0]["volumeMounts"]
    assert mounts[1] in init(spec, "check")["volumeMounts"]


def test_what_is_in_the_image_is_copied_out_of_it_first() -> None:
    spec = injected(PODS["plain-image"])
    assert [entry["name"] for entry in spec["initContainers"]] == [
        "haproxy-telemetry",
        "haproxy-telemetry-image",
        "haproxy-telemetry-config",
        "haproxy-telemetry-check",
    ]
    copy = init(spec, "image")
    assert copy["image"] == spec["containers"][0]["image"]
    assert copy["command"][-1] == "cp -R /usr/local/etc/haproxy/. /haproxy-telemetry/source/0/ || true"
    assert copy["workingDir"] == "/srv"
    assert swapped(spec) == [{"name": VOLUME, "mountPath": "/usr/local/etc/haproxy"}]
    assert {"name": "haproxy-telemetry-image-0", "mountPath": "/haproxy-telemetry/source/0", "readOnly": True} in init(
        spec, "config"
    )["volumeMounts"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/srv/haproxy.cfg", "/srv"),
        ("/srv/conf.d", "/srv/conf.d"),
        ("/srv/config/", "/srv/config"),
        ("/etc/haproxy", "/etc/haproxy"),
        ("/srv/it's here/x.cfg", "/srv/it's here"),
    ],
)
def test_folders_in_the_image(path: str, where: str) -> None:
    assert swapped(injected(pod([path], [])))[0]["mountPath"] == where


def test_names_with_quotes_stay_one_word() -> None:
    command = init(injected(pod(["/srv/it's here/x.cfg"], [])), "image")["command"]
    assert command[-1].startswith("cp -R '/srv/it'\"'\"'s here/.' ")


@pytest.mark.parametrize(
    ("path", "mounts", "reason"),
    [
        ("/haproxy.cfg", [], "root of an image's file system"),
        ("/", [], "root of an image's file system"),
        ("/srv/config", [], "may be a file or a folder: set spec.target.configPath"),
        ("/a/x.cfg", [{"name": "c", "mountPath": "/a", "mountPropagation": "Bidirectional"}], "mountPropagation"),
        ("/a/x.cfg", [{"name": "c", "mountPath": "/a", "subPathExpr": "$(POD_NAME)"}], "subPathExpr"),
    ],
)
def test_what_can_not_be_got_at_is_refused(path: str, mounts: list[dict[str, Any]], reason: str) -> None:
    mutation = inject(pod([path], mounts, [CONFIG]))
    assert (mutation.pod, mutation.result) == (None, "unsupported")
    assert reason in mutation.message


def test_the_check_runs_in_haproxys_own_image_with_all_that_it_has() -> None:
    given = pod(
        ["/etc/haproxy/haproxy.cfg"],
        [{"name": "c", "mountPath": "/etc/haproxy"}],
        [CONFIG],
        command=["/opt/haproxy"],
        env=[{"name": "PORT", "value": "80"}],
        resources={"limits": {"memory": "1Gi"}},
        securityContext={"runAsUser": 99},
    )
    spec = injected(given)
    check = init(spec, "check")
    haproxy = given["spec"]["containers"][0]
    assert {key: check[key] for key in ("image", "env", "resources", "securityContext")} == {
        key: haproxy[key] for key in ("image", "env", "resources", "securityContext")
    }
    assert check["command"][4:] == ["/opt/haproxy", "-f", "/etc/haproxy/haproxy.cfg"]
    own_path = {"name": VOLUME, "mountPath": "/etc/haproxy", "readOnly": True}
    assert own_path in check["volumeMounts"], "the rewritten files at the user's own path"
    assert {"name": VOLUME, "mountPath": "/haproxy-telemetry/destination/0"} in check["volumeMounts"]
    assert {"name": "haproxy-telemetry", "mountPath": "/etc/haproxy-telemetry", "readOnly": True} in check["volumeMounts"]


@pytest.mark.parametrize(
    ("command", "program"), [(["haproxy"], "haproxy"), (["/x/haproxy"], "/x/haproxy"), (["/run.sh"], "haproxy")]
)
def test_the_program_of_the_check(command: list[str], program: str) -> None:
    spec = injected(pod(["/etc/haproxy/haproxy.cfg"], [], command=command))
    assert init(spec, "check")["command"][4] == program


def test_ours_come_behind_the_users_init_containers() -> None:
    given = pod(["/etc/haproxy/haproxy.cfg"], [{"name": "c", "mountPath": "/etc/haproxy"}], [{"name": "c", "emptyDir": {}}])
    given["spec"]["initContainers"] = [{"name": "makes-the-configuration", "image": "x"}]
    names = [entry["name"] for entry in injected(given)["initContainers"]]
    assert names == ["haproxy-telemetry", "makes-the-configuration", "haproxy-telemetry-config", "haproxy-telemetry-check"]


@pytest.mark.parametrize(
    "volume",
    [
        {"secret": {"secretName": "s", "defaultMode": 0o400}},
        {"projected": {"sources": [{"secret": {"items": [{"key": "a", "path": "a", "mode": 0o440}]}}]}},
    ],
)
def test_what_only_root_may_read_is_not_copied_by_a_user_without_rights(volume: Any) -> None:
    given = pod(["/etc/haproxy/haproxy.cfg"], [{"name": "c", "mountPath": "/etc/haproxy"}], [{"name": "c", **volume}])
    refused = inject(given)
    assert (refused.pod, refused.result) == (None, "unsupported")
    assert "set the pod's fsGroup" in refused.message
    given["spec"]["securityContext"] = {"fsGroup": 99}
    assert inject(given).result == "injected"
