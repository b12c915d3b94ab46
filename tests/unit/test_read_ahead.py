# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going ahead of whoever takes the entries of a walk: the same entries, in directories that are open when they come."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import read_ahead
from ansible_collections.cora.backup.plugins.module_utils.items import Owners, item_of
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from ansible_collections.cora.backup.plugins.module_utils.project_archiver import ProjectArchiver
from ansible_collections.cora.backup.plugins.module_utils.read_ahead import ReadAhead, ask_for
from ansible_collections.cora.backup.plugins.module_utils.scan import Found, ScanNotes, walk
from support.engine import backup
from support.tools import tool


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Directories with nothing, with little and with very much in them, and many levels."""
    top = tmp_path / "tree"
    for number in range(40):
        place = top / f"d{number % 7}" / f"e{number}"
        place.mkdir(parents=True)
        for name in range(number % 5):
            (place / f"f{name}").write_bytes(b"x" * (number * 100))
    deep = top / "deep" / "/".join("abcdefghij" * 5)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    (top / "many").mkdir()
    for name in range(700):
        (top / "many" / f"{name}").write_bytes(b"many")
    (top / "many" / "link").symlink_to("nowhere")
    os.mkfifo(top / "fifo")
    return top


def ahead_of(tree: Path) -> Iterator[Found]:
    ahead = ReadAhead()
    return ahead.entries(walk(str(tree), PathFilter([]), ScanNotes(), close=ahead.close_later))


def seen_in(directory: Path) -> dict[str, Found]:
    """What a walk saw in a directory, which stays open."""
    kept = os.open(directory, os.O_RDONLY)
    entries = list(walk(str(directory), PathFilter([]), ScanNotes()))
    return {found.path: found._replace(parent_fd=kept) for found in entries}


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def test_the_same_entries_each_in_an_open_directory(tree: Path) -> None:
    before = open_descriptors()
    expected = [found.path for found in walk(str(tree), PathFilter([]), ScanNotes())]
    paths = []
    for found in ahead_of(tree):
        paths.append(found.path)
        status = os.stat(found.name, dir_fd=found.parent_fd, follow_symlinks=False)
        assert (status.st_ino, status.st_dev) == (found.status.st_ino, found.status.st_dev)
    assert paths == expected
    assert open_descriptors() == before


@pytest.mark.parametrize("taken", [0, 1, 300, 600])
def test_nothing_stays_open_where_nobody_takes_the_rest(tree: Path, taken: int) -> None:
    before = open_descriptors()
    entries = ahead_of(tree)
    for _number in range(taken):
        next(entries)
    entries.close()  # type: ignore[attr-defined]
    assert open_descriptors() == before


def furthest_ahead(tree: Path, kind: str = "file") -> int:
    """How many entries of a kind the walk had seen at most that nobody had taken yet."""
    seen = taken = furthest = 0

    def walked() -> Iterator[Found]:
        nonlocal seen
        for found in walk(str(tree), PathFilter([]), ScanNotes(), close=ahead.close_later):
            seen += found.kind == kind
            yield found

    ahead = ReadAhead()
    for found in ahead.entries(walked()):
        furthest = max(furthest, seen - taken)
        taken += found.kind == kind
    return furthest


@pytest.mark.parametrize(("bytes_at_most", "most"), [(1 << 40, 256), (100 * 4, 101), (0, 1)])
def test_how_far_it_goes_ahead(tree: Path, bytes_at_most: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "ask_for", lambda _found: False)
    monkeypatch.setattr(read_ahead, "_BYTES_AT_MOST", bytes_at_most)
    assert most - 2 <= furthest_ahead(tree) <= most + 1


def test_few_directories_wait_to_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a descriptor, of which there may be no more than a thousand."""
    monkeypatch.setattr(read_ahead, "ask_for", lambda _found: False)
    for number in range(300):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").write_bytes(b"x")
    before = len(open_descriptors())
    assert 60 <= max(len(open_descriptors()) - before for _found in ahead_of(tmp_path)) <= 70


def test_what_is_in_memory_does_not_wait(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The less time passes between the walk and the reading, the less changes in it."""
    monkeypatch.setattr(read_ahead, "_ALL_AFTER_A_MISS", 0)
    assert furthest_ahead(tree) == 1
    assert furthest_ahead(tree, "dir") == 1


@pytest.mark.parametrize("missing", ["RWF_NOWAIT", "preadv", "the system call"])
def test_where_python_or_the_system_cannot_tell(tree: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    if missing == "the system call":

        def preadv(*_arguments: object) -> int:
            raise NotImplementedError("preadv2 is not there")

        monkeypatch.setattr(os, "preadv", preadv)
    else:
        monkeypatch.delattr(os, missing)
    assert ask_for(seen_in(tree / "many")["1"]), "nothing is asked for"


def test_what_is_not_in_memory_is_asked_for(tmp_path: Path) -> None:
    """Who has it in memory then is for fincore of util-linux to say."""
    path = tmp_path / "file"
    path.write_bytes(random.Random(1).randbytes(1_000_000))
    found = seen_in(tmp_path)["file"]
    assert ask_for(found), "it was written a moment ago"
    forget(path)
    assert in_memory(path) == 0
    assert not ask_for(found)
    deadline = time.monotonic() + 60
    while in_memory(path) < 245 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert in_memory(path) == 245
    assert ask_for(found)


def forget(path: Path) -> None:
    subprocess.run(["sync", path], check=True)
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def in_memory(path: Path) -> int:
    """Pages of it that are."""
    done = subprocess.run(["fincore", "--raw", "--noheadings", "-o", "PAGES", path], capture_output=True, check=True)
    return int(done.stdout.split()[0]) if done.stdout.strip() else 0


def test_what_vanished_or_is_something_else_by_now_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    for name in ("gone", "link", "fifo"):
        (tmp_path / name).write_bytes(b"a file when the walk came by")
    entries = seen_in(tmp_path)
    for name in ("gone", "link", "fifo"):
        (tmp_path / name).unlink()
    (tmp_path / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    assert ask_for(entries["gone"])
    assert ask_for(entries["link"])
    ask_for(entries["fifo"])  # does not wait for somebody to write


def test_files_in_memory_are_hardly_looked_at(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    misses: set[str] = set()

    def ask(found: Found) -> bool:
        asked.append(found.path)
        return found.path not in misses

    monkeypatch.setattr(read_ahead, "ask_for", ask)
    files = [found.path for found in ahead_of(tree) if found.kind == "file"]
    assert asked[:256] == files[:256], "at the beginning nobody knows"
    rest = asked[256:]
    assert rest == [path for number, path in enumerate(files, 1) if number > 256 and number % 16 == 0]
    misses.add(rest[3])
    asked.clear()
    files = [found.path for found in ahead_of(tree) if found.kind == "file"]
    at, after = asked.index(rest[3]), files.index(rest[3])
    assert asked[at : at + 257] == files[after : after + 257], "after one that is not in memory all are asked for"


@pytest.mark.parametrize("earlier", [False, True], ids=["all is read", "what is not reused is read"])
@pytest.mark.parametrize("names", [2, 3])
def test_a_file_with_several_names_is_replaced_after_the_walk_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: int, earlier: bool
) -> None:
    """Its other names still lead to what it was."""
    project, vault, out = tmp_path / "project", tmp_path / "vault", tmp_path / "out"
    project.mkdir()
    (project / "a").write_bytes(b"old")
    others = ["b", "c"][: names - 1]
    for name in others:
        os.link(project / "a", project / name)
    (project / "z").write_bytes(b"z")
    if earlier:
        backup(project, vault)
        (project / "z").write_bytes(b"changed")
    take = ProjectArchiver.take
    replaced: list[str] = []

    def replace_first(archiver: ProjectArchiver, found: Found) -> None:
        if found.path == ("a" if earlier else ".") and not replaced:
            (project / "new").write_bytes(b"new content")
            os.rename(project / "new", project / "a")
            replaced.append(found.path)
        take(archiver, found)

    monkeypatch.setattr(read_ahead, "ask_for", lambda _found: False)
    monkeypatch.setattr(ProjectArchiver, "take", replace_first)
    made = backup(project, vault)
    assert replaced
    out.mkdir()
    tool("tar", "-xzf", made.archive, "-C", out)
    assert {name: (out / name).read_bytes() for name in others} == dict.fromkeys(others, b"old")
    assert (out / "a").read_bytes() in (b"old", b"new content")


def test_times_are_told_by_the_moment_in_which_the_walk_saw_them(tmp_path: Path) -> None:
    """A directory that comes late: its times say what they did, and by now they look old enough."""
    directory = tmp_path / "directory"
    directory.mkdir()
    found = seen_in(tmp_path)["directory"]
    assert abs(found.seen_ns - time.time_ns()) < 60 * 10**9
    at_once = found._replace(seen_ns=found.status.st_ctime_ns + 1)
    long_after = found._replace(seen_ns=found.status.st_ctime_ns + 3_600 * 10**9)
    assert item_of(at_once, found.status, Owners(), kind="dir").entry.source is None
    assert item_of(long_after, found.status, Owners(), kind="dir").entry.source is not None
