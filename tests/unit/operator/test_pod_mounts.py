from pathlib import PurePosixPath

import pytest

from haproxy_telemetry_operator.pod_mounts import Mount, place_of

OUTER = Mount.of("/etc/haproxy", "/source/0", "/destination/0")
INNER = Mount.of("/etc/haproxy/conf.d/", "/source/1", "/destination/1")


@pytest.mark.parametrize(
    ("path", "mount", "below"),
    [
        ("/etc/haproxy", OUTER, "."),
        ("/etc/haproxy/haproxy.cfg", OUTER, "haproxy.cfg"),
        ("//etc/./haproxy//x/../haproxy.cfg", OUTER, "haproxy.cfg"),
        ("/etc/haproxy/conf.d", INNER, "."),
        ("/etc/haproxy/conf.d/a.cfg", INNER, "a.cfg"),
        ("/etc/haproxy/conf.d2/a.cfg", OUTER, "conf.d2/a.cfg"),
    ],
)
@pytest.mark.parametrize("mounts", [(OUTER, INNER), (INNER, OUTER)])
def test_the_nearest_mount_has_it(mounts: tuple[Mount, ...], path: str, mount: Mount, below: str) -> None:
    place = place_of(mounts, path)
    assert place is not None
    assert (place.mount, place.below, place.source) == (mount, PurePosixPath(below), mount.source / below)


@pytest.mark.parametrize("path", ["/etc", "/etc/haproxy2/x", "/etc/haproxy/../x"])
def test_a_path_that_is_in_none(path: str) -> None:
    assert place_of((OUTER, INNER), path) is None


@pytest.mark.parametrize("path", ["", "haproxy.cfg", "/a\0b"])
def test_a_path_that_is_not_absolute(path: str) -> None:
    with pytest.raises(ValueError, match="expected an absolute path"):
        place_of((), path)
    with pytest.raises(ValueError, match="expected an absolute path"):
        Mount.of("/a", path, "/c")
