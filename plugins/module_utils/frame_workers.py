# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of many small entries, built by processes.

Headers, index lines and pickling are Python's work, and in threads it would wait for the thread that reads files, and
that thread for it: two cores did the work of one and a half. Content goes to a process through memory that all share,
and so does the frame that comes back; what describes them goes through a socket.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import Callable, Optional, Union

from .archive_file import telling_of_damage
from .archive_reader import ArchiveReader
from .frame_building import Built, Item, build_shared
from .index import Entry
from .kept_entries import KeptEntry
from .parallel import cores
from .processes import Worker, where_processes_help
from .tar_format import Member

#: One thread reads for all of them, and has enough to do with these.
_WORKERS_AT_MOST = 4
_PLACES_EACH = 4
#: What describes an entry, and its content's length.
_Described = Union[tuple[Member, Entry, int], KeptEntry]
#: What is sent: number of the frame, place in the memory, and the entries.
_Request = tuple[int, int, list[_Described]]
#: What comes back: what was built, without the frame's bytes where these, of this length, stand in the memory.
_Answer = tuple[Built, int]


class FrameWorkers:
    """Some processes, and memory for the frames that are on their way.

    :param place_bytes: what the content of a frame measures at most
    :param earlier: the archive that entries are kept from, where there is one
    :raises OSError: when there can be no more processes, or not so much memory
    """

    def __init__(self, place_bytes: int, earlier: Optional[ArchiveReader] = None, *, align: bool) -> None:
        count = min(cores(), _WORKERS_AT_MOST)
        self._places = places = count * _PLACES_EACH
        self._place_bytes = place_bytes
        self._align = align
        self._earlier = earlier
        self._memory = mmap.mmap(-1, places * place_bytes)
        self._submitted = self._taken = 0
        self._workers: list[Worker] = []
        try:
            for _number in range(count):
                self._workers.append(Worker(self._build, self._workers))
        except OSError:
            self.close()
            raise

    @property
    def are_full(self) -> bool:
        """Whether a frame has to be taken before another one can be submitted."""
        return self._submitted - self._taken >= self._places

    def submit(self, number: int, items: Sequence[Union[Item, KeptEntry]]) -> Callable[[], Built]:
        """Have a frame built.

        :param number: of the frame
        :returns: what waits for it, to be called once, by one thread, in the order in which frames were submitted
        :raises WorkerError: when the process is not there any more
        """
        worker = self._workers[self._submitted % len(self._workers)]
        start = at = self._submitted % self._places * self._place_bytes
        described: list[_Described] = []
        for item in items:
            if isinstance(item, KeptEntry):
                described.append(item)
                continue
            end = at + len(item.data)
            if end > start + self._place_bytes:
                raise ValueError("A frame holds more than there is room for.")
            self._memory[at:end] = item.data
            described.append((item.member, item.entry, len(item.data)))
            at = end
        worker.send((number, start, described))
        self._submitted += 1
        return lambda: self._take(worker, start)

    def _take(self, worker: Worker, start: int) -> Built:
        built: Built
        built, length_bytes = worker.receive()
        if length_bytes:
            ((_bytes, size_bytes, sha256),) = built.frames
            frame = self._memory[start : start + length_bytes], size_bytes, sha256
            built = Built([frame], built.lines, built.entries)
        self._taken += 1  # its place is free now
        return built

    def close(self) -> None:
        """End all of them. Nobody waits for a frame any more."""
        for worker in self._workers:
            worker.stop()
        self._memory.close()

    def _build(self, request: _Request) -> _Answer:
        """What a process does."""
        number, start, described = request
        with memoryview(self._memory) as memory, telling_of_damage():
            built = build_shared(number, _items(memory, start, described), self._earlier, align=self._align)
        ((frame, size_bytes, sha256),) = built.frames
        if len(frame) > self._place_bytes:
            return built, 0  # there are attributes that fill it
        self._memory[start : start + len(frame)] = frame
        return Built([(b"", size_bytes, sha256)], built.lines, built.entries), len(frame)


def _items(memory: memoryview, at: int, described: list[_Described]) -> Iterator[Union[Item, KeptEntry]]:
    for one in described:
        if isinstance(one, KeptEntry):
            yield one
            continue
        member, entry, size_bytes = one
        yield Item(member, entry, memory[at : at + size_bytes])
        at += size_bytes


def frame_workers(place_bytes: int, earlier: Optional[ArchiveReader], *, align: bool) -> Optional[FrameWorkers]:
    """Workers, or None as of :func:`.processes.where_processes_help`."""
    return where_processes_help(lambda: FrameWorkers(place_bytes, earlier, align=align))
