# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inode flags (C(chattr), C(lsattr)): set by ioctl, and always read back.

Source of the numbers: linux/fs.h (C(FS_IOC_GETFLAGS), C(FS_IOC_SETFLAGS), C(FS_IMMUTABLE_FL), C(FS_APPEND_FL)). That an
ioctl succeeded proves nothing: overlay and network file systems accept and forget. Only a flag read back counts.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from typing import Optional

from .errors import SealError
from .names import printable

IMMUTABLE = 0x00000010
APPEND_ONLY = 0x00000020

_LONG = struct.calcsize("l")
_GETFLAGS = (2 << 30) | (_LONG << 16) | (ord("f") << 8) | 1
_SETFLAGS = (1 << 30) | (_LONG << 16) | (ord("f") << 8) | 2
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: What the kernel says where there are no such flags: no ioctl, not supported, or refused by the file system.
_UNSUPPORTED = (errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def get_flags(fd: int) -> Optional[int]:
    """Flags of an open file, or None where its file system has none."""
    buffer = array.array("l", [0])
    try:
        fcntl.ioctl(fd, _GETFLAGS, buffer, True)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return buffer[0] & 0xFFFFFFFF


def change_flags(fd: int, *, add: int = 0, remove: int = 0, what: str = "file") -> bool:
    """Add and remove flags of an open file; returns whether anything had to change.

    :raises SealError: when the flags are not what was asked for after reading them back
    """
    before = get_flags(fd)
    if before is None:
        raise SealError(
            f"The file system of {printable(what)} has no inode flags, so nothing there can be made immutable."
        )
    wanted = (before | add) & ~remove
    if wanted == before:
        return False
    try:
        fcntl.ioctl(fd, _SETFLAGS, array.array("l", [wanted]))
    except OSError as error:
        raise SealError(
            f"The flags of {printable(what)} could not be set: {error.strerror}. {_advice(error)}"
        ) from error
    if get_flags(fd) != wanted:
        raise SealError(
            f"The file system of {printable(what)} took the flags and forgot them: nothing there can be sealed."
        )
    return True


def _advice(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return "That takes root with CAP_LINUX_IMMUTABLE (containers drop it; add it with --cap-add LINUX_IMMUTABLE)."
    return "The file system may not know immutable files (FAT, NFS, ramfs); ext4, XFS and Btrfs do."


def path_flags(path: str) -> int:
    """Flags of a file or directory by path, links not followed; 0 where there are none.

    :raises OSError: when it cannot be opened
    """
    fd = os.open(path, _OPEN)
    try:
        return get_flags(fd) or 0
    finally:
        os.close(fd)


def change_path_flags(path: str, *, add: int = 0, remove: int = 0) -> bool:
    """:func:`change_flags` by path, links not followed."""
    fd = os.open(path, _OPEN)
    try:
        return change_flags(fd, add=add, remove=remove, what=path)
    finally:
        os.close(fd)


def tree_paths(top: str) -> Iterator[str]:
    """Regular files and directories below C(top), each before the directory that holds it, C(top) last."""
    directories = []
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path
    for directory in sorted(directories):
        yield from tree_paths(directory)
    yield top


def seal_tree(top: str) -> int:
    """Make every file and directory of a tree immutable, the top last; returns how many flags had to be set.

    The top is last so that a sealed top means a sealed tree, and a killed run is seen as not sealed. Each flag is read
    back when it is set.

    :raises SealError: when one does not hold
    """
    return sum(change_path_flags(path, add=IMMUTABLE) for path in tree_paths(top))


def unsealed_paths(top: str) -> list[str]:
    """What in a tree is not immutable, by reading each flag."""
    return [path for path in tree_paths(top) if not path_flags(path) & IMMUTABLE]


def is_sealed(top: str) -> bool:
    """Whether the top of a tree is immutable; :func:`seal_tree` seals it last."""
    return bool(path_flags(top) & IMMUTABLE)


def probe_seal(directory: str) -> Optional[str]:
    """Try in C(directory) whether a file can be made immutable and is then really so; None, or the reason why not."""
    path = os.path.join(directory, f"probe-{os.getpid()}")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        change_flags(fd, add=IMMUTABLE, what=path)
        reason = _still_writable(path)
        change_flags(fd, remove=IMMUTABLE, what=path)
        return reason
    except SealError as error:
        return str(error)
    finally:
        os.close(fd)
        os.unlink(path)


def _still_writable(path: str) -> Optional[str]:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            return None
        raise
    return f"A file in {printable(os.path.dirname(path))} that is flagged immutable can still be opened for writing."


def is_flaggable(mode: int) -> bool:
    """Whether an inode of this mode can carry flags: regular files and directories."""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
