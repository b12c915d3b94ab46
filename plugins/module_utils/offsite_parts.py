# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which parts a large object is sent: what stands in the bucket already is copied there, by the service itself.

Two archives of one project share most of their frames. Where a run of frames of the new archive stands in the same
order in an older one, at whatever place, the service is asked to copy that range; the rest is sent. Both are the parts
of one multipart upload, whose rules make this a puzzle: a part but the last has at least 5 MiB, and there are at most
10,000 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

from .index import Frame

MIB = 1024 * 1024
#: Of the service: no part but the last may be smaller.
SMALLEST_PART_BYTES = 5 * MIB
#: Of the service: 10,000. A few are left for rounding.
MOST_PARTS = 9_900
PART_BYTES = 8 * MIB
#: Copying costs the service time in which nothing comes over the line, so not too much at once.
COPY_PART_BYTES = 64 * MIB


class Run(NamedTuple):
    """Bytes that stand in an older object too.

    :param offset: in the new one
    :param source_offset: in the older one
    """

    offset: int
    length_bytes: int
    source_offset: int


@dataclass(frozen=True)
class Part:
    """A part of a multipart upload.

    :param number: from 1
    :param source_offset: where in the older object the same bytes stand; None: they are sent
    """

    number: int
    offset: int
    length_bytes: int
    source_offset: Optional[int] = None


def unchanged_runs(new: Iterable[Frame], old: Iterable[Frame]) -> list[Run]:
    """What of a new archive stands in an old one, as long runs; by the digests of the frames, so wherever it moved."""
    places = {(frame.sha256, frame.length_bytes): frame.offset for frame in old}
    runs: list[Run] = []
    for frame in new:
        source_offset = places.get((frame.sha256, frame.length_bytes))
        if source_offset is None:
            continue
        last = runs[-1] if runs else None
        if (
            last
            and last.offset + last.length_bytes == frame.offset
            and (last.source_offset + last.length_bytes == source_offset)
        ):
            runs[-1] = last._replace(length_bytes=last.length_bytes + frame.length_bytes)
        else:
            runs.append(Run(frame.offset, frame.length_bytes, source_offset))
    return runs


def plan_parts(size_bytes: int, runs: Iterable[Run] = ()) -> list[Part]:
    """The parts of an object, in order, without a gap.

    The same answer for the same question: an upload that is taken up again finds its parts where they were.
    """
    runs = list(runs)
    # ever larger parts until there are few enough; a run that is worth no part any more is sent
    part_bytes, copy_bytes, worth_bytes = PART_BYTES, COPY_PART_BYTES, SMALLEST_PART_BYTES
    while True:
        parts = list(_parts(size_bytes, runs, part_bytes, copy_bytes, worth_bytes))
        if len(parts) <= MOST_PARTS:
            return parts
        part_bytes, copy_bytes, worth_bytes = part_bytes * 2, copy_bytes * 2, worth_bytes * 2


def _parts(size_bytes: int, runs: list[Run], part_bytes: int, copy_bytes: int, worth_bytes: int) -> Iterator[Part]:
    number = 0
    for offset, length_bytes, source_offset in _segments(size_bytes, runs, worth_bytes):
        at = 0
        for piece in _pieces(length_bytes, part_bytes if source_offset is None else copy_bytes):
            number += 1
            source = None if source_offset is None else source_offset + at
            yield Part(number, offset + at, piece, source)
            at += piece


def _segments(size_bytes: int, runs: list[Run], worth_bytes: int) -> Iterator[tuple[int, int, Optional[int]]]:
    """Offset, length and source of what is sent and what is copied, in turn; none but the last one is too small."""
    at = 0
    for run in runs:
        start = run.offset
        if 0 < start - at < SMALLEST_PART_BYTES:
            start = at + SMALLEST_PART_BYTES  # the gap becomes a part by sending a little of what could be copied
        length_bytes = run.offset + run.length_bytes - start
        if length_bytes < worth_bytes:
            continue
        if start > at:
            yield at, start - at, None
        yield start, length_bytes, run.source_offset + start - run.offset
        at = start + length_bytes
    if at < size_bytes:
        yield at, size_bytes - at, None


def _pieces(length_bytes: int, piece_bytes: int) -> Iterator[int]:
    """A length cut into pieces of about the same size, each but a single one at least half as long as asked for."""
    count = max(-(-length_bytes // piece_bytes), 1)
    # 8 MiB pieces of 9 MiB would be two of 4.5, which is too little: rather one of 9
    while count > 1 and length_bytes // count < SMALLEST_PART_BYTES:
        count -= 1
    for number in range(count):
        yield length_bytes * (number + 1) // count - length_bytes * number // count
