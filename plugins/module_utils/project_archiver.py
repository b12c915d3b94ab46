# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a project into a backup: all into the archive; databases also into C(db/), critical files into "
"C(critical/)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from . import durable, layout
from .archive_file import ArchiveFile
from .archive_reader import ArchiveReader
from .archive_writer import IN_MEMORY_BYTES, ArchiveTotals, ArchiveWriter
from .beside_database import DATABASE_NAMES, is_side_file
from .clean_pages import CleanPages
from .errors import ProjectError
from .frame_building import Item
from .index import Entry, IndexWriter
from .items import Original, Owners, item_of, streamed_item
from .names import printable
from .patterns import PathFilter
from .progress import Progress
from .read_ahead import ReadAhead
from .scan import Found, ScanNotes, read_link, walk
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
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK
from .verified_copy import copy_verified

_SQLITE_HEADER_BYTES = 16
_LOCK_TIMEOUT_SECONDS = 60.0


@dataclass
class Reused:
    """What an earlier backup gave.

    :param backup_id: that backup; None where none could be used, or none was to be
    :param archive_bytes: compressed
    :param damaged: what was damaged there, and read from the project again
    """

    backup_id: Optional[str] = None
    frames: int = 0
    entries: int = 0
    archive_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass
class Taken:
    """What went into a backup, and what did not.

    :param counts: entries by type
    :param size_bytes: content of all files as a restore writes them
    :param stored_bytes: the same without the holes of sparse files: what a restore needs on disk
    :param critical: paths that stand under C(critical/)
    :param databases: C({path, method, integrity}) of each database
    :param cut_logs: C({path, size_bytes, kept_bytes}) of each log over the cap
    :param large_files: C((size, sha256, path)) of files over the limit
    :param unstable: files that changed while they were read, each time they were read
    :param plain_sums: SHA-256 of plain copies that were read to the end when they were made, by their place
    :param side_files: how many C(-wal), C(-shm), C(-journal) were left out because their database is whole without them
    """

    counts: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    stored_bytes: int = 0
    critical: list[str] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    cut_logs: list[dict[str, Any]] = field(default_factory=list)
    large_files: list[tuple[int, str, str]] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    side_files: int = 0
    plain_sums: dict[str, str] = field(default_factory=dict)
    reused: Reused = field(default_factory=Reused)
    owners: Owners = field(default_factory=Owners)
    notes: ScanNotes = field(default_factory=ScanNotes)

    @property
    def incomplete(self) -> bool:
        """Whether something of the project is missing or may be torn."""
        return bool(self.notes.unreadable or self.unstable)


class ProjectArchiver:
    """Takes a whole project into a staged backup.

    :param staged: the staging directory
    :param writer: the archive in it
    """

    def __init__(self, settings: BackupSettings, staged: str, writer: ArchiveWriter, progress: Progress) -> None:
        self._settings = settings
        self._staged = staged
        self._writer = writer
        self._progress = progress
        self._exclude = PathFilter(settings.exclude)
        self._critical = PathFilter(settings.critical)
        self._logs = PathFilter(settings.logs)
        self._pages = CleanPages()
        self._linked: dict[tuple[int, int], str] = {}
        self._database_paths: set[str] = set()
        self.taken = Taken()

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
        return walk(self._settings.project, self._exclude, self.taken.notes, vault=self._settings.vault, close=close)

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
        self._note_file(
            found, size_bytes=entry.size_bytes, stored_bytes=stored_bytes, start=entry.cut_bytes, stable=True
        )
        self._advance_bytes(entry.size_bytes)
        size_bytes = entry.size_bytes if entry.database else found.status.st_size
        if size_bytes > self._settings.large_file_bytes:
            self._note_large(found, size_bytes, None if entry.cut_bytes else entry.sha256)
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
        self._count(DIRECTORY, directories)
        self._count(FILE, files)
        self._advance_bytes(size_bytes)

    def adopt_plain(self, found: Found, entry: Entry, earlier: str, database: Optional[dict[str, Any]]) -> bool:
        """Take the plain copy of an unchanged critical file or database over from an earlier backup.

        :param earlier: the directory of that backup
        :param database: what its report says of the database; None for another file
        :returns: False where it is missing there or damaged; nothing is kept then
        """
        part = layout.CRITICAL_DIR if database is None else layout.DATABASE_DIR
        copy_path = self._make_room(part, found.path)
        if not copy_verified(os.path.join(earlier, part, found.path), copy_path, entry.sha256 or ""):
            return False
        self._dress(copy_path, found.status)
        if database is not None:
            os.link(copy_path, self._make_room(layout.CRITICAL_DIR, found.path))
            self.taken.databases.append(database)
        self.taken.critical.append(found.path)
        self._know_plain(found.path, entry.sha256, is_database=database is not None)
        return True

    def drop_plain(self, found: Found) -> None:
        """Take back what :meth:`adopt_plain` did: the frames that belong to it could not be taken over."""
        for part in (layout.CRITICAL_DIR, layout.DATABASE_DIR):
            self.taken.plain_sums.pop(f"{part}/{found.path}", None)
            path = os.path.join(self._staged, part, found.path)
            if os.path.lexists(path):
                os.unlink(path)
        if found.path in self.taken.critical:
            self.taken.critical.remove(found.path)
        self.taken.databases = [one for one in self.taken.databases if one["path"] != found.path]

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
        if found.status.st_nlink > 1:
            self._linked[found.status.st_dev, found.status.st_ino] = found.path

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
            self._warn(
                found, "is named like a database but is none that SQLite knows (encrypted?): kept as a plain file"
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
        if critical:
            self._write_critical(found.path, snapshot.data, snapshot.status)
        self._note_file(found, size_bytes=size, stored_bytes=size, start=start, stable=snapshot.stable)
        self._progress.advance(size_bytes=size)
        if snapshot.status.st_size > self._settings.large_file_bytes:
            self._note_large(found, snapshot.status.st_size, None if start else layout.sha256_of(snapshot.data))

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
                self._note_file(
                    found,
                    size_bytes=stream.content_bytes,
                    stored_bytes=stream.stored_bytes,
                    start=start,
                    stable=stream.is_stable(),
                )
                if stream.status.st_size > self._settings.large_file_bytes:
                    self._note_large(found, stream.status.st_size, None if start else stream.sha256())
                if original is not None:
                    self._know_plain(found.path, stream.sha256(), is_database=database)
                return
            finally:
                os.close(fd)

    def _take_database(self, found: Found, original: Original) -> bool:
        """Keep the consistent copy of a database; False where there is none and its files are kept as they are."""
        copy_path = self._make_room(layout.DATABASE_DIR, found.path)
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
            self._warn(found, copy.warning)
        self.taken.databases.append({"path": found.path, "method": copy.method, "integrity": copy.integrity})
        if copy.method == "plain" or copy.integrity != "ok":
            os.unlink(copy_path)
            return False
        self._dress(copy_path, original.status)
        critical_path = self._make_room(layout.CRITICAL_DIR, found.path)
        os.link(copy_path, critical_path)
        self.taken.critical.append(found.path)
        self._database_paths.add(found.path)
        self._archive_copy(found, copy_path, original, database=True)
        return True

    def _take_large_critical(self, found: Found) -> None:
        """Copy first, then archive the copy, so that both are the same bytes."""
        copy_path = self._make_room(layout.CRITICAL_DIR, found.path)
        fd = open_source(found)
        try:
            stream = StreamedFile(fd)
            with durable.VaultFile(copy_path) as target:
                for chunk in stream.chunks():
                    target.write(chunk)
            stable = stream.is_stable()
            original = Original(stream.status, read_xattrs(fd))
        finally:
            os.close(fd)
        self._dress(copy_path, stream.status)
        self.taken.critical.append(found.path)
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
        self._warn(found, f"is critical but larger than {CRITICAL_LIMIT_BYTES} bytes: only the archive has it")
        return False

    def _write_critical(self, path: str, data: bytes, status: os.stat_result) -> None:
        target = self._make_room(layout.CRITICAL_DIR, path)
        with durable.VaultFile(target) as stream:
            stream.write(data)
        self._dress(target, status)
        self.taken.critical.append(path)

    def _make_room(self, part: str, path: str) -> str:
        target = os.path.join(self._staged, part, path)
        try:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        except OSError as error:
            durable.fail(error, "make the directory of", target)
        return target

    @staticmethod
    def _dress(path: str, status: os.stat_result) -> None:
        """Give a plain copy the owner, mode and time of its original, so that C(cp -a) restores it."""
        try:
            if os.geteuid() == 0:
                os.chown(path, status.st_uid, status.st_gid)
            os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
        except OSError as error:
            durable.fail(error, "set owner, mode and time of", path)

    def _note_file(self, found: Found, *, size_bytes: int, stored_bytes: int, start: int, stable: bool) -> None:
        self._count(FILE)
        self.taken.size_bytes += size_bytes
        self.taken.stored_bytes += stored_bytes
        if start:
            self.taken.cut_logs.append({"path": found.path, "size_bytes": start + size_bytes, "kept_bytes": size_bytes})
        if not stable:
            self.taken.unstable.append(found.path)

    def _note_large(self, found: Found, size_bytes: int, sha256: Optional[str]) -> None:
        self.taken.large_files.append((size_bytes, sha256 or "-", found.path))

    def _know_plain(self, path: str, sha256: Optional[str], *, is_database: bool) -> None:
        """Remember the digest of a plain copy that was read to the end, so that it is not read again."""
        for part in (layout.CRITICAL_DIR, layout.DATABASE_DIR) if is_database else (layout.CRITICAL_DIR,):
            self.taken.plain_sums[f"{part}/{path}"] = sha256 or ""

    def _warn(self, found: Found, what: str) -> None:
        self.taken.warnings.append(f"{printable(found.path)}: {what}")

    def _advance_bytes(self, count: int) -> None:
        self._progress.advance(size_bytes=count)

    def _count(self, kind: str, entries: int = 1) -> None:
        if entries:
            self.taken.counts[kind] = self.taken.counts.get(kind, 0) + entries
            self._progress.advance(files=entries)


def write_archive(
    settings: BackupSettings,
    directory: str,
    archive: str,
    progress: Progress,
    take: Callable[[ProjectArchiver, ArchiveWriter], Taken] = lambda archiver, _writer: archiver.run(),
    earlier: Optional[ArchiveReader] = None,
) -> tuple[Taken, ArchiveTotals]:
    """Write an archive of the project and its index into a directory of the vault.

    :param archive: name of the archive there
    :param take: what goes into it, where that is not everything, each file read
    :param earlier: the archive that frames are taken over from
    :raises VaultError: when the vault cannot be written
    """
    archive_path, index_path = os.path.join(directory, archive), os.path.join(directory, layout.INDEX)
    with durable.VaultFile(archive_path) as stream, durable.VaultFile(index_path) as index:
        align = stream.shares_blocks(archive_path + ".probe")
        with ArchiveFile(stream, earlier) as file, ArchiveWriter(file, IndexWriter(index), align=align) as writer:
            taken = take(ProjectArchiver(settings, directory, writer, progress), writer)
            totals = writer.finish()
    return taken, totals


def write_entries(
    settings: BackupSettings, directory: str, archive: str, progress: Progress, entries: Iterable[Found]
) -> tuple[Taken, ArchiveTotals]:
    """The same of some entries, sorted as a walk would find them."""
    return write_archive(settings, directory, archive, progress, lambda archiver, _writer: archiver.run(entries))


def _directory_xattrs(found: Found) -> dict[str, bytes]:
    try:
        fd = os.open(found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent_fd)
    except OSError as error:
        raise UnreadableError("it vanished while the backup ran") from error
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)
