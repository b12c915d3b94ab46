# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the archive: entries in, compressed frames out, on all cores.

The calling thread reads files; a pool hashes, builds headers and compresses; a thread of its own writes finished frames
in order and sums them up. All of these release the GIL for most of their time. How an entry meets its frames:

- small entries share a frame of about 1 MiB;
- a file of up to 16 MiB stands in memory and gets frames of 4 MiB of its own;
- a larger one is streamed in frames of 4 MiB, and can be taken back when it changed while it was read.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain
from typing import Callable, NamedTuple, Union

from .durable import VaultFile
from .gzip_frames import compress
from .index import Entry, Frame, IndexWriter, encode_entry
from .parallel import cores
from .source_files import StreamedFile
from .tar_format import END_OF_ARCHIVE, FILE, Member, encode_member, padding

SHARED_FRAME_BYTES = 1024 * 1024
OWN_FRAME_BYTES = 4 * 1024 * 1024
IN_MEMORY_BYTES = 16 * 1024 * 1024
_PENDING_BYTES = 64 * 1024 * 1024


class Item(NamedTuple):
    """An entry on its way into the archive.

    :param member: its tar header; C(size_bytes) is the length of C(data)
    :param entry: its index line, without position and digest
    :param data: its content
    """

    member: Member
    entry: Entry
    data: bytes = b""


@dataclass(frozen=True)
class _Built:
    """Frames ready to be written, and the index lines of the entries in them."""

    frames: list[tuple[bytes, int, str]]
    lines: list[str]


@dataclass(frozen=True)
class ArchiveTotals:
    """What was written.

    :param archive_bytes: length of the archive
    :param sha256: of the whole archive
    """

    archive_bytes: int
    sha256: str


def _pack(data: bytes) -> tuple[bytes, int, str]:
    frame = compress(data)
    return frame, len(data), hashlib.sha256(frame).hexdigest()


def _build_shared(number: int, items: list[Item]) -> _Built:
    parts: list[bytes] = []
    lines: list[str] = []
    at = 0
    for item in items:
        header = encode_member(item.member)
        digest = hashlib.sha256(item.data).hexdigest() if item.member.kind == FILE else None
        lines.append(encode_entry(item.entry._replace(frame=number, at=at, sha256=digest)))
        fill = padding(len(item.data))
        parts += (header, item.data, fill)
        at += len(header) + len(item.data) + len(fill)
    return _Built([_pack(b"".join(parts))], lines)


def _build_own(number: int, item: Item) -> _Built:
    data = encode_member(item.member) + item.data + padding(len(item.data))
    frames = [_pack(data[at : at + OWN_FRAME_BYTES]) for at in range(0, len(data), OWN_FRAME_BYTES)]
    digest = hashlib.sha256(item.data).hexdigest()
    return _Built(frames, [encode_entry(item.entry._replace(frame=number, frames=len(frames), sha256=digest))])


def _build_part(data: bytes) -> _Built:
    return _Built([_pack(data)], [])


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of OWN_FRAME_BYTES, the last one shorter; each byte is copied once."""
    kept: list[Union[bytes, memoryview]] = []
    size = 0
    for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        while size >= OWN_FRAME_BYTES:
            size -= OWN_FRAME_BYTES
            last = memoryview(kept.pop())
            boundary = len(last) - size
            yield b"".join((*kept, last[:boundary]))
            kept = [last[boundary:]]
    if size:
        yield b"".join(kept)


class ArchiveWriter:
    """Writes an archive and its index.

    :param stream: the archive, new and empty
    :param index: where frames and entries are noted
    """

    def __init__(self, stream: VaultFile, index: IndexWriter) -> None:
        self._stream = stream
        self._index = index
        self._digest = hashlib.sha256()
        self._offset = 0
        self._next_number = 0  # of the next frame to be handed to the pool
        self._written = (
            0  # frames that are in the file; this, offset and digest are the writing thread's while it works
        )
        self._batch: list[Item] = []
        self._batch_bytes = 0
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

    def add(self, item: Item) -> None:
        """Add an entry whose content is in memory."""
        if len(item.data) > SHARED_FRAME_BYTES:
            self._flush_batch()
            size = len(item.data)
            frames = (
                len(encode_member(item.member)) + size + len(padding(size)) + OWN_FRAME_BYTES - 1
            ) // OWN_FRAME_BYTES
            self._submit(frames, size, lambda number: _build_own(number, item))
            return
        self._batch.append(item)
        self._batch_bytes += len(item.data) + 1536
        if self._batch_bytes >= SHARED_FRAME_BYTES:
            self._flush_batch()

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
        self._index.add_entry_lines([encode_entry(entry)])
        return True

    def finish(self) -> ArchiveTotals:
        """Write what is left and the end of the archive; closing the files is the caller's."""
        self._flush_batch()
        self._submit(1, 0, lambda number: _build_part(END_OF_ARCHIVE))
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
        for part in _cut(chain((header,), chunks, (padding(size_bytes),))):
            self._submit_part(part, frames)
        while self._pending:
            frames += self._await_next()
        return frames

    def _submit_part(self, data: bytes, frames: list[Frame]) -> None:
        while self._is_full(len(data)):
            frames += self._await_next()
        self._enqueue(1, len(data), lambda number: _build_part(data), self._write)

    def _flush_batch(self) -> None:
        if self._batch:
            items = self._batch
            self._batch = []
            self._submit(1, self._batch_bytes, lambda number: _build_shared(number, items))
            self._batch_bytes = 0

    def _submit(self, frames: int, size_bytes: int, build: Callable[[int], _Built]) -> None:
        while self._is_full(size_bytes):
            self._await_next()
        self._enqueue(frames, size_bytes, build, self._write_and_note)

    def _is_full(self, size_bytes: int) -> bool:
        too_many = len(self._pending) >= 4 * cores()
        return bool(self._pending) and (too_many or self._pending_bytes + size_bytes > _PENDING_BYTES)

    def _enqueue(
        self,
        frames: int,
        size_bytes: int,
        build: Callable[[int], _Built],
        write: Callable[[Future[_Built]], list[Frame]],
    ) -> None:
        built = self._pool.submit(build, self._next_number)
        self._pending.append((self._writing.submit(write, built), size_bytes))
        self._pending_bytes += size_bytes
        self._next_number += frames

    def _drain(self) -> None:
        while self._pending:
            self._await_next()

    def _await_next(self) -> list[Frame]:
        future, size_bytes = self._pending.popleft()
        self._pending_bytes -= size_bytes
        return future.result()

    def _write_and_note(self, built: Future[_Built]) -> list[Frame]:
        frames = self._write(built)
        for frame in frames:
            self._index.add_frame(frame)
        self._index.add_entry_lines(built.result().lines)
        return frames

    def _write(self, built: Future[_Built]) -> list[Frame]:
        frames = []
        for data, content_bytes, sha256 in built.result().frames:
            self._stream.write(data)
            self._digest.update(data)
            frames.append(Frame(self._written, self._offset, len(data), content_bytes, sha256))
            self._offset += len(data)
            self._written += 1
        return frames
