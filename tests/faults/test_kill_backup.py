# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that is killed at any fsync, rename or chattr leaves nothing that is listed and not whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from faults.lab import check_backup, engine, is_sealed, listed, open_flags, side_by_side, tool
from faults.tracing import RENAMES, SYNCS, Point, killed_at, points

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

SETFLAGS = "FS_IOC_SETFLAGS"


@pytest.mark.parametrize(
    ("calls", "only"), [(SYNCS, ""), (RENAMES, ""), (("ioctl",), SETFLAGS)], ids=["fsync", "rename", "chattr"]
)
def test_killed_anywhere(calls: tuple[str, ...], only: str, project: Path, place: Path) -> None:
    time.sleep(2.2)  # younger files are read again
    where = points(place / "count", calls, "backup", only=only, project=str(project), vault=str(place / "counted"))
    problems = [
        problem
        for problem in side_by_side(lambda numbered: _kill(place, project, *numbered), enumerate(where))
        if problem
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("calls", [SYNCS, RENAMES], ids=["fsync", "rename"])
def test_killed_while_frames_are_taken_over(calls: tuple[str, ...], project: Path, place: Path) -> None:
    time.sleep(2.2)  # younger files are read again
    counted = str(place / "counted")
    engine("backup", project=str(project), vault=counted).result()
    where = points(place / "count", calls, "backup", project=str(project), vault=counted)
    problems = [
        problem
        for problem in side_by_side(
            lambda numbered: _kill(place, project, *numbered, with_earlier=True), enumerate(where)
        )
        if problem
    ]
    assert not problems, "\n".join(problems)


def _kill(place: Path, project: Path, number: int, point: Point, *, with_earlier: bool = False) -> str:
    vault = place / f"vault{number}"
    arguments: dict[str, Any] = {"project": str(project), "vault": str(vault)}
    try:
        if with_earlier:
            engine("backup", **arguments).result()
        killed_at(point, place / f"log{number}", "backup", **arguments)
        half = listed(vault)
        for backup_id in half:
            check_backup(vault / backup_id)
        unsealed = [backup_id for backup_id in half if not is_sealed(vault / backup_id)]
        staged = _staged(vault)
        after = engine("backup", **arguments).result()
        assert after["sealed"]
        assert bool(after["reused"]["frames"]) == bool(half), "frames of an earlier backup are taken over"
        assert after["id"] not in half, "an id was used twice"
        assert listed(vault) == sorted([*half, after["id"]])
        assert _staged(vault) == []
        for backup_id in listed(vault):
            check_backup(vault / backup_id)
            assert is_sealed(vault / backup_id), backup_id
        assert "a" in tool("lsattr", "-d", vault).split()[0]
        said = " ".join(after["recovered"])
        assert all(name in said for name in [*unsealed, *staged]), f"{unsealed} {staged} not in: {said}"
    except AssertionError as error:
        return f"{point}\n    {error}"
    finally:
        open_flags(vault)
    return ""


def _staged(vault: Path) -> list[str]:
    staging = vault / ".cora" / "staging"
    return sorted(path.name for path in staging.iterdir()) if staging.exists() else []
