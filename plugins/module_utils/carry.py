# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving what backups leave out (C(.git/), C(node_modules/), …) from one tree to another, at the same paths."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .patterns import PathFilter
from .safe_tree import OPEN_DIRECTORY, SafeTree
from .scan import ScanNotes, walk


def excluded_paths(project: str, exclude: tuple[str, ...]) -> list[str]:
    """What a backup with these patterns leaves out of the project; a directory once."""
    notes = _AllExcluded()
    for _found in walk(project, PathFilter(exclude), notes):
        pass
    return notes.paths


class _AllExcluded(ScanNotes):
    """Notes that keep every excluded path, not only the first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def exclude(self, path: str) -> None:
        self.paths.append(path)


def movable(paths: list[str], source: str, target: str) -> list[str]:
    """Those of the paths that :func:`carry` moves; the others stay, also when all is taken back."""
    with SafeTree(source, follow=False) as old, SafeTree(target, follow=False) as new:
        return [path for path in paths if _can_move(path, old, new)]


def _can_move(path: str, old: SafeTree, new: SafeTree) -> bool:
    return old.status(path) is not None and new.status(path) is None and _has_parent(new, path)


def carry(paths: list[str], source: str, target: str) -> None:
    """Move paths from one tree to the other; what is not there, or already there, stays as it is.

    A directory's times change when something moves in or out; they are put back.
    """
    with SafeTree(source, follow=False) as old, SafeTree(target, follow=False) as new:
        for path in paths:
            if not _can_move(path, old, new):
                continue
            (old_fd, name), (new_fd, _same) = old.parent(path), new.parent(path)
            times = [(fd, os.fstat(fd)) for fd in (old_fd, new_fd)]
            _move(name, old_fd, new_fd)
            for fd, status in times:
                os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _move(name: bytes, old_fd: int, new_fd: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    except PermissionError as refused:
        if refused.errno != errno.EACCES:
            raise
        try:
            _move_read_only(name, old_fd, new_fd)
        except PermissionError:
            raise refused from None  # it names what could not be moved


def _move_read_only(name: bytes, old_fd: int, new_fd: int) -> None:
    """Move for who is not root, out of a directory, into one, or one itself, that its owner may not write to.

    :raises OSError: when that is not why it was refused
    """
    with ExitStack() as modes:
        for fd in (old_fd, new_fd):
            modes.enter_context(_writable(fd))
        if stat.S_ISDIR(os.stat(name, dir_fd=old_fd, follow_symlinks=False).st_mode):
            # a directory that goes to another one is written to: its ".." changes
            modes.enter_context(_writable(modes.enter_context(_opened(name, old_fd))))
        os.rename(name, name, src_dir_fd=old_fd, dst_dir_fd=new_fd)


@contextmanager
def _opened(name: bytes, directory_fd: int) -> Iterator[int]:
    fd = os.open(name, OPEN_DIRECTORY, dir_fd=directory_fd)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _writable(fd: int) -> Iterator[None]:
    """Give a directory's owner the right to write to it, for a moment."""
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    os.fchmod(fd, mode | stat.S_IRWXU)
    try:
        yield
    finally:
        os.fchmod(fd, mode)


def _has_parent(tree: SafeTree, path: str) -> bool:
    parent = path.rpartition("/")[0] or "."
    status = tree.status(parent)
    return status is not None and stat.S_ISDIR(status.st_mode)
