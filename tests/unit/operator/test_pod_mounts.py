from pathlib import PurePosixPath

import pytest

from haproxy_telemetry_operator.pod_mounts import Mount, place_of

OUTER = Mount.parse("/etc/haproxy=/source/0=/destination/0")
INNER = Mount.parse("/etc/haproxy/conf.d/=/source/1=/destination/1")


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
    assert (place.mount, place.below, place.copy) == (mount, PurePosixPath(below), mount.destination / "content" / below)


@pytest.mark.parametrize("path", ["/etc", "/etc/haproxy2/x", "/etc/haproxy/../x"])
def test_a_path_that_is_in_none(path: str) -> None:
    assert place_of((OUTER, INNER), path) is None


@pytest.mark.parametrize("path", ["", "haproxy.cfg", "/a\0b"])
def test_a_path_that_is_not_absolute(path: str) -> None:
    with pytest.raises(ValueError, match="expected an absolute path"):
        place_of((), path)
    with pytest.raises(ValueError, match="expected an absolute path"):
        Mount.parse(f"/a={path}=/c")


def test_a_path_of_the_users_may_have_equals_signs() -> None:
    assert Mount.parse("/a=b=/c=/d") == Mount(PurePosixPath("/a=b"), PurePosixPath("/c"), PurePosixPath("/d"))


def test_a_mount_has_three_paths() -> None:
    with pytest.raises(ValueError, match="expected PATH=SOURCE=DESTINATION"):
        Mount.parse("/a=/b")
