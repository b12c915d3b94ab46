# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the fault tests: they run as root, on the host, and clean up what they seal and mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.lab import make_project, open_flags, tool

Mount = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say at once what is missing, instead of failing in many odd ways."""
    if items and os.geteuid() != 0:
        pytest.exit("tests/faults seals, mounts and strips rights: run it as root.", returncode=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory of this test, whose flags are cleared afterwards."""
    yield tmp_path
    open_flags(tmp_path)
    for record in Path("/var/lib/cora/restores").glob("*/*/STATE.json"):
        if str(tmp_path) in record.read_text():
            shutil.rmtree(record.parents[1], ignore_errors=True)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, for tests that repeat something a hundred times: an fsync costs nothing there."""
    target = tmp_path / "memory"
    target.mkdir()
    tool("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", target)
    yield target
    subprocess.run(["umount", "-l", str(target)], check=False)


@pytest.fixture
def project(place: Path) -> Path:
    """A small real project."""
    return make_project(place / "project")


@pytest.fixture
def vault(place: Path) -> Path:
    """Where a vault may be made."""
    return place / "vault"


@pytest.fixture
def loop(place: Path) -> Iterator[Mount]:
    """Makes and mounts small file systems in files: ``loop(size_mib=…, kind="ext4", options="")``."""
    mounted: list[Path] = []

    def mount(*, size_mib: int, kind: str = "ext4") -> Path:
        image, target = place / f"image{len(mounted)}", place / f"mounted{len(mounted)}"
        target.mkdir()
        with open(image, "wb") as stream:
            stream.truncate(size_mib * 1024 * 1024)
        force = "-F" if kind == "ext4" else "-f"
        tool(f"mkfs.{kind}", "-q", force, *(("-m", "0") if kind == "ext4" else ()), image)
        tool("mount", "-o", "loop", image, target)
        mounted.append(target)
        return target

    yield mount
    for target in reversed(mounted):
        subprocess.run(["mount", "-o", "remount,rw", str(target)], capture_output=True, check=False)
        open_flags(target)
        subprocess.run(["umount", "-l", str(target)], check=False)
