# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prune that is killed or refused at any moment leaves whole what is listed, and sealed after the next run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from faults.lab import check_backup, engine, is_sealed, listed, open_flags, side_by_side, tool
from faults.tracing import REMOVALS, RENAMES, Point, killed_at, points, traced

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

SETFLAGS = "FS_IOC_SETFLAGS"
POLICY = {
    "keep_last": 1,
    "keep_daily": 0,
    "keep_weekly": 0,
    "keep_monthly": 0,
    "keep_yearly": 0,
    "keep_within_days": 0,
    "keep_checkpoints_hours": 0,
    "keep_checkpoints_hourly_days": 0,
    "keep_checkpoints_daily_days": 0,
    "keep_restores_days": 0,
}


class Scene:
    """A vault with something to prune: a backup, a checkpoint over it and a restore may go; one of each has to stay."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.project = place / "project"
        self.vault = place / "prepared"
        self.project.mkdir(parents=True)
        self.say("one")
        here: dict[str, Any] = {"vault": str(self.vault), "project": str(self.project)}
        old = engine("backup", **here).result()["id"]
        self.say("two")
        thin = engine("save", **here).result()
        assert thin["kind"] == "checkpoint"
        engine("restore", vault=str(self.vault), id_text=old, scenario="files", files=["README.md"]).result()
        self.say("three")
        new = engine("backup", **here).result()["id"]
        engine("verify", vault=str(self.vault), id_text=new).result()
        engine("restore", vault=str(self.vault), id_text=old, scenario="files", files=["README.md"]).result()
        self.say("four")
        last = engine("save", **here).result()
        records = sorted(path.name for path in (self.vault / ".cora/restores").iterdir())
        self.going = {thin["id"], old, records[0]}
        self.staying = {new, last["id"], records[1]}
        open_flags(self.vault)

    def say(self, text: str) -> None:
        (self.project / "README.md").write_text(f"{text}\n")

    def copy(self, name: str) -> Path:
        """The vault once more, sealed as it was."""
        vault = self.place / name
        tool("cp", "-a", self.vault, vault)
        for path in [vault / name for name in listed(vault)] + checkpoints(vault):
            tool("chattr", "-R", "+i", path)
        tool("chattr", "+a", vault)
        return vault


def checkpoints(vault: Path) -> list[Path]:
    return sorted((vault / "progress").glob("????/??/??/*"))


def everything(vault: Path) -> set[str]:
    """Ids of backups, checkpoints and records of restores, by listing directories."""
    found = {"".join(path.parts[-4:-1]) + "-" + path.name for path in checkpoints(vault)}
    return found | set(listed(vault)) | {path.name for path in (vault / ".cora/restores").iterdir()}


def arguments(vault: Path) -> dict[str, Any]:
    return {"vault": str(vault), "policy": POLICY}


def check_whole(vault: Path) -> None:
    """All that is listed is what it was, by the word of coreutils and tar."""
    for backup_id in listed(vault):
        check_backup(vault / backup_id)
    for path in checkpoints(vault):
        assert tool("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS.txt", cwd=path) == ""


def check_sealed(vault: Path) -> None:
    for path in [vault / name for name in listed(vault)] + checkpoints(vault):
        assert is_sealed(path), path
    assert "a" in tool("lsattr", "-d", vault).split()[0], "the vault is not append-only"
    assert list((vault / ".cora/staging").iterdir()) == []


def log_lines(vault: Path) -> list[dict[str, Any]]:
    path = vault / ".cora/prune.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def scene(memory: Path) -> Scene:
    return Scene(memory / "scene")


def test_a_prune_removes_what_may_go_and_nothing_else(scene: Scene) -> None:
    vault = scene.copy("pruned")
    result = engine("prune", **arguments(vault)).result()
    assert set(result["removed"]) == scene.going
    assert everything(vault) == scene.staying
    check_whole(vault)
    check_sealed(vault)
    lines = log_lines(vault)
    assert [(line["event"], line["id"]) for line in lines] == [
        (event, one) for one in result["removed"] for event in ("removing", "removed")
    ]
    assert all(line["reasons"] and line["uid"] == 0 and line["at"] for line in lines)
    assert "a" in tool("lsattr", vault / ".cora/prune.log").split()[0]
    assert engine("prune", **arguments(vault)).result()["changed"] is False
    open_flags(vault)


@pytest.mark.parametrize(
    ("calls", "only"),
    [(RENAMES, ""), (REMOVALS, ""), (("ioctl",), SETFLAGS)],
    ids=["rename", "unlink", "chattr"],
)
def test_killed_anywhere(calls: tuple[str, ...], only: str, scene: Scene) -> None:
    counted = scene.copy("counted")
    where = points(scene.place / "count", calls, "prune", only=only, **arguments(counted))
    problems = side_by_side(lambda numbered: kill(scene, *numbered), enumerate(where))
    open_flags(counted)
    assert not any(problems), "\n".join(filter(None, problems))


def kill(scene: Scene, number: int, point: Point) -> str:
    vault = scene.copy(f"killed{number}")
    try:
        killed_at(point, scene.place / f"log{number}", "prune", **arguments(vault))
        check_whole(vault)
        assert everything(vault) >= scene.staying
        if number % 2:
            # any other run puts things right too
            backup = engine("backup", vault=str(vault), project=str(scene.project)).result()["id"]
            check_whole(vault)
            check_sealed(vault)
            assert everything(vault) >= scene.staying | {backup}
            engine("verify", vault=str(vault), id_text=backup).result()
            left = {backup, *(one for one in scene.staying if re.fullmatch(r"\d{8}-\d{6}", one))}
        else:
            left = scene.staying
        engine("prune", **arguments(vault)).result()
        assert everything(vault) == left
        check_whole(vault)
        check_sealed(vault)
        assert {line["id"] for line in log_lines(vault) if line["event"] == "removing"} >= scene.going
    except AssertionError as error:
        return f"{point}\n    {error}"
    finally:
        open_flags(vault)
    return ""


def test_a_refused_rename_leaves_everything_sealed(scene: Scene) -> None:
    vault = scene.copy("refused")
    fault = traced(scene.place / "log", RENAMES, f"{','.join(RENAMES)}:error=EIO")
    ended = engine("prune", wrapper=fault, **arguments(vault))
    assert "Could not take out of the vault" in ended.error("VaultError")
    assert everything(vault) == scene.going | scene.staying
    check_whole(vault)
    check_sealed(vault)
    open_flags(vault)


def test_a_full_disk_is_told_and_nothing_is_lost(scene: Scene) -> None:
    vault = scene.copy("full")
    log = str(vault / ".cora/prune.log")
    fault = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", log, "-e", "inject=write:error=ENOSPC", "--"]
    ended = engine("prune", wrapper=fault, **arguments(vault))
    assert "file system is full" in ended.error("VaultError")
    assert everything(vault) == scene.going | scene.staying
    check_sealed(vault)
    open_flags(vault)


def test_a_rename_is_on_disk_before_the_first_file_goes(scene: Scene) -> None:
    vault = scene.copy("ordered")
    log = scene.place / "log"
    engine("prune", wrapper=traced(log, (*RENAMES, "unlink", "unlinkat", "fsync")), **arguments(vault)).result()
    calls = [line.split(None, 1)[1] for line in log.read_text(errors="replace").splitlines()]
    moved = [number for number, call in enumerate(calls) if "/.cora/staging/pruned-" in call and "rename" in call]
    assert len(moved) == len(scene.going)
    for number in moved:
        assert [call.split("(")[0] for call in calls[number + 1 : number + 3]] == ["fsync", "fsync"]
    open_flags(vault)


def test_the_vault_is_append_only_again_after_somebody_left_it_open(scene: Scene) -> None:
    vault = scene.copy("open")
    tool("chattr", "-a", vault)
    recovered = engine("prune", **arguments(vault)).result()["recovered"]
    check_sealed(vault)
    assert "append-only again" in " ".join(recovered)
    open_flags(vault)
