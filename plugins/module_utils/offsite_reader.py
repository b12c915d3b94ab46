# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that is only in the bucket, read without fetching it: its index, and the frames that are needed.

What was read stands in C(.cora/offsite/cache/<id>/) like a backup whose archive has holes: the frames are at their
places, the rest was never written. So a restore reads it as it reads any other, and believes as little of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator

from . import durable, layout
from .errors import IntegrityError
from .index import Frame
from .index_search import find_frames
from .names import printable
from .offsite_notes import directory_of
from .offsite_remote import RemoteBackup
from .parallel import ordered_map
from .s3_client import S3
from .saved_state import SavedState, report_for
from .source import Pick, single
from .vault import Vault

#: Not the name of a whole archive: gunzip takes the zeros in its holes for padding, and would stop without a word.
FRAMES = "cora-full.frames"
#: Frames that lie so near to one another cost less in one request than in two.
_NEAR_BYTES = 64 * 1024
_LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
_KEPT_INDEXES = 5


def open_remote_state(vault: Vault, s3: S3, backup_id: str, *, by_name: bool = False) -> SavedState:
    """A backup of the bucket as something to restore from; its index is fetched, or known from last time.

    :param by_name: only files by name are wanted of it, for which it can do without its report
    :raises CoraError: when it is not there, or its index is damaged
    """
    reader = _Reader(vault, s3, backup_id)
    reader.bring_description()
    report = report_for(reader.directory, by_name=by_name, has_archive=True)
    return SavedState(backup_id, reader.directory, report, single(reader.directory, FRAMES), reader.bring)


class _Reader:
    def __init__(self, vault: Vault, s3: S3, backup_id: str) -> None:
        self._remote = RemoteBackup(s3, backup_id)
        self._top = os.path.join(directory_of(vault), "cache")
        self.directory = os.path.join(self._top, backup_id)
        self._archive = os.path.join(self.directory, FRAMES)

    def bring_description(self) -> None:
        """What says what is in the backup: sums, report, index."""
        durable.make_directories(self.directory)
        raw = self._remote.read_small(layout.SUMS)
        sums = self._remote.parse_sums(raw)
        for name in (layout.REPORT, layout.INDEX):
            if name in sums:
                self._bring(name, sums[name])
        durable.replace_file(os.path.join(self.directory, layout.SUMS), raw)
        self._make_archive()
        self._forget_others()

    def _bring(self, name: str, digest: str) -> None:
        path = os.path.join(self.directory, name)
        try:
            if layout.sha256_of_file(path) == digest:
                os.utime(path)
                return
        except OSError:
            pass  # not known yet
        try:
            durable.replace_file(path, self._remote.read_small(name, digest))
        except IntegrityError:
            if name == layout.INDEX:
                raise

    def _make_archive(self) -> None:
        size_bytes = 0 if self._remote.is_encrypted else self._remote.file(layout.ARCHIVE).size_bytes
        try:
            fd = os.open(self._archive, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, size_bytes)
            finally:
                os.close(fd)
        except OSError as error:
            durable.fail(error, "write", self._archive)

    def _forget_others(self) -> None:
        """Indexes of the last few are worth keeping, for the next file out of the same backup; frames are not."""

        def age(name: str) -> float:
            return -os.lstat(os.path.join(self._top, name)).st_mtime

        for number, name in enumerate(sorted(os.listdir(self._top), key=age)):
            path = os.path.join(self._top, name)
            if path == self.directory:
                continue
            if number >= _KEPT_INDEXES:
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.exists(os.path.join(path, FRAMES)):
                os.unlink(os.path.join(path, FRAMES))

    def bring(self, picks: Iterable[Pick]) -> int:
        """Fetch the frames that hold these entries.

        :returns: how many bytes came over the network
        :raises IntegrityError: when one of them is damaged
        """
        wanted: set[int] = set()
        for pick in picks:
            wanted.update(range(pick.content.frame, pick.content.frame + pick.content.frames))
        frames = [f for f in find_frames(os.path.join(self.directory, layout.INDEX)) if f.number in wanted]
        remote = self._remote.file(layout.ARCHIVE)
        if any(frame.offset + frame.length_bytes > remote.size_bytes or frame.length_bytes < 1 for frame in frames):
            raise IntegrityError(f"{layout.INDEX} names a frame of the archive that cannot be.")
        fetched = 0
        try:
            fd = os.open(self._archive, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            durable.fail(error, "write", self._archive)
        try:
            missing = [frame for frame in frames if layout.sha256_of(_read(fd, frame)) != frame.sha256]
            requests = list(_requests(missing))
            datas = ordered_map(
                lambda part: self._remote.read_range(remote, part[0], part[1] - part[0]).data,
                requests,
                workers=self._remote.connections,
                ahead=self._remote.connections,
            )
            for (begin, _end), data in zip(requests, datas):
                _write(fd, data, begin)
                fetched += len(data)
            damaged = [frame for frame in missing if layout.sha256_of(_read(fd, frame)) != frame.sha256]
        except OSError as error:
            durable.fail(error, "write", self._archive)
        finally:
            os.close(fd)
        if damaged:
            first = damaged[0]
            raise IntegrityError(
                f"Bytes {first.offset} to {first.offset + first.length_bytes} of {printable(remote.key)} are damaged, "
                "and what is to be restored stands there. Another backup may have it whole (cora offsite list)."
            )
        return fetched


def _read(fd: int, frame: Frame) -> bytes:
    return os.pread(fd, frame.length_bytes, frame.offset)


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _requests(frames: Iterable[Frame]) -> Iterator[tuple[int, int]]:
    """Ranges of bytes to ask for: one where frames lie together."""
    begin = end = -1
    for frame in frames:
        stop = frame.offset + frame.length_bytes
        if begin >= 0 and frame.offset - end <= _NEAR_BYTES and stop - begin <= _LARGEST_REQUEST_BYTES:
            end = stop
            continue
        if begin >= 0:
            yield begin, end
        begin, end = frame.offset, stop
    if begin >= 0:
        yield begin, end
