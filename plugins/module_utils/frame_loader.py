# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an archive from front to back in pieces of some MiB, around the page cache (past_cache.py)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Callable, Optional

from .archive_reader import ArchiveReader, check_frames
from .errors import IntegrityError
from .gzip_frames import decompress
from .index import Frame
from .parallel import cores, ordered_map
from .past_cache import AlignedMemory, PastCacheReader

#: One thread reads for all of them, and each look ahead takes memory.
_THREADS_AT_MOST = 6

#: Has what was read used for something else too; its memory is not used again until that is done.
OnRead = Callable[[memoryview], "Future[None]"]


def _nothing() -> None:
    """The memory is the caller's."""


class LoadedFrames:
    """Frames that follow one another, in memory.

    :param read_alone: what reads one of them for itself, where they could not be read at once
    :param data: they; None where they could not be
    :param used_for: see :data:`OnRead`
    """

    def __init__(
        self,
        read_alone: Callable[[Frame], bytes],
        first_offset: int,
        data: Optional[memoryview],
        used_for: Optional[Future[None]] = None,
        give_back: Callable[[], None] = _nothing,
    ) -> None:
        self._read_alone = read_alone
        self._first_offset = first_offset
        self.data = data
        self.used_for = used_for
        self._give_back = give_back

    def frame(self, frame: Frame) -> bytes:
        """Content of one of them.

        :raises IntegrityError: when it is not what the index says
        """
        if self.data is None:
            return self._read_alone(frame)
        begin = frame.offset - self._first_offset
        packed = self.data[begin : begin + frame.length_bytes]
        check_frames([frame], packed)
        return decompress(packed, frame.size_bytes)

    def release(self) -> None:
        """Let the memory be used again: no frame of it is asked for any more."""
        if self.used_for is not None:
            self.used_for.result()
        self._give_back()


class FrameLoader:
    """Reads frames. For one thread, and to be closed; others may unpack them.

    :param reader: the archive
    :param from_disk: also what is in the page cache comes from the disk
    """

    def __init__(self, reader: ArchiveReader, *, from_disk: bool = False, on_read: Optional[OnRead] = None) -> None:
        self._reader = reader
        self._past_cache = PastCacheReader(reader.fileno(), from_disk=from_disk)
        # whoever restores takes what there is, and the cache may have what the disk gives back no more
        self._read_alone = reader.frame_on_disk if from_disk else reader.frame
        self._on_read = on_read
        self._free: SimpleQueue[AlignedMemory] = SimpleQueue()
        #: Whether all that was asked for could be read at once.
        self.is_whole = True

    def close(self) -> None:
        """Leave the archive to its reader."""
        self._past_cache.close()

    def load(self, frames: Sequence[Frame], memory: Optional[AlignedMemory] = None) -> LoadedFrames:
        """Read frames that follow one another. What is damaged is told when it is unpacked.

        :param memory: where to, if the caller has some
        """
        if not frames:
            return LoadedFrames(self._read_alone, 0, None)
        room = memory or self._take()
        try:
            data = self._reader.unchecked_frames(frames, self._past_cache, room)
        except IntegrityError:
            self.is_whole = False
            return LoadedFrames(self._read_alone, 0, None)
        used_for = self._on_read(data) if self._on_read is not None else None
        give_back = partial(self._free.put, room) if memory is None else _nothing
        return LoadedFrames(self._read_alone, frames[0].offset, data, used_for, give_back)

    def _take(self) -> AlignedMemory:
        try:
            return self._free.get_nowait()
        except Empty:
            return AlignedMemory()  # there come to be as many as are looked ahead

    def stream(self, frames: Sequence[Frame]) -> Generator[bytes, None, None]:
        """Content of the frames of a large file, read ahead, and unpacked on all cores.

        :raises IntegrityError: when one is not what the index says
        """

        def unpack(loading: tuple[Frame, Future[LoadedFrames]]) -> bytes:
            frame, loaded = loading[0], loading[1].result()
            content = loaded.frame(frame)
            loaded.release()
            return content

        with ThreadPoolExecutor(max_workers=1) as reading:
            loads = ((frame, reading.submit(self.load, [frame])) for frame in frames)
            yield from ordered_map(unpack, loads, workers=min(cores(), _THREADS_AT_MOST))
