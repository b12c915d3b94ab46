# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames built by processes: the archive is the same to the last byte, and one that is killed loses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.cora.backup.plugins.module_utils import archive_writer, frame_workers, processes, source_files
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader
from ansible_collections.cora.backup.plugins.module_utils.errors import WorkerError
from ansible_collections.cora.backup.plugins.module_utils.frame_building import Built, Item, build_shared
from ansible_collections.cora.backup.plugins.module_utils.frame_workers import FrameWorkers
from ansible_collections.cora.backup.plugins.module_utils.index import Entry
from ansible_collections.cora.backup.plugins.module_utils.tar_format import FILE, Member
from support.engine import backup
from support.tools import assert_no_child_is_left

ALL_CORES = 4


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frame_workers, processes):
        monkeypatch.setattr(module, "cores", lambda: ALL_CORES)


@pytest.fixture
def project(project: Path) -> Path:
    """Enough for some thirty frames of many entries, with one file of its own frames among them."""
    chance = random.Random(3)
    for number in range(600):
        path = project / f"part{number % 30}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(50_000)))
    (project / "part7" / "large").write_bytes(chance.randbytes(5_000_000))
    (project / "part7" / "empty").touch()
    (project / "part8" / "link").symlink_to("../part7/empty")
    return project


def item(number: int, data: bytes) -> Item:
    path = f"file {number} ä\udcff"
    return Item(
        Member(path, FILE, 0o644, size_bytes=len(data), xattrs={}),
        Entry(path, FILE, len(data), 0o644, 0, 0, 0, 0, 0),
        data,
    )


def packed_frames(count: int, size_bytes: int) -> Iterator[list[Item]]:
    chance = random.Random(5)
    for number in range(count):
        yield [item(number, chance.randbytes(size_bytes)), item(1000 + number, b""), item(2000 + number, b"x" * number)]


@pytest.mark.parametrize(
    "place_bytes", [40_000, 10_100], ids=["frame fits its place", "frame is larger than its place"]
)
def test_a_frame_is_the_same_wherever_it_is_built(place_bytes: int) -> None:
    with closing(FrameWorkers(place_bytes, align=True)) as workers:
        waiting: list[Callable[[], Built]] = []
        built: list[Built] = []
        for number, items in enumerate(packed_frames(100, 10_000)):
            if workers.are_full:
                built.append(waiting.pop(0)())
            waiting.append(workers.submit(number, items))
        built += [take() for take in waiting]
    assert built == [build_shared(number, items, align=True) for number, items in enumerate(packed_frames(100, 10_000))]
    assert_no_child_is_left()


def test_more_than_a_place_holds_is_refused() -> None:
    with closing(FrameWorkers(1000, align=False)) as workers:
        with pytest.raises(ValueError, match="more than there is room for"):
            workers.submit(0, [item(0, bytes(600)), item(1, bytes(401))])
        assert workers.submit(0, [item(0, bytes(600)), item(1, bytes(400))])().entries == 2


def without_workers(monkeypatch: pytest.MonkeyPatch, how: str) -> Iterator[None]:
    """Ways not to have any."""
    if how == "one core":
        monkeypatch.setattr(processes, "cores", lambda: 1)
    elif how == "no process can be made":

        def refuse() -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        monkeypatch.setattr(os, "fork", refuse)
    if how != "a thread at work":
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("how", ["one core", "no process can be made", "a thread at work"])
def test_the_archive_is_the_same_without_processes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    made: list[bool] = []

    def noted(place_bytes: int, earlier: Optional[ArchiveReader], *, align: bool) -> object:
        workers = frame_workers.frame_workers(place_bytes, earlier, align=align)
        made.append(workers is not None)
        return workers

    monkeypatch.setattr(archive_writer, "frame_workers", noted)
    # the index says what was written just before it was read: that depends on when each backup was made
    monkeypatch.setattr(source_files, "_SETTLED_NS", 0)
    with_them = backup(project, tmp_path / "one")
    with monkeypatch.context() as patched:
        for _nothing in without_workers(patched, how):
            without = backup(project, tmp_path / "two")
    assert made == [True, False]
    assert subprocess.run(["cmp", with_them.archive, without.archive]).returncode == 0
    assert with_them.index == without.index
    assert_no_child_is_left()


def test_a_process_that_is_killed_fails_the_backup_and_leaves_nothing(
    project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = os.getpid()

    def killed(number: int, items: Iterator[Item], earlier: Optional[ArchiveReader], *, align: bool) -> Built:
        if number == 9:
            assert os.getpid() != caller
            os.kill(os.getpid(), signal.SIGKILL)
        return build_shared(number, items, earlier, align=align)

    with monkeypatch.context() as patched:
        patched.setattr(frame_workers, "build_shared", killed)
        with pytest.raises(WorkerError, match="killed by signal 9"):
            backup(project, vault)
    assert [path.name for path in vault.iterdir() if path.name[0].isdigit()] == []
    assert_no_child_is_left()
    made = backup(project, vault)
    assert made.result["incomplete"] is False
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS.txt"], cwd=made.path, check=True)
