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
import resource
from typing import Optional

from .errors import RestoreError
from .names import printable, to_bytes

#: Descriptors of directories; beyond this they are closed and opened again when they are needed.
_KEPT_AT_MOST = 256
_OPEN_AT_MOST = 65536
_NAME_BYTES = 255
#: In characters; one takes four bytes at most.
_SURELY_SHORT = _NAME_BYTES // 4
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_relative(path: str) -> None:
    """Refuse a path that could lead out of the directory it is meant for.

    :raises RestoreError: for an absolute path, C(..), an empty part or a NUL
    """
    slashed = f"/{path}/"
    is_plain = "//" not in slashed and "/." not in slashed and "\0" not in path
    if path == "." or (is_plain and len(path) <= _SURELY_SHORT):
        return  # most paths: no part is empty or begins with a dot
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise RestoreError(f"The path {printable(path)!r} could lead out of the project: it is not restored.")
    if any(len(part) > _SURELY_SHORT and len(to_bytes(part)) > _NAME_BYTES for part in parts):
        raise RestoreError(f"The path {printable(path)!r} has a name that no file can have: it is not restored.")


def allow_many_open_files() -> None:
    """Raise the limit of open files as far as it goes: a very deep tree takes a descriptor for each level."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_AT_MOST:
        most = _OPEN_AT_MOST if hard == resource.RLIM_INFINITY else min(hard, _OPEN_AT_MOST)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class SafeTree:
    """A directory, and all that lies below it. Descriptors of directories in it are kept while this is open.

    :param root: the directory, absolute
    :param follow: it may be a link itself, since the person named it
    :raises RestoreError: when it cannot be opened
    """

    def __init__(self, root: str, *, follow: bool = True) -> None:
        self.root = root
        try:
            self._fds = {"": os.open(root, OPEN_DIRECTORY & ~os.O_NOFOLLOW if follow else OPEN_DIRECTORY)}
        except OSError as error:
            raise RestoreError(f"{printable(root)} cannot be opened: {error.strerror}.") from error

    def __enter__(self) -> SafeTree:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
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
        check_relative(path)
        if len(self._fds) > _KEPT_AT_MOST:
            self.forget()
        at, below = self._nearest(path)
        if len(below) > _KEPT_AT_MOST:
            allow_many_open_files()
        fd = self._fds[at]
        for name in below:
            at = f"{at}/{name}" if at else name
            fd = self._fds[at] = self._enter(fd, name, at, make=make)
        return fd

    def _nearest(self, path: str) -> tuple[str, list[str]]:
        """The deepest directory on the way that is open, and the names from there on."""
        below: list[str] = []
        while path not in self._fds:
            path, _slash, name = path.rpartition("/")
            below.append(name)
        return path, below[::-1]

    def _enter(self, parent_fd: int, name: str, path: str, *, make: bool) -> int:
        if make:
            try:
                os.mkdir(to_bytes(name), 0o700, dir_fd=parent_fd)
            except FileExistsError:
                pass
        try:
            return os.open(to_bytes(name), OPEN_DIRECTORY, dir_fd=parent_fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise RestoreError(
                    f"{printable(os.path.join(self.root, path))} is a link or no directory; nothing is written "
                    "through it. "
                    "Move it away first."
                ) from error
            raise

    def parent(self, path: str, *, make: bool = False) -> tuple[int, bytes]:
        """Descriptor of the directory that holds C(path), and the bytes of its name there.

        Asking for another one may close it.
        """
        check_relative(path)
        directory, _slash, name = path.rpartition("/")
        return self.directory(directory, make=make), to_bytes(name)

    def link(self, existing: str, path: str) -> None:
        """Make a hard link to an entry of the tree, and the directories it needs."""
        parent_fd, source_name = self.parent(existing)
        source_fd = os.dup(parent_fd)  # the way to the other one may close it
        try:
            target_fd, target_name = self.parent(path, make=True)
            os.link(source_name, target_name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
        finally:
            os.close(source_fd)

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
