# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive as a file that grows: frames are appended, or copied from an earlier archive, and all is summed up.

Where an earlier archive is at hand a process of its own does that. In a thread it would wait for the thread that walks
the project, and that one for it: two cores did the work of one.

Of two sums, of each frame before it is copied and of the new archive, one is saved as long as the new archive begins as
the earlier one does: where nothing changed it ends so too, and then it is whole if its sum is that of the earlier one.
Where it goes on otherwise, the frames up to there are compared with their digests at once, as all later ones are.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Optional, Union

from .archive_reader import ArchiveReader, check_frames
from .errors import IntegrityError, VaultError
from .index import Frame
from .past_cache import BLOCK_BYTES, AlignedMemory, PastCacheReader
from .processes import Worker, worker_where_it_helps
from .vault_file import VaultFile

#: So much may wait until the process takes it. It may have to compare what it copied with its digests, which takes a
#: while, and meanwhile whoever walks the project goes on.
_WAITING_AT_MOST_BYTES = 64 * 1024 * 1024
_REQUEST_BYTES = 4096
_PATIENCE_SECONDS = 0.05
#: So much may be compared with its digests late: where that has to be, it is read a second time.
_UNCHECKED_BYTES = 1024 * 1024 * 1024
_NOT_WHAT_WAS_WRITTEN = "The new archive is not what was written: did somebody change it, or is memory bad?"


class DamagedFramesError(IntegrityError):
    """Frames of the earlier archive are not what its index says; whoever asked to copy them may do without."""


class _Writing:
    """Writes the file and sums it up, in this process or another.

    :param earlier: where frames are copied from
    :param earlier_sha256: of that archive; empty where nobody knows it
    """

    def __init__(self, stream: VaultFile, earlier: Optional[ArchiveReader], earlier_sha256: str) -> None:
        self._stream = stream
        self._earlier = earlier
        self._earlier_sha256 = earlier_sha256
        self._digest = hashlib.sha256()
        self._at = 0  # so long the file is
        self._marked = (0, self._digest)
        self._is_as_earlier = True  # so far the new archive begins as the earlier one does
        self._unchecked: list[tuple[Sequence[Frame], bool]] = []  # of that, what nobody compared with its digests
        self._source: Optional[PastCacheReader] = None  # of the earlier archive
        self._rooms = [AlignedMemory(), AlignedMemory()]
        self._thread: Optional[ThreadPoolExecutor] = None
        self._summing_up: Optional[Future[None]] = None

    def use_a_thread(self) -> None:
        """Sum up beside the reading and writing. Only where nothing else of this process would wait for that."""
        self._thread = self._thread or ThreadPoolExecutor(max_workers=1)

    def append(self, data: bytes) -> None:
        """Append a frame.

        :raises VaultError: when it cannot be written
        """
        self._is_as_earlier = False
        self._stream.write(data)
        self._sum_up(data)

    def copy(self, frames: Sequence[Frame]) -> None:
        """Append frames that follow one another in the earlier archive; none, where one is known to be damaged.

        :raises DamagedFramesError: when one of these, or of an earlier call, is damaged
        """
        if self._earlier is None:
            raise ValueError("There is no earlier archive to copy from.")
        begin = frames[0].offset
        self._is_as_earlier = self._is_as_earlier and begin == self._at
        is_late = self._is_as_earlier and self._at < _UNCHECKED_BYTES
        self._source = self._source or PastCacheReader(self._earlier.fileno())
        self._rooms.reverse()  # what is in the other one may still be summed up
        with telling_of_damage():
            if not self._is_as_earlier:
                self._check_late()
            data = self._earlier.unchecked_frames(frames, self._source, self._rooms[0])
            if not is_late:
                check_frames(frames, data)
        is_shared = self._stream.append_clone(self._earlier.fileno(), begin, len(data))
        if not is_shared and (begin - self._at) % BLOCK_BYTES == 0:
            self._stream.write_aligned(data)
        elif not is_shared:
            self._stream.write(data)
        if is_late:
            self._unchecked.append((frames, is_shared))
        self._sum_up(data)

    def _sum_up(self, data: Union[bytes, memoryview]) -> None:
        digest = self._settled_digest()
        if self._thread is None:
            digest.update(data)
        else:
            self._summing_up = self._thread.submit(digest.update, data)
        self._at += len(data)

    def _settled_digest(self) -> Any:
        """The sum, of which no thread is at work any more."""
        if self._summing_up is not None:
            self._summing_up.result()
            self._summing_up = None
        return self._digest

    def _check_late(self) -> None:
        """Compare with their digests the frames that nobody compared yet, as they stand in the new archive now.

        :raises IntegrityError: when one is damaged in the earlier archive
        :raises VaultError: when only the new one has it damaged
        """
        if not self._unchecked:
            return
        self._stream.flush()
        for frames, is_shared in self._unchecked:
            # where blocks are shared both are the same, and those of the earlier one are in memory already
            if not is_shared and self._is_as_written(frames):
                continue
            if self._earlier is not None:
                self._earlier.packed_on_disk(frames)  # what the cache has of it need not be what was copied
            if not is_shared:
                raise VaultError(_NOT_WHAT_WAS_WRITTEN)
        self._unchecked = []

    def _is_as_written(self, frames: Sequence[Frame]) -> bool:
        length_bytes = sum(frame.length_bytes for frame in frames)
        try:
            check_frames(frames, self._stream.read_at(frames[0].offset, length_bytes))
        except IntegrityError:
            return False
        return True

    def close(self) -> None:
        """Leave both archives to whoever opened them."""
        if self._source is not None:
            self._source.close()

    def mark(self) -> None:
        """What comes from here on may be taken back; nothing of it is copied."""
        self._marked = self._at, self._settled_digest().copy()

    def take_back(self) -> None:
        """Throw away what was appended since the mark."""
        self._settled_digest()
        self._at, self._digest = self._marked[0], self._marked[1].copy()
        self._stream.cut(self._at)

    def sha256(self, length_bytes: int) -> str:
        """SHA-256 of the file, all of which the kernel has then.

        :param length_bytes: what whoever asked for all this takes for its length
        :raises DamagedFramesError: when one of the frames that were copied is damaged
        :raises VaultError: when it has another length
        """
        self._stream.flush()
        if not length_bytes == self._at == self._stream.length_bytes():
            raise VaultError(_NOT_WHAT_WAS_WRITTEN)
        sha256 = str(self._settled_digest().hexdigest())
        if self._unchecked and sha256 != self._earlier_sha256:
            with telling_of_damage():
                self._check_late()
        return sha256


@contextmanager
def telling_of_damage() -> Iterator[None]:
    """What is not what an index says, inside, is damage of the earlier archive."""
    try:
        yield
    except IntegrityError as error:
        raise DamagedFramesError(str(error)) from error


class ArchiveFile:
    """A new archive, to be closed before the stream is. Used by one thread at a time.

    Once a call failed it is of no use, and every other call raises the same error: a process may tell late that
    something went wrong, and whoever is told need not be the one who asked.

    :param stream: the file, new and empty
    :param earlier: the archive that frames are copied from, where there is one
    :param earlier_sha256: what that is meant to be; empty where nobody knows it
    """

    def __init__(self, stream: VaultFile, earlier: Optional[ArchiveReader] = None, earlier_sha256: str = "") -> None:
        self._writing = _Writing(stream, earlier, earlier_sha256)
        self._worker = None if earlier is None else worker_where_it_helps(self._write)
        self._sender = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[tuple[Future[None], int]] = deque()  # requests that the process has not taken
        self._waiting_bytes = 0
        self._asked = 0
        self._answer: Any = None  # the newest
        self._marked = 0
        self._failure: Optional[Exception] = None
        self.length_bytes = 0

    def __enter__(self) -> ArchiveFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._sender.shutdown(wait=False, cancel_futures=True)
        if self._worker is not None:
            self._worker.stop()
        self._sender.shutdown(wait=True)
        self._writing.close()

    def append(self, data: bytes) -> None:
        """Append a frame.

        :raises VaultError: when it, or something before it, cannot be written
        """
        self._ask("append", data)
        self.length_bytes += len(data)

    def append_copy(self, frames: Sequence[Frame]) -> None:
        """Append frames that follow one another in the earlier archive.

        :raises DamagedFramesError: when one of these, or of an earlier call, is damaged; a later call may raise it
        """
        self._ask("copy", frames)
        self.length_bytes += sum(frame.length_bytes for frame in frames)

    def mark(self) -> None:
        """What comes from here on may be taken back; nothing of it is copied."""
        self._ask("mark")
        self._marked = self.length_bytes

    def take_back(self) -> None:
        """Throw away what was appended since the mark."""
        self._ask("take_back")
        self.length_bytes = self._marked

    def sha256(self) -> str:
        """SHA-256 of the whole file, once everything is in it and every frame that was copied is known to be whole.

        :raises DamagedFramesError: when one is damaged
        """
        self._ask("sha256", self.length_bytes)
        with self._failing_for_good():
            if self._worker is not None:
                self._wait_for_room(self._worker, _WAITING_AT_MOST_BYTES)  # until all of it is sent
                while self._asked:
                    self._hear(self._worker)
            if not isinstance(self._answer, str):
                raise VaultError("The SHA-256 of the archive got lost.")
            return self._answer

    @contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except Exception as error:  # whatever it is: something may be missing in the file now
            self._failure = error
            raise

    def _ask(self, what: str, *arguments: Any) -> None:
        with self._failing_for_good():
            if self._worker is None:
                self._answer = getattr(self._writing, what)(*arguments)
                return
            size_bytes = _REQUEST_BYTES + sum(len(one) for one in arguments if isinstance(one, bytes))
            self._wait_for_room(self._worker, size_bytes)
            self._waiting.append((self._sender.submit(self._worker.send, (what, arguments)), size_bytes))
            self._waiting_bytes += size_bytes
            self._asked += 1

    def _wait_for_room(self, worker: Worker, size_bytes: int) -> None:
        """Until so much more may wait. Hears all answers meanwhile, or the process would wait for that.

        :raises WorkerError: when it was killed
        """
        while True:
            while self._asked and worker.has_answered:
                self._hear(worker)
            while self._waiting and self._waiting[0][0].done():
                sent, sent_bytes = self._waiting.popleft()
                sent.result()
                self._waiting_bytes -= sent_bytes
            if not self._waiting or self._waiting_bytes + size_bytes <= _WAITING_AT_MOST_BYTES:
                return
            wait([self._waiting[0][0]], timeout=_PATIENCE_SECONDS)

    def _hear(self, worker: Worker) -> None:
        self._asked -= 1
        self._answer = worker.receive()

    def _write(self, request: tuple[str, tuple[Any, ...]]) -> Any:
        """What the process does."""
        what, arguments = request
        self._writing.use_a_thread()
        return getattr(self._writing, what)(*arguments)
