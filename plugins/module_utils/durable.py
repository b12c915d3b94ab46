# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that survive a power cut: every file and every directory is fsynced, and a failed fsync is fatal.

After a failed fsync Linux marks the pages clean and drops them, so trying again would report success over lost data
(the PostgreSQL "fsyncgate" of 2018). Nothing here retries one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from .errors import VaultError
from .names import printable

if TYPE_CHECKING:
    import ctypes

COPY_CHUNK_BYTES = 1024 * 1024
_FICLONE = 0x40049409
_FICLONERANGE = 0x4020940D
_BLOCK_BYTES = 4096
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h


def fail(error: OSError, action: str, path: str) -> NoReturn:
    """Turn an operating system error on the vault into a sentence.

    :raises VaultError: always
    """
    advice = {
        errno.ENOSPC: " The file system is full: free space there, or choose another vault.",
        errno.EDQUOT: " The quota is used up: raise it, or choose another vault.",
        errno.EROFS: " The file system is mounted read-only.",
        errno.EIO: " The disk reported an error, so what was being written is thrown away. See the kernel log (dmesg).",
    }.get(error.errno or 0, "")
    raise VaultError(f"Could not {action} {printable(path)}: {error.strerror}.{advice}") from error


def sync_and_close(stream: BinaryIO, path: str) -> None:
    """Flush, fsync and close a file that was written.

    :raises VaultError: when the system does not promise that the bytes are on disk
    """
    try:
        with stream:
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        fail(error, "write to disk", path)


def write_file(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Create a new file with these bytes, on disk when this returns. The name must not exist.

    :raises VaultError: when it cannot be written
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        stream = os.fdopen(fd, "wb")
        stream.write(data)
    except OSError as error:
        fail(error, "write", path)
    sync_and_close(stream, path)


def replace_file(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Put a file with these bytes in the place of C(path) in one step, on disk when this returns."""
    temporary = f"{path}.new-{os.getpid()}"
    try:
        write_file(temporary, data, mode=mode)
        os.rename(temporary, path)
    except VaultError:
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        fail(error, "replace", path)
    sync_directory(os.path.dirname(path))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # there is none, or the error that brought us here is the one to tell


@cache
def _c_library() -> ctypes.CDLL:
    import ctypes  # not at the top: whoever only reads a vault need not wait for it

    return ctypes.CDLL(None, use_errno=True)


def sync_file_system(fd: int) -> None:
    """Bring to disk all that was written to the file system of an open file, as C(sync -f) does.

    Unlike sync(2) it reports errors, and does not wait for other file systems, of which one may hang.

    :raises OSError: when the system does not promise that the bytes are on disk
    """
    import ctypes

    if _c_library().syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sync_directory(path: str) -> None:
    """fsync a directory, so that the names in it survive.

    :raises VaultError: when that fails
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        fail(error, "write to disk", path)


def make_directories(path: str, *, mode: int = 0o700) -> None:
    """C(mkdir -p), each new directory on disk when this returns.

    :raises VaultError: when one cannot be made
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, mode)
        except FileExistsError:
            continue
        except OSError as error:
            fail(error, "make the directory", directory)
        sync_directory(os.path.dirname(directory))


class VaultFile:
    """A new file in the vault, whose every failure is a :class:`VaultError`.

    :param path: its name, which must not exist
    """

    def __init__(self, path: str, *, mode: int = 0o600) -> None:
        self._path = path
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except OSError as error:
            fail(error, "write", path)
        self._stream = os.fdopen(fd, "wb")

    def __enter__(self) -> VaultFile:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            sync_and_close(self._stream, self._path)
            return
        try:
            self._stream.close()
        except OSError:
            pass  # the error that brought us here is the one to tell

    def write(self, data: bytes) -> None:
        """Append bytes."""
        try:
            self._stream.write(data)
        except OSError as error:
            fail(error, "write", self._path)

    def clone(self, source_fd: int) -> bool:
        """Become a copy of another file that shares its blocks; False where the file system cannot do that."""
        try:
            fcntl.ioctl(self._stream.fileno(), _FICLONE, source_fd)
        except OSError:
            return False  # whatever is wrong (other file system, none that shares, no room) writing will show
        return True

    def clone_at(self, at: int, source_fd: int, offset: int, length_bytes: int) -> bool:
        """Put bytes of another file at an offset by sharing their blocks; False where that cannot be.

        All of it has to be whole blocks.
        """
        if (offset | length_bytes | at) % _BLOCK_BYTES:
            return False
        try:
            fcntl.ioctl(self._stream.fileno(), _FICLONERANGE, struct.pack("qQQQ", source_fd, offset, length_bytes, at))
        except OSError:
            return False  # as of clone()
        return True

    def write_at(self, at: int, data: bytes) -> None:
        """Put bytes at an offset, where :meth:`write` does not write."""
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._stream.fileno(), rest, at)
                at, rest = at + written, rest[written:]
        except OSError as error:
            fail(error, "write", self._path)

    def read_at(self, at: int, length_bytes: int) -> bytes:
        """Bytes that were written and flushed; fewer, where somebody else cut the file."""
        try:
            return os.pread(self._stream.fileno(), length_bytes, at)
        except OSError as error:
            fail(error, "read again", self._path)

    def flush(self) -> None:
        """Hand what was written to the kernel."""
        try:
            self._stream.flush()
        except OSError as error:
            fail(error, "write", self._path)

    def start_writing_out(self, offset: int, length_bytes: int) -> None:
        """Have the kernel begin to bring these bytes to disk, which it else does when fsync asks for all of them.

        Promises nothing: whether they got there, and that they did not, is still for fsync to tell.
        """
        import ctypes

        with suppress(AttributeError):  # another C library
            start, length = ctypes.c_int64(offset), ctypes.c_int64(length_bytes)
            _c_library().sync_file_range(self._stream.fileno(), start, length, _SYNC_FILE_RANGE_WRITE)

    def go_to(self, offset: int) -> None:
        """Write from this offset on, once what is before it was put there."""
        try:
            self._stream.seek(offset)
        except OSError as error:
            fail(error, "write", self._path)

    def shares_blocks(self, probe_path: str) -> bool:
        """Whether the file system can share blocks between files; a file at C(probe_path) comes and goes."""
        try:
            with open(probe_path, "x+b", buffering=0) as probe:
                probe.write(bytes(_BLOCK_BYTES))
                request = struct.pack("qQQQ", probe.fileno(), 0, _BLOCK_BYTES, 0)
                fcntl.ioctl(self._stream.fileno(), _FICLONERANGE, request)
            os.ftruncate(self._stream.fileno(), 0)
        except OSError:
            return False
        finally:
            _remove(probe_path)
        return True

    def cut(self, length_bytes: int) -> None:
        """Throw away what stands beyond C(length_bytes)."""
        try:
            self._stream.seek(length_bytes)
            self._stream.truncate()
        except OSError as error:
            fail(error, "write", self._path)


def sync_files(top: str) -> None:
    """fsync every file below a directory, and every directory, C(top) last.

    :raises VaultError: when one fails
    """
    for directory, _below, names in os.walk(top, topdown=False):
        for name in names:
            sync_file(os.path.join(directory, name))
        sync_directory(directory)


def sync_file(path: str) -> None:
    """fsync one file.

    :raises VaultError: when that fails
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        fail(error, "write to disk", path)
