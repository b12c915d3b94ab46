# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an archive by its index: whole, or the few frames that one file needs.

Nothing is believed: a frame is what the index says by its SHA-256, a header is what the index says field by field,
content is what the index says by its SHA-256. The index itself is covered by SHA256SUMS.txt.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Optional, Union

from . import layout
from .errors import IntegrityError
from .gzip_frames import decompress
from .index import Entry, Frame, parse_entries, read_frames_and_lines
from .index_search import at
from .names import printable
from .parallel import ordered_map
from .past_cache import AlignedMemory, PastCacheReader
from .tar_format import BLOCK_BYTES, END_OF_ARCHIVE, FILE, Member, decode_member, padding

_ZEROS = bytes(1024 * 1024)
#: A group of more frames than this is streamed, so that a huge file never stands in memory.
STREAM_FROM_FRAMES = 8
#: Frames measure up to 4 MiB, more only where thousands of small files have large extended attributes.
LARGEST_FRAME_BYTES = 256 * 1024 * 1024

Buffer = Union[bytes, memoryview]
Pieces = Iterable[tuple[int, Buffer]]


@dataclass
class Group:
    """Frames that belong together, and the entries in them: one frame of many entries, or many frames of one.

    :param lines: the lines of the entries as they stand in the index
    """

    frames: list[Frame] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def is_streamed(self) -> bool:
        """Whether it is too large to be read at once."""
        return len(self.frames) > STREAM_FROM_FRAMES


class Opened(NamedTuple):
    """An entry of the archive, its header checked against the index.

    :param pieces: its content as C((offset, bytes)), holes left out; checked by :func:`checked` while it is read
    :param whole: the content instead of pieces, where it stands in memory already; checked by :func:`check_content`
    """

    entry: Entry
    member: Member
    pieces: Pieces
    whole: Optional[memoryview] = None


def unread_groups(index: str) -> Iterator[Group]:
    """All groups of an index, with lines and without entries; the last one has neither.

    :raises IntegrityError: when the index is damaged, or its frames leave a gap
    """
    group = Group()
    offset = number = 0
    for line in read_frames_and_lines(index):
        if isinstance(line, str):
            group.lines.append(line)
            continue
        if group.lines:
            if not group.frames:
                raise IntegrityError(f"{layout.INDEX} has an entry before the first frame.")
            yield group
            group = Group()
        if (line.number, line.offset) != (number, offset):
            raise IntegrityError(f"The frames in {layout.INDEX} do not follow one another.")
        group.frames.append(line)
        offset += line.length_bytes
        number += 1
    yield group


def groups_at(index: str, paths: Collection[str]) -> Iterator[Group]:
    """The groups that hold entries with these paths, each with all that is in it; other entries are not parsed.

    :raises IntegrityError: when the index is damaged
    """
    may_be_wanted = at(paths)
    for group in unread_groups(index):
        if any(map(may_be_wanted, group.lines)):
            group.entries = parse_entries(index, group.lines)
            yield group


def check_frames(frames: Sequence[Frame], data: Buffer) -> None:
    """Compare frames that follow one another with their digests.

    :raises IntegrityError: when one of them is not what the index says
    """
    view = memoryview(data)
    at = 0
    for frame in frames:
        if hashlib.sha256(view[at : at + frame.length_bytes]).hexdigest() != frame.sha256:
            raise IntegrityError(
                f"Bytes {frame.offset} to {frame.offset + frame.length_bytes} of the archive are damaged."
            )
        at += frame.length_bytes


class ArchiveReader:
    """One archive of a backup and its index.

    :param directory: the backup
    :raises IntegrityError: when the archive cannot be opened
    """

    def __init__(self, directory: str, *, archive: str = layout.ARCHIVE) -> None:
        self._index_path = os.path.join(directory, layout.INDEX)
        self.path = os.path.join(directory, archive)
        try:
            self._stream = layout.open_artifact(self.path)
        except OSError as error:
            raise IntegrityError(f"The archive {printable(self.path)} cannot be opened: {error.strerror}.") from error
        self._fd = self._stream.fileno()
        self.size_bytes = os.fstat(self._fd).st_size

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.close()

    def fileno(self) -> int:
        """The descriptor of the archive."""
        return self._fd

    def groups(self) -> Iterator[Group]:
        """All groups, in the order of the archive.

        :raises IntegrityError: when the index is damaged, or does not cover the archive without a gap
        """
        return map(self.read_entries, self.unread_groups())

    def read_entries(self, group: Group) -> Group:
        """The group with its entries, which stood in it as lines.

        :raises IntegrityError: when one is damaged
        """
        group.entries = parse_entries(self._index_path, group.lines)
        return group

    def entry_of(self, line: str) -> Entry:
        """The entry of one line of its index.

        :raises IntegrityError: when it is damaged
        """
        return parse_entries(self._index_path, [line])[0]

    def unread_groups(self) -> Iterator[Group]:
        """All groups, in the order of the archive, with lines and without entries: see :meth:`read_entries`.

        :raises IntegrityError: when the index is damaged, or does not cover the archive without a gap
        """
        end = 0
        for group in unread_groups(self._index_path):
            end = group.frames[-1].offset + group.frames[-1].length_bytes if group.frames else end
            yield group
        if end != os.fstat(self._fd).st_size:
            raise IntegrityError(f"{os.path.basename(self.path)} is not as long as {layout.INDEX} says.")

    def groups_at(self, paths: Collection[str]) -> Iterator[Group]:
        """:func:`groups_at` of its index. How long the archive is does not matter: what is intact of one that was cut
        can be read.

        :raises IntegrityError: when the index is damaged
        """
        return groups_at(self._index_path, paths)

    def frame(self, frame: Frame) -> bytes:
        """Content of a frame.

        :raises IntegrityError: when it is not what the index says
        """
        return decompress(self.packed_frames([frame]), frame.size_bytes)

    def packed_frames(self, frames: Sequence[Frame]) -> bytes:
        """Frames that follow one another, compressed as they stand in the archive.

        :raises IntegrityError: when one of them is not what the index says, or cannot be read
        """
        length_bytes = self._packed_bytes(frames)
        with self._reading():
            data = os.pread(self._fd, length_bytes, frames[0].offset)
        check_frames(frames, data)
        return data

    def _packed_bytes(self, frames: Sequence[Frame]) -> int:
        if not all(
            0 < frame.length_bytes <= self.size_bytes and 0 <= frame.size_bytes <= LARGEST_FRAME_BYTES
            for frame in frames
        ):
            raise IntegrityError(f"{layout.INDEX} names a frame of the archive that cannot be.")
        return sum(frame.length_bytes for frame in frames)

    def unchecked_frames(
        self, frames: Sequence[Frame], past_cache: PastCacheReader, memory: Optional[AlignedMemory] = None
    ) -> memoryview:
        """:meth:`packed_frames` for somebody who compares them with their digests.

        :param past_cache: reads them, into C(memory) if that is given, and memory of its own otherwise
        :raises IntegrityError: when they cannot be read, or are not there in their full length
        """
        length_bytes = self._packed_bytes(frames)
        with self._reading():
            data = past_cache.read_at(frames[0].offset, length_bytes, memory)
        if len(data) != length_bytes:
            check_frames(frames, data)
        return data

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IntegrityError(f"{printable(self.path)} cannot be read: {error.strerror}.") from error

    def packed_on_disk(self, frames: Sequence[Frame]) -> memoryview:
        """:meth:`packed_frames` as the disk holds them, and not the page cache.

        :raises IntegrityError: when one of them is not what the index says, or cannot be read
        """
        with closing(PastCacheReader(self._fd, from_disk=True)) as past_cache:
            data = self.unchecked_frames(frames, past_cache)
        check_frames(frames, data)
        return data

    def frame_on_disk(self, frame: Frame) -> bytes:
        """:meth:`frame` as the disk holds it, and not the page cache.

        :raises IntegrityError: when it is not what the index says, or cannot be read
        """
        return decompress(self.packed_on_disk([frame]), frame.size_bytes)

    def damaged_frames(self) -> dict[int, str]:
        """Number of each frame that is damaged, and what is wrong with it. Reads the whole archive, and no content.

        :raises IntegrityError: when the index is damaged
        """
        frames = (frame for group in unread_groups(self._index_path) for frame in group.frames)
        return {frame.number: wrong for frame, wrong in ordered_map(self._what_is_wrong, frames) if wrong}

    def _what_is_wrong(self, frame: Frame) -> tuple[Frame, str]:
        try:
            self.packed_on_disk([frame])
        except IntegrityError as error:
            return frame, str(error)
        return frame, ""

    def open_group(
        self,
        group: Group,
        wanted: Callable[[Entry], bool] = lambda entry: True,
        frames: Optional[Iterable[bytes]] = None,
    ) -> Iterator[Opened]:
        """The wanted entries of a group; each is to be read before the next one is asked for.

        :param frames: content of its frames, where that is at hand
        :raises IntegrityError: when a frame or a header is damaged
        """
        if not group.entries:
            return
        contents = iter(frames) if frames is not None else self._contents(group)
        if len(group.entries) == 1 and group.entries[0].frames == len(group.frames):
            if wanted(group.entries[0]):
                yield _open_own(group.entries[0], contents)
            return
        if len(group.frames) != 1:
            raise IntegrityError(f"{layout.INDEX} gives several entries a frame that is not one.")
        data = next(contents, b"")
        view = memoryview(data)
        for entry in group.entries:
            if wanted(entry):
                member, at = decode_member(data, entry.at)
                check_member(entry, member)
                end = at + member.size_bytes
                if end > len(data):
                    raise IntegrityError("A file in the archive is cut short.")
                if member.sparse_size_bytes is None:
                    yield Opened(entry, member, (), view[at:end])
                else:
                    yield Opened(entry, member, expand(member, [data[at:end]]))

    def _contents(self, group: Group) -> Iterator[bytes]:
        """Content of its frames, each read for itself."""
        return ordered_map(self.frame, group.frames) if group.is_streamed else map(self.frame, group.frames)

    def check_group(self, group: Group, frames: Optional[Iterable[bytes]] = None) -> None:
        """Whether frames, headers and content are what the index says, and nothing is hidden between the entries
        (what C(tar) would extract unasked).

        :param frames: content of its frames, where that is at hand
        :raises IntegrityError: when something is damaged, or stands there that the index does not name
        """
        contents = iter(frames) if frames is not None else self._contents(group)
        if not group.entries:
            if list(contents) != [END_OF_ARCHIVE]:
                raise IntegrityError("The archive does not end as it should.")
            return
        if len(group.frames) > 1:  # one entry; that nothing follows it is seen when it is read
            for opened in self.open_group(group, frames=contents):
                for _piece in checked(opened.entry, opened.pieces):
                    pass
            return
        self._check_shared(group.entries, next(contents, b""))

    def _check_shared(self, entries: list[Entry], data: bytes) -> None:
        # the loop of open_group() and checked() in one, because it runs once a file: half the time a file
        view = memoryview(data)
        end = 0
        for entry in entries:
            if entry.at != end:
                raise IntegrityError("The archive holds something that the index does not name.")
            member, at = decode_member(data, end)
            check_member(entry, member)
            end = at + member.size_bytes
            if end > len(data):
                raise IntegrityError("A file in the archive is cut short.")
            if member.sparse_size_bytes is not None:
                for _piece in checked(entry, expand(member, [data[at:end]])):
                    pass
            else:
                check_content(entry, view[at:end])
            end += -member.size_bytes % BLOCK_BYTES
        if end != len(data):
            raise IntegrityError("The archive holds something that the index does not name.")


def _open_own(entry: Entry, frames: Iterator[bytes]) -> Opened:
    first = next(frames, b"")
    member, at = decode_member(first, entry.at)
    check_member(entry, member)
    return Opened(entry, member, expand(member, _exactly(first[at:], frames, member.size_bytes)))


def _exactly(first: bytes, frames: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The data of an entry out of its frames, and nothing behind it but the padding."""
    left = size_bytes
    rest = first
    while left > 0:
        yield rest[:left]
        taken = min(len(rest), left)
        left -= taken
        rest = rest[taken:] if left <= 0 else next(frames, b"")
        if left > 0 and not rest:
            raise IntegrityError("A file in the archive is cut short.")
    if rest + b"".join(frames) != padding(size_bytes):
        raise IntegrityError("The archive holds something that the index does not name.")


def check_member(entry: Entry, member: Member) -> None:
    """Compare a header with the index.

    :raises IntegrityError: when they differ
    """
    path, kind, mode, uid, gid, _uname, _gname, size, mtime_ns, link, _xattrs, sparse_size = member
    in_archive = (path, kind, size if sparse_size is None else sparse_size, mode, uid, gid, mtime_ns)
    if in_archive != entry[:7] or link != entry.link:
        raise IntegrityError(f"The header of {printable(entry.path)} in the archive is not what the index says.")


def expand(member: Member, chunks: Iterable[bytes]) -> Pieces:
    """Content of an entry as C((offset, bytes)); the map of a sparse file is read and applied.

    :raises IntegrityError: when the map is damaged
    """
    if member.sparse_size_bytes is None:
        at = 0
        for chunk in chunks:
            if chunk:
                yield at, chunk
                at += len(chunk)
        return
    yield from _expand_sparse(chunks, member.sparse_size_bytes)


def _expand_sparse(chunks: Iterable[bytes], size_bytes: int) -> Pieces:
    source = iter(chunks)
    segments, rest = _read_map(source)
    end = 0
    for offset, length in segments:
        if offset < end or offset + length > size_bytes:
            raise IntegrityError("The map of a sparse file in the archive is damaged.")
        end = offset + length
        while length > 0:
            rest = rest or next(source, b"")
            if not rest:
                raise IntegrityError("A sparse file in the archive is cut short.")
            yield offset, rest[:length]
            step = min(length, len(rest))
            offset, length, rest = offset + step, length - step, rest[step:]
    if rest or any(source):
        raise IntegrityError("The map of a sparse file in the archive is damaged.")


def _read_map(source: Iterator[bytes]) -> tuple[list[tuple[int, int]], bytes]:
    buffer = b""
    numbers: list[int] = []
    at = 0
    while not numbers or len(numbers) < 1 + 2 * numbers[0]:
        newline = buffer.find(b"\n", at)
        if newline < 0:
            more = next(source, b"")
            if not more:
                raise IntegrityError("The map of a sparse file in the archive is damaged.")
            buffer += more
            continue
        if not buffer[at:newline].isdigit():
            raise IntegrityError("The map of a sparse file in the archive is damaged.")
        numbers.append(int(buffer[at:newline]))
        at = newline + 1
    data_at = at + -at % BLOCK_BYTES
    while len(buffer) < data_at:
        buffer += next(source, bytes(data_at - len(buffer)))
    return list(zip(numbers[1::2], numbers[2::2])), buffer[data_at:]


def checked(entry: Entry, pieces: Pieces) -> Pieces:
    """The same pieces; after the last one the digest is compared.

    :raises IntegrityError: when the content is not what the index says
    """
    digest = hashlib.sha256()
    at = 0
    for offset, data in pieces:
        _hash_zeros(digest, offset - at)
        digest.update(data)
        at = offset + len(data)
        yield offset, data
    _hash_zeros(digest, entry.size_bytes - at)
    if entry.kind == FILE and digest.hexdigest() != entry.sha256:
        raise _damaged(entry)


def check_content(entry: Entry, content: Buffer) -> None:
    """Compare the content of an entry with the index.

    :raises IntegrityError: when it is not what the index says
    """
    if entry.kind == FILE and hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _damaged(entry)


def _damaged(entry: Entry) -> IntegrityError:
    return IntegrityError(f"The content of {printable(entry.path)} is damaged.")


def _hash_zeros(digest: hashlib._Hash, count: int) -> None:
    while count > 0:
        step = min(count, len(_ZEROS))
        digest.update(_ZEROS[:step])
        count -= step
