# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an index with a text in them, for C(cora find), which reads the index of every state there is.

All that reading it line by line would check is checked here too, of many lines at once. Where anything is not exactly
as :class:`.index.IndexWriter` writes it, the answer is left to those who read line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Optional

from .gzip_frames import open_stream, whole_content
from .index import END_LINE, ENTRY_START, HEADER_LINE, READ_BYTES, READ_ERRORS
from .layout import open_artifact, read_artifact

#: Larger ones take a third longer: the kernel finds the memory of each anew.
_PIECE_BYTES = 64 * 1024
_FRAME_LINE = re.compile(
    r'\{"frame":N,"offset":N,"length":N,"size":N,"sha256":"[0-9a-f]{64}"\}'.replace("N", "(?:0|[1-9][0-9]{0,17})")
)


def lines_with(path: str, text: str) -> Optional[list[str]]:
    """The lines of entries that have a text in them, in the order of the index.

    :param text: as it stands in the index
    :returns: None where only reading it line by line tells
    """
    found: list[str] = []
    shape = _Shape()
    rest = ""
    try:
        for piece in _pieces(path):
            whole = rest + piece.decode("ascii")
            lines = whole.split("\n")
            rest = lines.pop()
            if len(rest) > READ_BYTES or not shape.goes_on_with(lines):
                return None
            if text in whole:
                found += [line for line in lines if text in line and line.startswith(ENTRY_START)]
    except READ_ERRORS:
        return None
    return found if shape.is_finished and not rest else None


def _pieces(path: str) -> Iterator[bytes]:
    """The content of an index, a small one at once."""
    try:
        content = whole_content(read_artifact(path, at_most_bytes=_PIECE_BYTES), _PIECE_BYTES)
    except OSError:
        content = None
    if content is not None:
        yield content
        return
    with open_artifact(path) as file, open_stream(file) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


class _Shape:
    """A header, frames and the beginnings of entries, and an end that counts them; and nothing else."""

    def __init__(self) -> None:
        self._has_begun = self.is_finished = False
        self._entries = self._frames = 0

    def goes_on_with(self, lines: list[str]) -> bool:
        """Whether these lines may come next."""
        if not lines or self.is_finished:
            return not lines
        others = [line for line in lines if not line.startswith(ENTRY_START)]
        self._entries += len(lines) - len(others)
        if not self._has_begun:
            if lines[0] != HEADER_LINE:
                return False
            self._has_begun = True
            del others[0]
        if others and others[-1] is lines[-1]:
            end = END_LINE.format(entries=self._entries, frames=self._frames + len(others) - 1)
            self.is_finished = lines[-1] == end
            if self.is_finished:
                others.pop()
        self._frames += len(others)
        return all(map(_FRAME_LINE.fullmatch, others))
