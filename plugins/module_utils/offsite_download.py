# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a backup into a directory: ranges side by side, and a run that was killed goes on where it stopped.

A journal says which ranges were written and what their SHA-256 was. A later run believes it only where it reads the
same bytes back, and where the object is still the same one; so neither a power cut nor a new upload mixes two files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

from . import durable
from .offsite_remote import RemoteBackup, RemoteFile
from .parallel import ordered_map
from .progress import Progress

#: Large enough that a request costs little beside its bytes, small enough that a kill costs little.
RANGE_BYTES = 8 * 1024 * 1024


class _Range(NamedTuple):
    file: RemoteFile
    target: str
    offset: int
    length: int


class _Done(NamedTuple):
    piece: _Range
    sha256: str
    is_new: bool
    mtime: Optional[str]


@dataclass
class Downloaded:
    """What a download came to.

    :param bytes_fetched: from the service, in this run
    :param bytes_kept: that an earlier run had fetched
    :param mtimes: modification time of each file, as stored with its object
    """

    bytes_fetched: int
    bytes_kept: int
    mtimes: dict[str, str]


class _Journal:
    """Ranges that were written, by what they are of."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[tuple[str, str, int, int], tuple[str, Optional[str]]] = {}
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    self._remember(line)
        except FileNotFoundError:
            pass
        except OSError as error:
            durable.fail(error, "read", path)

    def _remember(self, line: str) -> None:
        try:
            key, etag, offset, length, digest, mtime = json.loads(line)
        except ValueError:
            return  # the end of a line that a kill cut off
        self._known[key, etag, offset, length] = digest, mtime

    def of(self, piece: _Range) -> Optional[tuple[str, Optional[str]]]:
        """Digest and modification time of a range, as an earlier run wrote it."""
        return self._known.get((piece.file.key, piece.file.etag, piece.offset, piece.length))

    def note(self, done: Iterable[_Done]) -> Iterator[_Done]:
        """Pass on what was done, and write down what is new of it."""
        try:
            with open(self._path, "a", encoding="utf-8") as stream:
                for one in done:
                    if one.is_new:
                        file, _target, offset, length = one.piece
                        line = [file.key, file.etag, offset, length, one.sha256, one.mtime]
                        stream.write(json.dumps(line) + "\n")
                        stream.flush()
                    yield one
        except OSError as error:
            durable.fail(error, "write", self._path)


def download(
    remote: RemoteBackup, targets: Iterable[tuple[RemoteFile, str]], *, journal_path: str, progress: Progress
) -> Downloaded:
    """Bring objects to disk; each is complete and of the right length when this returns, and not yet checked.

    :param targets: objects, and the files that they become; below directories of ours
    :raises OffsiteError: when the service does not give them
    :raises VaultError: when they cannot be written
    """
    targets = list(targets)
    journal = _Journal(journal_path)
    result = Downloaded(0, 0, {})
    progress.start("fetch", files_total=len(targets), bytes_total=sum(file.size_bytes for file, _target in targets))
    for file, target in targets:
        _make_room(target, file.size_bytes)

    def bring(piece: _Range) -> _Done:
        known = journal.of(piece)
        if known is not None and _digest_on_disk(piece) == known[0]:
            return _Done(piece, known[0], False, known[1])
        read = remote.read_range(piece.file, piece.offset, piece.length)
        _write(piece, read.data)
        return _Done(piece, hashlib.sha256(read.data).hexdigest(), True, read.metadata.get("mtime"))

    pieces = (piece for file, target in targets for piece in _ranges(file, target))
    for done in journal.note(ordered_map(bring, pieces, workers=remote.connections)):
        length = done.piece.length
        if done.is_new:
            result.bytes_fetched += length
        else:
            result.bytes_kept += length
        if done.mtime:
            result.mtimes[done.piece.file.path] = done.mtime
        is_last = done.piece.offset + length == done.piece.file.size_bytes
        progress.advance(files=int(is_last), size_bytes=length)
    return result


def _ranges(file: RemoteFile, target: str) -> Iterator[_Range]:
    for offset in range(0, max(file.size_bytes, 1), RANGE_BYTES):
        yield _Range(file, target, offset, min(RANGE_BYTES, file.size_bytes - offset))


def _make_room(target: str, size_bytes: int) -> None:
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, size_bytes)
        finally:
            os.close(fd)
    except OSError as error:
        durable.fail(error, "write", target)


def _digest_on_disk(piece: _Range) -> Optional[str]:
    try:
        fd = os.open(piece.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return hashlib.sha256(os.pread(fd, piece.length, piece.offset)).hexdigest()
        finally:
            os.close(fd)
    except OSError:
        return None  # cannot be read back, so it is fetched again


def _write(piece: _Range, data: bytes) -> None:
    try:
        fd = os.open(piece.target, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            view, at = memoryview(data), piece.offset
            while view:
                written = os.pwrite(fd, view, at)
                view, at = view[written:], at + written
        finally:
            os.close(fd)
    except OSError as error:
        durable.fail(error, "write", piece.target)
