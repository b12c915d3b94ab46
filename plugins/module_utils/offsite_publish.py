# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From files that were downloaded to a backup of the vault: checked, given their owners and times, published, sealed.

Nothing here knows where the files came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

from . import durable, layout
from .defaults import SEAL_REQUIRED, default_seal
from .errors import IntegrityError, SealError, VaultError
from .index_search import anything, find_entries
from .names import printable
from .progress import Progress
from .vault import Vault
from .verify import check_sums


@dataclass(frozen=True)
class Published:
    """What became of it.

    :param seal_note: why it is not sealed; empty where it is
    """

    path: str
    sealed: bool
    seal_note: str
    recovered: list[str]


def check_sealable(vault: Vault, seal: Optional[str]) -> None:
    """Whether a backup can be sealed there as it has to be; asked before anything is fetched.

    :raises SealError: when it cannot
    """
    unsealable = vault.why_not_sealable()
    if unsealable and (seal or default_seal()) == SEAL_REQUIRED:
        raise SealError(
            f"Backups in {printable(vault.root)} cannot be made immutable: {unsealable} Choose a vault where they can, "
            "or accept backups that root can delete (seal: best_effort)."
        )


def publish_fetched(
    vault: Vault,
    staged: str,
    backup_id: str,
    *,
    seal: Optional[str] = None,
    mtimes: Optional[Mapping[str, str]] = None,
    lock_wait_seconds: float = 0.0,
    progress: Optional[Progress] = None,
) -> Published:
    """Make a directory of downloaded files, SHA256SUMS.txt among them, a backup of the vault.

    :param staged: the directory, on the file system of the vault; gone when this returns
    :param seal: C(required) or C(best_effort); None for the default of this user
    :param mtimes: times of files that the index does not have, as rclone writes them: seconds with decimals
    :raises IntegrityError: when a file is damaged; it is removed, so that it is fetched again
    :raises CoraError: when it could not be published
    """
    progress = progress or Progress(None)
    sums = layout.read_sums(staged)
    for path in databases_twice(sums):
        _link(staged, path)
    _check(staged, sums, progress)
    _dress(staged, sums, mtimes or {})
    durable.sync_files(staged)
    with vault.lock(lock_wait_seconds):
        recovered = vault.recover()
        path = vault.path_of(backup_id)
        if os.path.lexists(path):
            raise VaultError(f"{backup_id} has come into the vault from elsewhere in the meantime.")
        vault.publish(staged, path)
        progress.start("seal")
        sealed, seal_note = vault.seal(path, seal or default_seal())
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    vault.note_verified(backup_id, {"at": now, "ok": True, "quick": True, "damaged": 0})
    return Published(path, sealed, seal_note, recovered)


def databases_twice(sums: Mapping[str, str]) -> set[str]:
    """Databases that stand in C(critical/) too, and are one file with two names."""
    databases = {path for path in sums if path.startswith(layout.DATABASE_DIR + "/")}
    return {path for path in databases if sums.get(_critical_of(path)) == sums[path]}


def _critical_of(path: str) -> str:
    return layout.CRITICAL_DIR + path[len(layout.DATABASE_DIR) :]


def _link(staged: str, path: str) -> None:
    source, target = os.path.join(staged, _critical_of(path)), os.path.join(staged, path)
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        os.link(source, target)
    except OSError as error:
        durable.fail(error, "write", target)


def _check(staged: str, sums: Mapping[str, str], progress: Progress) -> None:
    damaged = check_sums(staged, progress)
    if not damaged:
        return
    artifacts = {str(one["artifact"]) for one in damaged}
    for path in [*sums, *layout.files_below(staged)]:
        wrong = os.path.join(staged, path)
        if printable(path) in artifacts and os.path.lexists(wrong):
            os.unlink(wrong)
    raise IntegrityError("; ".join(f"{one['artifact']}: {one['problem']}" for one in damaged[:5]))


def _dress(staged: str, sums: Mapping[str, str], mtimes: Mapping[str, str]) -> None:
    """Owner, mode and time of plain copies as the index has them, times of the rest as they are given."""
    entries = find_entries(os.path.join(staged, layout.INDEX), anything)
    copies = {copy: entry for entry in entries for copy in _copies_of(entry.path) if copy in sums}
    for path in [*sums, layout.SUMS]:
        target = os.path.join(staged, path)
        entry = copies.get(path)
        mtime_ns = entry.mtime_ns if entry else _nanoseconds(mtimes.get(path))
        try:
            if entry and os.geteuid() == 0:
                os.chown(target, entry.uid, entry.gid, follow_symlinks=False)
            os.chmod(target, entry.mode & 0o777 if entry else 0o600)
            if mtime_ns is not None:
                os.utime(target, ns=(mtime_ns, mtime_ns))
        except OSError as error:
            durable.fail(error, "set owner, mode and time of", target)
        except (OverflowError, ValueError) as error:
            raise IntegrityError(
                f"{layout.INDEX} gives {printable(path)} an owner or a time that cannot be."
            ) from error


def _copies_of(path: str) -> tuple[str, str]:
    return f"{layout.CRITICAL_DIR}/{path}", f"{layout.DATABASE_DIR}/{path}"


def _nanoseconds(text: Optional[str]) -> Optional[int]:
    """A time as rclone writes it, seconds with decimals."""
    whole, _dot, decimals = (text or "").partition(".")
    try:
        return int(whole) * 10**9 + int(decimals[:9].ljust(9, "0"))
    except ValueError:
        return None
