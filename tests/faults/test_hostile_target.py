# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project whose present state is hostile, or becomes so while root restores into it: nothing outside is written."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest
from faults.lab import Tree, difference, engine, leftovers, tool, tree

# Two names change places for ever, as fast as the kernel can: a directory, and a link to another one.
FLIPPER = """
import ctypes, sys
libc = ctypes.CDLL(None)
one, other = (argument.encode() for argument in sys.argv[1:3])
print("busy", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""


@pytest.fixture
def backup_id(project: Path, vault: Path) -> str:
    return str(engine("backup", project=str(project), vault=str(vault)).result()["id"])


@pytest.fixture
def outside(place: Path) -> Path:
    path = place / "outside"
    path.mkdir()
    for name in ("app.py", "again.py", "notes.txt", "canary"):
        (path / name).write_text("not of the project\n")
    (path / "deep" / "er").mkdir(parents=True)
    return path


def state(top: Path) -> Tree:
    """A tree with its times: a directory that something was made in has another one."""
    found = tree(top)
    for path in [*found, "."]:
        status = os.lstat(top / path)
        found[path] = (*found.get(path, ()), status.st_mtime_ns, status.st_ctime_ns, status.st_nlink, status.st_mode)
    return found


def restore(project: Path, vault: Path, backup_id: str, scenario: str, *files: str) -> dict[str, Any]:
    return run_restore(
        RestoreRequest(vault=str(vault), id_text=backup_id, project=str(project), scenario=scenario, files=files)
    )


def test_a_link_where_a_directory_was(project: Path, vault: Path, backup_id: str, outside: Path, place: Path) -> None:
    shutil.rmtree(project / "src")
    (project / "src").symlink_to(outside)
    before, now = state(outside), tree(project)
    for files in (["src"], ["src/app.py"], ["src/deep/er/notes.txt"], ["."]):
        with pytest.raises(CoraError, match="src"):
            restore(project, vault, backup_id, "files", *files)
        assert state(outside) == before
        assert difference(now, tree(project)) == []
    restore(project, vault, backup_id, "full")
    assert state(outside) == before
    assert not (project / "src").is_symlink()
    assert (project / "src" / "app.py").read_text().startswith("this is")
    assert leftovers(place) == []


def test_links_where_files_were(project: Path, vault: Path, backup_id: str, outside: Path) -> None:
    """A link in the place of a file is replaced, not written through; so is a link to a database."""
    for name in ("AI_WORK_LOG.md", "data.db"):
        (project / name).unlink()
        (project / name).symlink_to(outside / "canary")
    before = state(outside)
    restore(project, vault, backup_id, "critical")
    assert state(outside) == before
    assert not (project / "AI_WORK_LOG.md").is_symlink()
    assert not (project / "data.db").is_symlink()
    engine("undo", vault=str(vault), project=str(project)).result()
    assert os.readlink(project / "AI_WORK_LOG.md") == str(outside / "canary")
    assert state(outside) == before


def test_a_project_that_is_a_link(project: Path, vault: Path, backup_id: str, outside: Path) -> None:
    shutil.rmtree(project)
    project.symlink_to(outside)
    before = state(outside)
    with pytest.raises(CoraError, match="link"):
        restore(project, vault, backup_id, "full")
    assert state(outside) == before


def test_a_fifo_where_a_file_was(project: Path, vault: Path, backup_id: str) -> None:
    """Nobody waits for somebody to write into it; undo brings it back."""
    (project / "script.sh").unlink()
    os.mkfifo(project / "script.sh", 0o640)
    restore(project, vault, backup_id, "files", "script.sh")
    assert (project / "script.sh").read_text().startswith("#!")
    engine("undo", vault=str(vault), project=str(project)).result()
    assert stat.S_ISFIFO((project / "script.sh").lstat().st_mode)


@pytest.mark.parametrize("what", ["directory", "socket", "device"])
def test_what_cannot_be_replaced(what: str, project: Path, vault: Path, backup_id: str) -> None:
    path = project / "script.sh"
    path.unlink()
    if what == "directory":
        path.mkdir()
        (path / "inside").write_text("work\n")
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    before = tree(project)
    with pytest.raises(CoraError, match=r"script\.sh"):
        restore(project, vault, backup_id, "files", "script.sh")
    assert difference(before, tree(project)) == []
    assert leftovers(project.parent) == []


def test_a_file_where_a_directory_was(project: Path, vault: Path, backup_id: str) -> None:
    shutil.rmtree(project / "src")
    (project / "src").write_text("a file now\n")
    for files in (["src"], ["src/app.py"]):
        with pytest.raises(CoraError, match="src"):
            restore(project, vault, backup_id, "files", *files)
        assert (project / "src").read_text() == "a file now\n"
    restore(project, vault, backup_id, "full")
    assert (project / "src" / "app.py").exists()


def test_an_immutable_file_in_the_way(project: Path, vault: Path, backup_id: str) -> None:
    """Somebody made a file immutable: nothing at all is changed, and the message says which file it is."""
    for name in ("script.sh", "README.md", "same.txt"):
        (project / name).write_text("newer\n")
    tool("chattr", "+i", project / "same.txt")
    before = tree(project)
    with pytest.raises(CoraError, match=r"same\.txt"):
        restore(project, vault, backup_id, "files", "README.md", "same.txt", "script.sh")
    assert difference(before, tree(project)) == []
    assert leftovers(project.parent) == []
    tool("chattr", "+i", project)
    with pytest.raises(CoraError, match="chattr -i"):
        restore(project, vault, backup_id, "full")
    assert difference(before, tree(project)) == []
    assert leftovers(project.parent) == []
    tool("chattr", "-i", project)
    restore(project, vault, backup_id, "full")
    assert (project / "same.txt").read_text().startswith("this is")


@contextmanager
def flipping(one: Path, other: Path) -> Iterator[None]:
    flipper = subprocess.Popen([sys.executable, "-c", FLIPPER, one, other], stdout=subprocess.PIPE)
    try:
        assert flipper.stdout is not None
        assert flipper.stdout.readline() == b"busy\n"
        yield
    finally:
        flipper.kill()
        flipper.wait()


def test_a_race_for_a_directory(project: Path, vault: Path, backup_id: str, outside: Path) -> None:
    """200 restores of files while a directory and a link to somewhere else change places."""
    (project / "other").symlink_to(outside)
    before = state(outside)
    done = refused = 0
    with flipping(project / "src", project / "other"):
        for number in range(200):
            try:
                (project / "src" / "deep" / "er" / "notes.txt").unlink(missing_ok=True)
            except OSError:
                pass
            before = state(outside) if number == 0 else before
            try:
                restore(project, vault, backup_id, "files", "src")
                done += 1
            except CoraError:
                refused += 1
    assert [path for path in outside.rglob("*") if ".cora" in path.name] == []
    after = state(outside)
    assert (outside / "canary").read_text() == "not of the project\n"
    assert {path: what[:4] for path, what in after.items() if path != "."}.keys() <= before.keys(), "something was made"
    for name in ("app.py", "again.py"):
        assert (outside / name).read_text() == "not of the project\n"
        assert after[name] == before[name]
    print(f"{done} restored, {refused} refused")
    assert refused, "the race was never met"


def test_a_race_for_the_staged_tree(project: Path, vault: Path, backup_id: str, outside: Path, place: Path) -> None:
    """The owner of the directory around the project puts a link in the place of the tree that is being built."""
    before = state(outside)
    watcher = f"""
import os, sys, time
print("busy", flush=True)
while True:
    for name in os.listdir({str(place)!r}):
        if name.startswith(".project.cora-") and not os.path.islink({str(place)!r} + "/" + name):
            try:
                os.rename({str(place)!r} + "/" + name, {str(place)!r} + "/moved-" + str(time.time_ns()))
                os.symlink({str(outside)!r}, {str(place)!r} + "/" + name)
            except OSError:
                pass
"""
    thief = subprocess.Popen([sys.executable, "-c", watcher], stdout=subprocess.PIPE)
    try:
        assert thief.stdout is not None
        thief.stdout.readline()
        stolen = 0
        for _ in range(20):
            (project / "same.txt").write_text(f"{time.time_ns()}\n")
            try:
                restore(project, vault, backup_id, "full")
            except CoraError:
                stolen += 1
            for path in place.iterdir():
                if path.is_symlink() and path.name != "project":
                    path.unlink()
            assert state(outside) == before
    finally:
        thief.kill()
        thief.wait()
    assert stolen, "the race was never met"
    assert any(path.name.startswith("moved-") for path in place.iterdir())
