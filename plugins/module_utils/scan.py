# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking a project: every entry once, in a fixed order, by directory file descriptors, no link followed."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Callable, NamedTuple, Optional

from .errors import ProjectError
from .list_ahead import CACHE_TAG, LOOKED_AT_FIRST, LOOKED_AT_ONE_IN, OPEN_DIRECTORY, ListAhead
from .names import printable, to_text
from .patterns import PathFilter
from .tar_format import DIRECTORY, FIFO, FILE, SYMLINK

#: https://bford.info/cachedir/
_CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_LISTED_AT_MOST = 1000
_NAMES_ARE_UTF8 = sys.getfilesystemencoding().lower() == "utf-8"


class Found(NamedTuple):
    """Something in the project.

    :param path: relative to the project; C(.) for the project itself
    :param name: bytes of its last part
    :param parent_fd: open directory that holds it; valid until the walk closes it, which is not before the next one is
        asked for
    :param status: as C(lstat) gave it
    :param seen_ns: when that was, or a moment before; 0 where nobody looked at the clock
    """

    path: str
    name: bytes
    parent_fd: int
    kind: str
    status: os.stat_result
    seen_ns: int = 0


@dataclass
class ScanNotes:
    """What a walk left out or could not read, counted, and listed up to a limit.

    :param excluded: paths that a pattern or a CACHEDIR.TAG excludes; a directory counts once
    :param skipped: sockets and devices, which no archive can bring back to life
    :param unreadable: what could not be read, with the reason
    :param repositories: directories below the project whose C(.git) is among what is excluded
    """

    excluded: list[str] = field(default_factory=list)
    excluded_count: int = 0
    skipped: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)

    def exclude(self, path: str) -> None:
        """Count something that is left out on purpose."""
        self.excluded_count += 1
        if len(self.excluded) < _LISTED_AT_MOST:
            self.excluded.append(path)
        if path.endswith("/.git"):
            self.repositories.append(path[: -len("/.git")])


def kind_of(mode: int) -> Optional[str]:
    """Kind of an inode as an archive has it; None for sockets and devices, which none can bring back."""
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return DIRECTORY
    if stat.S_ISLNK(mode):
        return SYMLINK
    return FIFO if stat.S_ISFIFO(mode) else None


@dataclass
class _Level:
    fd: int
    path: str
    entries: list[tuple[bytes, os.DirEntry[str]]]


def walk(
    project: str,
    exclude: PathFilter,
    notes: ScanNotes,
    *,
    vault: Optional[str] = None,
    close: Callable[[int], None] = os.close,
    among_threads: bool = False,
) -> Iterator[Found]:
    """All that is in a project, sorted as :func:`.names.path_key` says, the project itself first.

    :param vault: a directory that is left out wherever it lies
    :param close: closes the descriptor of a directory that is left behind, now or later
    :param among_threads: some will be at work before the walk is over
    :raises ProjectError: when the project itself cannot be opened
    """
    try:
        top_fd = os.open(project, OPEN_DIRECTORY)
    except OSError as error:
        raise ProjectError(f"The project {printable(project)} cannot be opened: {error.strerror}.") from error
    vault_id = _identity(vault)
    stack = [_Level(top_fd, "", _listing(top_fd))]
    ahead = ListAhead(top_fd, exclude, vault_id)
    entered = 0
    try:
        if among_threads:
            ahead.prepare()
        seen_ns = time.time_ns()
        yield Found(".", b".", top_fd, DIRECTORY, os.fstat(top_fd), seen_ns)
        while stack:
            level = stack[-1]
            if not level.entries:
                close(stack.pop().fd)
                continue
            found = _inspect(level, *level.entries.pop(), exclude, notes)
            if found is None:
                continue
            if found.kind != DIRECTORY:
                yield found
            elif (found.status.st_dev, found.status.st_ino) == vault_id:
                notes.exclude(found.path)
            else:
                entered += 1
                if entered > LOOKED_AT_FIRST and entered % LOOKED_AT_ONE_IN:
                    below = _enter(found, notes)
                else:
                    ahead.before_directory()
                    below = _enter(found, notes)
                    ahead.after_directory(found.path, entered)
                if below is not None:
                    stack.append(below)
                    yield found
    finally:
        ahead.stop()
        for level in stack:
            os.close(level.fd)


def _identity(path: Optional[str]) -> Optional[tuple[int, int]]:
    if path is None or not os.path.isdir(path):
        return None
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _listing(fd: int) -> list[tuple[bytes, os.DirEntry[str]]]:
    with os.scandir(fd) as entries:
        if _NAMES_ARE_UTF8:  # what os.fsencode() does then, in a third of its time
            named = [(entry.name.encode("utf-8", "surrogateescape"), entry) for entry in entries]
        else:
            named = [(os.fsencode(entry.name), entry) for entry in entries]
        return sorted(named, key=itemgetter(0), reverse=True)


def _inspect(
    level: _Level, name: bytes, entry: os.DirEntry[str], exclude: PathFilter, notes: ScanNotes
) -> Optional[Found]:
    text = entry.name if _NAMES_ARE_UTF8 else to_text(name)
    path = f"{level.path}/{text}" if level.path else text
    seen_ns = time.time_ns()
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # gone since the listing: as if the listing had come later
    except OSError as error:
        notes.unreadable.append((path, error.strerror or "cannot be read"))
        return None
    is_dir = stat.S_ISDIR(status.st_mode)
    if (is_dir or not exclude.only_directories) and exclude.matches(path, is_dir=is_dir):
        notes.exclude(path)
        return None
    kind = kind_of(status.st_mode)
    if kind is None:
        notes.skipped.append(path)
        return None
    return Found(path, name, level.fd, kind, status, seen_ns)


def _enter(found: Found, notes: ScanNotes) -> Optional[_Level]:
    try:
        fd = os.open(found.name, OPEN_DIRECTORY, dir_fd=found.parent_fd)
    except OSError as error:
        notes.unreadable.append((found.path, error.strerror or "cannot be read"))
        return None
    try:
        entries = _listing(fd)
        tagged = any(name == CACHE_TAG for name, _entry in entries) and _is_cache(fd)
    except OSError as error:
        notes.unreadable.append((found.path, error.strerror or "cannot be read"))
        os.close(fd)
        return None
    if tagged:
        notes.exclude(found.path)
        os.close(fd)
        return None
    return _Level(fd, found.path, entries)


def _is_cache(directory_fd: int) -> bool:
    try:
        fd = os.open(CACHE_TAG, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory_fd)
    except OSError:
        return False  # a tag that cannot be read protects nothing from being kept
    try:
        return os.read(fd, len(_CACHE_SIGNATURE)) == _CACHE_SIGNATURE
    finally:
        os.close(fd)


def read_link(found: Found) -> str:
    """Target of a symbolic link, as text."""
    return to_text(os.readlink(found.name, dir_fd=found.parent_fd))
