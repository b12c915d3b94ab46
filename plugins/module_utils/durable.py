# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that survive a power cut: every file and every directory is fsynced, and a failed fsync is fatal.

After a failed fsync Linux marks the pages clean and drops them, so trying again would report success over lost data
(the PostgreSQL "fsyncgate" of 2018). Nothing here retries one.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from .errors import VaultError
from .names import printable

if TYPE_CHECKING:
    import ctypes

COPY_CHUNK_BYTES = 1024 * 1024


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
        remove_if_there(temporary)
        raise
    except OSError as error:
        remove_if_there(temporary)
        fail(error, "replace", path)
    sync_directory(os.path.dirname(path))


def remove_if_there(path: str) -> None:
    """Remove a file, as well as that goes."""
    try:
        os.unlink(path)
    except OSError:
        pass  # there is none, or the error that brought us here is the one to tell


@cache
def c_library() -> ctypes.CDLL:
    """The C library, for calls that Python does not have."""
    import ctypes  # not at the top: whoever only reads a vault need not wait for it

    return ctypes.CDLL(None, use_errno=True)


def sync_file_system(fd: int) -> None:
    """Bring to disk all that was written to the file system of an open file, as C(sync -f) does.

    Unlike sync(2) it reports errors, and does not wait for other file systems, of which one may hang.

    :raises OSError: when the system does not promise that the bytes are on disk
    """
    import ctypes

    if c_library().syncfs(fd) != 0:
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
