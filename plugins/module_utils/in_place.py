# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing single files of a living project: stage beside each target, then rename one after the other.

Nothing of the project changes until all is staged and checked, and what is replaced was saved. A directory is never
removed, and nothing is written through a link.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import Optional

from . import append_only, durable
from .archive_reader import ArchiveReader, Opened
from .beside_database import has_side_files, side_paths, written_beside
from .errors import RestoreError
from .extract import MetadataWriter, create
from .index import Entry
from .names import path_key, printable, to_bytes, with_parents
from .new_archive import write_entries
from .present import present_entries
from .progress import Progress
from .restore_record import RestoreRecord
from .safe_tree import SafeTree
from .scan import kind_of
from .settings import BackupSettings
from .source import Layer, Pick
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK, Member

SAVED_ARCHIVE = "saved.tar.gz"
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Change:
    """One thing a restore would do.

    :param action: C(create), C(replace), C(remove) or C(same)
    :param newer_work: what is there now was written after the backup
    """

    action: str
    path: str
    kind: str
    size_bytes: int
    newer_work: bool = False


def compare(tree: SafeTree, entry: Entry, content: Entry, created_ns: int) -> Change:
    """What restoring one entry means for the project as it is.

    :param content: the entry that holds the content (another one for a hard link)
    :raises RestoreError: when a directory stands where a file belongs, or the other way round
    """
    status = tree.status(entry.path)
    kind = FILE if entry.kind == HARDLINK else entry.kind
    if status is None:
        return Change("create", entry.path, kind, content.size_bytes)
    is_directory = stat.S_ISDIR(status.st_mode)
    if is_directory != (kind == DIRECTORY):
        raise RestoreError(
            f"{printable(entry.path)} is {'a directory' if is_directory else 'no directory'} now and was "
            f"{'none' if is_directory else 'one'} in the backup: move it away first, or restore the whole tree "
            "(--full)."
        )
    newer = not is_directory and _written_ns(tree, entry, status) > created_ns
    same = _same(tree, entry, content, kind, status)
    return Change("same" if same else "replace", entry.path, kind, content.size_bytes, newer and not same)


def _same(tree: SafeTree, entry: Entry, content: Entry, kind: str, status: os.stat_result) -> bool:
    if kind_of(status.st_mode) != kind or stat.S_IMODE(status.st_mode) != entry.mode:
        return False
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        return False
    if kind == DIRECTORY:
        return True
    directory_fd, name = tree.parent(entry.path)
    if kind == SYMLINK:
        return os.readlink(name, dir_fd=directory_fd) == to_bytes(entry.link)
    if kind != FILE:
        return True
    if (status.st_size, status.st_mtime_ns) != (content.size_bytes, entry.mtime_ns):
        return False
    # a file is often restored because it is damaged, and damage changes no time: so the content is compared too
    return digest_of(tree, entry.path) == content.sha256 and not _has_side_files(tree, entry)


def _has_side_files(tree: SafeTree, entry: Entry) -> bool:
    return entry.database and has_side_files(*tree.parent(entry.path))


def _written_ns(tree: SafeTree, entry: Entry, status: os.stat_result) -> int:
    """When a file was written last; into a database that may have been its write-ahead log alone."""
    beside = written_beside(*tree.parent(entry.path)) if entry.database else []
    return max(found.st_mtime_ns for found in (status, *beside))


def digest_of(tree: SafeTree, path: str) -> Optional[str]:
    """SHA-256 of a file in the tree; None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        directory_fd, name = tree.parent(path)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory_fd)
    except OSError:
        return None
    try:
        while chunk := os.read(fd, _CHUNK_BYTES):
            digest.update(chunk)
    finally:
        os.close(fd)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Staged:
    path: str
    temporary: str
    database: bool


class InPlaceChange:
    """Brings entries of an archive into a project, and removes paths from it.

    :param picks: what to bring
    :param removals: paths to remove (files only; a directory only when it is empty then)
    :param record: is kept up to date, so that a kill at any moment can be put right
    """

    def __init__(self, record: RestoreRecord, picks: list[Pick], removals: list[str], metadata: MetadataWriter) -> None:
        self._record = record
        self._picks = sorted(picks, key=lambda pick: path_key(pick.entry.path))
        self._removals = removals
        self._metadata = metadata
        self._directories: list[Member] = []
        self._staged: list[_Staged] = []
        self._at = ""  # what is being staged

    def stage(self, tree: SafeTree) -> None:
        """Write and check everything under temporary names beside its target.

        :raises CoraError: when something is damaged or cannot be written; call :meth:`discard` then
        """
        self._note_places(tree)
        try:
            self._stage_all(tree)
            self._at = ""
            self._sync(tree)
        except OSError as error:
            at = f" {printable(os.path.join(tree.root, self._at))}" if self._at else " their places"
            raise RestoreError(f"No file can be written beside{at}: {error.strerror}.") from error
        missing = len(self._picks) - len(self._staged) - len(self._directories)
        if missing:
            raise RestoreError(f"{missing} entries are in the index and not in the archive.")

    def _stage_all(self, tree: SafeTree) -> None:
        wanted: dict[Layer, dict[str, list[Entry]]] = {}
        for pick in self._picks:
            wanted.setdefault(pick.layer, {}).setdefault(pick.content.path, []).append(pick.entry)
        for layer, targets in wanted.items():
            with ArchiveReader(layer.directory, archive=layer.archive) as reader:
                self._stage_layer(tree, reader, targets)

    def _sync(self, tree: SafeTree) -> None:
        # a rename may reach the disk before the content does: after a power cut there would be an empty file
        devices = set()
        for path in sorted({_parent(staged.path) for staged in self._staged}):
            fd = tree.directory(path)
            if os.fstat(fd).st_dev not in devices:
                durable.sync_file_system(fd)
                devices.add(os.fstat(fd).st_dev)

    def _stage_layer(self, tree: SafeTree, reader: ArchiveReader, targets: dict[str, list[Entry]]) -> None:
        for group in reader.groups_at(targets):
            for opened in reader.open_group(group, lambda entry: entry.path in targets):
                self._stage_one(tree, opened, targets[opened.entry.path])

    def commit(self, tree: SafeTree) -> None:
        """Put everything in its place: renames, then removals, then the directories' metadata.

        :raises OSError: when a rename fails
        """
        for staged in self._staged:
            if staged.database:
                self._remove_side_files(tree, staged.path)
            protected = append_only.lift(tree, staged.path)
            directory_fd, name = tree.parent(staged.path)
            os.rename(to_bytes(staged.temporary), name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
            if protected:
                append_only.set_again(tree, [staged.path])
        for path in sorted(self._removals, key=path_key, reverse=True):
            remove(tree, path)
        for member in reversed(self._directories):
            self._metadata.apply(tree.directory("" if member.path == "." else member.path), member)
        touched = {_parent(staged.path) for staged in self._staged} | {_parent(path) for path in self._removals}
        for path in touched | {_parent(path) for path in self._record.made_directories}:
            if tree.status(path or ".") is not None:
                os.fsync(tree.directory(path))

    def _note_places(self, tree: SafeTree) -> None:
        """Write down where temporary files and new directories will be, before there is one."""
        # what an interrupted change noted stays noted until it is put right
        parents, made = set(self._record.parents), list(self._record.made_directories)
        for entry in (pick.entry for pick in self._picks):
            path = entry.path if entry.kind == DIRECTORY else _parent(entry.path)
            path = "" if path == "." else path
            parents.add(path)
            for directory in with_parents(path):
                if directory not in made and tree.status(directory) is None:
                    made.append(directory)
        self._record.parents = sorted(parents, key=path_key)
        self._record.made_directories = sorted(made, key=path_key)
        self._record.write()

    def _stage_one(self, tree: SafeTree, opened: Opened, targets: list[Entry]) -> None:
        self._at = opened.member.path
        if opened.member.kind == DIRECTORY:
            tree.directory("" if opened.member.path == "." else opened.member.path, make=True)
            self._directories.append(opened.member)
            return
        first = ""
        for entry in targets:
            self._at = entry.path
            temporary = f".cora-{self._record.token}-{len(self._staged)}"
            beside = os.path.join(_parent(entry.path), temporary)
            if first:
                tree.link(first, beside)  # what was one file in the backup comes back as one
            else:
                directory_fd, name = tree.parent(beside, make=True)
                create(directory_fd, name, opened, self._metadata)
                first = beside
            self._staged.append(_Staged(entry.path, temporary, opened.entry.database))

    @staticmethod
    def _remove_side_files(tree: SafeTree, path: str) -> None:
        for beside in side_paths(path):
            remove(tree, beside)


def discard(record: RestoreRecord, tree: SafeTree) -> None:
    """Remove the temporary files of a record, and directories that it made and that are empty."""
    prefix = to_bytes(f".cora-{record.token}-")
    for path in record.parents:
        try:
            fd = tree.directory(path)
        except FileNotFoundError:
            continue
        for name in os.listdir(fd):
            if os.fsencode(name).startswith(prefix):
                os.unlink(os.fsencode(name), dir_fd=fd)
    tree.forget()
    for path in reversed(record.made_directories):
        remove(tree, path)


def remove(tree: SafeTree, path: str) -> None:
    """Remove a file, a link, or an empty directory; what is not there is fine, what is not empty stays."""
    status = tree.status(path)
    if status is None:
        return
    directory_fd, name = tree.parent(path)
    if not stat.S_ISDIR(status.st_mode):
        append_only.lift(tree, path)
        os.unlink(name, dir_fd=directory_fd)
        return
    tree.forget()
    directory_fd, name = tree.parent(path)
    try:
        os.rmdir(name, dir_fd=directory_fd)
    except OSError as error:
        if not os.listdir(tree.directory(path)):
            raise RestoreError(f"The directory {printable(path)} cannot be removed: {error.strerror}.") from error


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def save_present(record: RestoreRecord, vault: str, paths: list[str]) -> None:
    """Keep what stands at these paths now, in the record's directory; databases as consistent copies.

    :raises CoraError: when something cannot be read or written: then nothing may be changed
    """
    settings = BackupSettings(project=record.project, vault=vault, exclude=(), critical=(), logs=())
    with SafeTree(record.project) as tree:
        taken, _totals = write_entries(
            settings, record.directory, SAVED_ARCHIVE, Progress(None), present_entries(tree, paths)
        )
    if taken.incomplete:
        path, reason = (taken.notes.unreadable + [(path, "it changes all the time") for path in taken.unstable])[0]
        raise RestoreError(
            f"The present state of {printable(path)} cannot be saved ({reason}), so it is not replaced. Stop what "
            "writes it."
        )
    durable.sync_files(record.directory)
