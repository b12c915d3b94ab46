# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the project's files so that what is kept is what was there at one moment.

A file that changes while it is read is read again; after the last attempt the bytes that were read are kept, and the
backup says so. A log that only grew is no change: its beginning is what it was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from typing import Callable, NamedTuple, Optional

from .beside_database import status_beside
from .errors import CoraError
from .scan import Found
from .tar_format import padding
from .without_atime import open_at

ATTEMPTS = 3
_RETRY_SECONDS = 0.05
_IN_FLIGHT_NS = 50_000_000
_SETTLED_NS = 2_100_000_000
_TICK_NS = 20_000_000  # file times advance in steps; 10 ms on the slowest kernels
_CHUNK_BYTES = 1024 * 1024
_ZEROS = bytes(_CHUNK_BYTES)
#: Below this a "hole" is more often data that the file system keeps in its inode.
_SPARSE_FROM_BYTES = 64 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadableError(CoraError):
    """A file of the project could not be read; the backup goes on and names it."""


def open_without_atime(found: Found) -> int:
    """Open what may be a regular file of the project; its atime stays where that is allowed.

    :raises OSError: when it cannot be opened
    """
    return open_at(found.name, _OPEN, found.parent_fd)


def open_source(found: Found) -> int:
    """Open a regular file of the project.

    :raises UnreadableError: with the reason
    """
    try:
        fd = open_without_atime(found)
    except FileNotFoundError as error:
        raise UnreadableError("it vanished while the backup ran") from error
    except OSError as error:
        raise UnreadableError(error.strerror or "cannot be opened") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnreadableError("it was replaced by something else while the backup ran")
    return fd


def read_xattrs(fd_or_path: int) -> dict[str, bytes]:
    """Extended attributes of an open file or directory; empty where the file system has none."""
    try:
        names = os.listxattr(fd_or_path)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):
            return {}
        raise
    return {name: os.getxattr(fd_or_path, name) for name in names if not name.startswith("trusted.overlay.")}


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_settled(changed_ns: int, seen_ns: Optional[int] = None) -> bool:
    """Whether a change of now would show in this time stamp.

    :param seen_ns: the moment that counts; None is now

    The kernel's clock for files ticks slowly (up to 10 ms, two seconds on FAT), and a second write within one tick
    would leave size and times as they are (Git calls such an entry "racily clean").
    """
    return (time.time_ns() if seen_ns is None else seen_ns) - changed_ns >= _SETTLED_NS


def wal_identity(found: Found) -> Optional[tuple[int, int]]:
    """Size and mtime_ns of a database's write-ahead log; None where there is none."""
    status = status_beside(found.parent_fd, found.name, "-wal")
    return None if status is None else (status.st_size, status.st_mtime_ns)


def wal_at_rest(found: Found) -> Optional[tuple[int, int]]:
    """The same, taken when a write from now on gets another time: a log that goes round keeps its size.

    Where it is written all the time its time is 0, which no log has: such a database counts as changed.
    """
    wal = wal_identity(found)
    if wal is not None and time.time_ns() - wal[1] < _TICK_NS:
        time.sleep(_TICK_NS / 1e9)
        wal = wal_identity(found)
        if wal is not None and time.time_ns() - wal[1] < _TICK_NS:
            return wal[0], 0
    return wal


class Snapshot(NamedTuple):
    """A file's bytes and the state they belong to.

    :param stable: it did not change while it was read
    """

    status: os.stat_result
    xattrs: dict[str, bytes]
    data: bytes
    stable: bool


def _may_be_in_flight(status: os.stat_result) -> bool:
    """Whether a write may be going on: the kernel stamps a file when a write begins, and then copies the bytes."""
    return 0 <= time.time_ns() - status.st_ctime_ns < _IN_FLIGHT_NS


def _settle(fd: int) -> bool:
    """Give a write that may be going on the time to end; whether none is going on then."""
    if not _may_be_in_flight(os.fstat(fd)):
        return True
    time.sleep(_RETRY_SECONDS)
    return not _may_be_in_flight(os.fstat(fd))


def _is_unchanged(fd: int, before: os.stat_result, *, growing: bool) -> bool:
    after = os.fstat(fd)
    if _identity(after) == _identity(before):
        return True
    return growing and after.st_size > before.st_size


def read_at_once(found: Found) -> Optional[Snapshot]:
    """Content of a small file that is still what the scan saw; None where it needs a closer look.

    The status of the scan stands for the state before: what is opened is compared with it afterwards, type and all.
    That makes five system calls a file and no second look at most of them.
    """
    before = found.status
    try:
        fd = open_without_atime(found)
    except OSError:
        return None
    try:
        data = os.pread(fd, before.st_size, 0) if before.st_size else b""
        after = os.fstat(fd)
        xattrs = read_xattrs(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    same = after.st_mode == before.st_mode and after.st_dev == before.st_dev and _identity(after) == _identity(before)
    whole = len(data) == before.st_size and not _may_be_in_flight(after)
    return Snapshot(after, xattrs, data, True) if same and whole else None


def read_whole(found: Found, *, start: int = 0, growing: bool = False) -> Snapshot:
    """Content of a file in memory, read again when it changes meanwhile.

    :param start: offset to begin at
    :param growing: it is a log, to which others may append
    :raises UnreadableError: when it is gone or refuses to be read
    """
    for attempt in range(1, ATTEMPTS + 1):
        fd = open_source(found)
        try:
            settled = growing or _settle(fd)
            before = os.fstat(fd)
            data = _read_exactly(fd, start, before.st_size - start)
            stable = settled and len(data) == before.st_size - start and _is_unchanged(fd, before, growing=growing)
            if stable or attempt == ATTEMPTS:
                return Snapshot(before, read_xattrs(fd), data, stable)
        except OSError as error:
            raise UnreadableError(error.strerror or "cannot be read") from error
        finally:
            os.close(fd)
        time.sleep(_RETRY_SECONDS)
    raise UnreadableError("cannot be read")


def _read_exactly(fd: int, start: int, size_bytes: int) -> bytes:
    # one read brings a file of this size, but a signal or a network file system may cut it short
    data = os.pread(fd, size_bytes, start) if size_bytes > 0 else b""
    if len(data) == size_bytes or not data:
        return data
    parts = [data]
    at = len(data)
    while at < size_bytes:
        part = os.pread(fd, size_bytes - at, start + at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def may_have_holes(status: os.stat_result) -> bool:
    """Whether a file has fewer blocks than its size needs."""
    return status.st_size >= _SPARSE_FROM_BYTES and status.st_blocks * 512 < status.st_size


def data_segments(fd: int, size_bytes: int) -> Optional[list[tuple[int, int]]]:
    """Offset and length of what is not a hole, or None where the file has no holes worth a map."""
    if not may_have_holes(os.fstat(fd)):
        return None
    segments: list[tuple[int, int]] = []
    at = 0
    while at < size_bytes:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = min(os.lseek(fd, start, os.SEEK_HOLE), size_bytes)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                break
            return None
        if start < size_bytes:
            segments.append((start, at - start))
    if segments == [(0, size_bytes)]:
        return None
    if not segments or sum(segments[-1]) < size_bytes:
        segments.append((size_bytes, 0))  # tells readers where the file ends, as GNU tar writes it
    return segments


def sparse_map(segments: list[tuple[int, int]]) -> bytes:
    """The map that stands before the data of a sparse file (GNU tar manual, "PAX Format, Version 1.0")."""
    numbers = [len(segments)] + [number for segment in segments for number in segment]
    text = b"".join(b"%d\n" % number for number in numbers)
    return text + padding(len(text))


class StreamedFile:
    """A large file, read in chunks from an open descriptor.

    :param start: offset of the first byte to keep
    :param growing: it is a log, to which others may append
    :param own: it is a copy of ours, which nobody else writes
    """

    def __init__(
        self,
        fd: int,
        *,
        start: int = 0,
        growing: bool = False,
        own: bool = False,
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._fd = fd
        self._growing = growing
        self._on_bytes = on_bytes
        self._settled = own or growing or _settle(fd)
        self.status = os.fstat(fd)
        self.start = start
        self.content_bytes = self.status.st_size - start
        self.segments = None if start else data_segments(fd, self.status.st_size)
        self._map = b"" if self.segments is None else sparse_map(self.segments)
        self.short = False
        self._digest = hashlib.sha256()

    @property
    def stored_bytes(self) -> int:
        """How many bytes of data the archive gets."""
        if self.segments is None:
            return self.content_bytes
        return len(self._map) + sum(length for _offset, length in self.segments)

    def chunks(self) -> Iterator[bytes]:
        """The data as the archive gets it. A file that shrank is filled up with zeros, and :attr:`short` is set."""
        if self.segments is None:
            yield from self._data(self.start, self.content_bytes)
            return
        yield self._map
        at = 0
        for offset, length in self.segments:
            self._hash_zeros(offset - at)
            yield from self._data(offset, length)
            at = offset + length

    def sha256(self) -> str:
        """Digest of the content as C(sha256sum) would give it, holes included."""
        return self._digest.hexdigest()

    def is_stable(self) -> bool:
        """Whether the file is still what it was when it was opened."""
        return self._settled and not self.short and _is_unchanged(self._fd, self.status, growing=self._growing)

    def _data(self, offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            try:
                chunk = os.pread(self._fd, min(_CHUNK_BYTES, end - offset), offset)
            except OSError as error:
                raise UnreadableError(error.strerror or "cannot be read") from error
            if not chunk:
                self.short = True
                chunk = _ZEROS[: min(_CHUNK_BYTES, end - offset)]
            self._digest.update(chunk)
            self._on_bytes(len(chunk))
            offset += len(chunk)
            yield chunk

    def _hash_zeros(self, count: int) -> None:
        while count > 0:
            step = min(count, _CHUNK_BYTES)
            self._digest.update(_ZEROS[:step])
            count -= step


def log_start(fd: int, size_bytes: int, cap_bytes: int) -> int:
    """Offset at which the newest C(cap_bytes) of a log begin, moved to the start of a line where one is near."""
    if size_bytes <= cap_bytes:
        return 0
    start = size_bytes - cap_bytes
    # the byte before may end a line: then one begins right here
    newline = os.pread(fd, min(_CHUNK_BYTES, cap_bytes) + 1, start - 1).find(b"\n")
    is_near = newline >= 0 and start + newline < size_bytes
    return start + newline if is_near else start
