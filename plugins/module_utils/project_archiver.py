# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a project into a backup: all into the archive, databases and critical files also as plain copies."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

from . import durable, layout
from .archive_writer import IN_MEMORY_BYTES, ArchiveWriter
from .beside_database import DATABASE_NAMES, is_side_file
from .clean_pages import CleanPages
from .errors import ProjectError
from .frame_building import Item
from .index import Entry
from .items import Original, item_of, streamed_item
from .patterns import PathFilter
from .plain_copies import PlainCopies
from .progress import Progress
from .read_ahead import ReadAhead
from .scan import Found, read_link, walk
from .settings import CRITICAL_LIMIT_BYTES, BackupSettings
from .source_files import (
    ATTEMPTS,
    Snapshot,
    StreamedFile,
    UnreadableError,
    data_segments,
    log_start,
    may_have_holes,
    open_source,
    read_at_once,
    read_whole,
    read_xattrs,
    wal_at_rest,
)
from .sqlite_copy import copy_database, is_sqlite
from .taken import Taken
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK

_SQLITE_HEADER_BYTES = 16
_LOCK_TIMEOUT_SECONDS = 60.0


class ProjectArchiver:
    """Takes a whole project into a staged backup.

    :param staged: the staging directory
    :param writer: the archive in it
    """

    def __init__(self, settings: BackupSettings, staged: str, writer: ArchiveWriter, progress: Progress) -> None:
        self._settings = settings
        self._writer = writer
        self._progress = progress
        self._exclude = PathFilter(settings.exclude)
        self._critical = PathFilter(settings.critical)
        self._logs = PathFilter(settings.logs)
        self._pages = CleanPages()
        self._linked: dict[tuple[int, int], str] = {}
        self._database_paths: set[str] = set()
        self.taken = Taken()
        self.plain_copies = PlainCopies(staged, self.taken)

    def run(self, entries: Optional[Iterable[Found]] = None) -> Taken:
        """Take everything, or these entries.

        :param entries: sorted as a walk would find them
        :raises VaultError: when the vault cannot be written
        """
        ahead = ReadAhead()
        for found in ahead.entries(self.walk(ahead.close_later)) if entries is None else entries:
            self.take(found)
        return self.taken

    def walk(self, close: Callable[[int], None] = os.close) -> Iterator[Found]:
        """All that is to be taken; C(close) as of :func:`.scan.walk`.

        :raises ProjectError: when the project cannot be opened
        """
        settings = self._settings
        return walk(
            settings.project, self._exclude, self.taken.notes, vault=settings.vault, close=close, among_threads=True
        )

    def take(self, found: Found) -> None:
        """Take one entry, whose directory is open still.

        :raises VaultError: when the vault cannot be written
        """
        try:
            if found.kind == FILE:
                self._pages.prepare(found)
                self._take_file(found)
            else:
                self._writer.add(self._plain_item(found))
                self._count(found.kind)
        except UnreadableError as error:
            self.taken.notes.unreadable.append((found.path, str(error)))

    def first_name(self, status: os.stat_result) -> Optional[str]:
        """The name under which the archive holds a file that has several; None while it does not."""
        return self._linked.get((status.st_dev, status.st_ino))

    def adopt(self, found: Found, entry: Entry, *, stored_bytes: int) -> None:
        """Count an entry whose frames an earlier backup gave, as if it had been read.

        :param stored_bytes: its content without holes
        """
        if entry.kind != FILE:
            self._count(entry.kind)
            return
        if found.status.st_nlink > 1:
            self._linked[found.status.st_dev, found.status.st_ino] = found.path
        if entry.database:
            self._database_paths.add(found.path)
        else:
            self._warn_of_odd_name(found, found.status)
        self.taken.note_file(
            found.path, size_bytes=entry.size_bytes, stored_bytes=stored_bytes, start=entry.cut_bytes, stable=True
        )
        self._progress.advance(files=1, size_bytes=entry.size_bytes)
        size_bytes = entry.size_bytes if entry.database else found.status.st_size
        if size_bytes > self._settings.large_file_bytes:
            self.taken.note_large(found.path, size_bytes, None if entry.cut_bytes else entry.sha256)
        if size_bytes > CRITICAL_LIMIT_BYTES and not entry.database and self._critical.matches(found.path):
            self._may_be_critical(found, size_bytes)

    def adopt_alike(self, found: Iterable[Found], unpacked_bytes: int) -> None:
        """Count directories and plain files whose frames an earlier backup gave: :meth:`adopt` of many at once, about
        none of which there is more to say.

        :param unpacked_bytes: of these frames
        """
        size_bytes = stored_bytes = directories = files = 0
        for one in found:
            if one.kind == DIRECTORY:
                directories += 1
                continue
            files += 1
            size_bytes += one.status.st_size
            # more than that only a file with holes measures
            stored_bytes += min(one.status.st_size, unpacked_bytes)
        self.taken.size_bytes += size_bytes
        self.taken.stored_bytes += stored_bytes
        self.taken.count(DIRECTORY, directories)
        self.taken.count(FILE, files)
        self._progress.advance(files=directories + files, size_bytes=size_bytes)

    def _plain_item(self, found: Found) -> Item:
        if found.kind == DIRECTORY:
            return item_of(found, found.status, self.taken.owners, kind=DIRECTORY, xattrs=_directory_xattrs(found))
        try:
            link = read_link(found) if found.kind == SYMLINK else ""
        except OSError as error:
            raise UnreadableError("it vanished while the backup ran") from error
        return item_of(found, found.status, self.taken.owners, kind=found.kind, link=link)

    def _take_file(self, found: Found) -> None:
        if found.status.st_nlink > 1:
            first = self._linked.get((found.status.st_dev, found.status.st_ino))
            if first is not None:
                settled = self._pages.will_tell(found, found.status)
                self._writer.add(
                    item_of(found, found.status, self.taken.owners, kind=HARDLINK, link=first, settled=settled)
                )
                self._count(HARDLINK)
                return
        if self.is_side_file(found.path):
            self.taken.side_files += 1
            return
        self._take_content(found)

    def _note_link(self, found: Found, status: os.stat_result) -> None:
        """Its other names lead here.

        :param status: of what was read: another file may have that name by now than when the walk saw it
        """
        if status.st_nlink > 1:
            self._linked[status.st_dev, status.st_ino] = found.path

    def is_side_file(self, path: str) -> bool:
        """Whether a file stands beside a database that is kept whole without it."""
        return is_side_file(path, self._database_paths)

    def _take_content(self, found: Found) -> None:
        if found.status.st_size <= IN_MEMORY_BYTES and not may_have_holes(found.status):
            snapshot = read_at_once(found)
            if snapshot is not None and not is_sqlite(snapshot.data) and not self._is_long_log(found):
                self._warn_of_odd_name(found, snapshot.status)
                self._add_snapshot(found, snapshot, critical=self._critical.matches(found.path))
                return
        self._take_closely(found)

    def _is_long_log(self, found: Found) -> bool:
        return found.status.st_size > self._settings.log_cap_bytes and self._logs.matches(found.path)

    def _warn_of_odd_name(self, found: Found, status: os.stat_result) -> None:
        if status.st_size and found.path.endswith(DATABASE_NAMES):
            self.taken.warn(
                found.path, "is named like a database but is none that SQLite knows (encrypted?): kept as a plain file"
            )

    def _take_closely(self, found: Found) -> None:
        """Take what is large, a database, a log to be cut, or changing just now."""
        fd = open_source(found)
        try:
            status = os.fstat(fd)
            if is_sqlite(os.pread(fd, _SQLITE_HEADER_BYTES, 0)):
                if self._take_database(found, Original(status, read_xattrs(fd), wal_at_rest(found))):
                    return
            else:
                self._warn_of_odd_name(found, status)
            critical = self._critical.matches(found.path)
            is_log = not critical and self._logs.matches(found.path)
            start = log_start(fd, status.st_size, self._settings.log_cap_bytes) if is_log else 0
            in_memory = status.st_size - start <= IN_MEMORY_BYTES and data_segments(fd, status.st_size) is None
        except OSError as error:
            raise UnreadableError(error.strerror or "cannot be read") from error
        finally:
            os.close(fd)
        if in_memory:
            snapshot = read_whole(found, start=start, growing=is_log)
            self._add_snapshot(found, snapshot, start=start, critical=critical)
        elif critical and self._may_be_critical(found, status.st_size):
            self._take_large_critical(found)
        else:
            self._take_streamed(found, found, start=start, growing=is_log)

    def _add_snapshot(self, found: Found, snapshot: Snapshot, *, start: int = 0, critical: bool) -> None:
        size = len(snapshot.data)
        item = item_of(
            found,
            snapshot.status,
            self.taken.owners,
            kind=FILE,
            size_bytes=size,
            stored_bytes=size,
            data=snapshot.data,
            xattrs=snapshot.xattrs,
            cut_bytes=start,
            settled=self._pages.will_tell(found, snapshot.status),
        )
        self._writer.add(item)
        self._note_link(found, snapshot.status)
        if critical:
            self.plain_copies.write_critical(found.path, [snapshot.data])
            self.plain_copies.keep_critical(found.path, snapshot.status)
        self.taken.note_file(found.path, size_bytes=size, stored_bytes=size, start=start, stable=snapshot.stable)
        self._progress.advance(files=1, size_bytes=size)
        if snapshot.status.st_size > self._settings.large_file_bytes:
            self.taken.note_large(
                found.path, snapshot.status.st_size, None if start else layout.sha256_of(snapshot.data)
            )

    def _take_streamed(
        self,
        found: Found,
        source: Found,
        *,
        start: int = 0,
        growing: bool = False,
        database: bool = False,
        original: Optional[Original] = None,
    ) -> None:
        """Stream a file from C(source), under the name and (where given) with the metadata of C(found)."""
        for attempts_left in reversed(range(ATTEMPTS)):
            fd = open_source(source)
            try:
                stream = StreamedFile(
                    fd, start=start, growing=growing, own=original is not None, on_bytes=self._advance_bytes
                )
                meta = original or Original(stream.status, read_xattrs(fd))
                settled = self._pages.will_tell(found, meta.status)
                item = streamed_item(found, stream, meta, self.taken.owners, database=database, settled=settled)
                if not self._writer.add_stream(item, stream, keep_unstable=not attempts_left):
                    continue
                self._note_link(found, meta.status)
                self.taken.note_file(
                    found.path,
                    size_bytes=stream.content_bytes,
                    stored_bytes=stream.stored_bytes,
                    start=start,
                    stable=stream.is_stable(),
                )
                self._progress.advance(files=1)
                if stream.status.st_size > self._settings.large_file_bytes:
                    self.taken.note_large(found.path, stream.status.st_size, None if start else stream.sha256())
                if original is not None:
                    self.plain_copies.know(found.path, stream.sha256(), is_database=database)
                return
            finally:
                os.close(fd)

    def _take_database(self, found: Found, original: Original) -> bool:
        """Keep the consistent copy of a database; False where there is none and its files are kept as they are."""
        copy_path = self.plain_copies.room_for(layout.DATABASE_DIR, found.path)
        source_path = os.path.join(self._settings.project, found.path)
        inode = (original.status.st_dev, original.status.st_ino)
        try:
            copy = copy_database(
                source_path, copy_path, lock_timeout_seconds=_LOCK_TIMEOUT_SECONDS, expected_inode=inode
            )
        except ProjectError as error:
            raise UnreadableError(str(error)) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                durable.fail(error, "copy a database to", copy_path)
            raise
        if copy.warning:
            self.taken.warn(found.path, copy.warning)
        self.taken.databases.append({"path": found.path, "method": copy.method, "integrity": copy.integrity})
        if copy.method == "plain" or copy.integrity != "ok":
            os.unlink(copy_path)
            return False
        self.plain_copies.keep_database(found.path, original.status)
        self._database_paths.add(found.path)
        self._archive_copy(found, copy_path, original, database=True)
        return True

    def _take_large_critical(self, found: Found) -> None:
        """Copy first, then archive the copy, so that both are the same bytes."""
        fd = open_source(found)
        try:
            stream = StreamedFile(fd)
            copy_path = self.plain_copies.write_critical(found.path, stream.chunks())
            stable = stream.is_stable()
            original = Original(stream.status, read_xattrs(fd))
        finally:
            os.close(fd)
        self.plain_copies.keep_critical(found.path, stream.status)
        if not stable:
            self.taken.unstable.append(found.path)
        self._archive_copy(found, copy_path, original)

    def _archive_copy(self, found: Found, copy_path: str, original: Original, *, database: bool = False) -> None:
        directory_fd = os.open(os.path.dirname(copy_path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy = Found(found.path, found.name, directory_fd, FILE, os.stat(copy_path, follow_symlinks=False))
            self._take_streamed(found, copy, database=database, original=original)
        finally:
            os.close(directory_fd)

    def _may_be_critical(self, found: Found, size_bytes: int) -> bool:
        if size_bytes <= CRITICAL_LIMIT_BYTES:
            return True
        self.taken.warn(
            found.path, f"is critical but larger than {CRITICAL_LIMIT_BYTES} bytes: only the archive has it"
        )
        return False

    def _advance_bytes(self, count: int) -> None:
        self._progress.advance(size_bytes=count)

    def _count(self, kind: str) -> None:
        self.taken.count(kind)
        self._progress.advance(files=1)


def _directory_xattrs(found: Found) -> dict[str, bytes]:
    try:
        fd = os.open(found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent_fd)
    except OSError as error:
        raise UnreadableError("it vanished while the backup ran") from error
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)
