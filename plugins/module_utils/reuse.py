# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over what did not change: frames of an earlier archive, copied as they are.

One walk beside the index of the earlier backup. A frame is copied when all its entries are still there, unchanged and
with nothing new between them. Every other frame is written anew: of one of many entries those that did not change are
taken out of it (kept_entries.py), and what did is read from the project, as all of other frames is.

A damaged frame is never taken over: the digest of each is compared with the index when it is copied or unpacked. Should
one differ, the archive is begun anew (backup.py), and what all damaged frames held is read from the project.

So that archives do not crumble over the years, a frame that shrank, and the few files that came between two frames, are
put together with their neighbours once these change too: what is copied next to something new must be of some size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from .archive_reader import Group
from .archive_writer import SHARED_FRAME_BYTES, ArchiveWriter
from .earlier_backup import EarlierBackup
from .errors import IntegrityError
from .index import Entry
from .kept_entries import KeptEntry
from .names import path_key, printable
from .project_archiver import ProjectArchiver
from .read_ahead import ReadAhead
from .reuse_rules import ReuseRules
from .scan import Found
from .taken import Taken
from .tar_format import FILE, HARDLINK

_SMALL_FRAME_BYTES = SHARED_FRAME_BYTES // 4
#: Directories that are kept open while it is not decided yet whether what is in them has to be read.
_OPEN_AT_MOST = 2048


@dataclass
class _Candidate:
    """Frames that may be copied, and what stands in the project now.

    :param found: all of it that was seen, in the order of its lines, as long as none of it is spoiled
    :param alike: directories and plain files among it, which their lines tell enough of
    :param closely: the others, with their entries
    :param linked: files of several names among it: device and inode, and the first name
    :param spoiled: something in it changed, is gone or is new
    :param keeps_files: its frame is unpacked for files that did not change
    """

    group: Group
    found: list[Found] = field(default_factory=list)
    alike: list[Found] = field(default_factory=list)
    closely: list[tuple[Found, Entry]] = field(default_factory=list)
    linked: dict[tuple[int, int], str] = field(default_factory=dict)
    spoiled: bool = False
    keeps_files: bool = False

    @property
    def is_small(self) -> bool:
        """Whether it should not stand alone. What is always streamed into frames of its own does."""
        frames, first = self.group.frames, self.found[0]
        if len(frames) > 1 or frames[0].size_bytes >= _SMALL_FRAME_BYTES:
            return False
        if self.alike and self.alike[0] is first:
            return first.kind != FILE or first.status.st_size <= frames[0].size_bytes
        entry = self.closely[0][1]
        return not entry.database and entry.size_bytes <= frames[0].size_bytes

    def keep(self, found: Found, entry: Optional[Entry]) -> None:
        """Note something that did not change; its entry, where more of it is needed than that."""
        self.found.append(found)
        if entry is None:
            self.alike.append(found)
        else:
            self.closely.append((found, entry))


class FrameReuse:
    """Takes a whole project, and as much of it as can be from an earlier backup.

    :param archiver: takes what has to be read
    :param damaged: frames that are known to be damaged, by their number, with what is wrong
    """

    def __init__(
        self,
        earlier: EarlierBackup,
        archiver: ProjectArchiver,
        writer: ArchiveWriter,
        rules: ReuseRules,
        damaged: Mapping[int, str],
    ) -> None:
        self._damaged = damaged
        self._earlier = earlier
        self._archiver = archiver
        self._writer = writer
        self._rules = rules
        self._groups: Iterator[Group] = earlier.reader.unread_groups()
        self._now: Optional[_Candidate] = None
        self._at = 0  # the entry of it that comes next
        self._next: Optional[Entry] = None  # that entry, where it was parsed
        self._held: Optional[_Candidate] = None
        self._open: list[int] = []
        self._ahead = ReadAhead()
        self._reused = archiver.taken.reused
        self._reused.backup_id = earlier.backup_id

    def run(self) -> Taken:
        """Take everything.

        :raises VaultError: when the vault cannot be written
        :raises ProjectError: when the project cannot be read
        :raises DamagedFramesError: when more frames are damaged than is known; the archive is of no use then
        """
        self._next_group()
        try:
            for found in self._archiver.walk(self._close):
                self._see(found)
                if len(self._open) > _OPEN_AT_MOST:
                    self._spoil(only_begun=True)
                self._close_directories()
            self._end()
        finally:
            self._read_nothing_more()
        return self._archiver.taken

    def _see(self, found: Found) -> None:
        if found.kind == FILE and found.status.st_nlink == 1 and self._archiver.is_side_file(found.path):
            self._archiver.take(found)  # is counted, and not written: it may stand between the entries of a frame
            return
        while self._now is not None:
            now = self._now
            allowed, entry = self._judge(now, found)
            if allowed is not None:
                self._keep_or_take(now, found, entry, allowed=allowed)
                return
            if entry is None or path_key(found.path) < path_key(entry.path):
                break  # found is new
            self._spoil()  # the entry is gone
            self._step()
        self._spoil(only_begun=True)
        self._archiver.take(found)

    def _judge(self, now: _Candidate, found: Found) -> tuple[Optional[bool], Optional[Entry]]:
        """Whether what comes next in the earlier archive is what was found, as it is now; None where it is something
        else. And its entry, where that has to be known.
        """
        allowed = self._rules.allow_line(now.group.lines[self._at], found)
        if allowed is not None and not self._rules.needs_entry(found):
            return allowed, None  # nearly always
        entry = self._parse(now)
        if entry is None or entry.path != found.path:
            return None, entry
        if allowed is None:
            allowed = not now.spoiled and self._rules.allow(entry, found) and self._fits_links(now, entry, found)
        return allowed, entry

    def _parse(self, now: _Candidate) -> Optional[Entry]:
        """The entry that comes next; None where its line is damaged: then all that comes is read."""
        if self._next is None:
            try:
                self._next = self._earlier.reader.entry_of(now.group.lines[self._at])
            except IntegrityError as error:
                self._reused.damaged.append(str(error))
                self._spoil()
                self._writer.let_grow(False)
                self._now, self._at = None, 0
        return self._next

    def _keep_or_take(self, now: _Candidate, found: Found, entry: Optional[Entry], *, allowed: bool) -> None:
        if allowed and not now.spoiled:
            now.keep(found, entry)
        else:
            self._spoil()
            self._write(now, self._at, found, is_alike=bool(allowed) and entry is None)
        self._step()

    def _fits_links(self, now: _Candidate, entry: Entry, found: Found) -> bool:
        """Whether the names of a file are in the archive as they were: the first holds it, the others lead there."""
        if found.kind != FILE or (found.status.st_nlink == 1 and entry.kind == FILE):
            return True
        inode = found.status.st_dev, found.status.st_ino
        held = self._held.linked.get(inode) if self._held else None
        first = self._archiver.first_name(found.status) or held or now.linked.get(inode)
        if entry.kind == HARDLINK:
            return first == entry.link
        now.linked[inode] = found.path
        return first is None

    def _step(self) -> None:
        now = self._now
        if now is None:
            return
        self._at += 1
        self._next = None
        count = len(now.group.lines)
        if self._at == count:
            self._next_group()
            self._finish(now)

    def _next_group(self) -> None:
        self._at = 0
        self._next = None
        try:
            group = next(self._groups, None)
        except IntegrityError as error:
            self._reused.damaged.append(str(error))
            group = None
        # the last group is the end of the archive, and has no entries
        self._now = _Candidate(group) if group is not None and group.lines else None

    def _finish(self, candidate: _Candidate) -> None:
        if candidate.spoiled:
            self._writer.let_grow(False)
        elif not candidate.is_small:
            is_linked_well = self._copy_held()
            if not is_linked_well or not self._copy(candidate):
                self._write_anew(candidate)
        elif self._held is not None or self._writer.open_bytes:
            self._write_held()
            self._write_anew(candidate)
        else:
            self._held = candidate

    def _copy_held(self) -> bool:
        held, self._held = self._held, None
        if held is None or self._copy(held):
            return True
        self._write_anew(held)
        return False

    def _write_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._write_anew(held)

    def _write_anew(self, candidate: _Candidate) -> None:
        self._reused.damaged += self._what_is_wrong(candidate)
        closely = {id(found) for found, _entry in candidate.closely}
        if not self._can_keep(candidate):
            closely.update(map(id, candidate.found))
        for found in candidate.found:
            if id(found) in closely and found.kind == FILE:
                self._ahead.look_at(found)
        for number, found in enumerate(candidate.found):
            self._write(candidate, number, found, is_alike=id(found) not in closely)
        candidate.found, candidate.alike, candidate.closely = [], [], []

    def _can_keep(self, candidate: _Candidate) -> bool:
        """Whether it is one frame of many entries, whole as far as is known, and no more than is soon unpacked."""
        frames, lines = candidate.group.frames, candidate.group.lines
        is_shared = len(frames) == 1 and len(lines) > 1 and frames[0].size_bytes <= 4 * SHARED_FRAME_BYTES
        return is_shared and not self._what_is_wrong(candidate)

    def _write(self, candidate: _Candidate, number: int, found: Found, *, is_alike: bool) -> None:
        """Write one entry of frames that cannot be copied.

        :param number: which of the entries in them
        :param is_alike: it did not change, and its line tells enough of it
        """
        size_bytes = found.status.st_size if found.kind == FILE else 0
        # directories alone, which are all that is left where every file changed, are not worth unpacking a frame
        is_worth_it = candidate.keeps_files or found.kind == FILE
        if not (is_alike and is_worth_it and size_bytes <= SHARED_FRAME_BYTES and self._can_keep(candidate)):
            self._archiver.take(found)
            return
        candidate.keeps_files = True
        frame, lines = candidate.group.frames[0], candidate.group.lines
        next_line = lines[number + 1] if number + 1 < len(lines) else ""
        self._writer.add_kept(KeptEntry(frame, lines[number], next_line, size_bytes))
        self._archiver.adopt_alike([found], frame.size_bytes)

    def _what_is_wrong(self, candidate: _Candidate) -> list[str]:
        frames = candidate.group.frames
        return [self._damaged[frame.number] for frame in frames if frame.number in self._damaged]

    def _spoil(self, *, only_begun: bool = False) -> None:
        """The frame cannot be copied: what was seen of it is written anew, and so is what comes."""
        self._write_held()
        now = self._now
        if now is not None and not now.spoiled and not (only_begun and self._at == 0):
            now.spoiled = True
            self._writer.let_grow(True)
            self._write_anew(now)

    def _copy(self, candidate: _Candidate) -> bool:
        """Copy frames and plain copies; nothing where one is known to be damaged, or a plain copy is. What else is
        damaged is told when it is copied.
        """
        group = candidate.group
        if self._what_is_wrong(candidate):
            return False
        plain = [(found, entry) for found, entry in candidate.closely if self._rules.has_plain_copy(entry)]
        try:
            self._copy_plain(plain)
        except IntegrityError as error:
            self._reused.damaged.append(str(error))
            for found, _entry in plain:
                self._archiver.plain_copies.drop(found.path)
            return False
        self._writer.add_copied(group)
        unpacked_bytes = sum(frame.size_bytes for frame in group.frames)
        self._archiver.adopt_alike(candidate.alike, unpacked_bytes)
        for found, entry in candidate.closely:
            # more than that only a file with holes measures
            self._archiver.adopt(found, entry, stored_bytes=min(entry.size_bytes, unpacked_bytes))
        self._reused.frames += len(group.frames)
        self._reused.entries += len(group.lines)
        self._reused.archive_bytes += sum(frame.length_bytes for frame in group.frames)
        return True

    def _copy_plain(self, plain: list[tuple[Found, Entry]]) -> None:
        for found, entry in plain:
            database = self._rules.database_of(entry)
            if not self._archiver.plain_copies.adopt(found, entry, self._earlier.directory, database):
                raise IntegrityError(f"The plain copy of {printable(entry.path)} is damaged.")

    def _end(self) -> None:
        if self._at:
            self._spoil()
            self._writer.let_grow(False)
        self._copy_held()

    def _close(self, fd: int) -> None:
        self._open.append(fd)

    def _close_directories(self) -> None:
        if self._open and self._held is None and not (self._now and self._now.found):
            self._read_nothing_more()

    def _read_nothing_more(self) -> None:
        for fd in self._open:
            os.close(fd)
        self._open.clear()
