# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries made into frames: headers, digests, index lines, compression. Nothing here touches a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

from .archive_reader import ArchiveReader
from .gzip_frames import aligned, compress
from .index import Entry, encode_entry
from .kept_entries import KeptEntries, KeptEntry
from .tar_format import FILE, Member, encode_member, padding

OWN_FRAME_BYTES = 4 * 1024 * 1024

#: A frame: its compressed bytes, its size uncompressed, the SHA-256 of the compressed bytes.
Packed = tuple[bytes, int, str]


class Item(NamedTuple):
    """An entry on its way into the archive.

    :param member: its tar header; C(size_bytes) is the length of C(data)
    :param entry: its index line, without position and digest
    :param data: its content
    """

    member: Member
    entry: Entry
    data: Union[bytes, memoryview] = b""


@dataclass(frozen=True)
class Built:
    """Frames ready to be written, and the index lines of the entries in them."""

    frames: list[Packed]
    lines: str
    entries: int


def build_shared(
    number: int, items: Iterable[Union[Item, KeptEntry]], earlier: Optional[ArchiveReader] = None, *, align: bool
) -> Built:
    """One frame of several entries.

    :param number: of that frame
    :param earlier: the archive that has those which are kept
    :raises IntegrityError: when one of these is damaged
    """
    kept = KeptEntries(earlier)
    parts: list[Union[bytes, memoryview]] = []
    lines: list[str] = []
    at = 0
    for item in items:
        if isinstance(item, KeptEntry):
            content, line = kept.take(item, number, at)
            parts.append(content)
            lines.append(line)
            at += len(content)
            continue
        header = encode_member(item.member)
        digest = hashlib.sha256(item.data).hexdigest() if item.member.kind == FILE else None
        lines.append(encode_entry(item.entry._replace(frame=number, at=at, sha256=digest)))
        fill = padding(len(item.data))
        parts += (header, item.data, fill)
        at += len(header) + len(item.data) + len(fill)
    return Built([_pack(b"".join(parts), align=align)], "".join(lines), len(lines))


def build_own(number: int, item: Item, *, align: bool) -> Built:
    """The frames of one entry that shares them with no other.

    :param number: of the first of them
    """
    data = encode_member(item.member) + item.data + padding(len(item.data))
    frames = [_pack(data[at : at + OWN_FRAME_BYTES], align=align) for at in range(0, len(data), OWN_FRAME_BYTES)]
    digest = hashlib.sha256(item.data).hexdigest()
    return Built(frames, encode_entry(item.entry._replace(frame=number, frames=len(frames), sha256=digest)), 1)


def own_frames(item: Item) -> int:
    """How many frames :func:`build_own` makes."""
    size_bytes = len(encode_member(item.member)) + len(item.data) + len(padding(len(item.data)))
    return (size_bytes + OWN_FRAME_BYTES - 1) // OWN_FRAME_BYTES


def build_part(data: bytes, *, align: bool) -> Built:
    """A frame of bytes that belong to no entry, or are not all of one."""
    return Built([_pack(data, align=align)], "", 0)


def cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
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


def _pack(data: bytes, *, align: bool) -> Packed:
    frame = aligned(compress(data)) if align else compress(data)
    return frame, len(data), hashlib.sha256(frame).hexdigest()
