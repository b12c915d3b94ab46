# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that did not change, in a frame of the earlier archive in which something else did.

Such a frame is written anew, but what did not change need not be read from the project for it: header and content stand
in the old frame, one after the other. That is compared with its digest, unpacked, and the bytes of the entry go over as
they are. One file in a hundred changed, and a quarter of all files would be read again, each of them on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from .archive_reader import ArchiveReader
from .errors import IntegrityError
from .index import Frame, moved, place_in_frame


class KeptEntry(NamedTuple):
    """An entry as it stands in a frame of many.

    :param lines: the index lines of all entries of that frame
    :param number: which of them it is
    :param size_bytes: about what it measures there, to fill new frames by
    """

    frame: Frame
    lines: Sequence[str]
    number: int
    size_bytes: int


class KeptEntries:
    """Gets them out of their frames, for one new frame; that asks for neighbours one after the other.

    :param reader: the earlier archive; None where there is none, and nothing is kept
    """

    def __init__(self, reader: Optional[ArchiveReader]) -> None:
        self._reader = reader
        self._frame: Optional[Frame] = None
        self._content = memoryview(b"")
        self._starts: list[int] = []  # of each entry, and where the last one ends

    def take(self, entry: KeptEntry, frame: int, at: int) -> tuple[memoryview, str]:
        """Header, content and padding of an entry, and its index line.

        :param frame: number of the new frame
        :param at: where the entry stands in that
        :raises IntegrityError: when the old frame is damaged
        """
        if entry.frame is not self._frame:
            self._open(entry)
        start, end = self._starts[entry.number : entry.number + 2]
        return self._content[start:end], moved(entry.lines[entry.number], frame, at)

    def _open(self, entry: KeptEntry) -> None:
        if self._reader is None:
            raise ValueError("There is no earlier archive to keep entries of.")
        self._content = memoryview(self._reader.frame(entry.frame))
        self._starts = [*map(place_in_frame, entry.lines), len(self._content)]
        if self._starts[0] or any(start >= end for start, end in zip(self._starts, self._starts[1:])):
            raise IntegrityError(f"The index does not say what stands in frame {entry.frame.number} of the archive.")
        self._frame = entry.frame
