# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the archive: entries in, compressed frames out, on all cores.

The calling thread reads files; processes build the frames of many entries (frame_workers.py), and a pool of threads the
frames of large files, which is little of Python's work, and all of them where there are no such processes; a thread of
its own puts finished frames into the file, in order (archive_file.py). How an entry meets its frames:

- small entries share a frame of about half a MiB;
- a file of up to 16 MiB stands in memory and gets frames of 4 MiB of its own;
- a larger one is streamed in frames of 4 MiB, and can be taken back when it changed while it was read;
- frames of an earlier archive, in which nothing changed, are taken over as they are (reuse.py decides which), and of
  the others the entries that did not change (kept_entries.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import chain
from typing import Callable, Optional, Union

from .archive_file import ArchiveFile, telling_of_damage
from .archive_reader import ArchiveReader, Group
from .frame_building import Built, Item, build_own, build_part, build_shared, cut, own_frames
from .frame_workers import FrameWorkers, frame_workers
from .index import Frame, IndexWriter, encode_entry, renumbered
from .kept_entries import KeptEntry
from .parallel import cores
from .source_files import StreamedFile
from .tar_format import END_OF_ARCHIVE, encode_member, padding

#: Half of the usual MiB: one changed file in a hundred then spoils a quarter of all frames, not four in ten.
SHARED_FRAME_BYTES = 512 * 1024
IN_MEMORY_BYTES = 16 * 1024 * 1024
#: What stands for the header of an entry, and its padding, when frames are filled.
ENTRY_OVERHEAD_BYTES = 1536
_PENDING_BYTES = 64 * 1024 * 1024
#: Frames are taken over in runs of this size: threads that wake each other for every frame took twice the time.
_RUN_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ArchiveTotals:
    """What was written.

    :param archive_bytes: length of the archive
    :param sha256: of the whole archive
    """

    archive_bytes: int
    sha256: str


@dataclass
class _Run:
    """Frames that follow one another in an earlier archive, and are taken over together.

    :param lines: index lines of the entries in them, by the frame that they come after, counted in this run
    """

    frames: list[Frame] = field(default_factory=list)
    lines: dict[int, tuple[str, int]] = field(default_factory=dict)
    size_bytes: int = 0

    def goes_on_with(self, frame: Frame) -> bool:
        follows = not self.frames or frame.offset == self.frames[0].offset + self.size_bytes
        return follows and self.size_bytes < _RUN_BYTES

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.size_bytes += frame.length_bytes


class ArchiveWriter:
    """Writes an archive and its index.

    :param file: the archive, new and empty
    :param index: where frames and entries are noted
    :param earlier: the archive that entries are kept from, where there is one
    :param align: fill up frames to whole blocks, which the file system can share with the next archive
    """

    def __init__(
        self, file: ArchiveFile, index: IndexWriter, earlier: Optional[ArchiveReader] = None, *, align: bool = False
    ) -> None:
        self._file = file
        self._align = align
        self._index = index
        self._next_number = 0  # of the next frame to be handed to the pool
        self._written = 0  # frames that are in the file; this, file and index are the writing thread's while it works
        self._run: Optional[_Run] = None
        self._batch: list[Union[Item, KeptEntry]] = []
        self._earlier = earlier
        self._batch_bytes = 0
        self._growing = False
        # before there are threads; a frame that is let grow comes to three times the usual at most
        self._workers = frame_workers(3 * SHARED_FRAME_BYTES, earlier, align=align)
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
        self._flush_run()
        if len(item.data) > SHARED_FRAME_BYTES:
            self._flush_batch()
            self._submit(own_frames(item), len(item.data), lambda number: build_own(number, item, align=self._align))
            return
        self._to_batch(item)

    def add_kept(self, entry: KeptEntry) -> None:
        """Add an entry as it stands in a frame of the earlier archive.

        Whether that is damaged is told as by :meth:`add_copied`.
        """
        self._flush_run()
        self._to_batch(entry)

    def _to_batch(self, item: Union[Item, KeptEntry]) -> None:
        self._batch.append(item)
        self._batch_bytes += _weight_bytes(item)
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

    def add_copied(self, group: Group) -> None:
        """Take over frames of the earlier archive as they are, and the index lines of what is in them.

        Their digests are compared beside the caller: this, or a later call, raises C(DamagedFramesError) where one is
        damaged, and nothing of this archive is of use then.
        """
        self._flush_batch()
        first_number = self._next_number + (len(self._run.frames) if self._run is not None else 0)
        run = self._run
        for frame in group.frames:
            if run is None or not run.goes_on_with(frame):
                self._flush_run()
                run = self._run = _Run()
            run.add(frame)
        if run is not None:
            text = renumbered("\n".join(group.lines) + "\n", group.frames[0].number, first_number)
            run.lines[len(run.frames)] = text, len(group.lines)

    def add_stream(self, item: Item, source: StreamedFile, *, keep_unstable: bool) -> bool:
        """Add a large file piece by piece.

        :param keep_unstable: keep what was read even where the file changed meanwhile
        :returns: False where it changed and is not kept; the archive is then as it was before
        """
        self._flush_run()
        self._flush_batch()
        self._drain()
        self._file.mark()
        first_number = self._next_number
        accepted = False
        try:
            frames = self._stream_frames(encode_member(item.member), item.member.size_bytes, source.chunks())
            accepted = keep_unstable or source.is_stable()
        finally:
            if not accepted:
                self._take_back(first_number)
        if not accepted:
            return False
        for frame in frames:
            self._index.add_frame(frame)
        entry = item.entry._replace(frame=first_number, frames=len(frames), sha256=source.sha256())
        self._index.add_entry_text(encode_entry(entry), 1)
        return True

    def finish(self) -> ArchiveTotals:
        """Write what is left and the end of the archive; closing the files is the caller's."""
        self._flush_run()
        self._flush_batch()
        self._submit(1, 0, lambda number: build_part(END_OF_ARCHIVE, align=False))
        self._drain()
        self._index.finish()
        return ArchiveTotals(self._file.length_bytes, self._file.sha256())

    def _take_back(self, number: int) -> None:
        for future, _size in reversed(self._pending):
            future.cancel()
        wait([future for future, _size in self._pending])
        self._pending.clear()
        self._pending_bytes = 0
        self._next_number = self._written = number
        self._file.take_back()

    def _stream_frames(self, header: bytes, size_bytes: int, chunks: Iterable[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for part in cut(chain((header,), chunks, (padding(size_bytes),))):
            self._submit_part(part, frames)
        self._collect(frames)
        return frames

    def _submit_part(self, data: bytes, frames: list[Frame]) -> None:
        self._make_room(len(data), frames)
        take = self._in_pool(lambda _number: build_part(data, align=self._align))
        self._enqueue(1, len(data), lambda: self._write(take()))

    def _make_room(self, size_bytes: int, frames: list[Frame]) -> None:
        while self._is_full(size_bytes):
            frames += self._await_next()

    def _collect(self, frames: list[Frame]) -> None:
        while self._pending:
            frames += self._await_next()

    def _flush_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            while self._is_full(run.size_bytes):
                self._await_next()
            self._enqueue(len(run.frames), run.size_bytes, lambda: self._write_run(run))

    def _flush_batch(self) -> None:
        if self._batch:
            items, size_bytes = self._batch, self._batch_bytes
            self._batch, self._batch_bytes = [], 0
            if self._workers is None:
                self._submit(1, size_bytes, lambda number: self._build_shared(number, items))
            else:
                self._submit_to_worker(self._workers, size_bytes, items)

    def _build_shared(self, number: int, items: list[Union[Item, KeptEntry]]) -> Built:
        with telling_of_damage():
            return build_shared(number, items, self._earlier, align=self._align)

    def _flush_half(self) -> None:
        taken = size_bytes = 0
        while size_bytes < SHARED_FRAME_BYTES:
            size_bytes += _weight_bytes(self._batch[taken])
            taken += 1
        rest, rest_bytes = self._batch[taken:], self._batch_bytes - size_bytes
        self._batch, self._batch_bytes = self._batch[:taken], size_bytes
        self._flush_batch()
        self._batch, self._batch_bytes = rest, rest_bytes

    def _submit_to_worker(self, workers: FrameWorkers, size_bytes: int, items: list[Union[Item, KeptEntry]]) -> None:
        while workers.are_full or self._is_full(size_bytes):
            self._await_next()
        take = workers.submit(self._next_number, items)
        self._enqueue(1, size_bytes, lambda: self._write_and_note(take()))

    def _submit(self, frames: int, size_bytes: int, build: Callable[[int], Built]) -> None:
        while self._is_full(size_bytes):
            self._await_next()
        take = self._in_pool(build)
        self._enqueue(frames, size_bytes, lambda: self._write_and_note(take()))

    def _is_full(self, size_bytes: int) -> bool:
        too_many = len(self._pending) >= 4 * cores()
        return bool(self._pending) and (too_many or self._pending_bytes + size_bytes > _PENDING_BYTES)

    def _in_pool(self, build: Callable[[int], Built]) -> Callable[[], Built]:
        return self._pool.submit(build, self._next_number).result

    def _enqueue(self, frames: int, size_bytes: int, write: Callable[[], list[Frame]]) -> None:
        self._pending.append((self._writing.submit(write), size_bytes))
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
        for data, content_bytes, sha256 in built.frames:
            frames.append(Frame(self._written, self._file.length_bytes, len(data), content_bytes, sha256))
            self._file.append(data)
            self._written += 1
        return frames

    def _write_run(self, run: _Run) -> list[Frame]:
        offset = self._file.length_bytes
        self._file.append_copy(run.frames)
        for count, frame in enumerate(run.frames, 1):
            self._index.add_frame(frame._replace(number=self._written, offset=offset))
            offset += frame.length_bytes
            self._written += 1
            if count in run.lines:
                self._index.add_entry_text(*run.lines[count])
        return []


def _weight_bytes(item: Union[Item, KeptEntry]) -> int:
    """What an entry counts when frames are filled."""
    return (item.size_bytes if isinstance(item, KeptEntry) else len(item.data)) + ENTRY_OVERHEAD_BYTES
