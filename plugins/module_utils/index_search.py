# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few entries out of an index: lines that cannot be meant are not parsed, which costs a tenth of parsing them all.

A filter looks at the line of an entry as it stands in the index, and may let too much pass, never too little: whoever
asks compares what was parsed. What holds an index together is checked as where all of it is parsed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from json.encoder import encode_basestring_ascii as _quoted
from typing import Callable

from .index import Entry, Frame, parse_entries, read_frames_and_lines
from .index_scan import lines_with

#: Whether a line can be that of a wanted entry.
LineFilter = Callable[[str], bool]

_BEGIN = '{"path":"'
_BEHIND_PATH = '","type":'  # in no path: a quotation mark in it has a backslash before it
#: So many beginnings are compared faster than the path is cut out of the line.
_FEW = 16


def anything(_line: str) -> bool:
    """Lets all entries pass."""
    return True


def holding(text: str) -> LineFilter:
    """Lets entries pass that have this text in their path (or elsewhere)."""
    needle = _quoted(text)[1:-1]
    return lambda line: needle in line


def at(paths: Collection[str]) -> LineFilter:
    """Lets the entries with these paths pass."""
    starts = tuple(_start(path) + '"' for path in paths)
    if len(starts) <= _FEW:
        return lambda line: line.startswith(starts) or not line.startswith(_BEGIN)
    known = frozenset(starts)

    def is_known(line: str) -> bool:
        end = line.find(_BEHIND_PATH)
        return end < 0 or line[: end + 1] in known or not line.startswith(_BEGIN)

    return is_known


def at_or_below(paths: Collection[str]) -> LineFilter:
    """Lets the entries with these paths pass, and what lies below them; paths may be as :func:`.names.printable` shows
    them."""
    if "." in paths:
        return anything
    starts = tuple(_start(path) for path in paths)
    if not any("\\" in path for path in paths):
        return lambda line: line.startswith(starts) or not line.startswith(_BEGIN)
    # one of them may be escaped, and what it is escaped from has a backslash in the index, too
    return lambda line: line.startswith(starts) or "\\" in line or not line.startswith(_BEGIN)


def _start(path: str) -> str:
    return _BEGIN + _quoted(path)[1:-1]


def find_entries(path: str, passes: LineFilter) -> Iterator[Entry]:
    """Entries that a filter lets pass, in the order of the index.

    :raises IntegrityError: when the index is damaged, cut short, or of a version this code does not know
    """
    lines: list[str] = []
    for line in read_frames_and_lines(path):
        if isinstance(line, str):
            if passes(line):
                lines.append(line)
        elif lines:
            yield from parse_entries(path, lines)
            lines.clear()
    yield from parse_entries(path, lines)


def entries_holding(path: str, text: str, parsed: dict[str, Entry]) -> list[Entry]:
    """The same as :func:`find_entries` with :func:`holding`, in less than two thirds of the time.

    :param parsed: what was parsed before, by its line, for the next index: most files are in most of them unchanged
    :raises IntegrityError: as :func:`find_entries`
    """
    lines = lines_with(path, _quoted(text)[1:-1])
    if lines is None:
        return list(find_entries(path, holding(text)))
    new = [line for line in lines if line not in parsed]
    if new:
        parsed.update(zip(new, parse_entries(path, new)))
    return [parsed[line] for line in lines]


def find_frames(path: str) -> Iterator[Frame]:
    """All frames; no entry is parsed.

    :raises IntegrityError: as :func:`find_entries`
    """
    return (line for line in read_frames_and_lines(path) if isinstance(line, Frame))
