# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checking an archive in one reading: the sum over all of it, and what is in it, out of the same memory.

It is read from the disk, also where it is in the page cache: what counts on the bad day is what the disk holds. The sum
is one long chain in this process; what was just read is checked beside that by others, who find it in shared memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple, Optional

from .archive_reader import ArchiveReader, Group
from .errors import IntegrityError
from .frame_loader import FrameLoader, LoadedFrames
from .parallel import cores, ordered_map
from .past_cache import AlignedMemory
from .processes import WORTH_PROCESSES_BYTES, Crew, where_processes_help

#: Of the archive: read at once, and checked by one process.
_LOT_BYTES = 4 * 1024 * 1024
#: A group of more frames is no part of a lot.
_HELD_FRAMES = 2
#: The last group of a lot begins before it is full, and frames of what cannot be compressed are a little longer.
_SLOT_BYTES = _LOT_BYTES + _HELD_FRAMES * 5 * 1024 * 1024

#: One thread reads for all of them, and sums up.
_WORKERS_AT_MOST = 6

#: Paths and what is wrong with them; no path where it is not that of an entry.
Problems = list[tuple[Optional[str], str]]


class Checked(NamedTuple):
    """What a part of the archive holds, and what is wrong with it.

    :param number: which part
    :param size_bytes: of the content
    :param index_problem: what is wrong with the lines of the index that tell of it
    """

    number: int
    entries: int
    size_bytes: int
    problems: Problems
    index_problem: str = ""


class _Lot(NamedTuple):
    """Groups that follow one another.

    :param slot: where their frames are; None where they could not be read at once, or are too long for that
    :param checked: what came out already
    """

    number: int
    groups: list[Group]
    slot: Optional[int] = None
    checked: Optional[Checked] = None


#: What came out, and the slot that is not needed any more.
_Done = tuple[Optional[int], Checked]


class ArchiveCheck:
    """One check of one archive, to be closed.

    :param reader: the archive
    """

    def __init__(self, reader: ArchiveReader) -> None:
        self._reader = reader
        self._digest = hashlib.sha256()
        self._is_summed = True
        self._index_problem = ""
        self._summing = ThreadPoolExecutor(max_workers=1)
        self._loader = FrameLoader(reader, from_disk=True, on_read=self._sum_up)
        count = min(cores(), _WORKERS_AT_MOST)
        # more than are looked ahead, and waited for
        self._slots = [AlignedMemory(shared_bytes=_SLOT_BYTES) for _number in range(2 * count + 2)]
        self._summed: list[Optional[Future[None]]] = [None] * len(self._slots)
        self._free = list(range(len(self._slots)))
        self._threads = count
        self._crew: Optional[Crew[_Lot, _Done]] = None
        if reader.size_bytes >= WORTH_PROCESSES_BYTES:
            self._crew = where_processes_help(lambda: Crew(self._check, count))

    def __enter__(self) -> ArchiveCheck:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._crew is not None:
            self._crew.close()
        self._summing.shutdown(wait=True, cancel_futures=True)
        self._loader.close()

    def parts(self) -> Iterator[Checked]:
        """All parts, as they are done.

        :raises IntegrityError: when the index is damaged, or does not cover the archive without a gap; after all that
            could be checked
        """
        index_problem = ""
        lots = self._lots()
        if self._crew is not None:
            results = self._crew.map(lots)
        else:
            results = ordered_map(self._check, lots, workers=self._threads)
        for slot, checked in results:
            if slot is not None:
                self._free.append(slot)
            index_problem = index_problem or checked.index_problem
            yield checked
        if self._index_problem or index_problem:
            raise IntegrityError(self._index_problem or index_problem)

    def sha256(self) -> Optional[str]:
        """Of the whole archive, once all parts were taken; None where it could not be read in one go."""
        self._summing.shutdown(wait=True)
        return self._digest.hexdigest() if self._is_summed and self._loader.is_whole else None

    def _sum_up(self, data: memoryview) -> Future[None]:
        return self._summing.submit(self._digest.update, data)

    def _lots(self) -> Iterator[_Lot]:
        """Everything, read in the order of the archive by whoever takes these."""
        groups: list[Group] = []
        number = size_bytes = 0
        for group in self._groups():
            if len(group.frames) > _HELD_FRAMES:
                yield self._load(number, groups)
                yield self._check_streamed(number + 1, group)
                number, groups, size_bytes = number + 2, [], 0
                continue
            groups.append(group)
            size_bytes += sum(frame.length_bytes for frame in group.frames)
            if size_bytes >= _LOT_BYTES:
                yield self._load(number, groups)
                number, groups, size_bytes = number + 1, [], 0
        yield self._load(number, groups)

    def _groups(self) -> Iterator[Group]:
        """All that the index tells of before it is found to be damaged."""
        try:
            yield from self._reader.unread_groups()
        except IntegrityError as error:
            self._index_problem = str(error)

    def _load(self, number: int, groups: list[Group]) -> _Lot:
        frames = [frame for group in groups for frame in group.frames]
        if sum(frame.length_bytes for frame in frames) > _SLOT_BYTES:
            for frame in frames:
                self._loader.load([frame]).release()  # for the sum
            return _Lot(number, groups)
        slot = self._free.pop()
        if (summed := self._summed[slot]) is not None:
            summed.result()
        loaded = self._loader.load(frames, self._slots[slot])
        self._summed[slot] = loaded.used_for
        if loaded.data is None:
            self._free.append(slot)
            return _Lot(number, groups)
        return _Lot(number, groups, slot)

    def _check(self, lot: _Lot) -> _Done:
        if lot.checked is not None:
            return None, lot.checked
        content_of = self._reader.frame_on_disk
        if lot.slot is not None:
            frames = [frame for group in lot.groups for frame in group.frames]
            length_bytes = sum(frame.length_bytes for frame in frames)
            data = self._slots[lot.slot].at(frames[0].offset, length_bytes)
            content_of = LoadedFrames(self._reader.frame_on_disk, frames[0].offset, data).frame
        checked = [self._check_group(group, map(content_of, group.frames)) for group in lot.groups]
        return lot.slot, Checked(
            lot.number,
            sum(each.entries for each in checked),
            sum(each.size_bytes for each in checked),
            [problem for each in checked for problem in each.problems],
            next((each.index_problem for each in checked if each.index_problem), ""),
        )

    def _check_streamed(self, number: int, group: Group) -> _Lot:
        with closing(self._loader.stream(group.frames)) as frames:
            checked = self._check_group(group, frames)
        if checked.problems:
            self._is_summed = False  # it may not have been read to its end
        return _Lot(number, [], checked=checked._replace(number=number))

    def _check_group(self, group: Group, frames: Iterable[bytes]) -> Checked:
        try:
            self._reader.read_entries(group)
        except IntegrityError as error:
            return Checked(0, 0, 0, [], str(error))
        problems: Problems = []
        try:
            self._reader.check_group(group, frames)
        except IntegrityError as error:
            # one damaged frame takes all its entries along: what is in it cannot be told apart any more
            problems = [(entry.path, str(error)) for entry in group.entries] or [(None, str(error))]
        return Checked(0, len(group.entries), sum(entry.size_bytes for entry in group.entries), problems)
