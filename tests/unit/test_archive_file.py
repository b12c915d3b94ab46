# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive that is appended to and copied into at once: the same bytes and the same sum, whoever does the copying."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import archive_file, archive_reader, processes
from ansible_collections.cora.backup.plugins.module_utils.archive_file import ArchiveFile, DamagedFramesError
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader, check_frames
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, VaultError, WorkerError
from ansible_collections.cora.backup.plugins.module_utils.index import Frame
from ansible_collections.cora.backup.plugins.module_utils.vault_file import VaultFile
from support.tools import assert_no_child_is_left, tool

FRAME_BYTES = 300_000
FRAMES = 40


@pytest.fixture(params=["a process copies", "one core"])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = 1 if request.param == "one core" else 4
    monkeypatch.setattr(processes, "cores", lambda: count)
    return count


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 4)


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[ArchiveReader]:
    """What stands for an earlier archive: bytes, of which only frames(), below, says where a frame begins."""
    (tmp_path / "cora-full.tar.gz").write_bytes(random.Random(1).randbytes(FRAMES * FRAME_BYTES))
    with ArchiveReader(str(tmp_path)) as reader:
        yield reader


def frames(earlier: ArchiveReader) -> list[Frame]:
    data = Path(earlier.path).read_bytes()
    return [
        Frame(number, at, FRAME_BYTES, FRAME_BYTES, hashlib.sha256(data[at : at + FRAME_BYTES]).hexdigest())
        for number, at in enumerate(range(0, len(data), FRAME_BYTES))
    ]


@contextmanager
def archive(path: Path, earlier: ArchiveReader, promised: bytes = b"") -> Iterator[ArchiveFile]:
    """A new archive; what the earlier backup says its own is has the SHA-256 of the promised bytes."""
    sha256 = hashlib.sha256(promised).hexdigest() if promised else ""
    with VaultFile(str(path)) as stream, ArchiveFile(stream, earlier, sha256) as file:
        yield file


def test_what_is_appended_and_what_is_copied(earlier: ArchiveReader, tmp_path: Path, cores: int) -> None:
    target, chance = tmp_path / "new", random.Random(2)
    old, expected = frames(earlier), bytearray()
    source = Path(earlier.path).read_bytes()
    with archive(target, earlier) as file:
        for number in range(12):
            for size_bytes in (1, chance.randrange(3_000_000), 4096):
                data = chance.randbytes(size_bytes)
                file.append(data)
                expected += data
            run = old[number * 3 : number * 3 + 1 + number % 3]
            file.append_copy(run)
            expected += source[run[0].offset : run[-1].offset + FRAME_BYTES]
        assert file.length_bytes == len(expected)
        digest = file.sha256()
    assert target.read_bytes() == expected
    assert tool("sha256sum", target).decode().split()[0] == digest
    assert_no_child_is_left()


def test_what_is_taken_back_leaves_no_trace(earlier: ArchiveReader, tmp_path: Path, cores: int) -> None:
    target, old = tmp_path / "new", frames(earlier)
    with archive(target, earlier) as file:
        file.append_copy(old[:5])
        file.append(b"kept")
        for size_bytes in (20_000_000, 100, 40_000_000):
            file.mark()
            for _number in range(4):
                file.append(bytes(size_bytes // 4))
            file.take_back()
        file.mark()
        file.append(b"kept as well")
        file.append_copy(old[5:9])
        digest = file.sha256()
    source = Path(earlier.path).read_bytes()
    expected = source[: 5 * FRAME_BYTES] + b"kept" + b"kept as well" + source[5 * FRAME_BYTES : 9 * FRAME_BYTES]
    assert target.read_bytes() == expected
    assert tool("sha256sum", target).decode().split()[0] == digest


def test_a_damaged_frame_is_not_copied(earlier: ArchiveReader, tmp_path: Path, cores: int) -> None:
    old = frames(earlier)
    with open(earlier.path, "r+b") as damaged:
        damaged.seek(30 * FRAME_BYTES + 1000)
        damaged.write(b"rot")
    with (
        pytest.raises(DamagedFramesError, match=f"Bytes {30 * FRAME_BYTES} to {31 * FRAME_BYTES}"),
        archive(tmp_path / "new", earlier) as file,
    ):
        file.append(b"before")
        for number in range(0, FRAMES, 4):
            file.append_copy(old[number : number + 4])
        file.sha256()
    written = (tmp_path / "new").read_bytes()
    assert b"rot" not in written
    assert earlier.packed_frames(old[:4]) in written, "what is before it was copied"
    assert_no_child_is_left()


def compared_frames(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the frames that are compared with their digests from here on, by this process."""
    compared: list[int] = []

    def note(frames: Sequence[Frame], data: bytes) -> None:
        check_frames(frames, data)
        compared.extend(frame.number for frame in frames)

    for module in (archive_file, archive_reader):
        monkeypatch.setattr(module, "check_frames", note)
    return compared


@pytest.mark.parametrize("cores", ["one core"], indirect=True)
def test_an_archive_in_which_nothing_changed_is_summed_up_once(
    earlier: ArchiveReader, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, source = frames(earlier), Path(earlier.path).read_bytes()
    compared = compared_frames(monkeypatch)
    with archive(tmp_path / "new", earlier, source + b"the end") as file:
        for number in range(0, FRAMES, 4):
            file.append_copy(old[number : number + 4])
        file.append(b"the end")
        assert file.sha256() == hashlib.sha256(source + b"the end").hexdigest()
    assert not compared


@pytest.mark.parametrize("cores", ["one core"], indirect=True)
@pytest.mark.parametrize("end", ["other frames", "another end", "no sum", "another sum"])
def test_where_something_changed_each_frame_is_compared_once(
    earlier: ArchiveReader, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    old, source = frames(earlier), Path(earlier.path).read_bytes()
    promised = b"" if end == "no sum" else source + (b"another sum" if end == "another sum" else b"")
    compared = compared_frames(monkeypatch)
    with archive(tmp_path / "new", earlier, promised) as file:
        file.append_copy(old[:20])
        file.append_copy(old[21:] if end == "other frames" else old[20:])
        if end == "another end":
            file.append(b"another end")
        file.sha256()
    assert compared == [number for number in range(FRAMES) if (end, number) != ("other frames", 20)]


@pytest.mark.parametrize("after", ["all the same", "other frames", "something new", "its place is taken by as much"])
def test_damage_that_was_copied_before_it_was_met(
    earlier: ArchiveReader, tmp_path: Path, cores: int, after: str
) -> None:
    old, source = frames(earlier), Path(earlier.path).read_bytes()
    with open(earlier.path, "r+b") as damaged:
        damaged.seek(7 * FRAME_BYTES + 1000)
        damaged.write(b"rot")
    with (
        pytest.raises(DamagedFramesError, match=f"Bytes {7 * FRAME_BYTES} to {8 * FRAME_BYTES}"),
        archive(tmp_path / "new", earlier, source) as file,
    ):
        file.append_copy(old[:20])
        if after == "something new":
            file.append(b"new")
        elif after == "its place is taken by as much":
            file.append(bytes(FRAME_BYTES))
        file.append_copy(old[20:] if after == "all the same" else old[21:])
        file.sha256()
    assert_no_child_is_left()


@pytest.mark.parametrize("cores", ["one core"], indirect=True)
def test_what_may_be_compared_late_is_bounded(
    earlier: ArchiveReader, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = frames(earlier)
    monkeypatch.setattr(archive_file, "_UNCHECKED_BYTES", 10 * FRAME_BYTES)
    compared = compared_frames(monkeypatch)
    with archive(tmp_path / "new", earlier) as file:
        for frame in old[:12]:
            file.append_copy([frame])
        assert compared == [10, 11]
        file.sha256()
    assert compared == [10, 11, *range(10)]


def test_a_source_that_is_cut_short(earlier: ArchiveReader, tmp_path: Path, cores: int) -> None:
    old = frames(earlier)
    os.truncate(earlier.path, 10 * FRAME_BYTES + 5)
    with pytest.raises(DamagedFramesError), archive(tmp_path / "new", earlier) as file:
        file.append_copy(old[8:12])
        file.sha256()


def test_a_full_disk_under_the_copying_process(
    earlier: ArchiveReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    old = frames(earlier)
    full = tool_mount(tmp_path)
    try:
        with pytest.raises(VaultError, match="The file system is full"), archive(full / "new", earlier) as file:
            for frame in old:
                file.append_copy([frame])
            file.sha256()
    finally:
        tool("umount", full)


def tool_mount(tmp_path: Path) -> Path:
    """A file system that has room for a few frames."""
    place = tmp_path / "small"
    place.mkdir()
    tool("mount", "-t", "tmpfs", "-o", "size=2m", "none", place)
    return place


def test_a_process_that_is_killed(earlier: ArchiveReader, tmp_path: Path, four_cores: None) -> None:
    old = frames(earlier)
    with pytest.raises(WorkerError, match="killed by signal 9"), archive(tmp_path / "new", earlier) as file:
        file.append_copy(old[:3])
        children = tool("ps", "--ppid", str(os.getpid()), "-o", "pid=,comm=").decode().splitlines()
        children = [line.split()[0] for line in children if not line.endswith(" ps")]
        os.kill(int(children[0]), signal.SIGKILL)
        file.append_copy(old[3:6])
        file.sha256()
    assert_no_child_is_left()


@pytest.mark.parametrize("how", ["damaged", "full"])
def test_after_a_failure_every_call_brings_it_again(
    earlier: ArchiveReader, tmp_path: Path, cores: int, how: str
) -> None:
    """Whoever asks next need not be who is told: the thread that writes may be waited for by nobody."""
    old = frames(earlier)
    place = tmp_path if how == "damaged" else tool_mount(tmp_path)
    error, text = (IntegrityError, "are damaged") if how == "damaged" else (VaultError, "file system is full")
    try:
        with archive(place / "new", earlier) as file:
            bad = [old[0]._replace(sha256="0" * 64)] if how == "damaged" else old[:12]
            with pytest.raises(error, match=text):
                file.append_copy(bad)
                file.mark()
                file.sha256()
            calls = (
                lambda: file.append(b"more"),
                lambda: file.append_copy(old[:1]),
                file.mark,
                file.take_back,
                file.sha256,
            )
            for call in calls * 2:
                with pytest.raises(error, match=text):
                    call()
            raise KeyError  # closing, the full disk would fail once more
    except KeyError:
        pass
    finally:
        if how == "full":
            tool("umount", place)
    assert_no_child_is_left()


def test_a_process_with_unread_answers_ends_in_silence(
    earlier: ArchiveReader, tmp_path: Path, four_cores: None, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        with archive(tmp_path / f"new{number}", earlier) as file:
            for frame in frames(earlier):
                file.append_copy([frame])
    assert capfd.readouterr().err == ""


def test_the_sum_is_heard_whenever_it_comes(earlier: ArchiveReader, tmp_path: Path, four_cores: None) -> None:
    """The answer to what was asked last may be there before anybody waits for it."""
    old = frames(earlier)
    for number in range(20):
        target = tmp_path / f"new{number}"
        with archive(target, earlier) as file:
            file.append_copy(old[:2])
            file.append(b"x" * number)
            digest = file.sha256()
        assert tool("sha256sum", target).decode().split()[0] == digest


def test_a_request_that_got_lost_is_noticed(
    earlier: ArchiveReader, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VaultError, match="is not what was written"), archive(tmp_path / "new", earlier) as file:
        file.append(b"one")
        with monkeypatch.context() as patched:
            patched.setattr(file, "_ask", lambda *_request: None)
            file.append(b"two")
        file.sha256()


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory")])
def test_what_cannot_be_sent_is_told_and_waited_for_by_nobody(
    earlier: ArchiveReader, tmp_path: Path, four_cores: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_connection: object, _item: object) -> None:
        raise error

    with archive(tmp_path / "new", earlier) as file:
        file.append(b"one")
        assert file._worker is not None
        monkeypatch.setattr(type(file._worker.connection), "send", refuse)
        for _number in range(2):
            with pytest.raises((MemoryError, WorkerError)):
                file.append(b"two")
                file.sha256()
    assert_no_child_is_left()
