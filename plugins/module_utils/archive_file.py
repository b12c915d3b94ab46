# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive as a file that grows: frames are appended, or copied from an earlier archive, and all is summed up.

Where an earlier archive is at hand a process of its own copies, and sums up behind whoever appends. In a thread both
would wait for the thread that walks the project, and that one for them: two cores did the work of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Optional

from .archive_reader import ArchiveReader
from .durable import VaultFile
from .index import Frame
from .processes import Worker, worker_where_it_helps

_READ_BYTES = 1024 * 1024
#: So often the process is told how far the file has come, and the disk gets something to do.
_TELL_BYTES = 16 * 1024 * 1024
#: So much it may be asked to do before it has done any of it.
_ASKED_AT_MOST = 64


class _Follower:
    """Copies into the file and sums it up from its beginning, in this process or another.

    :param earlier: where frames are copied from
    """

    def __init__(self, stream: VaultFile, earlier: Optional[ArchiveReader]) -> None:
        self._stream = stream
        self._earlier = earlier
        self._digest = hashlib.sha256()
        self._at = 0  # so far it is summed up
        self._marked = (0, self._digest.copy())

    def add(self, data: bytes) -> None:
        """Sum up what was just appended."""
        self._digest.update(data)
        self._at += len(data)

    def sum_up(self, end: int) -> None:
        """Sum up what stands in the file."""
        while self._at < end:
            self.add(self._stream.read_at(self._at, min(_READ_BYTES, end - self._at)))

    def copy(self, at: int, frames: Sequence[Frame]) -> None:
        """Copy frames that follow one another in the earlier archive; none, where one of them is damaged.

        :param at: where they come to stand; all before it is there
        :raises DamagedFramesError: when one is damaged
        """
        if self._earlier is None:
            raise ValueError("There is no earlier archive to copy from.")
        self.sum_up(at)
        data = self._earlier.packed_frames(frames)
        if not self._stream.clone_at(at, self._earlier.fileno(), frames[0].offset, len(data)):
            self._stream.write_at(at, data)
            self._stream.start_writing_out(at, len(data))
        self.add(data)

    def mark(self, end: int) -> None:
        """Remember the sum of all so far."""
        self.sum_up(end)
        self._marked = self._at, self._digest.copy()

    def go_back(self) -> None:
        """Forget what came after the mark."""
        self._at, self._digest = self._marked[0], self._marked[1].copy()

    def sha256(self, end: int) -> str:
        """Sum of the whole file."""
        self.sum_up(end)
        return self._digest.hexdigest()


class ArchiveFile:
    """A new archive, to be closed before the stream is. Used by one thread at a time.

    :param stream: the file, new and empty
    :param earlier: the archive that frames are copied from, where there is one
    """

    def __init__(self, stream: VaultFile, earlier: Optional[ArchiveReader] = None) -> None:
        self._stream = stream
        self._follower = _Follower(stream, earlier)
        self._worker = None if earlier is None else worker_where_it_helps(self._follow)
        self._asked = 0
        self._told = 0
        self.length_bytes = 0

    def __enter__(self) -> ArchiveFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._worker is not None:
            self._worker.stop()

    def append(self, data: bytes) -> None:
        """Append bytes.

        :raises VaultError: when they cannot be written; so may every other call for what an earlier one left to do
        """
        self._stream.write(data)
        self.length_bytes += len(data)
        if self._worker is None:
            self._follower.add(data)
        if self.length_bytes - self._told >= _TELL_BYTES:
            start = self._told
            self._ask("sum_up", self.length_bytes)
            self._stream.start_writing_out(start, self.length_bytes - start)

    def append_copy(self, frames: Sequence[Frame]) -> None:
        """Append frames that follow one another in the earlier archive.

        :raises DamagedFramesError: when one of these, or of an earlier call, is damaged; the file is of no use then
        """
        self._ask("copy", self.length_bytes, frames)
        self.length_bytes += sum(frame.length_bytes for frame in frames)
        self._stream.go_to(self.length_bytes)

    def mark(self) -> None:
        """What comes from here on may be taken back."""
        self._ask("mark", self.length_bytes)
        self._marked = self.length_bytes

    def take_back(self) -> None:
        """Throw away what was appended since the mark."""
        self._ask("go_back")
        self._await_all()  # nobody reads any more what is cut off now
        self._stream.cut(self._marked)
        self.length_bytes = self._told = self._marked

    def sha256(self) -> str:
        """SHA-256 of the whole file, once everything is in it."""
        if self._worker is None:
            return self._follower.sha256(self.length_bytes)
        self._ask("sha256", self.length_bytes)
        return str(self._await_all())

    def _ask(self, what: str, *arguments: Any) -> None:
        if self._worker is None:
            self._stream.flush()
            getattr(self._follower, what)(*arguments)
            self._told = self.length_bytes
            return
        while self._asked and (self._asked >= _ASKED_AT_MOST or self._worker.has_answered):
            self._await_one(self._worker)
        self._stream.flush()
        self._worker.send((what, arguments))
        self._asked += 1
        self._told = self.length_bytes

    def _await_one(self, worker: Worker) -> Any:
        answer = worker.receive()
        self._asked -= 1
        return answer

    def _await_all(self) -> Any:
        answer = None
        while self._worker is not None and self._asked:
            answer = self._await_one(self._worker)
        return answer

    def _follow(self, request: tuple[str, tuple[Any, ...]]) -> Any:
        """What the process does."""
        what, arguments = request
        return getattr(self._follower, what)(*arguments)
