# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing from a vault, one thing at a time, so that a kill at any moment spoils nothing that is listed.

Log → make the top of the one backup mutable → take C(+a) off the vault → rename into C(.cora/staging) → put C(+a)
back → fsync both directories → remove → log. Killed before the rename, the backup is listed and whole, and the next run
seals it and the vault again; killed after it, it is not listed, and the next run removes what is left of it. Nothing
else in the engine takes the seal off a backup.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from . import durable
from .errors import SealError
from .inode_flags import APPEND_ONLY, IMMUTABLE, change_path_flags, path_flags
from .keep_rules import CHECKPOINT, RESTORE, Decision
from .marks import forget_marks
from .vault import Vault, remove_unpublished
from .who import who_runs_this

LOG = "prune.log"
REMOVING, REMOVED = "removing", "removed"


class Remover:
    """Removes backups, checkpoints and records of restores. Needs the vault's lock.

    :param vault: where from
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def remove(self, decision: Decision) -> None:
        """Remove what was decided to go.

        :raises VaultError: when that fails; then it is listed and whole, or not listed
        """
        path = self._path(decision)
        staging = self._vault.staging
        if os.path.dirname(path) == self._vault.away:
            staging = self._vault.away  # a rename cannot leave a file system; under this name it is no record any more
        staged = os.path.join(staging, f"pruned-{decision.state_id}")
        self._log(REMOVING, decision)
        try:
            with _without(path, IMMUTABLE), _without(os.path.dirname(path), APPEND_ONLY):
                os.rename(path, staged)
        except OSError as error:
            durable.fail(error, "take out of the vault", path)
        # on disk before the first file goes: or a power cut could leave it listed with half its files
        durable.sync_directory(staging)
        durable.sync_directory(os.path.dirname(path))
        remove_unpublished(staged)
        if decision.kind == CHECKPOINT:
            self._remove_empty_days(path)
        if decision.kind != RESTORE:
            forget_marks(self._vault, decision.state_id)
        self._log(REMOVED, decision)

    def _path(self, decision: Decision) -> str:
        if decision.kind == RESTORE:
            path = os.path.join(self._vault.restores, decision.state_id)
            # the vault could not be written then: see new_record
            return path if os.path.isdir(path) else os.path.join(self._vault.away, decision.state_id)
        if decision.kind == CHECKPOINT:
            return self._vault.checkpoint_path(decision.state_id)
        return self._vault.path_of(decision.state_id)

    def _remove_empty_days(self, path: str) -> None:
        day = os.path.dirname(path)
        for directory in (day, os.path.dirname(day), os.path.dirname(os.path.dirname(day))):
            try:
                os.rmdir(directory)
            except OSError:
                return  # there are others of this day, month or year
            durable.sync_directory(os.path.dirname(directory))

    def _log(self, event: str, decision: Decision) -> None:
        write_log(self._vault, event, decision)


def write_log(vault: Vault, event: str, decision: Decision, **more: str) -> None:
    """Write down that something is being removed, or was.

    :param more: what else is to stand there
    :raises VaultError: when it cannot be written; then nothing may be removed
    """
    now = datetime.now(timezone.utc)
    line = {
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "event": event,
        "id": decision.state_id,
        "kind": decision.kind,
        "project": decision.project,
        "size_bytes": decision.size_bytes,
        "reasons": decision.reasons,
        **more,
        **who_runs_this(),
    }
    path = os.path.join(vault.control, LOG)
    try:
        _append(path, json.dumps(line).encode("ascii") + b"\n")
    except OSError as error:
        durable.fail(error, "write", path)


def _append(path: str, line: bytes) -> None:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        size = os.fstat(fd).st_size
        if not size:
            _protect_log(path)
        elif os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a power cut tore the last one
        os.write(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _protect_log(path: str) -> None:
    try:
        change_path_flags(path, add=APPEND_ONLY)
    except SealError:
        pass  # where nothing can be sealed, the log cannot be either
    durable.sync_directory(os.path.dirname(path))


@contextmanager
def _without(path: str, flag: int) -> Iterator[None]:
    """Without a flag for a moment; it is back afterwards, whatever happens, if the path still leads there."""
    had_it = bool(path_flags(path) & flag)
    if had_it:
        change_path_flags(path, remove=flag)
    try:
        yield
    finally:
        if had_it and os.path.lexists(path):
            change_path_flags(path, add=flag)
