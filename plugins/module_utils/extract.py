# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing entries of an archive into a directory, with all their metadata, as root, without believing them.

Owner first, then mode (C(chown) clears set-id bits), then extended attributes (it clears capabilities too), times last.
Set-user-id and set-group-id bits of files, and file capabilities, are left out unless they are asked for: a project
hardly needs them, and an attacker who could change an archive would put them there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Optional

from .acl import ACL_KEYWORDS
from .archive_reader import ArchiveReader, Buffer, Group, Opened, check_content, checked
from .errors import IntegrityError, RestoreError
from .frame_loader import FrameLoader
from .index import Entry
from .names import path_key, printable, to_bytes
from .processes import WORTH_PROCESSES_BYTES, forked_map
from .progress import Progress
from .safe_tree import SafeTree, check_relative
from .source import Source
from .tar_format import DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Member
from .writing_out import WritingOut

_CAPABILITY = "security.capability"
_SET_ID = stat.S_ISUID | stat.S_ISGID
#: Of unpacked content: what a process writes in some milliseconds.
_BUNDLE_BYTES = 4 * 1024 * 1024
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class MetadataWriter:
    """Gives restored entries their owner, mode, attributes and times.

    :param keep_setuid: keep set-id bits of files
    """

    def __init__(self, *, keep_setuid: bool = False) -> None:
        self._keep_setuid = keep_setuid
        self._as_root = os.geteuid() == 0
        self.warnings: list[str] = []

    def apply(self, fd: int, member: Member, *, is_bare: bool = False) -> None:
        """Dress an open file or directory.

        :param is_bare: it is new, and was made where it inherits no attributes: they need not be looked for
        """
        if is_bare:
            self._own(fd, member)
        else:
            if self._as_root:
                os.fchown(fd, member.uid, member.gid)
            _remove_other_attributes(fd, member)
            os.fchmod(fd, self._mode(member))
        for name, value in member.xattrs.items():
            if name == _CAPABILITY and not self._keep_setuid:
                self._warn(f"{printable(member.path)}: its capabilities are left out (keep_setuid brings them back)")
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                self._warn(f"{printable(member.path)}: attribute {printable(name)} not restored: {error.strerror}")
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def _own(self, fd: int, member: Member) -> None:
        """Owner and mode of what is new: mostly it was made with them, and to look costs a tenth of setting them."""
        status = os.fstat(fd)
        is_given = self._as_root and (status.st_uid, status.st_gid) != (member.uid, member.gid)
        if is_given:
            os.fchown(fd, member.uid, member.gid)
        mode = self._mode(member)
        if stat.S_IMODE(status.st_mode) != mode or (is_given and mode & _SET_ID):
            os.fchmod(fd, mode)

    def apply_by_name(self, directory_fd: int, name: bytes, member: Member) -> None:
        """Dress a link or a fifo, which cannot be opened."""
        if self._as_root:
            os.chown(name, member.uid, member.gid, dir_fd=directory_fd, follow_symlinks=False)
        if member.kind != SYMLINK:
            self._change_mode(directory_fd, name, member)
        os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=directory_fd, follow_symlinks=False)

    def _change_mode(self, directory_fd: int, name: bytes, member: Member) -> None:
        # chmod follows links, and the owner of the directory may have put one there since the fifo was made
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.chmod(f"/proc/self/fd/{fd}", self._mode(member))
        finally:
            os.close(fd)

    def _mode(self, member: Member) -> int:
        if member.kind == DIRECTORY or self._keep_setuid or not member.mode & _SET_ID:
            return member.mode
        self._warn(
            f"{printable(member.path)}: its set-user-id or set-group-id bit is left out (keep_setuid brings it back)"
        )
        return member.mode & ~_SET_ID

    def _warn(self, text: str) -> None:
        self.warnings.append(text)


def _remove_other_attributes(fd: int, member: Member) -> None:
    # a directory with a default ACL gives it to all that is made in it; such a file was not so in the project. And
    # a directory that was there may have got attributes since.
    try:
        present = os.listxattr(fd)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return  # a file system without attributes
        raise
    for name in present:
        if (name in ACL_KEYWORDS or name.startswith("user.")) and name not in member.xattrs:
            os.removexattr(fd, name)


def create(directory_fd: int, name: bytes, opened: Opened, metadata: MetadataWriter, *, is_bare: bool = False) -> None:
    """Make a file, link or fifo under a name that does not exist yet; content is checked while it is written.

    :param is_bare: see :meth:`MetadataWriter.apply`
    :raises IntegrityError: when the content is damaged
    """
    member = opened.member
    if member.kind == FILE:
        # whoever may reach a bare tree is who restores it; elsewhere nobody reads what is not checked yet
        fd = os.open(name, _NEW_FILE, member.mode & 0o777 if is_bare else 0o600, dir_fd=directory_fd)
        try:
            if opened.whole is not None:
                check_content(opened.entry, opened.whole)
                _write_all(fd, opened.whole, 0)
            else:
                _write_pieces(fd, opened)
            metadata.apply(fd, member, is_bare=is_bare)
        finally:
            os.close(fd)
    elif member.kind == SYMLINK:
        os.symlink(to_bytes(member.link), name, dir_fd=directory_fd)
        metadata.apply_by_name(directory_fd, name, member)
    elif member.kind == FIFO:
        os.mkfifo(name, 0o600, dir_fd=directory_fd)
        metadata.apply_by_name(directory_fd, name, member)
    else:
        raise IntegrityError(f"{printable(member.path)} is of a kind that is not restored so: {member.kind}.")


def _write_pieces(fd: int, opened: Opened) -> None:
    for offset, data in checked(opened.entry, opened.pieces):
        _write_all(fd, data, offset)
    if os.fstat(fd).st_size != opened.entry.size_bytes:
        os.ftruncate(fd, opened.entry.size_bytes)


def _write_all(fd: int, data: Buffer, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written


@dataclass
class _Written:
    """What was made of one group of entries, and what can only be made when all are there.

    :param directories: to be dressed, the deepest first
    :param links: hard links to be made
    """

    entries: int = 0
    size_bytes: int = 0
    directories: list[Member] = field(default_factory=list)
    links: list[Entry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _bundled(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Groups in lots of a few MiB, one that is streamed last: a process that is given more at once waits less often."""
    bundle: list[Group] = []
    size_bytes = 0
    for group in groups:
        bundle.append(group)
        size_bytes += sum(frame.size_bytes for frame in group.frames)
        if size_bytes >= _BUNDLE_BYTES or group.is_streamed:
            yield bundle
            bundle, size_bytes = [], 0
    if bundle:
        yield bundle


class TreeExtractor:
    """Writes a whole archive into an empty directory of ours, on all cores.

    :param target: the directory, made by the caller, mode 0700
    """

    def __init__(self, target: str, metadata: MetadataWriter, progress: Progress) -> None:
        self._target = target
        self._metadata = metadata
        self._progress = progress
        self._directories: list[Member] = []
        self._links: list[Entry] = []
        # one a process, kept from group to group with the directories it has open
        self._tree: Optional[SafeTree] = None

    def run(self, source: Source) -> int:
        """Extract all; returns the number of entries.

        :raises IntegrityError: when anything is damaged; the target is then not to be used
        :raises RestoreError: when the disk is full, or a path leads out
        """
        hidden = source.hidden_paths()
        count = 0
        try:
            with SafeTree(self._target) as tree:
                # then nothing in it inherits attributes either, and 70,000 files need not be asked for theirs
                _remove_other_attributes(tree.directory(""), Member(".", DIRECTORY, 0o700))
            for layer in source.layers:
                with ArchiveReader(layer.directory, archive=layer.archive) as reader:
                    count += self._extract_layer(reader, hidden if layer is source.layers[0] else set())
            with SafeTree(self._target) as tree:
                self._make_links(tree)
                self._dress_directories(tree)
        except OSError as error:
            raise RestoreError(
                f"The backup could not be unpacked into {printable(self._target)}: {error.strerror}."
            ) from error
        finally:
            if self._tree is not None:
                self._tree.close()
        return count

    def _extract_layer(self, reader: ArchiveReader, hidden: set[str]) -> int:
        count = 0
        writing_out = WritingOut(self._target) if reader.size_bytes >= WORTH_PROCESSES_BYTES else nullcontext()
        # closed whatever happens, so that nobody writes any more when the directories are dressed
        loader = FrameLoader(reader)
        with writing_out as out, closing(loader), closing(self._written(reader, loader, hidden)) as done:
            for written in done:
                self._directories += written.directories
                self._links += written.links
                self._metadata.warnings += written.warnings
                count += written.entries
                self._progress.advance(files=written.entries, size_bytes=written.size_bytes)
                if out is not None:
                    out.go_on()
        return count

    def _written(self, reader: ArchiveReader, loader: FrameLoader, hidden: set[str]) -> Generator[_Written, None, None]:
        def extract(groups: list[Group]) -> _Written:
            written = _Written()
            known = len(self._metadata.warnings)
            loaded = loader.load([frame for group in groups if not group.is_streamed for frame in group.frames])
            for group in groups:
                frames = loader.stream(group.frames) if group.is_streamed else map(loaded.frame, group.frames)
                self._extract(reader, reader.read_entries(group), frames, hidden, written)
            loaded.release()
            written.warnings = self._metadata.warnings[known:]
            del self._metadata.warnings[known:]
            return written

        if reader.size_bytes >= WORTH_PROCESSES_BYTES:
            return forked_map(extract, _bundled(reader.unread_groups()))
        return (extract([group]) for group in reader.unread_groups())

    def _extract(
        self, reader: ArchiveReader, group: Group, frames: Iterable[bytes], hidden: set[str], written: _Written
    ) -> None:
        if self._tree is None:
            self._tree = SafeTree(self._target)
        for opened in reader.open_group(group, lambda entry: entry.path not in hidden, frames):
            member = opened.member
            if member.kind == DIRECTORY:
                check_relative(member.path)
                self._tree.directory("" if member.path == "." else member.path, make=True)
                written.directories.append(member._replace(xattrs=dict(member.xattrs)))  # which can be pickled
            elif member.kind == HARDLINK:
                written.links.append(opened.entry)
            else:
                create(*self._tree.parent(member.path, make=True), opened, self._metadata, is_bare=True)
            written.entries += 1
            written.size_bytes += opened.entry.size_bytes

    def _make_links(self, tree: SafeTree) -> None:
        for entry in self._links:
            tree.link(entry.link, entry.path)

    def _dress_directories(self, tree: SafeTree) -> None:
        # what is in a directory before itself, because to make it changed the time; and one beside the other, so that
        # the way to them is open already
        for member in sorted(self._directories, key=lambda member: path_key(member.path), reverse=True):
            path = "" if member.path == "." else member.path
            self._metadata.apply(tree.directory(path), member, is_bare=True)
