# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the archive: entries in, compressed frames out, on all cores.

The calling thread reads files; processes build the frames of many entries (frame_workers.py), and a pool of threads the
frames of large files, which is little of Python's work, and all of them where there are no such processes; a thread of
its own writes finished frames in order and sums them up. How an entry meets its frames:

- small entries share a frame of about half a MiB;
- a file of up to 16 MiB stands in memory and gets frames of 4 MiB of its own;
- a larger one is streamed in frames of 4 MiB, and can be taken back when it changed while it was read;
- frames of an earlier archive, in which nothing changed, are taken over as they are (reuse.py decides which).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain
from typing import Callable

from .archive_reader import ArchiveReader, Group
from .durable import VaultFile
from .frame_building import Built, Item, Packed, build_own, build_part, build_shared, cut, own_frames
from .frame_workers import FrameWorkers, frame_workers
from .index import Frame, IndexWriter, encode_entry, renumbered
from .parallel import cores
from .source_files import StreamedFile
from .tar_format import END_OF_ARCHIVE, encode_member, padding

#: Half of the usual MiB: one changed file in a hundred then spoils a quarter of all frames, not four in ten.
SHARED_FRAME_BYTES = 512 * 1024
IN_MEMORY_BYTES = 16 * 1024 * 1024
#: What stands for the header of an entry, and its padding, when frames are filled.
ENTRY_OVERHEAD_BYTES = 1536
_PENDING_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ArchiveTotals:
    """What was written.

    :param archive_bytes: length of the archive
    :param sha256: of the whole archive
    """

    archive_bytes: int
    sha256: str


def _read_packed(reader: ArchiveReader, frames: Sequence[Frame]) -> list[Packed]:
    return [(reader.packed_frame(frame), frame.size_bytes, frame.sha256) for frame in frames]


def _lines_of(group: Group, number: int) -> str:
    """Index lines of a group that is taken over, the first of its frames now being C(number)."""
    return renumbered("\n".join(group.lines) + "\n", group.frames[0].number, number)


class ArchiveWriter:
    """Writes an archive and its index.

    :param stream: the archive, new and empty
    :param index: where frames and entries are noted
    :param align: fill up frames to whole blocks, which the file system can share with the next archive
    """

    def __init__(self, stream: VaultFile, index: IndexWriter, *, align: bool = False) -> None:
        self._stream = stream
        self._align = align
        self._index = index
        self._digest = hashlib.sha256()
        self._offset = 0
        self._next_number = 0  # of the next frame to be handed to the pool
        self._written = (
            0  # frames that are in the file; this, offset and digest are the writing thread's while it works
        )
        self._batch: list[Item] = []
        self._batch_bytes = 0
        self._growing = False
        # before there are threads; a frame that is let grow comes to three times the usual at most
        self._workers = frame_workers(3 * SHARED_FRAME_BYTES, align=align)
        self._pool = ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="frame")
        # beside the reading: with both in one thread, that thread is what everybody waits for (6.5 s became 5.5)
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write")
        self._pending: deque[tuple[Future[list[Frame]], int]] = deque()
        self._pending_bytes = 0

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._writing.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._writing.shutdown(wait=True)
        if self._workers is not None:
            self._workers.close()

    def add(self, item: Item) -> None:
        """Add an entry whose content is in memory."""
        if len(item.data) > SHARED_FRAME_BYTES:
            self._flush_batch()
            self._submit(own_frames(item), len(item.data), lambda number: build_own(number, item, align=self._align))
            return
        self._batch.append(item)
        self._batch_bytes += len(item.data) + ENTRY_OVERHEAD_BYTES
        if self._batch_bytes >= SHARED_FRAME_BYTES and not self._growing:
            self._flush_batch()
        elif self._batch_bytes >= 2 * SHARED_FRAME_BYTES:
            self._flush_half()

    @property
    def open_bytes(self) -> int:
        """What waits for its frame to be filled."""
        return self._batch_bytes

    def let_grow(self, growing: bool) -> None:
        """Let the frame that is being filled grow to a MiB, where it is then cut in half.

        What a changed frame held goes into one frame again, and leaves no small rest behind each time.
        """
        self._growing = growing
        if not growing and self._batch_bytes >= SHARED_FRAME_BYTES:
            self._flush_batch()

    def fetch(self, reader: ArchiveReader, group: Group) -> Future[list[Packed]]:
        """Read the frames of an earlier archive and compare their digests, beside the caller."""
        return self._pool.submit(_read_packed, reader, group.frames)

    def add_fetched(self, group: Group, reader: ArchiveReader, packed: list[Packed]) -> None:
        """Take over frames as they are, and the index lines of what is in them."""
        self._flush_batch()
        size_bytes = sum(len(data) for data, _size, _digest in packed)
        origin = reader.fileno(), group.frames[0].offset
        self._submit(
            len(packed),
            size_bytes,
            lambda number: Built(packed, _lines_of(group, number), len(group.entries), origin),
        )

    def add_copied(self, group: Group, reader: ArchiveReader) -> None:
        """Take over the frames of a large file one after the other.

        :raises IntegrityError: when one of them is damaged; the archive is then as it was before
        """
        self._flush_batch()
        self._drain()
        mark = (self._offset, self._digest.copy(), self._next_number)
        frames: list[Frame] = []
        copied = False
        try:
            for frame in group.frames:
                self._submit_frame(frame, reader, frames)
            self._collect(frames)
            copied = True
        finally:
            if not copied:
                self._take_back(*mark)
        for frame in frames:
            self._index.add_frame(frame)
        self._index.add_entry_text(_lines_of(group, mark[2]), len(group.entries))

    def add_stream(self, item: Item, source: StreamedFile, *, keep_unstable: bool) -> bool:
        """Add a large file piece by piece.

        :param keep_unstable: keep what was read even where the file changed meanwhile
        :returns: False where it changed and is not kept; the archive is then as it was before
        """
        self._flush_batch()
        self._drain()
        mark = (self._offset, self._digest.copy(), self._next_number)
        accepted = False
        try:
            frames = self._stream_frames(encode_member(item.member), item.member.size_bytes, source.chunks())
            accepted = keep_unstable or source.is_stable()
        finally:
            if not accepted:
                self._take_back(*mark)
        if not accepted:
            return False
        for frame in frames:
            self._index.add_frame(frame)
        entry = item.entry._replace(frame=mark[2], frames=len(frames), sha256=source.sha256())
        self._index.add_entry_text(encode_entry(entry), 1)
        return True

    def finish(self) -> ArchiveTotals:
        """Write what is left and the end of the archive; closing the files is the caller's."""
        self._flush_batch()
        self._submit(1, 0, lambda number: build_part(END_OF_ARCHIVE, align=False))
        self._drain()
        self._index.finish()
        return ArchiveTotals(self._offset, self._digest.hexdigest())

    def _take_back(self, offset: int, digest: hashlib._Hash, number: int) -> None:
        for future, _size in reversed(self._pending):
            future.cancel()
        wait([future for future, _size in self._pending])
        self._pending.clear()
        self._pending_bytes = 0
        self._offset, self._digest, self._next_number, self._written = offset, digest, number, number
        self._stream.cut(offset)

    def _stream_frames(self, header: bytes, size_bytes: int, chunks: Iterable[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for part in cut(chain((header,), chunks, (padding(size_bytes),))):
            self._submit_part(part, frames)
        self._collect(frames)
        return frames

    def _submit_part(self, data: bytes, frames: list[Frame]) -> None:
        self._make_room(len(data), frames)
        self._enqueue(1, len(data), self._in_pool(lambda _number: build_part(data, align=self._align)), self._write)

    def _submit_frame(self, frame: Frame, reader: ArchiveReader, frames: list[Frame]) -> None:
        self._make_room(frame.length_bytes, frames)
        origin = reader.fileno(), frame.offset
        built = self._in_pool(lambda _number: Built(_read_packed(reader, [frame]), "", 0, origin))
        self._enqueue(1, frame.length_bytes, built, self._write)

    def _make_room(self, size_bytes: int, frames: list[Frame]) -> None:
        while self._is_full(size_bytes):
            frames += self._await_next()

    def _collect(self, frames: list[Frame]) -> None:
        while self._pending:
            frames += self._await_next()

    def _flush_batch(self) -> None:
        if self._batch:
            items, size_bytes = self._batch, self._batch_bytes
            self._batch, self._batch_bytes = [], 0
            if self._workers is None:
                self._submit(1, size_bytes, lambda number: build_shared(number, items, align=self._align))
            else:
                self._submit_to_worker(self._workers, size_bytes, items)

    def _flush_half(self) -> None:
        taken = size_bytes = 0
        while size_bytes < SHARED_FRAME_BYTES:
            size_bytes += len(self._batch[taken].data) + ENTRY_OVERHEAD_BYTES
            taken += 1
        rest, rest_bytes = self._batch[taken:], self._batch_bytes - size_bytes
        self._batch, self._batch_bytes = self._batch[:taken], size_bytes
        self._flush_batch()
        self._batch, self._batch_bytes = rest, rest_bytes

    def _submit_to_worker(self, workers: FrameWorkers, size_bytes: int, items: list[Item]) -> None:
        while workers.are_full or self._is_full(size_bytes):
            self._await_next()
        self._enqueue(1, size_bytes, workers.submit(self._next_number, items), self._write_and_note)

    def _submit(self, frames: int, size_bytes: int, build: Callable[[int], Built]) -> None:
        while self._is_full(size_bytes):
            self._await_next()
        self._enqueue(frames, size_bytes, self._in_pool(build), self._write_and_note)

    def _is_full(self, size_bytes: int) -> bool:
        too_many = len(self._pending) >= 4 * cores()
        return bool(self._pending) and (too_many or self._pending_bytes + size_bytes > _PENDING_BYTES)

    def _in_pool(self, build: Callable[[int], Built]) -> Callable[[], Built]:
        return self._pool.submit(build, self._next_number).result

    def _enqueue(
        self, frames: int, size_bytes: int, take: Callable[[], Built], write: Callable[[Built], list[Frame]]
    ) -> None:
        self._pending.append((self._writing.submit(lambda: write(take())), size_bytes))
        self._pending_bytes += size_bytes
        self._next_number += frames

    def _drain(self) -> None:
        while self._pending:
            self._await_next()

    def _await_next(self) -> list[Frame]:
        future, size_bytes = self._pending.popleft()
        self._pending_bytes -= size_bytes
        return future.result()

    def _write_and_note(self, built: Built) -> list[Frame]:
        frames = self._write(built)
        for frame in frames:
            self._index.add_frame(frame)
        self._index.add_entry_text(built.lines, built.entries)
        return frames

    def _write(self, built: Built) -> list[Frame]:
        frames = []
        origin = built.origin
        for data, content_bytes, sha256 in built.frames:
            if origin is None or not self._stream.clone_range(*origin, len(data)):
                self._stream.write(data)
            if origin is not None:
                origin = origin[0], origin[1] + len(data)
            self._digest.update(data)
            frames.append(Frame(self._written, self._offset, len(data), content_bytes, sha256))
            self._offset += len(data)
            self._written += 1
        return frames
