# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do between a killed restore and the next run: it must not cost them anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from faults.lab import difference, engine, leftovers, side_by_side, tool, tree
from faults.test_kill_restore import CALLS, FILES, contents, moved_in, prepare
from faults.tracing import Point, killed_at, points

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

FULL = {"call": "restore", "id_text": "2", "scenario": "full"}
SOME = {"call": "restore", "id_text": "2", "scenario": "files", "files": FILES}
SAME = {"call": "restore", "id_text": "2", "scenario": "files", "files": ["same.txt"]}


@pytest.fixture
def place(memory: Path) -> Path:
    return prepare(memory / "prepared")


def wanted(place: Path, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"vault": str(place / "vault"), "project": str(place / "project"), **request, **more}


def test_a_directory_that_was_moved_already_is_made_anew(place: Path) -> None:
    """Killed while .git moves over: somebody sees it missing and runs git init. Both histories have to be there."""
    killed_at(Point("renameat", 2, "node_modules"), place / "log", **wanted(place, FULL))
    project = place / "project"
    assert not (project / ".git").exists()
    before = contents(place)
    (project / ".git").mkdir()
    (project / ".git" / "other").write_text("a new history\n")
    engine(**wanted(place, SAME)).result()
    assert (project / ".git" / "other").exists()
    assert not before.keys() - contents(place).keys(), "something is gone"
    assert leftovers(place) == []


def test_the_project_is_removed_after_the_kill(place: Path) -> None:
    """Killed before and after the exchange, then rm -rf: a full restore has to work, and the old tree to be there."""
    for point in (Point("renameat", 2, "node_modules"), Point("rename", 4, "to the old tree")):
        again = place.parent / point.call
        tool("cp", "-a", place, again)
        moved_in(again, place)
        killed_at(point, place.parent / "log", **wanted(again, FULL))
        old = contents(again)
        shutil.rmtree(again / "project")
        left = contents(again)
        engine(**wanted(again, FULL)).result()
        assert "newer" not in (again / "project" / "AI_WORK_LOG.md").read_text()
        assert not left.keys() - contents(again).keys(), "something that was left is gone"
        assert old, point
        assert leftovers(again) == []


def test_the_project_is_removed_while_files_are_restored(place: Path) -> None:
    killed_at(Point("renameat", 3, "a file"), place / "log", **wanted(place, SOME))
    shutil.rmtree(place / "project")
    result = engine(**wanted(place, FULL)).result()
    assert "not there any more" in " ".join(result["recovered"])
    assert (place / "project" / "same.txt").exists()


def test_work_on_half_restored_files_is_kept(place: Path) -> None:
    """Killed between two renames of a files restore; a person writes on and only then runs the next restore."""
    killed_at(Point("renameat", 3, "a file"), place / "log", **wanted(place, SOME))
    assert tree(place / "project") != {}
    log = place / "project" / "AI_WORK_LOG.md"
    log.write_text("written after the kill\n")
    (place / "project" / "gone" / "down").mkdir(parents=True, exist_ok=True)
    (place / "project" / "gone" / "down" / "below.txt").write_text("also written after the kill\n")
    result = engine(**wanted(place, SAME)).result()
    assert log.read_text() == "newer work\n"
    kept = list((place / "vault").rglob("interrupted*/saved.tar.gz"))
    assert len(kept) == 1
    assert str(kept[0].parent) in " ".join(result["recovered"])
    assert "written after the kill" in tool("tar", "-xzOf", kept[0], "AI_WORK_LOG.md")
    assert "also written" in tool("tar", "-xzOf", kept[0], "gone/down/below.txt")


@pytest.mark.parametrize("request_", [FULL, SOME], ids=["full", "files"])
def test_killed_while_all_is_in_place(place: Path, request_: dict[str, Any]) -> None:
    """Killed by (or during) the health command: the files are restored, people work on, and their work stays."""
    ended = engine(**wanted(place, request_, health_command=["sh", "-c", "kill -9 $PPID"]))
    assert ended.killed, ended
    (place / "project" / "since.txt").write_text("written since\n")
    (place / "project" / "AI_WORK_LOG.md").write_text("written since, too\n")
    before = tree(place / "project")
    result = engine(**wanted(place, SAME)).result()
    assert "counts as done" in " ".join(result["recovered"])
    assert difference(before, tree(place / "project")) == []
    engine(**wanted(place, {"call": "undo"})).result()
    assert (place / "project" / "AI_WORK_LOG.md").read_text() == "newer work\n"


@pytest.mark.parametrize(
    ("request_", "point"),
    [
        (FULL, Point("renameat", 2, "while directories move over")),
        (FULL, Point("rename", 4, "after the exchange")),
        (SOME, Point("renameat", 3, "between two files")),
    ],
    ids=lambda value: value.what.replace(" ", "-") if isinstance(value, Point) else "",
)
def test_the_recovery_is_killed_too(place: Path, request_: dict[str, Any], point: Point) -> None:
    """Killed, and killed again at every step of putting it right: the third run puts it right."""
    before = tree(place / "project")
    killed = place.parent / "killed"
    tool("cp", "-a", place, killed)
    killed_at(point, place.parent / "log", **wanted(killed, request_))
    mine = contents(place)

    def copy(name: str) -> Path:
        target = place.parent / name
        tool("cp", "-a", killed, target)
        moved_in(target, killed)
        return target

    def kill(numbered: tuple[int, Point]) -> str:
        number, second = numbered
        again = copy(f"again{number}")
        try:
            killed_at(second, place.parent / f"log{number}", **wanted(again, SAME))
            engine(**wanted(again, SAME)).result()
            assert difference(before, tree(again / "project")) == []
            assert leftovers(again) == []
            assert not mine.keys() - contents(again).keys()
        except AssertionError as error:
            return f"{second}\n    {error}"
        shutil.rmtree(again)
        return ""

    steps = points(place.parent / "steps", CALLS, **wanted(copy("counted"), SAME))
    problems = side_by_side(kill, enumerate(steps))
    assert not any(problems), "\n".join(filter(None, problems))


def test_what_fails_is_taken_back(place: Path) -> None:
    """The health command says no: all is as it was, and nothing is left."""
    before = tree(place / "project")
    for request in (FULL, SOME):
        ended = engine(**wanted(place, request, health_command=["false"], health_timeout_seconds=0.1))
        assert "taken back" in ended.error("RestoreError")
        assert difference(before, tree(place / "project")) == []
        assert leftovers(place) == []


def test_another_project_is_not_in_the_way(place: Path) -> None:
    """A restore of one project was killed and cannot be put right: another project is restored all the same."""
    killed_at(Point("renameat", 3, "a file"), place / "log", **wanted(place, SOME))
    shutil.rmtree(place / "project" / "src")
    (place / "project" / "src").symlink_to("/etc")
    other = {**FULL, "project": str(place / "elsewhere")}
    result = engine(**wanted(place, other)).result()
    assert "cannot be put right" in " ".join(result["recovered"])
    assert (place / "elsewhere" / "same.txt").exists()
    message = engine(**wanted(place, SOME)).error("RestoreError")
    assert "src" in message
    assert "Move it away first" in message


def test_attacked_vault_still_restores(place: Path, memory: Path) -> None:
    """rm -rf took what is not sealed of the vault: the records, the lock. What is sealed can be restored."""
    shutil.rmtree(place / "project")
    shutil.rmtree(place / "vault" / ".cora")
    (place / "vault" / ".cora").mkdir(mode=0o700)
    engine(**wanted(place, FULL)).result()
    assert (place / "project" / "same.txt").exists()
