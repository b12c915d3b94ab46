# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotating files that only grow: their beginning goes into a sealed archive, then it is cut off, and nothing is lost.

A log that is copied and then emptied loses what is written in between. Here the archive takes whole blocks from the
beginning and the file system removes just these (C(FALLOC_FL_COLLAPSE_RANGE): ext4, XFS): what others append meanwhile
stays. Where a file system cannot, the file is shortened only while no process has it open; a lease (C(F_SETLEASE))
keeps it so. The archives together with what is left are, byte for byte, what was written; a line may stand half in one
and half in the other.

C(rotated/<path>/<time>.gz) is an archive. C(.json) beside it says what it holds, and is written when it is whole;
C(.cut) when that was cut off the file. Killed before the cut: the next run finds what is archived already, and only
cuts.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from . import durable
from .errors import CoraError, ProjectError, VaultError
from .gzip_frames import compress
from .lifted import has_lifted, protect_lifted, unprotected
from .names import printable
from .patterns import PathFilter
from .safe_tree import SafeTree
from .scan import ScanNotes, walk
from .settings import DEFAULT_EXCLUDE, DEFAULT_LOGS, MEBIBYTE
from .tar_format import FILE
from .vault import Vault, remove_unpublished
from .vault_file import VaultFile

DEFAULT_ROTATE_BYTES = 100 * MEBIBYTE
_CHUNK_BYTES = 4 * MEBIBYTE
_COLLAPSE_RANGE = 0x08  # linux/falloc.h
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class RotateSettings:
    """One rotation run.

    :param files: gitignore patterns of what may be rotated
    :param rotate_bytes: files of at least this size are
    """

    project: str
    vault: str
    files: tuple[str, ...] = DEFAULT_LOGS
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    rotate_bytes: int = DEFAULT_ROTATE_BYTES
    lock_wait_seconds: float = 0.0


def rotate(settings: RotateSettings, *, check: bool = False) -> dict[str, Any]:
    """Rotate every file that is due.

    :param check: name them, change nothing
    :returns: JSON types; C(rotated) has C(path), C(archive), C(bytes), C(sha256) of each
    :raises CoraError: when the project or the vault cannot be used
    """
    due = _due(settings)
    vault = Vault(settings.vault)
    if check or not (due or has_lifted(vault)):
        rows = [{"path": printable(path), "archive": None, "bytes": size, "sha256": None} for path, size in due]
        return {"changed": bool(due), "project": settings.project, "rotated": rows, "problems": []}
    vault.prepare()
    rotated = []
    with vault.lock(settings.lock_wait_seconds), SafeTree(settings.project) as tree:
        vault.recover()
        problems = protect_lifted(vault)
        for path, _size in due:
            try:
                row, warnings = _rotate_one(vault, tree, path, settings.project)
                rotated.append(row)
                problems += warnings
            except VaultError:
                raise
            except (CoraError, OSError) as error:
                problems.append(f"{printable(path)}: not rotated: {error}")
    return {"changed": bool(rotated), "project": settings.project, "rotated": rotated, "problems": problems}


def _due(settings: RotateSettings) -> list[tuple[str, int]]:
    wanted = PathFilter(settings.files)
    return [
        (found.path, found.status.st_size)
        for found in walk(settings.project, PathFilter(settings.exclude), ScanNotes(), vault=settings.vault)
        if found.kind == FILE
        and found.status.st_size >= max(settings.rotate_bytes, found.status.st_blksize + 1)
        and wanted.matches(found.path)
    ]


def _rotate_one(vault: Vault, tree: SafeTree, path: str, project: str) -> tuple[dict[str, Any], list[str]]:
    with unprotected(vault, tree, path, project=project) as warnings:
        directory_fd, name = tree.parent(path)
        fd = os.open(name, _OPEN, dir_fd=directory_fd)
        try:
            row = _archive_and_cut(vault, project, path, fd)
        finally:
            os.close(fd)
    return row, warnings


def _archive_and_cut(vault: Vault, project: str, path: str, fd: int) -> dict[str, Any]:
    block_bytes = os.fstatvfs(fd).f_bsize
    # a range that reaches the end of the file cannot be collapsed, so at least one byte stays
    cut_bytes = (os.fstat(fd).st_size - 1) // block_bytes * block_bytes
    if cut_bytes <= 0:
        raise ProjectError(f"{printable(path)} is smaller than a block of its file system.")
    directory = os.path.join(vault.root, "rotated", path)
    with _nobody_else(fd):
        stamp = _uncut(directory, project, fd) or _write_archive(vault, directory, project, path, fd, cut_bytes)
        row = _described(directory, stamp)
        _cut(fd, int(row["bytes"]), str(row["sha256"]))
    _note(vault, directory, f"{stamp}.cut", b"")
    return {key: row[key] for key in ("path", "archive", "bytes", "sha256")}


@contextmanager
def _nobody_else(fd: int) -> Iterator[None]:
    """Where the file system cannot cut under the hands of a writer: while this lasts, nobody else has the file open.

    :raises ProjectError: when somebody has
    """
    if _can_collapse(fd):
        yield
        return
    # whoever opens it now waits, and this process is told by a signal, which must be one that does not end it
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        raise ProjectError(
            "its file system cannot cut a beginning off, and a process has it open: stop that first."
        ) from error
    try:
        yield
    finally:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _uncut(directory: str, project: str, fd: int) -> Optional[str]:
    """The archive that a killed run wrote and did not cut off any more; what it did not finish to write goes away."""
    names = set(os.listdir(directory)) if os.path.isdir(directory) else set()
    for name in names:
        if name.endswith(".gz") and f"{name[:-3]}.json" not in names:
            remove_unpublished(os.path.join(directory, name))
    stamps = sorted(name[:-5] for name in names if name.endswith(".json"))
    # a vault may hold several projects with such a file
    stamps = [stamp for stamp in stamps if _described(directory, stamp)["project"] == printable(project)]
    if not stamps or f"{stamps[-1]}.cut" in names:
        return None
    newest = _described(directory, stamps[-1])
    size_bytes = os.fstat(fd).st_size
    # a file that only grows and is smaller than it was has been cut
    if size_bytes < newest["size_bytes"] or _digest(fd, newest["bytes"]) != newest["sha256"]:
        return None
    return stamps[-1]


def _described(directory: str, stamp: str) -> dict[str, Any]:
    with open(os.path.join(directory, f"{stamp}.json"), "rb") as stream:
        row: dict[str, Any] = json.load(stream)
    return row


def _write_archive(vault: Vault, directory: str, project: str, path: str, fd: int, cut_bytes: int) -> str:
    stamp = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S-%f}"
    staged = os.path.join(vault.staging, f"rotate-{stamp}")
    size_bytes = os.fstat(fd).st_size
    digest = hashlib.sha256()
    with VaultFile(staged) as target:
        for chunk in _chunks(fd, cut_bytes):
            digest.update(chunk)
            target.write(compress(chunk))
    archive = os.path.join(directory, f"{stamp}.gz")
    row = {
        "project": printable(project),
        "path": printable(path),
        "archive": printable(archive),
        "bytes": cut_bytes,
        "sha256": digest.hexdigest(),
        "size_bytes": size_bytes,
    }
    vault.publish(staged, archive)
    _note(vault, directory, f"{stamp}.json", json.dumps(row).encode("ascii") + b"\n")
    vault.seal_file(archive)
    return stamp


def _note(vault: Vault, directory: str, name: str, data: bytes) -> None:
    path = os.path.join(directory, name)
    durable.replace_file(path, data)
    vault.seal_file(path)


def _chunks(fd: int, size_bytes: int) -> Iterable[bytes]:
    at = 0
    while at < size_bytes:
        chunk = os.pread(fd, min(_CHUNK_BYTES, size_bytes - at), at)
        if not chunk:
            raise OSError(errno.EIO, "it became shorter while it was read")
        at += len(chunk)
        yield chunk


def _digest(fd: int, size_bytes: int) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(fd, size_bytes):
        digest.update(chunk)
    return digest.hexdigest()


def _cut(fd: int, cut_bytes: int, sha256: str) -> None:
    """Remove the beginning of a file, if it still is what was archived.

    :raises OSError: when it changed, or the file system refuses
    """
    if _digest(fd, cut_bytes) != sha256:
        raise OSError(errno.EBUSY, "its beginning changed while it was archived; it is no file that only grows")
    if _can_collapse(fd):
        _collapse(fd, cut_bytes)
    else:
        rest = b"".join(_rest(fd, cut_bytes))
        os.pwrite(fd, rest, 0)
        os.ftruncate(fd, len(rest))
    os.fsync(fd)


def _rest(fd: int, start: int) -> Iterable[bytes]:
    while chunk := os.pread(fd, _CHUNK_BYTES, start):
        start += len(chunk)
        yield chunk


def _can_collapse(fd: int) -> bool:
    # asked with a range that is never allowed (it is no multiple of a block): EINVAL means the call is known
    return _fallocate(fd, 1) == errno.EINVAL


def _collapse(fd: int, size_bytes: int) -> None:
    code = _fallocate(fd, size_bytes)
    if code:
        raise OSError(code, os.strerror(code))


def _fallocate(fd: int, size_bytes: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    length = ctypes.c_int64(size_bytes)
    if libc.fallocate64(fd, _COLLAPSE_RANGE, ctypes.c_int64(0), length) == 0:
        return 0
    return ctypes.get_errno()
