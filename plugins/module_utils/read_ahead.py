# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that come next are asked of the disk while others are read.

Nobody reads ahead from one file to the next: whoever reads small files one after the other waits for the disk each
time, and it never has more than one thing to do. Where a project is not in memory that is most of a first backup. The
kernel takes requests that nobody waits for (posix_fadvise(2), C(POSIX_FADV_WILLNEED)), so this takes no threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Union

from .scan import Found
from .source_files import open_without_atime
from .tar_format import FILE

_ENTRIES_AT_MOST = 256
_DIRECTORIES_AT_MOST = 64
#: Of files that wait: what was read too early is thrown out again on a small machine, and what waits behind a large
#: file may be gone when its turn comes.
_BYTES_AT_MOST = 32 * 1024 * 1024
#: So much is asked for of each: what follows in it the kernel reads ahead by itself.
_BYTES_OF_EACH = 2 * 1024 * 1024
#: Where the files are in memory nothing waits, and one in so many is enough to see that they still are.
_LOOKED_AT_ONE_IN = 16
_ALL_AFTER_A_MISS = 256
#: Python has no such call on some systems.
_CANNOT_TELL = (AttributeError, NotImplementedError)


class ReadAhead:
    """Goes a little way ahead of whoever takes the entries of a walk, where that has to wait for the disk."""

    def __init__(self) -> None:
        self._waiting: deque[Union[Found, int]] = deque()  # entries, and directories to be closed after them
        self._waiting_bytes = self._waiting_directories = 0
        self._files = 0
        self._to_ask = _ALL_AFTER_A_MISS  # so many files are asked for whether or not they are in memory

    def close_later(self, fd: int) -> None:
        """What the walk calls in place of C(os.close): entries of that directory may still be to be taken."""
        self._waiting.append(fd)
        self._waiting_directories += 1

    def entries(self, walked: Iterable[Found]) -> Iterator[Found]:
        """The same entries, in the same order, a little later.

        :param walked: a walk that closes its directories with :meth:`close_later`
        """
        try:
            for found in walked:
                self._waiting.append(found)
                if found.kind == FILE:
                    self._waiting_bytes += found.status.st_size
                    self.look_at(found)
                while self._waiting and self._are_too_many():
                    yield from self._take()
            while self._waiting:
                yield from self._take()
        finally:
            for waiting in self._waiting:
                if isinstance(waiting, int):
                    os.close(waiting)
            self._waiting.clear()

    def _are_too_many(self) -> bool:
        return (
            not self._to_ask
            or len(self._waiting) > _ENTRIES_AT_MOST
            or self._waiting_directories > _DIRECTORIES_AT_MOST
            or self._waiting_bytes > _BYTES_AT_MOST
        )

    def _take(self) -> Iterator[Found]:
        waiting = self._waiting.popleft()
        if isinstance(waiting, int):
            self._waiting_directories -= 1
            os.close(waiting)
            return
        if waiting.kind == FILE:
            self._waiting_bytes -= waiting.status.st_size
        yield waiting

    def look_at(self, found: Found) -> None:
        """Ask for a file that is to be read soon, unless those before it were in memory."""
        self._files += 1
        if self._to_ask or self._files % _LOOKED_AT_ONE_IN == 0:
            self._to_ask = max(self._to_ask - 1, 0) if ask_for(found) else _ALL_AFTER_A_MISS


def ask_for(found: Found) -> bool:
    """Ask the disk for the beginning of a file; whether it is in memory already, or cannot be asked for."""
    if not found.status.st_size:
        return True
    with suppress(OSError):  # whatever is wrong with it, reading it will tell
        fd = open_without_atime(found)
        try:
            if _is_in_memory(fd):
                return True
            os.posix_fadvise(fd, 0, _BYTES_OF_EACH, os.POSIX_FADV_WILLNEED)
            return False
        finally:
            os.close(fd)
    return True


def _is_in_memory(fd: int) -> bool:
    try:
        return os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT) > 0
    except _CANNOT_TELL:
        return True
    except OSError:
        return False  # it would have to wait, or the file system does not say
