# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed in a project since a saved state: found by metadata alone, in one walk beside the index.

Unchanged means same type, mode, owner and mtime, for a file also same size, ctime and inode as when it was read, for a
directory same ctime (extended attributes and ACLs change nothing else). A file whose metadata cannot tell (it had just
been written when it was read) is compared by content. A database is unchanged when its write-ahead log is unchanged
too. Of several names of one file all count as changed when one does, so that they stay names of one file; and so does
one that led, in the base, to a name that is deleted or left out now.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Optional

from .beside_database import is_side_file
from .index import Entry, same_line
from .names import path_key, with_parents
from .patterns import PathFilter
from .scan import Found, ScanNotes, read_link, walk
from .settings import BackupSettings
from .source import Layer, Source
from .source_files import UnreadableError, open_source, wal_identity
from .state_beside import side_by_side_but_same
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK

_CHUNK_BYTES = 1024 * 1024


@dataclass
class Changes:
    """How a project differs from its base, and from the newest checkpoint over it.

    :param paths: what differs from the base, and the directories above it, in the order of a walk; some may be gone
    :param size_bytes: content of the files among them
    :param deleted: paths of the base that are gone
    :param critical: critical files and databases that are there now, changed or not
    :param since_last: whether anything differs from the newest saved state
    """

    paths: list[str] = field(default_factory=list)
    size_bytes: int = 0
    deleted: list[str] = field(default_factory=list)
    critical: list[str] = field(default_factory=list)
    since_last: bool = False
    notes: ScanNotes = field(default_factory=ScanNotes)


class ChangeFinder:
    """Compares a project with a saved state.

    :param state: a base backup, with its newest checkpoint laid over it where there is one
    :param unreadable_before: paths that could not be read then; if they still cannot be, nothing is new
    """

    def __init__(self, settings: BackupSettings, state: Source, unreadable_before: Iterable[str] = ()) -> None:
        self._settings = settings
        self._state = state
        self._critical = PathFilter(settings.critical)
        self._databases: set[str] = set()
        self._linked: dict[tuple[int, int], list[str]] = {}
        self._led_to: dict[str, list[Found]] = {}
        self._databases_read: set[str] = set()
        self._unreadable_before = frozenset(unreadable_before)
        self.changes = Changes()

    def run(self, *, until_first: bool = False) -> Changes:
        """Walk the project once.

        :param until_first: it is only asked whether anything changed since the state: stop where it did
        :raises ProjectError: when the project cannot be read
        :raises IntegrityError: when the index of the state is damaged
        """
        walked = walk(
            self._settings.project, PathFilter(self._settings.exclude), self.changes.notes, vault=self._settings.vault
        )
        pass_same = _pass_by if until_first else self._pass_same
        pairs = side_by_side_but_same(self._state, self._compared(walked), is_line_of, pass_same)
        back: set[str] = set()
        gone: set[str] = set()
        for placed, found in pairs:
            if placed is not None and placed[0].database:
                self._databases.add(placed[0].path)
            if found is not None:
                self._look(found, placed)
                if found.path in self._state.deleted:
                    back.add(found.path)
            elif placed is not None:
                gone.add(placed[0].path)
            if until_first and self.changes.since_last:
                return self.changes
        hidden = {path for path, _reason in self.changes.notes.unreadable}
        # what stands in a directory that cannot be read just now is not deleted
        gone = {path for path in gone if hidden.isdisjoint(with_parents(path))}
        # and that it cannot be read has to be told, once
        self.changes.since_last = self.changes.since_last or bool(gone) or not hidden <= self._unreadable_before
        self.changes.deleted = sorted(gone | (self._state.deleted - back), key=path_key)
        self.changes.critical.sort(key=path_key)
        self._add_names_without_content()
        self._add_other_names()
        self._add_directories()
        return self.changes

    def _add_names_without_content(self) -> None:
        """Hard links of the base hold no content: the name they lead to does, and the state has that no more."""
        for path in {*self.changes.paths, *self.changes.deleted}.intersection(self._led_to):
            for found in self._led_to[path]:
                self.changes.paths.append(found.path)
                self.changes.size_bytes += found.status.st_size

    def _add_other_names(self) -> None:
        changed = set(self.changes.paths)
        for names in self._linked.values():
            if not changed.isdisjoint(names):
                self.changes.paths += [path for path in names if path not in changed]

    def _add_directories(self) -> None:
        """Whoever unpacks the changes over the base by hand changes the times of the directories they stand in."""
        if self.changes.paths or self.changes.deleted:
            touched = [path.rpartition("/")[0] for path in (*self.changes.paths, *self.changes.deleted)]
            parents = {parent for path in set(touched) for parent in with_parents(path)}
            parents.difference_update(self.changes.deleted)
            self.changes.paths = sorted({".", *self.changes.paths, *parents}, key=path_key)

    def _compared(self, walked: Iterator[Found]) -> Iterator[Found]:
        """Leave out what stands beside a database: it changed when the database did.

        Where that is read again, what stands beside it is at hand: if no consistent copy can be made any more, both
        are kept as they are.
        """
        for found in walked:
            if found.kind != FILE or not is_side_file(found.path, self._databases):
                yield found
            elif is_side_file(found.path, self._databases_read):
                self.changes.paths.append(found.path)

    def _pass_same(self, found: Found) -> None:
        """What :meth:`_look` does with a file or directory that is as it is in the base."""
        if found.kind == FILE and self._critical.matches(found.path):
            self.changes.critical.append(found.path)

    def _look(self, found: Found, placed: Optional[tuple[Entry, Layer]]) -> None:
        entry = placed[0] if placed else None
        if found.kind == FILE and (self._critical.matches(found.path) or (entry is not None and entry.database)):
            self.changes.critical.append(found.path)
        changed = entry is None or not is_unchanged(entry, found)
        if found.kind == FILE and found.status.st_nlink > 1:
            inode = (found.status.st_dev, found.status.st_ino)
            self._linked.setdefault(inode, []).append(found.path)
        if changed and not self.changes.since_last:
            self.changes.since_last = not self._is_still_unreadable(found)
        from_base = placed is not None and placed[1] is self._state.layers[0]
        if changed or not from_base:
            self.changes.paths.append(found.path)
            self.changes.size_bytes += found.status.st_size if found.kind == FILE else 0
            if found.path in self._databases:
                self._databases_read.add(found.path)
        elif entry is not None and entry.kind == HARDLINK:
            self._led_to.setdefault(entry.link, []).append(found)

    def _is_still_unreadable(self, found: Found) -> bool:
        if found.path not in self._unreadable_before or found.kind != FILE:
            return False
        try:
            os.close(open_source(found))
        except UnreadableError:
            return True
        return False


def _pass_by(_found: Found) -> None:
    """Nothing is to be done with it."""


def is_line_of(line: str, found: Found) -> bool:
    """Whether a line of an index is that of a file or directory that still is what stands in the project.

    Never wrong where it says so; where it does not, the entry has to be parsed, and :func:`is_unchanged` tells.
    """
    status = found.status
    if found.kind == FILE and status.st_nlink == 1:
        size_bytes = status.st_size
    elif found.kind == DIRECTORY:
        size_bytes = 0
    else:
        return False
    return same_line(line, found.path, found.kind, status, size_bytes=size_bytes)


def is_unchanged(entry: Entry, found: Found) -> bool:
    """Whether an entry of an index still is what stands in the project."""
    status = found.status
    if (FILE if entry.kind == HARDLINK else entry.kind) != found.kind:
        return False
    if (entry.mode, entry.uid, entry.gid) != (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid):
        return False
    if entry.mtime_ns != status.st_mtime_ns:
        return False
    if found.kind == SYMLINK:
        return entry.link == _link_of(found)
    if found.kind != FILE:
        # size and inode of a directory say nothing of what is kept; older indexes have no ctime of it
        known = entry.source or entry.fresh
        return known is None or known[1] == status.st_ctime_ns
    identity = (status.st_size, status.st_ctime_ns, status.st_ino)
    if entry.source is None:
        return entry.fresh in (None, identity) and _has_content(entry, found)
    return entry.source == identity and (not entry.database or entry.wal == wal_identity(found))


def _link_of(found: Found) -> Optional[str]:
    try:
        return read_link(found)
    except OSError:
        return None


def _has_content(entry: Entry, found: Found) -> bool:
    if found.status.st_nlink > 1 or entry.kind == HARDLINK:
        return False  # whether it still is the same file as its other names, content does not tell
    if entry.database or entry.cut_bytes or entry.size_bytes != found.status.st_size:
        return False
    try:
        fd = open_source(found)
    except UnreadableError:
        return False
    digest = hashlib.sha256()
    try:
        while chunk := os.read(fd, _CHUNK_BYTES):
            digest.update(chunk)
    except OSError:
        return False
    finally:
        os.close(fd)
    return digest.hexdigest() == entry.sha256
