"""Where a process's cgroup is to be found, and whether it is frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core.observe import cgroup
from cvdebug.core.observe.cgroup import Mount
from hypothesis import given
from hypothesis import strategies as st

MOUNTS = r"""
24 1 0:22 / /sys rw,nosuid - sysfs sysfs rw
30 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
31 24 0:27 /docker/abc /sys/fs/cgroup/my\040freezer rw - cgroup cgroup rw,freezer
32 24 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
"""


def test_only_mounts_that_can_freeze_count() -> None:
    assert cgroup.parse_mounts(MOUNTS) == (
        Mount(2, "/", "/sys/fs/cgroup/unified"),
        Mount(1, "/docker/abc", "/sys/fs/cgroup/my freezer"),
    )


def test_the_membership_is_read_by_version() -> None:
    text = "9:name=systemd:/x\n6:cpu,freezer:/docker/abc/d:e\n0::/user.slice\n"
    assert cgroup.parse_membership(text) == {1: "/docker/abc/d:e", 2: "/user.slice"}


@pytest.mark.parametrize(
    ("mount", "group", "expected"),
    [
        (Mount(2, "/", "/cg"), "/a/b", ["/cg/a/b", "/cg/a", "/cg"]),
        (Mount(2, "/", "/cg"), "/", ["/cg"]),
        (Mount(1, "/docker/abc", "/cg"), "/docker/abc/d", ["/cg/d", "/cg"]),
        (Mount(1, "/docker/abc", "/cg"), "/docker/abcd", []),
        (Mount(2, "/", "/cg"), "/../outside", []),
    ],
)
def test_the_folders_reach_up_to_the_mount(mount: Mount, group: str, expected: list[str]) -> None:
    assert cgroup.folders(mount, group) == [Path(folder) for folder in expected]


@pytest.mark.parametrize(
    ("version", "file", "content", "frozen"),
    [
        (2, "cgroup.events", "populated 1\nfrozen 1\n", True),
        (2, "cgroup.events", "populated 1\nfrozen 0\n", False),
        (2, "cgroup.freeze", "1\n", True),
        (2, "cgroup.freeze", "0\n", False),
        (1, "freezer.state", "FROZEN\n", True),
        (1, "freezer.state", "FREEZING\n", True),
        (1, "freezer.state", "THAWED\n", False),
        (1, "freezer.state", "", False),
    ],
)
@pytest.mark.parametrize("above", [False, True])
def test_a_frozen_cgroup_above_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, file: str, content: str, frozen: bool, above: bool
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" if above else inner).joinpath(file).write_text(content)
    monkeypatch.setattr(cgroup, "_mounts", lambda: (Mount(version, "/", str(tmp_path)),))
    cgroup._files.cache_clear()
    membership = b"0::/a/b\n" if version == 2 else b"4:freezer:/a/b\n"
    assert cgroup.frozen(membership) is frozen
    cgroup._files.cache_clear()


@given(st.binary(max_size=200), st.text(max_size=200))
def test_no_content_raises(membership: bytes, mounts: str) -> None:
    cgroup.parse_mounts(mounts)
    cgroup.parse_membership(membership.decode("utf-8", "replace"))
