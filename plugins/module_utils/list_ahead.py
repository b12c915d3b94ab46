# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that come next are brought into memory while a walk is at others, where it has to wait for the disk.

A walk of what is not in memory waits for one directory after the other, and the disk never has more than one thing to
do. There is no call that asks for a directory without waiting. So a process lists them some way ahead, several at a
time, and throws away what it sees: nothing but time depends on it. Threads of the walk's own process would wait for the
walk's work, and the walk for theirs.
"""

from __future__ import annotations

import heapq
import mmap
import os
import resource
import threading
from contextlib import suppress
from typing import Optional

from .errors import CoraError
from .names import path_key, to_text
from .patterns import PathFilter
from .processes import Worker
from .without_atime import open_at

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CACHE_TAG = b"CACHEDIR.TAG"
#: A walk need not look at all: that takes time, and where it waits for the disk it does so for most. It looks at the
#: first ones, because soon after there may be threads at work, and a process cannot be made any more.
LOOKED_AT_FIRST = 16
LOOKED_AT_ONE_IN = 8
#: Of the directories that were looked at, so many came from the disk before a process is worth it.
_FROM_DISK_AT_LEAST = 2
#: More made a fast disk no faster, and slow ones have something to sort.
_AT_A_TIME = 4
#: What is listed too early is thrown out again on a small machine.
_AHEAD_AT_MOST = 512
_PAUSE_SECONDS = 0.005
#: Where so many in a row were in memory the rest may be too. If it is not, the walk notices again.
_IN_MEMORY_AT_MOST = 1024
#: Inodes come from the disk in blocks, those of 32 numbers in a row or of more. One of each is enough.
_INODE_BLOCK_BITS = 5
_BLOCKS_AT_MOST = 4096
#: What walk and process tell each other.
_ENTERED, _IS_OVER = 0, 1


class ListAhead:
    """Notices that a walk waits for the disk, and has its next directories listed then.

    :param top_fd: the project, open
    :param exclude: directories that the walk does not enter
    :param left_out: device and inode of one that it does not enter either
    """

    def __init__(self, top_fd: int, exclude: PathFilter, left_out: Optional[tuple[int, int]]) -> None:
        self._top_fd = top_fd
        self._exclude = exclude
        self._left_out = left_out
        self._blocks_before = 0
        self._from_disk = 0
        self._is_possible = True
        self._is_listing = self._has_listed = False
        self._shared = memoryview(b"")
        self._worker: Optional[Worker] = None

    def prepare(self) -> None:
        """Make the process, which does nothing yet: not possible any more once threads are at work."""
        if self._worker is None:
            self._is_possible = False
            # what is forked beside other threads may wait for a lock for ever
            if threading.active_count() == 1:
                with suppress(OSError):
                    self._shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
                    self._worker = Worker(self._list_from)
                    self._is_possible = True

    def before_directory(self) -> None:
        """The walk is about to open and list a directory of those that are looked at."""
        self._blocks_before = _blocks_read()

    def after_directory(self, path: str, entered: int) -> None:
        """It has listed it, or could not.

        :param path: of the directory
        :param entered: how many directories it came to by now
        """
        if self._is_listing:
            self._shared[_ENTERED] = entered
            self._is_listing = not self._shared[_IS_OVER]
        elif self._is_possible and _blocks_read() > self._blocks_before:
            self._from_disk += 1
            if self._from_disk >= _FROM_DISK_AT_LEAST:
                self._start(path, entered)

    def stop(self) -> None:
        """End who goes ahead, if anybody does."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _start(self, path: str, entered: int) -> None:
        self._from_disk = 0
        self.prepare()
        if self._worker is None:
            return
        try:
            if self._has_listed:
                self._worker.receive()  # that it was over
            self._shared[_ENTERED], self._shared[_IS_OVER] = entered, 0
            self._worker.send(path)
            self._is_listing = self._has_listed = True
        except (CoraError, OSError):  # it was killed: then the walk goes without
            self._is_possible = False

    def _list_from(self, path: str) -> None:
        """What the process does."""
        with suppress(Exception):  # nobody would know what to do about it
            Lister(self._exclude, self._left_out, self._shared).run(self._top_fd, path)
        self._shared[_IS_OVER] = 1


def _blocks_read(whose: int = resource.RUSAGE_THREAD) -> int:
    """Blocks that this thread has had read from disks."""
    return resource.getrusage(whose).ru_inblock


class _Parent:
    """An open directory, and the names of directories in it that are still to be listed, last first."""

    def __init__(self, fd: int, path: str, names: list[bytes]) -> None:
        self.fd = fd
        self.path = path
        self.names = names
        self.users = 0  # who opens a directory in it just now

    def next_path(self) -> str:
        return below(self.path, to_text(self.names[-1]))

    def close_if_unused(self) -> None:
        if not self.users and not self.names:
            os.close(self.fd)


class Lister:
    """Lists directories in the order of a walk, as far as they are known, and forgets what it sees.

    :param exclude: as of :class:`ListAhead`, and so is C(left_out)
    :param shared: how many directories the walk entered, and a place to say that this is over
    """

    def __init__(self, exclude: PathFilter, left_out: Optional[tuple[int, int]], shared: memoryview) -> None:
        self._exclude = exclude
        self._left_out = left_out
        self._shared = shared
        self._listed = self._listed_from_disk = shared[_ENTERED]
        self._blocks_read = 0
        self._waiting: list[tuple[list[bytes], str, _Parent]] = []  # a heap: what a walk enters first is first
        self._busy = 0
        self._changed = threading.Condition()
        self._inode_blocks: set[int] = set()

    def run(self, top_fd: int, path: str) -> None:
        """List what is to come, until all is listed or was in memory for long.

        :param top_fd: the project
        :param path: of the directory that the walk came to last; empty for the project itself
        :raises OSError: when the project cannot be read
        """
        with self._changed:
            self._take_up(top_fd, path)
        threads = [threading.Thread(target=self._work, daemon=True) for _number in range(_AT_A_TIME)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while self._waiting:
            _key, _path, parent = self._waiting.pop()
            parent.names.clear()
            parent.close_if_unused()

    def _take_up(self, top_fd: int, path: str) -> None:
        """Find what comes after a directory: what is in it, and behind it in those above."""
        # an opening of its own: the walk's has a place in the directory, which both would move
        parent = _Parent(open_at(b".", OPEN_DIRECTORY, top_fd), "", [])
        with suppress(OSError):  # it is gone by now: what is above it is enough to go on with
            for name in path_key(path or "."):
                parent.names = self._names_in(parent, after=name)
                inner = _Parent(open_at(name, OPEN_DIRECTORY, parent.fd), below(parent.path, to_text(name)), [])
                self._push(parent)
                parent = inner
            parent.names = self._names_in(parent)
        self._push(parent)

    def _names_in(self, parent: _Parent, after: bytes = b"") -> list[bytes]:
        with os.scandir(parent.fd) as entries:
            names = [os.fsencode(entry.name) for entry in entries if self._is_entered(parent.path, entry)]
        return sorted((name for name in names if name > after), reverse=True)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            path, parent, name = taken
            found: Optional[_Parent] = None
            # whatever is wrong with it, the walk will tell
            with suppress(Exception):
                found = self._list(path, parent, name)
            with self._changed:
                self._busy -= 1
                parent.users -= 1
                parent.close_if_unused()
                if found is not None:
                    self._push(found)
                self._changed.notify_all()

    def _take(self) -> Optional[tuple[str, _Parent, bytes]]:
        with self._changed:
            while not self._waiting or self._listed > self._shared[_ENTERED] + _AHEAD_AT_MOST:
                if not self._waiting and not self._busy:
                    return None
                self._changed.wait(_PAUSE_SECONDS)
            if self._is_all_in_memory():
                return None
            _key, path, parent = heapq.heappop(self._waiting)
            name = parent.names.pop()
            parent.users += 1
            self._busy += 1
            self._listed += 1
            self._push(parent)
            return path, parent, name

    def _push(self, parent: _Parent) -> None:
        if parent.names:
            path = parent.next_path()
            heapq.heappush(self._waiting, (path_key(path), path, parent))
        else:
            parent.close_if_unused()

    def _is_all_in_memory(self) -> bool:
        blocks_read = _blocks_read(resource.RUSAGE_SELF)
        if blocks_read > self._blocks_read:
            self._blocks_read, self._listed_from_disk = blocks_read, self._listed
        return self._listed - self._listed_from_disk >= _IN_MEMORY_AT_MOST

    def _list(self, path: str, parent: _Parent, name: bytes) -> Optional[_Parent]:
        if self._left_out is not None:
            status = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self._left_out:
                return None
        fd = open_at(name, OPEN_DIRECTORY, parent.fd)
        try:
            names = self._look(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return _Parent(fd, path, names)

    def _look(self, fd: int, path: str) -> list[bytes]:
        """Bring inodes into memory; the directories that a walk enters."""
        names: list[bytes] = []
        wanted: list[tuple[int, os.DirEntry[str]]] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                if self._is_entered(path, entry):
                    names.append(os.fsencode(entry.name))
                elif os.fsencode(entry.name) == CACHE_TAG:
                    return []
                elif self._is_first_of_block(entry) and len(wanted) < _BLOCKS_AT_MOST:
                    wanted.append((entry.inode(), entry))
            wanted.sort(key=lambda one: one[0])  # that is how they lie on the disk
            for _inode, entry in wanted:
                with suppress(OSError):
                    entry.stat(follow_symlinks=False)
        names.sort(reverse=True)
        return names

    def _is_entered(self, path: str, entry: os.DirEntry[str]) -> bool:
        try:
            if not entry.is_dir(follow_symlinks=False):
                return False
        except OSError:
            return False
        return not self._exclude.matches(below(path, to_text(os.fsencode(entry.name))), is_dir=True)

    def _is_first_of_block(self, entry: os.DirEntry[str]) -> bool:
        """Whether no inode near its own was seen of late."""
        block = entry.inode() >> _INODE_BLOCK_BITS
        if block in self._inode_blocks:
            return False
        if len(self._inode_blocks) >= _BLOCKS_AT_MOST:
            self._inode_blocks.clear()
        self._inode_blocks.add(block)
        return True


def below(path: str, name: str) -> str:
    """Path of something in a directory of the project."""
    return f"{path}/{name}" if path else name
