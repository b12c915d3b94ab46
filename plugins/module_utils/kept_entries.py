# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that did not change, in a frame of the earlier archive in which something else did.

Such a frame is written anew, but what did not change need not be read from the project for it: header and content stand
in the old frame, one after the other. That is compared with its digest, unpacked, and the bytes of the entry go over as
they are. One file in a hundred changed, and a quarter of all files would be read again, each of them on its own.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from .archive_reader import ArchiveReader
from .errors import IntegrityError
from .index import Frame, line_start, moved, place_in_frame
from .tar_format import decode_member, padding


class KeptEntry(NamedTuple):
    """An entry as it stands in a frame of many.

    :param line: its index line
    :param next_line: that of the entry after it in the frame; empty where it is the last one
    :param size_bytes: about what it measures there, to fill new frames by
    """

    frame: Frame
    line: str
    next_line: str
    size_bytes: int


class KeptEntries:
    """Gets them out of their frames, for one new frame; that asks for neighbours one after the other.

    :param reader: the earlier archive; None where there is none, and nothing is kept
    """

    def __init__(self, reader: Optional[ArchiveReader]) -> None:
        self._reader = reader
        self._frame: Optional[Frame] = None
        self._content = b""

    def take(self, entry: KeptEntry, frame: int, at: int) -> tuple[bytes, str]:
        """Header, content and padding of an entry, and its index line.

        :param frame: number of the new frame
        :param at: where the entry stands in that
        :raises IntegrityError: when the old frame is damaged, or holds something else there
        """
        if entry.frame is not self._frame:
            if self._reader is None:
                raise ValueError("There is no earlier archive to keep entries of.")
            self._content = self._reader.frame(entry.frame)
            self._frame = entry.frame
        start = place_in_frame(entry.line)
        end = place_in_frame(entry.next_line) if entry.next_line else len(self._content)
        if not self._is_at(entry.line, start, end):
            raise IntegrityError(f"The index does not say what stands in frame {entry.frame.number} of the archive.")
        # a copy: a part of the old frame would keep all of it in memory until the new one is full
        return self._content[start:end], moved(entry.line, frame, at)

    def _is_at(self, line: str, start: int, end: int) -> bool:
        """Whether the entry of this line stands there, and nothing else does."""
        if not 0 <= start < end <= len(self._content):
            return False
        member, content_at = decode_member(self._content, start)
        size_bytes = member.size_bytes if member.sparse_size_bytes is None else member.sparse_size_bytes
        says = line_start(member.path, member.kind, size_bytes, member.mode, member.uid, member.gid, member.mtime_ns)
        return line.startswith(says) and end == content_at + member.size_bytes + len(padding(member.size_bytes))
