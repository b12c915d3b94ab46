# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring a whole project: the new tree is built beside the old one and swapped in by one rename.

What backups exclude (C(.git/), C(node_modules/), …) moves from the old tree into the new one. The old tree stays as
C(<project>.old-<time>). The record says at each step what a later run has to do after a kill.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Callable

from . import durable
from .beside_database import side_paths
from .carry import carry, movable
from .errors import RestoreError
from .extract import MetadataWriter, TreeExtractor
from .immovable import refuse_immovable
from .names import free_name, printable, to_bytes
from .progress import Progress
from .restore_record import CHANGED, CHANGING, ROLLED_BACK, STAGING, RestoreRecord
from .safe_tree import OPEN_DIRECTORY
from .service_window import change_between, refuse_open_databases
from .services import ServiceControl
from .source import Source
from .writing_out import not_on_disk

_RENAME_EXCHANGE = 2  # linux/fs.h
_AT_FDCWD = -100
_HEADROOM_BYTES = 16 * 1024 * 1024


def check_target(project: str, needed_bytes: int) -> None:
    """Refuse a target that cannot be swapped, before any work is done.

    :raises RestoreError: when the project or something in it is a mount point, its parent is missing, either of them is
    immutable, or the disk too full
    """
    parent = os.path.dirname(project)
    if not os.path.isdir(parent):
        raise RestoreError(
            f"The directory {printable(parent)}, in which the project belongs, is not there: make it first (mkdir -p)."
        )
    real = os.path.join(os.path.realpath(parent), os.path.basename(project))
    for mount in _mounts():
        if mount == real or mount.startswith(real + "/"):
            raise RestoreError(
                f"{printable(mount)} is a mount point, which a rename cannot swap. Unmount it, restore files by name "
                "(--file), or "
                "restore the whole tree to another directory (--project DIR)."
            )
    refuse_immovable(os.path.dirname(real), [os.path.basename(real)])
    status = os.statvfs(parent)
    free = status.f_bavail * status.f_frsize
    if free < needed_bytes + _HEADROOM_BYTES:
        raise RestoreError(
            f"The restored tree needs {needed_bytes + _HEADROOM_BYTES} bytes beside {printable(project)} "
            f"({_HEADROOM_BYTES} of them to spare), and {free} are free there. Nothing was changed."
        )


def _mounts() -> Iterator[str]:
    with open("/proc/self/mountinfo", "rb") as stream:
        for line in stream:
            raw = line.split(b" ")[4]
            for escaped, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
                raw = raw.replace(escaped, plain)
            yield os.fsdecode(raw)


def build_tree(record: RestoreRecord, source: Source, metadata: MetadataWriter, progress: Progress) -> int:
    """Unpack a backup beside the project, every entry checked, on disk when this returns.

    :returns: number of entries
    :raises CoraError: when anything is damaged or the disk is full; what was unpacked is removed
    """
    parent, name = os.path.split(record.project)
    record.staged = os.path.join(parent, f".{name}.cora-{record.token}")
    record.write()
    try:
        os.mkdir(record.staged, 0o700)
    except OSError as error:
        raise RestoreError(f"{printable(record.staged)} cannot be made: {error.strerror}.") from error
    pinned_fd = _pin(record.staged)
    pinned = f"/proc/self/fd/{pinned_fd}"
    try:
        record.staged_inode = os.fstat(pinned_fd).st_ino
        count = TreeExtractor(pinned, metadata, progress).run(source)
        # this one decides, by a descriptor from before anything was written: see writing_out.py
        durable.sync_file_system(pinned_fd)
        _check_staged(record)
    except RestoreError as error:
        shutil.rmtree(record.staged, ignore_errors=True)
        raise RestoreError(str(error).replace(pinned, printable(record.staged))) from error
    except OSError as error:
        shutil.rmtree(record.staged, ignore_errors=True)
        raise not_on_disk(error) from error
    except BaseException:
        shutil.rmtree(record.staged, ignore_errors=True)
        raise
    finally:
        os.close(pinned_fd)
    return count


def _pin(path: str) -> int:
    """Open a directory that was made just now: who owns its parent may put a link in its place at any time.

    :raises RestoreError: when somebody did already
    """
    try:
        fd = os.open(path, OPEN_DIRECTORY)
    except OSError as error:
        raise _moved(path) from error
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077 or os.listdir(fd):
        os.close(fd)
        raise _moved(path)
    return fd


def _check_staged(record: RestoreRecord) -> None:
    if not _is_new_tree(record, record.staged):
        raise _moved(record.staged)


def _moved(path: str) -> RestoreError:
    return RestoreError(f"Somebody moved {printable(path)} away or put something else there. Nothing was changed.")


def swap_in(
    record: RestoreRecord, control: ServiceControl, carried: Callable[[], list[str]], databases: list[str]
) -> list[str]:
    """Put the staged tree in the place of the project.

    :param carried: asked when services stand still: paths that move over from the old tree, see :func:`excluded_paths`
    :param databases: paths of databases, which nobody may hold open
    :returns: what was done to services
    :raises CoraError: when it failed; then the old tree is in its place again
    """
    return _change_tree(record, control, lambda: _swap(record, carried), databases)


def move_away(record: RestoreRecord, control: ServiceControl, databases: list[str]) -> list[str]:
    """Move the project aside where there was none before, to C(record.old_tree).

    :returns: what was done to services
    :raises CoraError: when it failed; then the project is in its place again
    """

    def change() -> None:
        record.old_tree = free_name(f"{record.project}.old-{record.restore_id}")
        record.write(CHANGING)
        os.rename(record.project, record.old_tree)
        _sync_parent(record)

    return _change_tree(record, control, change, databases)


def _change_tree(
    record: RestoreRecord, control: ServiceControl, change: Callable[[], None], databases: list[str]
) -> list[str]:
    paths = [os.path.join(record.project, each) for path in databases for each in (path, *side_paths(path))]

    def change_and_say() -> None:
        change()
        record.write(CHANGED)

    def back() -> None:
        take_back(record)

    try:
        done = change_between(
            control,
            before=lambda: refuse_open_databases(paths),
            change=change_and_say,
            take_back=back,
        )
    except BaseException:
        if record.state == STAGING:
            # What cannot be removed now stays noted as staged, and the next run removes it.
            with suppress(OSError):
                _drop_staged(record)
                record.write(ROLLED_BACK)
        raise
    record.finish()
    return done


def _drop_staged(record: RestoreRecord) -> None:
    if not record.staged or record.keep_staged or not os.path.lexists(record.staged):
        return
    if os.path.islink(record.staged):
        os.unlink(record.staged)  # somebody took the tree away and put this in its place
    else:
        shutil.rmtree(record.staged)


def _swap(record: RestoreRecord, carried: Callable[[], list[str]]) -> None:
    if not os.path.lexists(record.project):
        record.write(CHANGING)
        os.rename(record.staged, record.project)
        _sync_parent(record)
        return
    _check_staged(record)
    record.old_tree = free_name(f"{record.project}.old-{record.restore_id}")
    record.carried = movable(carried(), record.project, record.staged)
    # looked at before anything moves: a tree that never was the project need not be kept
    for tree in (record.project, record.staged):
        refuse_immovable(tree, record.carried)
    record.write(CHANGING)
    carry(record.carried, record.project, record.staged)
    if exchange(record.project, record.staged):
        os.rename(record.staged, record.old_tree)
    else:
        os.rename(record.project, record.old_tree)
        os.rename(record.staged, record.project)
    _sync_parent(record)


def take_back(record: RestoreRecord) -> str:
    """Put the old tree back from wherever a swap was interrupted.

    Nothing that was ever the project, or that may hold something of it, is removed: what failed is kept as
    C(<project>.failed-…). Each step can be interrupted and found again by the inode of the new tree.

    :returns: where the new tree is kept; empty where it was not needed any more
    :raises CoraError: when that fails; it can be tried again
    """
    if record.state == STAGING:
        _drop_staged(record)
        record.write(ROLLED_BACK)
        return ""
    if record.state != CHANGING:
        record.write(CHANGING)  # from here on it is no more what was asked for
    kept = _put_old_tree_back(record) if record.old_tree else _put_nothing_back(record)
    _sync_parent(record)
    record.write(ROLLED_BACK)
    return kept


def _put_nothing_back(record: RestoreRecord) -> str:
    """There was no project before."""
    if _is_new_tree(record, record.project):
        return _put_aside(record, record.project)
    _drop_staged(record)
    return ""


def _put_old_tree_back(record: RestoreRecord) -> str:
    places = (record.staged, record.old_tree)
    if not os.path.lexists(record.project):  # killed between two plain renames, or somebody removed it since
        old = [path for path in places if path and os.path.lexists(path) and not _is_new_tree(record, path)]
        if old:
            os.rename(old[0], record.project)
    if _is_new_tree(record, record.project):
        old_place = record.old_tree if os.path.lexists(record.old_tree) else record.staged
        if not os.path.lexists(old_place):
            return ""  # somebody removed the old tree: the restored one is all there is, and stays
        carry(record.carried, record.project, old_place)
        if not exchange(record.project, old_place):
            kept = _put_aside(record, record.project)
            os.rename(old_place, record.project)
            return kept
    for place in places:
        if place and _is_new_tree(record, place):
            if os.path.lexists(record.project):
                carry(record.carried, place, record.project)
            return _put_aside(record, place)
    return ""


def _put_aside(record: RestoreRecord, path: str) -> str:
    """Move the new tree to where it is kept: for an undo where it came from."""
    aside = record.staged if record.keep_staged else f"{record.project}.failed-{record.restore_id}"
    if path == aside:
        return path
    aside = free_name(aside)
    os.rename(path, aside)
    return aside


def _is_new_tree(record: RestoreRecord, path: str) -> bool:
    try:
        return os.lstat(path).st_ino == record.staged_inode
    except FileNotFoundError:
        return False


def exchange(first: str, second: str) -> bool:
    """Swap two directories in one step (C(renameat2) with C(RENAME_EXCHANGE)).

    :returns: False where the file system or the C library cannot; then nothing was done
    :raises OSError: when it is refused for another reason
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_AT_FDCWD, to_bytes(first), _AT_FDCWD, to_bytes(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), first)


def _sync_parent(record: RestoreRecord) -> None:
    fd = os.open(os.path.dirname(record.project), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
