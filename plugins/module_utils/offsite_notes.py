# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known here of the copies elsewhere, without asking the network: one small file an id in C(.cora/offsite/).

Notes are a help and no truth: C(cora status) reads them, and an upload asks the service. Nothing of it is in a backup.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

from . import durable
from .errors import LockedError
from .ids import is_id
from .names import printable
from .vault import Vault

Note = dict[str, Any]
#: The value of C(result) in the note of a backup that is there, SHA256SUMS.txt and all.
COMPLETE = "complete"
#: And of one that was there, and that no rule of retention kept any longer.
PRUNED = "pruned"
_LOCK_POLL_SECONDS = 0.2
_BUCKET = "bucket.json"
_LAST_RUN = "last-run.json"


def directory_of(vault: Vault) -> str:
    """Where the notes stand."""
    return os.path.join(vault.control, "offsite")


def read_note(vault: Vault, backup_id: str) -> Optional[Note]:
    """What is noted of a backup; None where nothing is."""
    return _read(vault, f"{backup_id}.json")


def write_note(vault: Vault, backup_id: str, note: Mapping[str, Any]) -> None:
    """Note something of a backup, in place of what was noted before.

    :raises VaultError: when it cannot be written
    """
    _write(vault, f"{backup_id}.json", note)


def noted_ids(vault: Vault) -> list[str]:
    """Ids there are notes of, oldest first."""
    try:
        names = os.listdir(directory_of(vault))
    except OSError:
        return []
    return sorted(name[:-5] for name in names if name.endswith(".json") and is_id(name[:-5]))


def read_bucket(vault: Vault) -> Optional[Note]:
    """What C(cora offsite setup) found out of the bucket."""
    return _read(vault, _BUCKET)


def write_bucket(vault: Vault, found: Mapping[str, Any]) -> None:
    """Note what was found out of the bucket."""
    _write(vault, _BUCKET, found)


def read_last_run(vault: Vault) -> Optional[Note]:
    """How the last sync went."""
    return _read(vault, _LAST_RUN)


def write_last_run(vault: Vault, result: Mapping[str, Any]) -> None:
    """Note how a sync went."""
    _write(vault, _LAST_RUN, result)


@contextmanager
def lock(vault: Vault, wait_seconds: float = 0.0) -> Iterator[None]:
    """One upload at a time from this vault. The vault itself stays free: a backup does not wait for the network.

    :raises LockedError: when another one runs for longer than C(wait_seconds)
    """
    durable.make_directories(directory_of(vault))
    path = os.path.join(directory_of(vault), "lock")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        durable.fail(error, "lock", path)
    try:
        _take(fd, vault, time.monotonic() + wait_seconds)
        yield
    finally:
        os.close(fd)


def _take(fd: int, vault: Vault, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"Another run copies backups of {printable(vault.root)} offsite. Wait for it to end."
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)


def _read(vault: Vault, name: str) -> Optional[Note]:
    try:
        with open(os.path.join(directory_of(vault), name), "rb") as stream:
            note = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    return note if isinstance(note, dict) else None


def _write(vault: Vault, name: str, note: Mapping[str, Any]) -> None:
    durable.make_directories(directory_of(vault))
    data = json.dumps(note, indent=2).encode("ascii") + b"\n"
    durable.replace_file(os.path.join(directory_of(vault), name), data)
