# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault: where backups live, how one gets in, and who may write.

C(<vault>/<id>/) are the backups. C(<vault>/.cora/) is ours to write: C(staging/) for what is not yet a backup,
C(lock), C(verified/) for the results of checks, C(restores/) for what restores replaced. Staging stands inside the
vault, so that it is on the same file system even where the vault is a mount point; the vault itself is append-only
(C(chattr +a)), which lets a directory be renamed into it from C(.cora/staging) and lets nothing in it be renamed or
removed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Optional

from . import durable
from .defaults import SEAL_REQUIRED, state_directory
from .errors import LockedError, SealError, VaultError
from .ids import id_time, is_id
from .inode_flags import (
    APPEND_ONLY,
    IMMUTABLE,
    change_path_flags,
    is_sealed,
    path_flags,
    probe_seal,
    seal_tree,
    tree_paths,
)
from .names import printable, to_bytes

_ID_TIME = "%Y%m%d-%H%M%S"
_LOCK_POLL_SECONDS = 0.2
_WRITABLE_BY_OTHERS = 0o022


class Vault:
    """One vault directory.

    :param root: its absolute path
    """

    def __init__(self, root: str) -> None:
        self._given = root
        self.root = os.path.normpath(root)
        self.control = os.path.join(self.root, ".cora")
        self.staging = os.path.join(self.control, "staging")
        self.verified = os.path.join(self.control, "verified")
        self.restores = os.path.join(self.control, "restores")
        self.progress = os.path.join(self.root, "progress")
        self._lock_path = os.path.join(self.control, "lock")

    @cached_property
    def away(self) -> str:
        """What stands in for C(restores) and C(lock) where the vault cannot be written: read-only, full, or a copy."""
        return os.path.join(state_directory(), "restores", _short_name(os.path.realpath(self._given)))

    def exists(self) -> bool:
        """Whether anything was ever put there; backups that were copied to some other disk are a vault too."""
        return os.path.isdir(self.control) or bool(self.ids())

    def path_of(self, backup_id: str) -> str:
        """Directory of a backup."""
        return os.path.join(self.root, backup_id)

    def checkpoint_path(self, checkpoint_id: str) -> str:
        """Directory of a checkpoint: C(progress/YYYY/MM/DD/HHMMSS-sha)."""
        year, month, day = checkpoint_id[:4], checkpoint_id[4:6], checkpoint_id[6:8]
        return os.path.join(self.progress, year, month, day, checkpoint_id[9:])

    def find(self, state_id: str) -> str:
        """Directory of a backup or checkpoint with this id."""
        path = self.path_of(state_id)
        return path if os.path.isdir(path) else self.checkpoint_path(state_id)

    def checkpoint_ids(self) -> list[str]:
        """Ids of all checkpoints, oldest first; an id is the date and time of the path, as that of a backup.

        :raises VaultError: when the vault cannot be read
        """
        dates = [("", self.progress)]
        for digits in (4, 2, 2):
            dates = [
                (date + name, f"{path}/{name}")
                for date, path in dates
                for name in _names_in(path)
                if len(name) == digits and name.isdecimal()
            ]
        found = (f"{date}-{name}" for date, path in dates for name in _names_in(path))
        return sorted(checkpoint_id for checkpoint_id in found if is_id(checkpoint_id))

    def ids(self) -> list[str]:
        """Ids of all backups, oldest first.

        :raises VaultError: when the vault cannot be read
        """
        try:
            with os.scandir(self.root) as entries:
                return sorted(e.name for e in entries if is_id(e.name) and e.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []
        except OSError as error:
            durable.fail(error, "read the vault", self.root)

    def prepare(self) -> None:
        """Make the vault where it is missing, and check that it is ours to write.

        :raises VaultError: when it is not
        """
        if os.path.lexists(self.root) and not os.path.isdir(self.root):
            raise VaultError(f"The vault {printable(self.root)} is not a directory.")
        # what stands beside the vault is not ours to close
        durable.make_directories(os.path.dirname(self.root), mode=0o755)
        for directory in (self.root, self.control, self.staging, self.verified, self.restores):
            durable.make_directories(directory)
        self._check_owner()
        probe = os.path.join(self.staging, f"writable-{os.getpid()}")
        durable.write_file(probe, b"")
        # the lock is not held yet, and who holds it sweeps there
        with suppress(FileNotFoundError):
            os.unlink(probe)

    def _check_owner(self) -> None:
        for directory in (self.root, self.control):
            status = os.stat(directory)
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & _WRITABLE_BY_OTHERS:
                raise VaultError(
                    f"The vault {printable(directory)} can be written by others (owner {status.st_uid}, mode "
                    f"{stat.S_IMODE(status.st_mode):04o}), who could put false backups there. Make it yours: "
                    f"chown {os.geteuid()} and chmod 0700."
                )

    @contextmanager
    def lock(self, wait_seconds: float = 0.0, *, reading: bool = False) -> Iterator[None]:
        """Hold the vault; the kernel lets go when the process ends, however it ends.

        :param reading: nothing is to be added, so a vault that cannot be written will do
        :raises LockedError: when another run holds it for longer than C(wait_seconds)
        :raises VaultError: when it cannot be written, and is to be
        """
        fd = self._open_lock(reading=reading)
        try:
            self._take(fd, time.monotonic() + wait_seconds)
            try:
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()} since {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC".encode(), 0)
            except OSError:
                pass  # the lock holds all the same; only its holder cannot be named
            yield
        finally:
            os.close(fd)

    def _open_lock(self, *, reading: bool) -> int:
        flags = os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._lock_path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        except OSError as error:
            if not reading or error.errno == errno.ELOOP:
                durable.fail(error, "lock", self._lock_path)
        try:
            return os.open(self._lock_path, os.O_RDONLY | flags)
        except FileNotFoundError:
            durable.make_directories(self.away)
            return os.open(os.path.join(self.away, "lock"), os.O_RDWR | os.O_CREAT | flags, 0o600)

    def _take(self, fd: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(fd, 200, 0).decode("ascii", "replace") or "unknown"
                    raise LockedError(
                        f"Another run holds the vault {printable(self.root)} (process {printable(holder)}). "
                        "Wait for it, or give this run time to wait (lock_wait_seconds)."
                    ) from None
                time.sleep(_LOCK_POLL_SECONDS)

    def recover(self) -> list[str]:
        """Put right what a killed run left: stale staging goes, unsealed backups get their seal. Needs the lock.

        :returns: sentences that say what was done
        """
        done = []
        for name in sorted(os.listdir(self.staging)):
            remove_unpublished(os.path.join(self.staging, name))
            done.append(f"Removed {printable(name)}, which an interrupted run had not finished.")
        saved = [(backup_id, self.path_of(backup_id)) for backup_id in self.ids()]
        saved += [(checkpoint_id, self.checkpoint_path(checkpoint_id)) for checkpoint_id in self.checkpoint_ids()]
        for saved_id, path in saved:
            if not is_sealed(path) and _try_seal(path):
                done.append(
                    f"Sealed {saved_id}, which was open: an interrupted or unprivileged run, or a person, left it so."
                )
        if not self.is_protected() and any(is_sealed(path) for _saved_id, path in saved) and self._try_protect():
            done.append("Made the vault append-only again, as an interrupted run or somebody had left it open.")
        return done

    def _try_protect(self) -> bool:
        try:
            self.protect_root()
        except SealError:
            return False
        return True

    def new_id(self, suffix: str) -> str:
        """An id that is later than every other, whatever the clock says. Needs the lock.

        Order by id is order in time, and C(latest) means the newest: so when the clock was set back, ids go on from the
        newest one, a second at a time.
        """
        now = datetime.now(timezone.utc).replace(microsecond=0)
        ids = sorted(self.ids() + self.checkpoint_ids())
        if ids:
            now = max(now, id_time(ids[-1]) + timedelta(seconds=1))
        return f"{now:{_ID_TIME}}-{suffix}"

    def publish(self, staged: str, path: str) -> None:
        """Make a staged, fsynced directory a backup or a checkpoint: rename it to C(path), fsync its parent.

        :raises VaultError: when that fails
        """
        parent = os.path.dirname(path)
        durable.make_directories(parent)
        try:
            os.rename(staged, path)
        except OSError as error:
            durable.fail(error, "move what is finished into", parent)
        durable.sync_directory(parent)

    def seal(self, path: str, policy: str) -> tuple[bool, str]:
        """Make a published backup immutable, and the vault append-only.

        :param policy: C(required) or C(best_effort)
        :returns: whether it is sealed, and for people why not
        :raises SealError: when it cannot be sealed and had to be
        """
        try:
            seal_tree(path)
            self.protect_root()
        except SealError as error:
            if policy == SEAL_REQUIRED:
                raise
            return False, f"Not sealed: {error}"
        return True, ""

    def seal_file(self, path: str) -> bool:
        """Make one published file immutable where that is possible; returns whether it is."""
        try:
            change_path_flags(path, add=IMMUTABLE)
        except SealError:
            return False
        return True

    def protect_root(self) -> None:
        """Set C(+a) on the vault, so that nothing in it is renamed or removed.

        :raises SealError: when that does not hold
        """
        change_path_flags(self.root, add=APPEND_ONLY)

    def is_protected(self) -> bool:
        """Whether the vault itself is append-only."""
        return bool(path_flags(self.root) & APPEND_ONLY)

    def why_not_sealable(self) -> Optional[str]:
        """None where files of this vault can be made immutable, else the reason."""
        return probe_seal(self.staging)

    def note_verified(self, backup_id: str, result: dict[str, object]) -> None:
        """Remember the result of a check; not in the backup, which is sealed."""
        if os.access(self.verified, os.W_OK):
            data = json.dumps(result, indent=2).encode()
            durable.replace_file(os.path.join(self.verified, f"{backup_id}.json"), data + b"\n")

    def verified_note(self, backup_id: str) -> dict[str, object]:
        """What :meth:`note_verified` remembered; empty when there is nothing."""
        try:
            with open(os.path.join(self.verified, f"{backup_id}.json"), "rb", buffering=0) as stream:
                note = json.load(stream)
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []  # there are no checkpoints, or a prune took the last ones of a day
    except OSError as error:
        durable.fail(error, "read the checkpoints in", directory)


def _short_name(path: str) -> str:
    import hashlib  # loads OpenSSL, which whoever only looks need not wait for

    return hashlib.sha256(to_bytes(path)).hexdigest()[:16]


def _try_seal(path: str) -> bool:
    try:
        seal_tree(path)
    except SealError:
        return False
    return True


def remove_unpublished(path: str) -> None:
    """Remove a directory of ours that never became a backup, flags included.

    :raises VaultError: when it cannot be removed
    """
    try:
        if not os.path.isdir(path) or os.path.islink(path):
            with suppress(FileNotFoundError):  # the probe of a run that waits for the lock: see prepare()
                if stat.S_ISREG(os.lstat(path).st_mode):
                    _open_flags(path)  # a probe for sealing, whose run was killed while it was immutable
                os.unlink(path)
            return
        for part in tree_paths(path):
            _open_flags(part)
        import shutil

        shutil.rmtree(path)
    except OSError as error:
        durable.fail(error, "remove", path)


def _open_flags(path: str) -> None:
    if path_flags(path) & (IMMUTABLE | APPEND_ONLY):
        change_path_flags(path, remove=IMMUTABLE | APPEND_ONLY)
