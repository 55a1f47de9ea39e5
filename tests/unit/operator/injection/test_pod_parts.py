"""Parts and where they go."""

from typing import Any

from haproxy_telemetry_operator.injection.pod_parts import Parts, add_parts


def test_parts_add_up() -> None:
    parts = Parts(env={"a": [{"name": "1"}]})
    parts += Parts(volumes=[{"name": "v"}], env={"a": [{"name": "2"}], "b": [{"name": "3"}]}, mounts={"a": [{"name": "v"}]})
    assert parts.volumes == [{"name": "v"}]
    assert parts.env == {"a": [{"name": "1"}, {"name": "2"}], "b": [{"name": "3"}]}
    assert parts.mounts == {"a": [{"name": "v"}]}


def test_places() -> None:
    spec: dict[str, Any] = {
        "containers": [{"name": "a", "env": [{"name": "0"}]}, {"name": "b"}],
        "initContainers": [{"name": "theirs"}],
        "volumes": [{"name": "w"}],
    }
    parts = Parts(
        volumes=[{"name": "v"}],
        first_init_containers=[{"name": "first"}],
        init_containers=[{"name": "last"}],
        containers=[{"name": "c"}],
        env={"a": [{"name": "1"}], "gone": [{"name": "2"}]},
        mounts={"b": [{"name": "v"}]},
    )
    add_parts(spec, parts)
    assert spec == {
        "containers": [
            {"name": "a", "env": [{"name": "0"}, {"name": "1"}]},
            {"name": "b", "volumeMounts": [{"name": "v"}]},
            {"name": "c"},
        ],
        "initContainers": [{"name": "first"}, {"name": "theirs"}, {"name": "last"}],
        "volumes": [{"name": "w"}, {"name": "v"}],
    }


def test_nothing_adds_nothing() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "a"}]}
    add_parts(spec, Parts())
    assert spec == {"containers": [{"name": "a"}]}
