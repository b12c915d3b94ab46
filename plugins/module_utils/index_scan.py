# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an index with a text in them, for C(cora find), which reads the index of every state there is.

All that reading it line by line would check is checked here too, of all lines at once. Where anything is not exactly
as :class:`.index.IndexWriter` writes it, the answer is left to those who read line by line.
"""

from __future__ import annotations

import re
from typing import Optional

from .gzip_frames import whole_content
from .index import END_LINE, ENTRY_START, HEADER_LINE, READ_BYTES
from .layout import read_artifact

#: Of 100,000 files; larger ones are read in pieces.
_PACKED_BYTES = 8 * 1024 * 1024
_CONTENT_BYTES = 32 * 1024 * 1024
_FRAME_LINE = re.compile(
    r'\{"frame":N,"offset":N,"length":N,"size":N,"sha256":"[0-9a-f]{64}"\}'.replace("N", "(?:0|[1-9][0-9]{0,17})")
)


def lines_with(path: str, text: str) -> Optional[list[str]]:
    """The lines of entries that have a text in them, in the order of the index.

    :param text: as it stands in the index
    :returns: None where only reading it line by line tells
    """
    try:
        content = whole_content(read_artifact(path, at_most_bytes=_PACKED_BYTES), _CONTENT_BYTES)
    except OSError:
        return None
    if content is None or not content.isascii():
        return None
    whole = content.decode("ascii")
    lines = whole.split("\n")
    if not _are_whole(lines):
        return None
    return [line for line in lines if text in line and line.startswith(ENTRY_START)] if text in whole else []


def _are_whole(lines: list[str]) -> bool:
    """Whether there are a header, frames, the beginnings of entries, and an end that counts them; and nothing else."""
    others = [line for line in lines if not line.startswith(ENTRY_START)]
    frames = others[1:-2]
    return (
        lines[0] == HEADER_LINE
        and lines[-2:] == [END_LINE.format(entries=len(lines) - len(others), frames=len(frames)), ""]
        and all(map(_FRAME_LINE.fullmatch, frames))
        and max(map(len, lines)) <= READ_BYTES
    )
