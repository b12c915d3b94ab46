# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Working inside a directory that may be hostile: by directory descriptors, one name at a time, no link followed.

Root restores into trees that other users own. A path that is looked up by the kernel as a whole follows whatever
links they put there meanwhile; a name that is opened below a descriptor with C(O_NOFOLLOW) cannot leave it.
"""

from __future__ import annotations

import errno
import os
from typing import Optional

from .errors import RestoreError
from .names import printable, to_bytes

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_relative(path: str) -> None:
    """Refuse a path that could lead out of the directory it is meant for.

    :raises RestoreError: for an absolute path, C(..), an empty part or a NUL
    """
    parts = path.split("/")
    if path == ".":
        return
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise RestoreError(f"The path {printable(path)!r} could lead out of the project: it is not restored.")


class SafeTree:
    """A directory, and all that lies below it. Descriptors of directories in it are kept while this is open.

    :param root: the directory, absolute; it may be a link itself, since the person named it
    :raises RestoreError: when it cannot be opened
    """

    def __init__(self, root: str) -> None:
        self.root = root
        try:
            self._fds = {"": os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}
        except OSError as error:
            raise RestoreError(f"{printable(root)} cannot be opened: {error.strerror}.") from error

    def __enter__(self) -> SafeTree:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def forget(self) -> None:
        """Close all descriptors but the root's."""
        for path in [path for path in self._fds if path]:
            os.close(self._fds.pop(path))

    def directory(self, path: str, *, make: bool = False) -> int:
        """Descriptor of a directory in the tree (C("") is the tree itself).

        :param make: make what is missing, mode 0700
        :raises RestoreError: when a part of the path is a link or no directory
        :raises FileNotFoundError: when it is missing and not to be made
        """
        known = self._fds.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition("/")
        parent_fd = self.directory(parent, make=make)
        if len(self._fds) > 256:
            self.forget()
            parent_fd = self.directory(parent, make=make)
        if make:
            try:
                os.mkdir(to_bytes(name), 0o700, dir_fd=parent_fd)
            except FileExistsError:
                pass
        try:
            fd = os.open(to_bytes(name), OPEN_DIRECTORY, dir_fd=parent_fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise RestoreError(
                    f"{printable(os.path.join(self.root, path))} is a link or no directory; nothing is written "
                    "through it. "
                    "Move it away first."
                ) from error
            raise
        self._fds[path] = fd
        return fd

    def parent(self, path: str, *, make: bool = False) -> tuple[int, bytes]:
        """Descriptor of the directory that holds C(path), and the bytes of its name there."""
        check_relative(path)
        directory, _, name = path.rpartition("/")
        return self.directory(directory, make=make), to_bytes(name)

    def status(self, path: str) -> Optional[os.stat_result]:
        """C(lstat) of a path in the tree; None where nothing is.

        :raises RestoreError: when the way there leads over a link
        """
        if path == ".":
            return os.fstat(self.directory(""))
        try:
            directory_fd, name = self.parent(path)
            return os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sync(self, path: str) -> None:
        """fsync the directory that holds a path."""
        os.fsync(self.parent(path)[0])
