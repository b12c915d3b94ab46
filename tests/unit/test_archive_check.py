# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is checked in one reading: the same findings in processes and in threads, and no damage is missed."""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import archive_check, past_cache, processes
from ansible_collections.cora.backup.plugins.module_utils.archive_check import ArchiveCheck
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader, unread_groups
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, WorkerError
from ansible_collections.cora.backup.plugins.module_utils.frame_loader import FrameLoader
from ansible_collections.cora.backup.plugins.module_utils.past_cache import _Direct
from ansible_collections.cora.backup.plugins.module_utils.processes import WORTH_PROCESSES_BYTES, Crew
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Made, backup
from support.tools import assert_no_child_is_left, flip, tool


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Small files, files with frames of their own, and one that is streamed."""
    place = tmp_path_factory.mktemp("check")
    dice = random.Random(7)
    for number in range(900):
        path = place / "project" / f"d{number % 30}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(9000)))
    for name, size_bytes in (("middle.bin", 6_000_000), ("larger.bin", 14_000_000), ("streamed.bin", 40_000_000)):
        (place / "project" / name).write_bytes(dice.randbytes(size_bytes))
    made = backup(place / "project", place / "vault")
    yield made
    tool("chattr", "-R", "-i", "-a", place / "vault")


@pytest.fixture(params=["processes", "one core", "other threads"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    count = 1 if request.param == "one core" else 3
    for module in (archive_check, processes):
        monkeypatch.setattr(module, "cores", lambda: count)
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    if request.param == "other threads":
        other.start()
    yield request.param
    done.set()
    if other.is_alive():
        other.join()  # the next test must be alone
    assert_no_child_is_left()


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    tool("cp", "-r", made.path, tmp_path / "copy")
    return tmp_path / "copy"


def check(backup_path: Path) -> tuple[str, int, list[str]]:
    """The sum, how many entries there are, and the paths of those that are damaged."""
    with ArchiveReader(str(backup_path)) as reader, ArchiveCheck(reader) as checked:
        parts = list(checked.parts())
        damaged = sorted(str(path) for part in parts for path, _wrong in part.problems)
        return checked.sha256() or "", sum(part.entries for part in parts), damaged


def test_what_is_intact(made: Made, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made.archive.stat().st_size > WORTH_PROCESSES_BYTES
    counts: list[int] = []
    real = Crew.__init__

    def count(crew: Crew[object, object], function: Callable[[object], object], count: int) -> None:
        counts.append(count)
        real(crew, function, count)

    monkeypatch.setattr(Crew, "__init__", count)
    sha256, entries, damaged = check(made.path)
    assert sha256 == tool("sha256sum", made.archive).decode().split()[0]
    assert entries == len(tool("tar", "-tzf", made.archive).decode().splitlines())
    assert damaged == []
    assert counts == ([3] if how == "processes" else [])


def test_every_frame_that_is_damaged_is_found(made: Made, copy: Path, how: str) -> None:
    sha256, archive = check(made.path)[0], copy / "cora-full.tar.gz"
    groups = list(unread_groups(str(copy / "INDEX.jsonl.gz")))
    dice = random.Random(8)
    for group in [*dice.sample(groups, 6), groups[0], groups[-1]]:
        frame = dice.choice(group.frames)
        at = frame.offset + dice.randrange(frame.length_bytes)
        flip(archive, at)
        found, _entries, damaged = check(copy)
        assert found != sha256
        assert len(damaged) == max(len(group.lines), 1), "all that is in the group, and nothing else"
        flip(archive, at)
    assert check(copy)[::2] == (sha256, [])


@pytest.mark.parametrize("change", ["longer", "shorter", "empty"])
def test_another_length(copy: Path, how: str, change: str) -> None:
    archive = copy / "cora-full.tar.gz"
    size_bytes = archive.stat().st_size
    os.truncate(archive, {"longer": size_bytes + 1, "shorter": size_bytes - 1, "empty": 0}[change])
    with pytest.raises(IntegrityError, match="is not as long as INDEX"):
        check(copy)


def test_what_is_damaged_is_named_where_the_length_is_wrong_too(copy: Path, how: str) -> None:
    archive, damaged = copy / "cora-full.tar.gz", []
    flip(archive, 100)
    with archive.open("ab") as stream:
        stream.write(b"more")
    with (
        ArchiveReader(str(copy)) as reader,
        ArchiveCheck(reader) as checked,
        pytest.raises(IntegrityError, match="is not as long as INDEX"),
    ):
        for part in checked.parts():
            damaged += part.problems
    assert damaged


def test_a_disk_that_cannot_read_what_the_cache_still_has(
    made: Made, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("cat", made.archive)

    def fail(*_request: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_Direct, "move", fail)
    sha256, entries, damaged = check(made.path)
    assert sha256 == ""
    assert len(damaged) == entries + 1, "and the end of the archive"
    found = verify_backup(str(made.path.parent), made.id)
    assert not found["ok"]
    assert "Input/output error" in str(found["damaged"])


def test_what_the_disk_holds_counts_and_not_the_cache(made: Made, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool("cat", made.archive)
    asked: list[int] = []
    real = _Direct.move

    def move(direct: _Direct, call: object, blocks: memoryview, at: int) -> int:
        asked.append(at)
        return real(direct, call, blocks, at)  # type: ignore[arg-type]

    monkeypatch.setattr(_Direct, "move", move)
    assert check(made.path)[2] == []
    assert len(asked) > 10


def test_a_process_that_is_killed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archive_check, processes):
        monkeypatch.setattr(module, "cores", lambda: 3)
    caller = os.getpid()

    def die(*_arguments: object) -> None:
        if os.getpid() != caller:  # which checks the streamed file
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(ArchiveReader, "check_group", die)
    with pytest.raises(WorkerError, match="killed by signal 9"):
        check(made.path)
    assert_no_child_is_left()


def test_a_restore_takes_what_only_the_cache_still_has(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_request: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(past_cache, "is_cached", lambda *_part: False)  # not all of what is read at once
    monkeypatch.setattr(_Direct, "move", fail)
    with ArchiveReader(str(made.path)) as reader, closing(FrameLoader(reader)) as loader:
        frames = next(unread_groups(str(made.path / "INDEX.jsonl.gz"))).frames
        assert [loader.load(frames).frame(frame) for frame in frames] == [reader.frame(frame) for frame in frames]
        assert list(loader.stream(frames)) == [reader.frame(frame) for frame in frames]
        assert not loader.is_whole
