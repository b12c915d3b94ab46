# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the file system shares blocks, a backup in which little changed takes little room, and is whole."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.lab import check_backup, engine, make_project, tool

#: Some seconds each: left out by test.sh --fast.
pytestmark = pytest.mark.slow

BLOCK = 4096


@pytest.mark.parametrize("kind", ["xfs", "btrfs", "ext4"])
def test_room_of_a_second_backup(kind: str, place: Path, loop: Callable[..., Path]) -> None:
    project = make_project(place / "project")
    dice = random.Random(5)
    for number in range(200):
        (project / "src" / f"part{number:03}.bin").write_bytes(dice.randbytes(60_000))
    (project / "huge.bin").write_bytes(dice.randbytes(18_000_000))
    time.sleep(2.2)  # younger files are read again
    disk = loop(size_mib=512, kind=kind)
    arguments = {"project": str(project), "vault": str(disk / "vault")}
    first = engine("backup", **arguments).result()
    before = _used(disk)
    (project / "src" / "part100.bin").write_bytes(b"changed")
    second = engine("backup", **arguments).result()
    grown = _used(disk) - before
    assert second["reused"]["frames"] > 5
    if kind == "ext4":
        assert grown > 0.9 * second["archive_bytes"]
    else:
        assert grown < 0.2 * second["archive_bytes"]
    for result in (first, second):
        check_backup(Path(result["path"]))
        assert engine("verify", vault=arguments["vault"], id_text=result["id"]).result()["ok"]
        tool("bsdtar", "-tf", Path(result["path"]) / "cora-full.tar.gz")
    # the first one may go: the second needs none of it
    tool("chattr", "-R", "-i", first["path"])
    tool("chattr", "-a", arguments["vault"])
    shutil.rmtree(first["path"])
    check_backup(Path(second["path"]))


def _used(disk: Path) -> int:
    os.sync()
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize
