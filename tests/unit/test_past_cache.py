# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Around the page cache the bytes are the same, wherever they begin and end; and the cache is left as it was."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import past_cache
from ansible_collections.cora.backup.plugins.module_utils.past_cache import (
    AlignedMemory,
    PastCacheReader,
    PastCacheWriter,
)
from ansible_collections.cora.backup.plugins.module_utils.vault_file import VaultFile

MEBIBYTE = 1024 * 1024
CONTENT = random.Random(5).randbytes(9 * MEBIBYTE + 1234)


@pytest.fixture(params=["directly", "refused at opening", "refused at first use"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system can do."""
    real_open, real_move = os.open, past_cache._Direct.move

    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    def refuse_direct(path: str, flags: int, *more: int) -> int:
        return refuse() if flags & os.O_DIRECT else real_open(path, flags, *more)

    if request.param == "refused at opening":
        monkeypatch.setattr(os, "open", refuse_direct)
    elif request.param == "refused at first use":
        monkeypatch.setattr(
            past_cache._Direct, "move", lambda self, _call, blocks, at: real_move(self, refuse, blocks, at)
        )
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def uncached(fd: int) -> None:
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("at", [0, 1, 4095, 4096, 5000])
@pytest.mark.parametrize("length_bytes", [0, 1, 4097, MEBIBYTE, MEBIBYTE + 4095, 9 * MEBIBYTE + 1234])
def test_pieces_of_any_length_at_any_offset(file: int, how: str, at: int, length_bytes: int) -> None:
    os.pwrite(file, b"x" * (at + 10 * MEBIBYTE), 0)  # dirty in the cache, before and behind
    writer, memory = PastCacheWriter(file), AlignedMemory()
    room = memory.at(at, length_bytes)
    room[:] = CONTENT[:length_bytes]
    writer.write_at(at, room)
    writer.close()
    expected = b"x" * at + CONTENT[:length_bytes] + b"x" * (10 * MEBIBYTE - length_bytes)
    assert os.pread(file, len(expected) + 1, 0) == expected
    uncached(file)
    assert os.pread(file, len(expected) + 1, 0) == expected
    reader = PastCacheReader(file, from_disk=True)
    assert reader.read_at(at, length_bytes) == CONTENT[:length_bytes]
    assert reader.read_at(len(expected) - 5, 5000) == expected[-5:], "the end of the file is told by fewer bytes"
    assert reader.read_at(len(expected) + 5000, 1).nbytes == 0
    reader.close()


def test_appended_in_pieces_cut_and_gone_on_with(tmp_path: Path, how: str) -> None:
    dice, expected, path = random.Random(6), bytearray(), tmp_path / "new"
    with VaultFile(str(path)) as stream:
        for number in range(40):
            piece = CONTENT[: dice.choice((1, 100, 4096, 300_000, 5 * MEBIBYTE))]
            stream.write(piece)
            expected += piece
            if number % 7 == 3:
                stream.flush()
                assert stream.read_at(len(expected) - len(piece), len(piece)) == piece
            if number % 11 == 5:
                stream.cut(len(expected) - 700)
                del expected[-700:]
    assert path.read_bytes() == expected


def test_what_is_in_the_cache_is_taken_from_there(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.pwrite(file, CONTENT, 0)
    monkeypatch.setattr(past_cache._Direct, "move", lambda *_arguments: pytest.fail("the disk was asked"))
    assert PastCacheReader(file).read_at(5, 8 * MEBIBYTE) == CONTENT[5 : 5 + 8 * MEBIBYTE]
