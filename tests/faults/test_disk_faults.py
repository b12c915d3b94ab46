# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that report errors, fill up or cannot be written: a clear sentence, and nothing listed that is not whole."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from faults.conftest import Mount
from faults.lab import (
    EXCLUDED,
    check_backup,
    difference,
    engine,
    is_sealed,
    leftovers,
    listed,
    make_project,
    open_flags,
    side_by_side,
    tool,
    tree,
    without,
)
from faults.tracing import SYNCS, Point, points, traced

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

MEBIBYTE = 1024 * 1024


def staged(vault: Path) -> list[str]:
    return os.listdir(vault / ".cora" / "staging")


def test_fsync_reports_an_error(memory: Path) -> None:
    """EIO at each fsync of the vault: never retried, never swallowed."""
    project = make_project(memory / "project")
    where = points(memory / "count", SYNCS, "backup", project=str(project), vault=str(memory / "counted"))
    assert [point.number for point in where if point.call == "syncfs"] == [1]  # of the project: see the next test
    where = [point for point in where if point.call != "syncfs"]
    problems = side_by_side(lambda numbered: _refuse(memory, project, *numbered), enumerate(where))
    assert not any(problems), "\n".join(filter(None, problems))


def _refuse(place: Path, project: Path, number: int, point: Point) -> str:
    vault, log = place / f"vault{number}", place / f"log{number}"
    fault = traced(log, (point.call,), f"{point.call}:error=EIO:when={point.number}")
    try:
        message = engine("backup", wrapper=fault, project=str(project), vault=str(vault)).error("VaultError")
        assert "EIO (Input/output error) (INJECTED)" in log.read_text()
        assert "Input/output error" in message
        for backup_id in listed(vault):
            check_backup(vault / backup_id)
        after = engine("backup", project=str(project), vault=str(vault)).result()
        for backup_id in listed(vault):
            check_backup(vault / backup_id)
            assert is_sealed(vault / backup_id)
        assert after["id"] in listed(vault)
        assert staged(vault) == []
    except AssertionError as error:
        return f"{point}\n    {error}"
    finally:
        open_flags(vault)
    return ""


def test_the_disk_of_the_project_cannot_sync(memory: Path) -> None:
    """EIO where the project's file system is synced: it is kept as it is read, and read again the next time."""
    project, vault, log = make_project(memory / "project"), memory / "vault", memory / "log"
    fault = traced(log, ("syncfs",), "syncfs:error=EIO:when=1")
    made = engine("backup", wrapper=fault, project=str(project), vault=str(vault)).result()
    assert "EIO (Input/output error) (INJECTED)" in log.read_text()
    check_backup(vault / made["id"])
    lines = gzip.decompress((vault / made["id"] / "INDEX.jsonl.gz").read_bytes()).decode("ascii").splitlines()
    files = [line for line in map(json.loads, lines) if line.get("type") == "file"]
    assert files and not [line["path"] for line in files if "source" in line]
    again = engine("backup", project=str(project), vault=str(vault)).result()
    assert again["reused"]["frames"] == 0
    open_flags(vault)


def test_fsync_reports_an_error_while_restoring(memory: Path) -> None:
    """EIO at each fsync of a restore of files: all is as it was, or as it was asked for."""
    project, vault = make_project(memory / "project"), memory / "vault"
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    (project / "src" / "app.py").write_text("newer\n")
    (project / "AI_WORK_LOG.md").unlink()
    before = tree(project)
    request: dict[str, Any] = {
        "vault": str(vault),
        "project": str(project),
        "id_text": backup["id"],
        "scenario": "files",
        "files": ["src", "AI_WORK_LOG.md"],
    }
    where = points(memory / "count", SYNCS, "restore", **request)
    after = tree(project)
    for point in where:
        engine("undo", vault=str(vault), project=str(project)).result()
        assert difference(before, tree(project)) == []
        log = memory / "log"
        fault = traced(log, (point.call,), f"{point.call}:error=EIO:when={point.number}")
        ended = engine("restore", wrapper=fault, **request)
        assert "(INJECTED)" in log.read_text()
        if ended.returncode == 0:
            assert difference(after, tree(project)) == [], point
        else:
            assert ended.document["error"] in ("RestoreError", "VaultError"), (point, ended)
            now = tree(project)
            assert difference(before, now) == [] or difference(after, now) == [], (point, ended)
            engine("restore", **request).result()
        assert difference(after, tree(project)) == []
        assert leftovers(memory) == []


def big_project(place: Path) -> Path:
    project = make_project(place / "project")
    (project / "big.bin").write_bytes(os.urandom(12 * MEBIBYTE))
    return project


def test_vault_fills_up(place: Path, loop: Mount) -> None:
    """A real file system without room for a second backup; with room, the next run works and finds nothing odd."""
    project, vault = big_project(place), loop(size_mib=24) / "vault"
    first = engine("backup", project=str(project), vault=str(vault)).result()
    message = engine("backup", project=str(project), vault=str(vault)).error("VaultError")
    assert "full" in message
    assert listed(vault) == [first["id"]]
    assert staged(vault) == []
    check_backup(vault / first["id"])
    assert engine("verify", vault=str(vault), id_text="latest").result()["ok"]
    (project / "big.bin").unlink()
    second = engine("backup", project=str(project), vault=str(vault)).result()
    assert listed(vault) == [first["id"], second["id"]]
    check_backup(vault / second["id"])


@pytest.mark.parametrize("call", ["write", "pwrite64"])
def test_every_write_fails_from_one_on(place: Path, call: str) -> None:
    """ENOSPC from the Nth write on, as a disk that stays full: nothing is listed, and staging is gone."""
    project = make_project(place / "project")
    where = points(place / "count", (call,), "backup", project=str(project), vault=str(place / "counted"))
    # the last one prints the result; a disk that is full after the backup is sealed has come too late
    for first in range(1, len(where) - (1 if call == "write" else 0)):
        vault, log = place / f"vault{first}", place / "log"
        fault = traced(log, ("write", "pwrite64"), f"{call}:error=ENOSPC:when={first}+")
        ended = engine("backup", wrapper=fault, project=str(project), vault=str(vault))
        assert "ENOSPC (No space left on device) (INJECTED)" in log.read_text()
        assert listed(vault) == [], first
        # what is to be printed cannot be written either: the exit status is all there is
        assert ended.returncode not in (0, -9), ended
        assert staged(vault) == [] if (vault / ".cora" / "staging").exists() else True
        after = engine("backup", project=str(project), vault=str(vault)).result()
        check_backup(vault / after["id"])


def test_the_disk_of_the_project_is_full(place: Path, loop: Mount) -> None:
    """No room beside the project: neither a full restore nor one of files changes anything."""
    disk = loop(size_mib=32)
    project, vault = big_project(disk), place / "vault"
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    (project / "big.bin").write_bytes(b"small now")
    (project / "src" / "app.py").write_text("newer\n")
    (project / "filler").write_bytes(bytes(20 * MEBIBYTE))
    before = tree(project)
    request: dict[str, Any] = {"vault": str(vault), "project": str(project), "id_text": backup["id"]}
    assert "free" in engine("restore", scenario="full", **request).error("RestoreError")
    message = engine("restore", scenario="files", files=["big.bin", "src"], **request).error("RestoreError")
    assert "No space left" in message
    assert difference(before, tree(project)) == []
    assert leftovers(disk) == []


def test_the_vault_is_full_when_restoring(place: Path, loop: Mount) -> None:
    """The worst day: the project is gone and the disk of the vault is full to the last byte. It is restored."""
    vault = loop(size_mib=32) / "vault"
    project = big_project(place)
    before = without(tree(project), *EXCLUDED)
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    fill(vault.parent)
    assert engine("verify", vault=str(vault), id_text="latest").result()["ok"]
    tool("rm", "-r", project)
    request: dict[str, Any] = {"vault": str(vault), "project": str(project), "id_text": backup["id"]}
    engine("restore", scenario="full", **request).result()
    assert difference(before, tree(project)) == []
    (project / "src" / "app.py").write_text("newer\n")
    engine("restore", scenario="files", files=["src"], **request).result()
    assert difference(before, tree(project)) == []
    engine("undo", vault=str(vault), project=str(project)).result()
    assert (project / "src" / "app.py").read_text() == "newer\n"


def fill(disk: Path) -> None:
    with open(disk / "filler", "wb", buffering=0) as stream:
        for size in (MEBIBYTE, 4096, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
    for number in range(20000):
        try:
            (disk / f"filler{number}").mkdir()
        except OSError:
            return


def test_read_only_vault(place: Path, loop: Mount) -> None:
    """A vault on a disk that is mounted read-only: no backup, but check, plan, restore and undo work."""
    vault = loop(size_mib=32) / "vault"
    project = make_project(place / "project")
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    tool("mount", "-o", "remount,ro", vault.parent)
    assert "read-only" in engine("backup", project=str(project), vault=str(vault)).error("VaultError")
    assert listed(vault) == [backup["id"]]
    assert engine("verify", vault=str(vault), id_text="latest").result()["ok"]
    check_restores(project, vault, backup["id"])
    tool("mount", "-o", "remount,rw", vault.parent)
    assert engine("backup", project=str(project), vault=str(vault)).result()["recovered"] == []


def test_backups_that_were_copied_elsewhere(place: Path) -> None:
    """Somebody copied the backups to a plain disk, without what the vault keeps for itself: they can be restored."""
    project, vault = make_project(place / "project"), place / "vault"
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    (place / "copied").mkdir()
    tool("cp", "-r", vault / backup["id"], place / "copied")
    check_restores(project, place / "copied", backup["id"])


def check_restores(project: Path, vault: Path, backup_id: str) -> None:
    request: dict[str, Any] = {"vault": str(vault), "project": str(project), "id_text": backup_id}
    engine("restore", scenario="plan", **request).result()
    (project / "src" / "app.py").write_text("newer\n")
    (project / "later.txt").write_text("made later\n")
    before = tree(project)
    result = engine("restore", scenario="files", files=["src"], **request).result()
    assert "newer" not in (project / "src" / "app.py").read_text()
    assert Path(result["saved_at"]).exists()
    engine("undo", vault=str(vault), project=str(project)).result()
    assert difference(before, tree(project)) == []
    result = engine("restore", scenario="full", **request).result()
    assert not (project / "later.txt").exists()
    assert (Path(result["saved_at"]) / "later.txt").exists()
    engine("undo", vault=str(vault), project=str(project)).result()
    assert difference(before, tree(project)) == []
