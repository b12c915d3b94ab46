# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore or an undo that is killed at any system call that changes something is put right by the next run.

Every case runs in a copy of one prepared place. After the kill no content of the person's may be missing; after the
next run the project is completely what it was or completely what was asked for, and the same request then works.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from faults.lab import (
    change_database,
    difference,
    engine,
    leftovers,
    make_project,
    open_flags,
    side_by_side,
    tool,
    tree,
)
from faults.tracing import REMOVALS, RENAMES, SYNCS, Point, killed_at, points

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

CALLS = (*RENAMES, *REMOVALS, *SYNCS, "mkdir", "mkdirat")
FILES = ["AI_WORK_LOG.md", "src", "data.db", "gone"]
Wanted = dict[str, Any]


class Scene:
    """A place with a project, a vault and one thing that is about to be done; copied for every kill.

    :param before: the project now
    :param after: the project when the request is done
    """

    def __init__(self, place: Path, request: Wanted) -> None:
        self.place = place
        self.request = request
        self.before = tree(place / "project")
        self.contents = contents(place)
        done = self.copy("done")
        self.run(done).result()
        self.after = tree(done / "project")
        assert difference(self.before, self.after), "the request changes nothing"
        self.points = points(self.copy("counted") / "log", CALLS, **self.arguments(place.parent / "counted"))

    def copy(self, name: str) -> Path:
        target = self.place.parent / name
        tool("cp", "-a", self.place, target)
        return target

    def arguments(self, place: Path, request: Wanted | None = None) -> Wanted:
        moved_in(place, self.place)
        return {"vault": str(place / "vault"), "project": str(place / "project"), **(request or self.request)}

    def run(self, place: Path, request: Wanted | None = None) -> Any:
        return engine(**self.arguments(place, request))


def moved_in(place: Path, origin: Path) -> None:
    """Records name the place that they were made in, and a tree by its inode: make those of a copy true."""
    pairs = [(path, place / path.name) for path in origin.iterdir() if path.is_dir()]
    inodes = {path.stat().st_ino: copy.stat().st_ino for path, copy in pairs if copy.exists()}
    for path in (place / "vault" / ".cora" / "restores").glob("*/STATE.json"):
        text = path.read_text()
        if f"{origin}/" in text:
            record = json.loads(text.replace(f"{origin}/", f"{place}/"))
            record["staged_inode"] = inodes.get(record["staged_inode"], record["staged_inode"])
            path.write_text(json.dumps(record))


def contents(place: Path) -> dict[str, str]:
    """Digest and path of every file of the person's: all but the vault's."""
    return {
        hashlib.sha256(path.read_bytes()).hexdigest(): str(path.relative_to(place))
        for path in place.rglob("*")
        if path.is_file() and "vault" not in path.relative_to(place).parts[0] and ".db" not in path.name
    }


def missing(scene: Scene, place: Path) -> list[str]:
    """What of the person's files is nowhere any more: not beside the vault, not in the saved archives of restores."""
    there = set(contents(place))
    for number, saved in enumerate((place / "vault").rglob("saved.tar.gz")):
        out = place / f"vault-saved{number}"
        out.mkdir()
        done = subprocess.run(["tar", "-xzf", saved, "-C", out], capture_output=True, check=False)
        if done.returncode == 0:
            there |= {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
        shutil.rmtree(out)
    backup = next((place / "vault").glob("2*"))
    out = place / "vault-backup"
    out.mkdir()
    tool("tar", "-xzf", backup / "cora-full.tar.gz", "-C", out)
    there |= {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
    shutil.rmtree(out)
    return sorted(path for digest, path in scene.contents.items() if digest not in there)


def prepare(place: Path) -> Path:
    """A project, a backup of it, and then a day of work on it."""
    place.mkdir()
    project = make_project(place / "project")
    (project / "gone" / "down").mkdir(parents=True)
    (project / "gone" / "down" / "below.txt").write_text("removed after the backup\n")
    engine("backup", project=str(project), vault=str(place / "vault")).result()
    open_flags(place / "vault")
    shutil.rmtree(project / "gone")
    (project / "AI_WORK_LOG.md").write_text("newer work\n")
    (project / "src" / "app.py").write_text("newer code\n")
    (project / "src" / "new.py").write_text("not in the backup\n")
    (project / ".git" / "precious").write_text("newer history\n")
    (project / "later" / "node_modules").mkdir(parents=True)
    (project / "later" / "node_modules" / "x.js").write_text("excluded, in a directory that the backup has not\n")
    change_database(project / "data.db", "newer row")
    return place


REQUESTS: dict[str, tuple[list[Wanted], Wanted]] = {
    "full": ([], {"call": "restore", "id_text": "2", "scenario": "full"}),
    "files": ([], {"call": "restore", "id_text": "2", "scenario": "files", "files": FILES}),
    "undo-full": ([{"call": "restore", "id_text": "2", "scenario": "full"}], {"call": "undo"}),
    "undo-files": ([{"call": "restore", "id_text": "2", "scenario": "files", "files": FILES}], {"call": "undo"}),
    "full-of-nothing": ([], {"call": "restore", "id_text": "2", "scenario": "full"}),
    "undo-of-nothing": ([{"call": "restore", "id_text": "2", "scenario": "full"}], {"call": "undo"}),
}


@pytest.fixture(params=REQUESTS)
def scene(request: pytest.FixtureRequest, memory: Path) -> Scene:
    place = prepare(memory / "prepared")
    earlier, wanted = REQUESTS[request.param]
    if request.param.endswith("nothing"):
        shutil.rmtree(place / "project")
    for step in earlier:
        engine(vault=str(place / "vault"), project=str(place / "project"), **step).result()
    return Scene(place, wanted)


def test_killed_anywhere(scene: Scene) -> None:
    problems = side_by_side(lambda numbered: kill(scene, *numbered), enumerate(scene.points))
    assert not any(problems), "\n".join(filter(None, problems))


def kill(scene: Scene, number: int, point: Point) -> str:
    place = scene.copy(f"killed{number}")
    again = scene.place.parent / f"again{number}"
    try:
        killed_at(point, place.parent / f"log{number}", **scene.arguments(place))
        assert missing(scene, place) == [], "after the kill"
        tool("cp", "-a", place, again)
        moved_in(again, place)
        check_recovered(scene, place)
        if not is_finished(again):
            check_again(scene, again)
    except AssertionError as error:
        return f"{point}\n    {error}"
    shutil.rmtree(place)
    shutil.rmtree(again)
    return ""


def check_recovered(scene: Scene, place: Path) -> None:
    """Any other run puts things right first; this one, for a file that is as it was in the backup."""
    document = scene.run(
        place, {"call": "restore", "id_text": "2", "scenario": "files", "files": ["same.txt"]}
    ).document
    now = tree(place / "project")
    if now:
        assert document.get("changed") is False, document
    else:
        assert document.get("error") == "RestoreError", document
    old, new = difference(scene.before, now), difference(scene.after, now)
    assert not old or not new, f"neither old ({old}) nor new ({new}): {document}"
    assert leftovers(place) == []
    assert missing(scene, place) == [], "after the recovery"


def is_finished(place: Path) -> bool:
    """Whether an undo had noted that it is done, and only could not say so: another one is another wish."""
    records = (place / "vault" / ".cora" / "restores").glob("*/STATE.json")
    return any(json.loads(path.read_text())["state"] == "undone" for path in records)


def check_again(scene: Scene, place: Path) -> None:
    """What was asked for before the kill is there when it is asked for again: done now, and never done twice."""
    scene.run(place).result()
    assert difference(tree(place / "project"), scene.after) == []
    assert leftovers(place) == []
    assert missing(scene, place) == [], "after the second try"
