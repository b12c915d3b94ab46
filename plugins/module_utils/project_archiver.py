# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a project into a backup: all into the archive; databases also into C(db/), critical files into "
"C(critical/)."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Optional

from . import durable, layout
from .archive_writer import IN_MEMORY_BYTES, ArchiveTotals, ArchiveWriter, Item
from .errors import ProjectError
from .index import Entry, IndexWriter
from .names import printable
from .patterns import PathFilter
from .progress import Progress
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
    settled_identity,
    wal_identity,
)
from .sqlite_copy import copy_database, is_sqlite
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK, Member

_SQLITE_HEADER_BYTES = 16
_SIDE_FILES = ("-wal", "-shm", "-journal")
_DATABASE_NAMES = (".db", ".sqlite", ".sqlite3")
_LOCK_TIMEOUT_SECONDS = 60.0


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
    notes: ScanNotes = field(default_factory=ScanNotes)

    @property
    def incomplete(self) -> bool:
        """Whether something of the project is missing or may be torn."""
        return bool(self.notes.unreadable or self.unstable)


@dataclass(frozen=True)
class _Original:
    """Metadata of the project's file, where its bytes are read from a copy of ours."""

    status: os.stat_result
    xattrs: dict[str, bytes]
    wal: Optional[tuple[int, int]] = None


@cache
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@cache
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _item(
    found: Found,
    status: os.stat_result,
    *,
    kind: str,
    size_bytes: int = 0,
    stored_bytes: int = 0,
    data: bytes = b"",
    link: str = "",
    xattrs: Optional[dict[str, bytes]] = None,
    sparse: bool = False,
    database: bool = False,
    wal: Optional[tuple[int, int]] = None,
    cut_bytes: int = 0,
) -> Item:
    mode = stat.S_IMODE(status.st_mode)
    source = fresh = None
    if kind == DIRECTORY:
        source = 0, status.st_ctime_ns, status.st_ino  # its ctime tells of extended attributes and ACLs
    elif kind in (FILE, HARDLINK):
        source = settled_identity(status)
        fresh = None if source else (status.st_size, status.st_ctime_ns, status.st_ino)
    # by position: this runs once a file, and naming the fields takes longer than making the two
    member = Member(
        found.path,
        kind,
        mode,
        status.st_uid,
        status.st_gid,
        _user(status.st_uid),
        _group(status.st_gid),
        stored_bytes,
        status.st_mtime_ns,
        link,
        xattrs or {},
        size_bytes if sparse else None,
    )
    entry = Entry(
        found.path,
        kind,
        size_bytes,
        mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        frame=0,
        at=0,
        link=link,
        database=database,
        cut_bytes=cut_bytes,
        source=source,
        wal=wal,
        fresh=fresh,
    )
    return Item(member, entry, data)


def _streamed_item(found: Found, stream: StreamedFile, original: _Original, *, database: bool) -> Item:
    return _item(
        found,
        original.status,
        kind=FILE,
        size_bytes=stream.content_bytes,
        stored_bytes=stream.stored_bytes,
        xattrs=original.xattrs,
        sparse=stream.segments is not None,
        database=database,
        wal=original.wal,
        cut_bytes=stream.start,
    )


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
        self._linked: dict[tuple[int, int], str] = {}
        self._database_paths: set[str] = set()
        self.taken = Taken()

    def run(self, entries: Optional[Iterable[Found]] = None) -> Taken:
        """Take everything, or these entries.

        :param entries: sorted as a walk would find them
        :raises VaultError: when the vault cannot be written
        """
        if entries is None:
            entries = walk(self._settings.project, self._exclude, self.taken.notes, vault=self._settings.vault)
        for found in entries:
            try:
                self._take(found)
            except UnreadableError as error:
                self.taken.notes.unreadable.append((found.path, str(error)))
        return self.taken

    def _take(self, found: Found) -> None:
        if found.kind == FILE:
            self._take_file(found)
            return
        item = self._plain_item(found)
        self._writer.add(item)
        self._count(found.kind)

    def _plain_item(self, found: Found) -> Item:
        if found.kind == DIRECTORY:
            return _item(found, found.status, kind=DIRECTORY, xattrs=_directory_xattrs(found))
        try:
            link = read_link(found) if found.kind == SYMLINK else ""
        except OSError as error:
            raise UnreadableError("it vanished while the backup ran") from error
        return _item(found, found.status, kind=found.kind, link=link)

    def _take_file(self, found: Found) -> None:
        if found.status.st_nlink > 1:
            first = self._linked.get((found.status.st_dev, found.status.st_ino))
            if first is not None:
                self._writer.add(_item(found, found.status, kind=HARDLINK, link=first))
                self._count(HARDLINK)
                return
        if self._is_side_file(found.path):
            self.taken.side_files += 1
            return
        self._take_content(found)
        if found.status.st_nlink > 1:
            self._linked[found.status.st_dev, found.status.st_ino] = found.path

    def _is_side_file(self, path: str) -> bool:
        return any(path.endswith(end) and path[: -len(end)] in self._database_paths for end in _SIDE_FILES)

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
        if status.st_size and found.path.endswith(_DATABASE_NAMES):
            self._warn(
                found, "is named like a database but is none that SQLite knows (encrypted?): kept as a plain file"
            )

    def _take_closely(self, found: Found) -> None:
        """Take what is large, a database, a log to be cut, or changing just now."""
        fd = open_source(found)
        try:
            status = os.fstat(fd)
            if is_sqlite(os.pread(fd, _SQLITE_HEADER_BYTES, 0)):
                if self._take_database(found, _Original(status, read_xattrs(fd), wal_identity(found))):
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
        item = _item(
            found,
            snapshot.status,
            kind=FILE,
            size_bytes=size,
            stored_bytes=size,
            data=snapshot.data,
            xattrs=snapshot.xattrs,
            cut_bytes=start,
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
        original: Optional[_Original] = None,
    ) -> None:
        """Stream a file from C(source), under the name and (where given) with the metadata of C(found)."""
        for attempts_left in reversed(range(ATTEMPTS)):
            fd = open_source(source)
            try:
                stream = StreamedFile(
                    fd, start=start, growing=growing, own=original is not None, on_bytes=self._advance_bytes
                )
                meta = original or _Original(stream.status, read_xattrs(fd))
                item = _streamed_item(found, stream, meta, database=database)
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
                return
            finally:
                os.close(fd)

    def _take_database(self, found: Found, original: _Original) -> bool:
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
            original = _Original(stream.status, read_xattrs(fd))
        finally:
            os.close(fd)
        self._dress(copy_path, stream.status)
        self.taken.critical.append(found.path)
        if not stable:
            self.taken.unstable.append(found.path)
        self._archive_copy(found, copy_path, original)

    def _archive_copy(self, found: Found, copy_path: str, original: _Original, *, database: bool = False) -> None:
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

    def _warn(self, found: Found, what: str) -> None:
        self.taken.warnings.append(f"{printable(found.path)}: {what}")

    def _advance_bytes(self, count: int) -> None:
        self._progress.advance(size_bytes=count)

    def _count(self, kind: str) -> None:
        self.taken.counts[kind] = self.taken.counts.get(kind, 0) + 1
        self._progress.advance(files=1)


def write_archive(
    settings: BackupSettings,
    directory: str,
    archive: str,
    progress: Progress,
    entries: Optional[Iterable[Found]] = None,
) -> tuple[Taken, ArchiveTotals]:
    """Write an archive of the project, or of some entries, and its index into a directory of the vault.

    :param archive: name of the archive there
    :raises VaultError: when the vault cannot be written
    """
    archive_path, index_path = os.path.join(directory, archive), os.path.join(directory, layout.INDEX)
    with durable.VaultFile(archive_path) as stream, durable.VaultFile(index_path) as index:  # noqa: SIM117
        with ArchiveWriter(stream, IndexWriter(index)) as writer:
            taken = ProjectArchiver(settings, directory, writer, progress).run(entries)
            totals = writer.finish()
    return taken, totals


def _directory_xattrs(found: Found) -> dict[str, bytes]:
    try:
        fd = os.open(found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent_fd)
    except OSError as error:
        raise UnreadableError("it vanished while the backup ran") from error
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)
