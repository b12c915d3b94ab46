# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new file in the vault: appended to, or put together from pieces, and on disk once it is closed.

What is appended is collected until it is worth writing around the page cache (past_cache.py).
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Union

from .durable import fail, remove_if_there
from .past_cache import BLOCK_BYTES, AlignedMemory, PastCacheWriter

_COLLECTED_BYTES = 4 * 1024 * 1024
_FICLONE = 0x40049409  # linux/fs.h, as the next one
_FICLONERANGE = 0x4020940D


class VaultFile:
    """A new file in the vault, whose every failure is a :class:`VaultError`.

    Leaving the C(with) block closes it, and fails when the system does not promise that its bytes are on disk.

    :param path: its name, which must not exist
    :param keep_in_cache: what is appended is soon read again
    """

    def __init__(self, path: str, *, keep_in_cache: bool = False) -> None:
        self._path = path
        with self._failing_to("write"):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._past_cache = PastCacheWriter(self._fd)
        self._memory = AlignedMemory()
        self._room = memoryview(b"")  # what is appended next is collected here
        self._collected_bytes = 0
        self._at = 0  # where that belongs
        self.keep_in_cache = keep_in_cache

    def __enter__(self) -> VaultFile:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            with suppress(OSError):  # the error that brought us here is the one to tell
                self._close()
            return
        try:
            self.flush()
            with self._failing_to("write to disk"):
                os.fsync(self._fd)
        finally:
            self._close()

    def _close(self) -> None:
        self._past_cache.close()
        os.close(self._fd)

    @contextmanager
    def _failing_to(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fail(error, action, self._path)

    def write(self, data: Union[bytes, memoryview]) -> None:
        """Append bytes."""
        rest = memoryview(data)
        while rest:
            if self._collected_bytes == len(self._room):
                self.flush()
                # so that it ends where a block does
                self._room = self._memory.at(self._at, _COLLECTED_BYTES - self._at % BLOCK_BYTES)
            taken = rest[: len(self._room) - self._collected_bytes]
            self._room[self._collected_bytes : self._collected_bytes + len(taken)] = taken
            self._collected_bytes += len(taken)
            rest = rest[len(taken) :]

    def flush(self) -> None:
        """Hand what was appended to the kernel, and from there to the disk."""
        collected = self._room[: self._collected_bytes]
        with self._failing_to("write"):
            if self.keep_in_cache:
                self._past_cache.write_cached_at(self._at, collected)
            else:
                self._past_cache.write_at(self._at, collected)
        self._go_to(self._at + len(collected))

    def write_aligned(self, data: memoryview) -> None:
        """Append what stands in :class:`AlignedMemory` for the offset at which this file ends now."""
        if self._collected_bytes:
            self.write(data)
            return
        with self._failing_to("write"):
            self._past_cache.write_at(self._at, data)
        self._go_to(self._at + len(data))

    def _go_to(self, offset: int) -> None:
        self._room, self._collected_bytes, self._at = memoryview(b""), 0, offset

    def length_bytes(self) -> int:
        """Of what the kernel has."""
        with self._failing_to("look at"):
            return os.fstat(self._fd).st_size

    def read_at(self, at: int, length_bytes: int) -> bytes:
        """Bytes that were written and flushed; fewer, where somebody else cut the file."""
        with self._failing_to("read again"):
            return os.pread(self._fd, length_bytes, at)

    def cut(self, length_bytes: int) -> None:
        """Throw away what stands beyond C(length_bytes), and append there from now on."""
        self.flush()
        with self._failing_to("write"):
            os.ftruncate(self._fd, length_bytes)
        self._go_to(length_bytes)

    def clone(self, source_fd: int) -> bool:
        """Become a copy of another file that shares its blocks; False where the file system cannot do that."""
        try:
            fcntl.ioctl(self._fd, _FICLONE, source_fd)
        except OSError:
            return False  # whatever is wrong (other file system, none that shares, no room) writing will show
        return True

    def append_clone(self, source_fd: int, offset: int, length_bytes: int) -> bool:
        """Append bytes of another file by sharing their blocks; False where that cannot be.

        All of it has to be whole blocks.
        """
        if (offset | length_bytes | (self._at + self._collected_bytes)) % BLOCK_BYTES:
            return False
        self.flush()
        try:
            fcntl.ioctl(self._fd, _FICLONERANGE, struct.pack("qQQQ", source_fd, offset, length_bytes, self._at))
        except OSError:
            return False  # as of clone()
        self._go_to(self._at + length_bytes)
        return True

    def shares_blocks(self, probe_path: str) -> bool:
        """Whether the file system can share blocks between files; a file at C(probe_path) comes and goes."""
        try:
            with open(probe_path, "x+b", buffering=0) as probe:
                probe.write(bytes(BLOCK_BYTES))
                fcntl.ioctl(self._fd, _FICLONERANGE, struct.pack("qQQQ", probe.fileno(), 0, BLOCK_BYTES, 0))
            os.ftruncate(self._fd, 0)
        except OSError:
            return False
        finally:
            remove_if_there(probe_path)
        return True
