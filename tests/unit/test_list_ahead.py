# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories listed ahead of a walk: the walk sees what it would have seen, and nobody looks where it would not."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.cora.backup.plugins.module_utils import list_ahead, scan
from ansible_collections.cora.backup.plugins.module_utils.list_ahead import Lister
from ansible_collections.cora.backup.plugins.module_utils.names import path_key, with_parents
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from ansible_collections.cora.backup.plugins.module_utils.scan import Found, ScanNotes, walk
from support.tools import tool

_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
Opened = Callable[[], list[tuple[int, str]]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Many directories, some of which a walk does not enter."""
    top = tmp_path / "tree"
    for number in range(200):
        place = top / f"d{number % 7}" / f"e{number}" / "f"
        place.mkdir(parents=True)
        for file_number in range(number % 5):
            (place / f"{file_number}").write_bytes(b"x")
    for name in ("d1/excluded/in", "d2/vault/in", "d3/cache/in"):
        (top / name).mkdir(parents=True)
        (top / name / "file").write_bytes(b"x")
    (top / "d3" / "cache" / "CACHEDIR.TAG").write_bytes(_SIGNATURE)
    (tmp_path / "outside" / "in").mkdir(parents=True)
    (top / "d4" / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(top / "d4" / "fifo")
    deep = top / "d5" / "/".join("abcdefghij" * 5)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    (top / os.fsdecode(b"\xff") / "in").mkdir(parents=True)
    return top


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Where the kernel says that each directory led that was opened, in which process; in the order of opening."""
    log = tmp_path / "opened"
    really_open = os.open

    def open_and_note(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        fd = really_open(path, flags, *arguments, **named)
        if flags & os.O_DIRECTORY:
            line = f"{os.getpid()} {os.readlink(f'/proc/self/fd/{fd}')}\n"
            log_fd = really_open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(log_fd, os.fsencode(line))
            os.close(log_fd)
        return fd

    def read() -> list[tuple[int, str]]:
        if not log.exists():
            return []
        lines = [line.split(b" ", 1) for line in log.read_bytes().splitlines()]
        return [(int(pid), os.fsdecode(path)) for pid, path in lines]

    monkeypatch.setattr(os, "open", open_and_note)
    return read


@pytest.fixture
def all_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each directory had come from the disk."""
    numbers = count(1)
    monkeypatch.setattr(list_ahead, "_blocks_read", lambda *_whose: next(numbers))
    monkeypatch.setattr(scan, "LOOKED_AT_ONE_IN", 1)


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def nobody_is_left() -> bool:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    return threading.active_count() == 1


def walked(tree: Path) -> tuple[list[tuple[str, str, int]], ScanNotes]:
    notes = ScanNotes()
    entries = walk(str(tree), PathFilter(["excluded/"]), notes, vault=str(tree / "d2" / "vault"))
    return [(found.path, found.kind, found.status.st_ino) for found in entries], notes


def entered_by_a_walk(tree: Path) -> list[str]:
    """Directories that a walk lists, in its order."""
    return [str(tree / path) for path, kind, _inode in walked(tree)[0] if kind == "dir"]


def lister_of(tree: Path, entered: int = 10**6) -> tuple[Lister, memoryview]:
    """One that sees a walk at some directory; its own count begins with the tree."""
    status = os.stat(tree / "d2" / "vault")
    shared = memoryview(bytearray(16)).cast("Q")
    lister = Lister(PathFilter(["excluded/"]), (status.st_dev, status.st_ino), shared)
    shared[0] = entered
    return lister, shared


def list_all(tree: Path, lister: Lister, path: str = "") -> None:
    """What the process does, in this one."""
    fd = os.open(tree, os.O_RDONLY)
    try:
        lister.run(fd, path)
    finally:
        os.close(fd)


def ask_until(answer: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not answer() and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer()


def test_what_a_walk_enters_is_listed_and_nothing_else(tree: Path, opened: Opened) -> None:
    """No excluded directory, no vault, nothing below a CACHEDIR.TAG, nothing through a link."""
    before = open_descriptors()
    list_all(tree, lister_of(tree)[0])
    listed = [path for _pid, path in opened()]
    # whether the tag says so is for the walk to see
    assert sorted(listed) == sorted([*entered_by_a_walk(tree), str(tree / "d3" / "cache")])
    assert open_descriptors() == before
    assert threading.active_count() == 1


def test_in_the_order_of_the_walk(tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ahead, "_AT_A_TIME", 1)
    list_all(tree, lister_of(tree)[0])
    listed = [path for _pid, path in opened() if path != str(tree / "d3" / "cache")]
    assert listed == entered_by_a_walk(tree)


@pytest.mark.parametrize("at", ["", "d1", "d1/e1", "d1/e1/f", "d5/a/b/c", "d6/gone/in", "gone"])
def test_from_somewhere_in_the_middle(tree: Path, opened: Opened, at: str) -> None:
    """What is above is opened to see what comes there, and what was before is not."""
    before = open_descriptors()
    list_all(tree, lister_of(tree)[0], at)
    listed = {path for _pid, path in opened()}
    above = {str(tree), *(str(tree / path) for path in with_parents(at) if (tree / path).is_dir())}
    entered = [*entered_by_a_walk(tree), str(tree / "d3" / "cache")]
    to_come = {path for path in entered if path_key(os.path.relpath(path, tree)) > path_key(at or ".")}
    assert listed == above | to_come
    assert open_descriptors() == before


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_it_goes_a_bounded_way_ahead(
    tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(list_ahead, "_AT_A_TIME", at_a_time)
    monkeypatch.setattr(list_ahead, "_AHEAD_AT_MOST", 20)
    lister, shared = lister_of(tree, entered=5)
    listing = threading.Thread(target=list_all, args=(tree, lister))
    listing.start()
    try:
        assert ask_until(lambda: len(opened()) == 27)
        time.sleep(0.1)
        assert len(opened()) == 27
    finally:
        shared[0] = 10**6
        listing.join()
    assert len(opened()) > 400


def test_it_ends_where_all_is_in_memory(tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ahead, "_blocks_read", lambda *_whose: 0)
    monkeypatch.setattr(list_ahead, "_IN_MEMORY_AT_MOST", 50)
    before = open_descriptors()
    list_all(tree, lister_of(tree)[0])
    assert len(opened()) == 51
    assert open_descriptors() == before


def test_little_is_remembered_of_a_large_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ahead, "_BLOCKS_AT_MOST", 8)
    monkeypatch.setattr(list_ahead, "_INODE_BLOCK_BITS", 0)
    (tmp_path / "many").mkdir()
    for number in range(300):
        (tmp_path / "many" / f"{number}").touch()
    lister = Lister(PathFilter([]), None, memoryview(bytearray(16)).cast("Q"))
    list_all(tmp_path, lister)
    assert 0 < len(lister._inode_blocks) <= 8


@pytest.mark.usefixtures("all_from_disk")
def test_a_process_goes_ahead_and_the_walk_sees_the_same(
    tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(list_ahead, "_FROM_DISK_AT_LEAST", 10**9)
        expected, expected_notes = walked(tree)
    assert {pid for pid, _path in opened()} == {os.getpid()}
    before = open_descriptors()
    seen, notes = [], ScanNotes()
    for found in walk(str(tree), PathFilter(["excluded/"]), notes, vault=str(tree / "d2" / "vault")):
        seen.append((found.path, found.kind, found.status.st_ino))
        if len(seen) == 20:
            assert ask_until(lambda: len(ahead_in(opened())) > 300)
    assert seen == expected
    assert notes == expected_notes
    assert set(ahead_in(opened())) <= {*entered_by_a_walk(tree), str(tree / "d3" / "cache")}
    assert nobody_is_left()
    assert open_descriptors() == before


@pytest.mark.usefixtures("all_from_disk")
def test_it_goes_on_where_the_walk_waits_again(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"

    def run(_lister: Lister, _top_fd: int, path: str) -> None:
        with runs.open("a", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(f"{os.getpid()} {path}\n")

    expected = walked(tree)
    monkeypatch.setattr(Lister, "run", run)
    assert walked(tree) == expected
    processes = {line.split()[0] for line in runs.read_text(errors="surrogateescape").splitlines()}
    assert len(processes) == 1
    assert processes != {str(os.getpid())}
    assert nobody_is_left()


@pytest.mark.usefixtures("all_from_disk")
@pytest.mark.parametrize("among_threads", [False, True])
def test_threads_that_start_after_the_walk(tree: Path, opened: Opened, among_threads: bool) -> None:
    """Beside them no process can be made: so it has to be there before."""
    before = open_descriptors()
    entries = walk(str(tree), PathFilter([]), ScanNotes(), among_threads=among_threads)
    next(entries)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        for _number in range(30):
            next(entries)
        assert not among_threads or ask_until(lambda: bool(ahead_in(opened())))
        assert len(list(entries)) > 400
    finally:
        over.set()
        thread.join()
    assert bool(ahead_in(opened())) == among_threads
    assert nobody_is_left()
    assert open_descriptors() == before


def ahead_in(opened: list[tuple[int, str]]) -> list[str]:
    return [path for pid, path in opened if pid != os.getpid()]


@pytest.mark.usefixtures("all_from_disk")
def test_what_is_in_the_directory_that_came_from_the_disk_is_listed_too(tmp_path: Path, opened: Opened) -> None:
    """The second that did is looked into at once."""
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    for number in range(5):
        (top / "b" / f"{number}").mkdir(parents=True)
    entries = walk(str(top), PathFilter([]), ScanNotes())
    assert [next(entries).path for _number in range(3)] == [".", "a", "b"]
    expected = [str(top), str(top / "b"), *(str(top / "b" / f"{number}") for number in range(5))]
    assert ask_until(lambda: sorted(ahead_in(opened())) == expected)
    assert [found.path for found in entries] == [f"b/{number}" for number in range(5)]
    assert nobody_is_left()


@pytest.mark.usefixtures("all_from_disk")
@pytest.mark.parametrize("how", ["closed", "failed", "not wanted any more"])
def test_nobody_is_left_where_the_walk_ends_early(tree: Path, opened: Opened, how: str) -> None:
    before = open_descriptors()
    entries: Optional[Iterator[Found]] = walk(str(tree), PathFilter([]), ScanNotes())
    assert entries is not None
    for _number in range(30):
        next(entries)
    assert ask_until(lambda: bool(ahead_in(opened())))
    if how == "closed":
        entries.close()  # type: ignore[attr-defined]
    elif how == "failed":
        with pytest.raises(ValueError, match="in the middle"):
            entries.throw(ValueError("in the middle"))  # type: ignore[attr-defined]
    entries = None
    assert nobody_is_left()
    assert open_descriptors() == before


@pytest.mark.usefixtures("all_from_disk")
@pytest.mark.parametrize(
    "fault", ["no process", "no memory", "no threads", "it fails", "it is killed", "it ends", "other threads"]
)
def test_a_fault_of_it_ends_no_walk(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    expected = walked(tree)
    before = open_descriptors()
    over = threading.Event()
    waiting = threading.Thread(target=over.wait)
    if fault == "no process":
        monkeypatch.setattr(os, "fork", fail(OSError))
    elif fault == "no memory":
        monkeypatch.setattr(mmap, "mmap", fail(OSError))
    elif fault == "it fails":
        monkeypatch.setattr(Lister, "_list", fail(MemoryError))
    elif fault == "no threads":
        monkeypatch.setattr(threading.Thread, "start", fail(RuntimeError))
    elif fault == "it is killed":
        monkeypatch.setattr(Lister, "run", lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL))
    elif fault == "it ends":
        monkeypatch.setattr(Lister, "run", lambda *_arguments: os._exit(3))
    else:
        waiting.start()
    try:
        assert walked(tree) == expected
    finally:
        over.set()
        if waiting.is_alive():
            waiting.join()
    assert nobody_is_left()
    assert open_descriptors() == before
    assert capfd.readouterr().err == ""


def fail(error: type[Exception]) -> Callable[..., Any]:
    def raise_it(*_arguments: Any, **_named: Any) -> Any:
        raise error("no more of it")

    return raise_it


@pytest.mark.parametrize("by", ["link", "file", "fifo", "nothing"])
def test_a_directory_that_is_replaced_before_its_turn(
    tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """What was a directory when it was listed leads out of the project by now."""
    really_push = Lister._push
    victim = tree / "d1" / "e1"
    before = open_descriptors()

    def replace_then_push(lister: Lister, parent: Any) -> None:
        if b"e1" in parent.names and victim.is_dir() and not victim.is_symlink():
            victim.rename(tree.parent / "moved")
            if by == "link":
                victim.symlink_to(tree.parent / "outside")
            elif by == "file":
                victim.write_bytes(b"x")
            elif by == "fifo":
                os.mkfifo(victim)
        really_push(lister, parent)

    monkeypatch.setattr(Lister, "_push", replace_then_push)
    list_all(tree, lister_of(tree)[0])
    assert (tree.parent / "moved").is_dir(), "it was replaced"
    assert sorted(path for _pid, path in opened()) == sorted([*entered_by_a_walk(tree), str(tree / "d3" / "cache")])
    assert open_descriptors() == before


def test_directories_that_cannot_be_read(tree: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can read all: so the system call says that it may not."""
    note_and_open = os.open
    before = open_descriptors()

    def refuse(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if path == b"e1":
            raise PermissionError(13, "Permission denied")
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted")
        return note_and_open(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    list_all(tree, lister_of(tree)[0])
    listed = [path for _pid, path in opened()]
    expected = [path for path in entered_by_a_walk(tree) if path != str(tree / "d1" / "e1")]
    assert sorted(listed) == sorted([*expected, str(tree / "d3" / "cache")])
    assert open_descriptors() == before


def test_what_came_from_the_disk_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    path.read_bytes()
    before = list_ahead._blocks_read()
    path.read_bytes()
    assert list_ahead._blocks_read() == before
    tool("sync", path)
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
    path.read_bytes()
    assert list_ahead._blocks_read() > before


def test_what_is_in_memory_needs_nobody(tree: Path, opened: Opened) -> None:
    walked(tree)
    walked(tree)
    assert ahead_in(opened()[len(opened()) // 2 :]) == []
