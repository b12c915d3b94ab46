# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files from memory to the disk and back, around the page cache (C(O_DIRECT), see open(2)).

Copying an archive into the cache was two thirds of the CPU time of a backup in which nothing changed, and pushed out of
it what the server's programs have there. Whole blocks go to the disk directly; what does not fill one, at either end,
goes through the cache, as all does where a file system cannot do it: it says so when a file is opened or first used.

Nothing here promises that what was written is on disk: that is for fsync to tell, as ever.
"""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from typing import Callable, Optional

from .durable import c_library
from .errors import CoraError

#: Of memory, of file systems, and of nearly all disks; what needs larger ones refuses, and gets the cache.
BLOCK_BYTES = 4096
#: The disk has to answer before the next write: less is not worth that.
_LEAST_BYTES = 1024 * 1024
#: A file full of holes consists of many small pieces, which the kernel puts in order.
_WORTH_ASKING_BYTES = 256 * 1024
_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h


class AlignedMemory:
    """Memory that whole blocks can be moved from and to directly.

    :param shared_bytes: so much is there from the beginning, one with that of processes that are forked later
    """

    def __init__(self, shared_bytes: int = 0) -> None:
        self._memory: Optional[mmap.mmap] = None
        if shared_bytes:
            self._memory = _map(shared_bytes + 2 * BLOCK_BYTES, mmap.MAP_SHARED)

    def at(self, offset: int, length_bytes: int) -> memoryview:
        """Room for what stands at an offset of a file. The next call may give the same room again.

        :raises CoraError: when there is no memory
        """
        begin = offset % BLOCK_BYTES
        return self.blocks_of(offset, length_bytes)[begin : begin + length_bytes]

    def blocks_of(self, offset: int, length_bytes: int) -> memoryview:
        """The same, and what is left of the blocks before and after it."""
        end = offset % BLOCK_BYTES + length_bytes
        end += -end % BLOCK_BYTES
        if self._memory is None or len(self._memory) < end:
            # private, or it would be one with that of a process that is forked later
            self._memory = _map(max(end, BLOCK_BYTES), mmap.MAP_PRIVATE)
        return memoryview(self._memory)[:end]


def _map(size_bytes: int, flags: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size_bytes, flags=flags | mmap.MAP_ANONYMOUS)
    except OSError as error:  # which a caller would take for one of the disk
        raise CoraError(f"There is no memory for {size_bytes} bytes of an archive: {error.strerror}.") from error


class _Direct:
    """A second opening of a file, in this process alone, past the cache.

    :param fd: of the file; stays the caller's
    :param flags: how it is open
    """

    def __init__(self, fd: int, flags: int) -> None:
        self._open_fd = fd
        self._flags = flags | os.O_DIRECT | os.O_CLOEXEC
        self._fd: Optional[int] = None
        self._is_possible = True

    def move(self, call: Callable[[int, memoryview, int], int], blocks: memoryview, at: int) -> int:
        """Read or write whole blocks; returns how many bytes: less than all at the end of the file, and where the rest
        has to go through the cache.

        :raises OSError: when it fails there too
        """
        done = 0
        while self._is_possible and done < len(blocks):
            try:
                moved = call(self._descriptor(), blocks[done:], at + done)
            except OSError as error:
                if self._fd is not None and error.errno not in _REFUSALS:
                    raise
                self._is_possible = False
                break
            done += moved
            if moved == 0 or done % BLOCK_BYTES:
                break
        return done

    def _descriptor(self) -> int:
        if self._fd is None:
            # O_DIRECT set on the one that is open would be set for all who share that opening
            self._fd = os.open(f"/proc/self/fd/{self._open_fd}", self._flags)
        return self._fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class PastCacheWriter:
    """Writes to a file that is open already, and is not closed with this.

    :param fd: the file, open for writing
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._direct = _Direct(fd, os.O_WRONLY)

    def write_at(self, at: int, data: memoryview) -> None:
        """Write what stands in :class:`AlignedMemory` for this offset.

        :raises OSError: when it cannot be written
        """
        head_bytes = min(-at % BLOCK_BYTES, len(data))
        whole_bytes = (len(data) - head_bytes) // BLOCK_BYTES * BLOCK_BYTES
        if whole_bytes < _LEAST_BYTES:
            self.write_cached_at(at, data)
            return
        self.write_cached_at(at, data[:head_bytes])
        blocks = data[head_bytes : head_bytes + whole_bytes]
        done = head_bytes + self._direct.move(os.pwrite, blocks, at + head_bytes)
        self.write_cached_at(at + done, data[done:])

    def write_cached_at(self, at: int, data: memoryview) -> None:
        """Write through the cache, and have the kernel begin to bring it to disk, which it else does when fsync asks.

        :raises OSError: when it cannot be written
        """
        import ctypes  # not at the top, as in durable.py

        begin, end = at, at + len(data)
        while at < end:
            at += os.pwrite(self._fd, data[at - begin :], at)
        if end - begin >= _WORTH_ASKING_BYTES:
            with suppress(AttributeError):  # another C library
                length = ctypes.c_int64(end - begin)
                c_library().sync_file_range(self._fd, ctypes.c_int64(begin), length, _SYNC_FILE_RANGE_WRITE)

    def close(self) -> None:
        """Leave the file to whoever has it open."""
        self._direct.close()


class PastCacheReader:
    """Reads from a file that is open already, and is not closed with this; for one thread.

    :param fd: the file, open for reading
    :param from_disk: also what is in the cache is read from the disk, where what that holds is to be known
    """

    def __init__(self, fd: int, *, from_disk: bool = False) -> None:
        self._fd = fd
        self._direct = _Direct(fd, os.O_RDONLY)
        self._from_disk = from_disk
        self._memory = AlignedMemory()

    def read_at(self, at: int, length_bytes: int, memory: Optional[AlignedMemory] = None) -> memoryview:
        """Bytes of the file; fewer at its end. They stand in C(memory), or are overwritten by the next call.

        :raises OSError: when they cannot be read
        """
        memory = memory or self._memory
        room = memory.at(at, length_bytes)
        done = 0
        if self._from_disk or not is_cached(self._fd, at, length_bytes):
            before = at % BLOCK_BYTES
            done = self._direct.move(_read_into, memory.blocks_of(at, length_bytes), at - before) - before
            done = min(max(done, 0), length_bytes)
        while done < length_bytes:
            count = _read_into(self._fd, room[done:], at + done)
            if count == 0:
                break
            done += count
        return room[:done]

    def close(self) -> None:
        """Leave the file to whoever has it open."""
        self._direct.close()


def _read_into(fd: int, room: memoryview, at: int) -> int:
    return os.preadv(fd, [room], at)


def is_cached(fd: int, at: int, length_bytes: int) -> bool:
    """Whether a part of a file is in the page cache as a whole (mincore(2)).

    True also of somebody else's file, of which the kernel does not tell.
    """
    import ctypes  # not at the top, as in durable.py

    begin = at - at % mmap.PAGESIZE
    size_bytes = at + length_bytes - begin
    library = c_library()
    library.mmap.restype = ctypes.c_void_p
    length = ctypes.c_size_t(size_bytes)
    # nothing is read through this
    address = library.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_int64(begin))
    if address == ctypes.c_void_p(-1).value:  # MAP_FAILED
        return False
    pages = (ctypes.c_ubyte * (-(-size_bytes // mmap.PAGESIZE)))()
    try:
        failed = library.mincore(ctypes.c_void_p(address), length, pages)
    finally:
        library.munmap(ctypes.c_void_p(address), length)
    return not failed and all(page & 1 for page in pages)
