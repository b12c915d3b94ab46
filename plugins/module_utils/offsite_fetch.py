# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of the bucket, brought into the vault: the same files, checked, published and sealed as one made here.

It grows in C(.cora/offsite/fetching/<id>/), which the recovery after a kill leaves alone, so that the next run goes on
from there. The vault is locked only to publish: a backup does not wait for the network.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from . import durable, layout
from .errors import IntegrityError, LockedError, SealError, VaultError
from .index import Entry, read_index
from .names import printable
from .offsite_crypt import decrypt_file
from .offsite_download import Downloaded, download
from .offsite_layout import ENCRYPTED
from .offsite_notes import directory_of
from .offsite_remote import RemoteBackup, RemoteFile
from .offsite_settings import OffsiteSettings
from .offsite_which import resolve_offsite
from .parallel import ordered_map
from .progress import Progress
from .s3_client import connect
from .settings import SEAL_REQUIRED, default_seal
from .vault import Vault
from .verify import check_sums

_FORGOTTEN_AFTER_SECONDS = 14 * 24 * 3600
_SPARE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class FetchRequest:
    """One run.

    :param id_text: C(latest), an id, or the beginning of one
    :param project: C(latest) is then of this project
    """

    vault: str
    offsite: OffsiteSettings
    id_text: str
    project: Optional[str] = None
    seal: Optional[str] = None
    lock_wait_seconds: float = 0.0
    progress_file: Optional[str] = None


def fetch_backup(request: FetchRequest, *, check: bool = False) -> dict[str, Any]:
    """Bring one backup into the vault, unless it is there.

    :param check: only say what would be fetched
    :returns: what was done, in JSON types
    :raises CoraError: when it could not be brought, or is damaged there; then nothing new is listed
    """
    started = time.monotonic()
    s3 = connect(request.offsite)
    backup_id = resolve_offsite(s3, request.id_text, request.project)
    vault = Vault(request.vault)
    result: dict[str, Any] = {
        "changed": False,
        "id": backup_id,
        "path": vault.path_of(backup_id),
        "vault": vault.root,
        "bytes_fetched": 0,
        "bytes_kept": 0,
        "sealed": None,
        "recovered": [],
        "warnings": [],
    }
    if not os.path.isdir(vault.path_of(backup_id)):
        result["changed"] = True
        remote = RemoteBackup(s3, backup_id)
        if not check:
            result.update(_fetch(request, vault, remote))
    result["duration_seconds"] = round(time.monotonic() - started, 3)
    return result


def _fetch(request: FetchRequest, vault: Vault, remote: RemoteBackup) -> dict[str, Any]:
    vault.prepare()
    seal = request.seal or default_seal()
    unsealable = vault.why_not_sealable()
    if unsealable and seal == SEAL_REQUIRED:
        raise SealError(
            f"Backups in {printable(vault.root)} cannot be made immutable: {unsealable} Choose a vault where they can, "
            "or accept backups that root can delete (seal: best_effort)."
        )
    if remote.is_encrypted:
        remote.identity()  # rather now than after an hour
    progress = Progress(request.progress_file)
    try:
        with _place(vault, remote.backup_id) as place:
            fetched = _Fetch(remote, place, progress).run()
            with vault.lock(request.lock_wait_seconds):
                recovered = vault.recover()
                path = vault.path_of(remote.backup_id)
                if os.path.isdir(path):
                    raise VaultError(f"{remote.backup_id} has come into the vault from elsewhere in the meantime.")
                vault.publish(os.path.join(place, "backup"), path)
                progress.start("seal")
                sealed, seal_note = vault.seal(path, seal)
            shutil.rmtree(place, ignore_errors=True)
    finally:
        progress.close()
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    vault.note_verified(remote.backup_id, {"at": now, "ok": True, "quick": True, "damaged": 0})
    return {
        "bytes_fetched": fetched.bytes_fetched,
        "bytes_kept": fetched.bytes_kept,
        "sealed": sealed,
        "recovered": recovered,
        "warnings": [seal_note] if seal_note else [],
    }


@contextmanager
def _place(vault: Vault, backup_id: str) -> Iterator[str]:
    """The directory in which one backup grows, held by this run alone."""
    top = os.path.join(directory_of(vault), "fetching")
    durable.make_directories(top)
    with _held(os.path.join(top, "lock"), vault):
        _forget_old(top, backup_id)
        place = os.path.join(top, backup_id)
        durable.make_directories(place)
        yield place


@contextmanager
def _held(path: str, vault: Vault) -> Iterator[None]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        durable.fail(error, "lock", path)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"Another run fetches a backup into {printable(vault.root)}. Wait for it to end."
            ) from None
        yield
    finally:
        os.close(fd)


def _forget_old(top: str, wanted: str) -> None:
    """What a killed run began long ago, and nobody went on with, takes room for nothing."""
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if name not in (wanted, "lock") and time.time() - os.lstat(path).st_mtime > _FORGOTTEN_AFTER_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


class _Fetch:
    """One backup on its way.

    :param place: C(backup/) in it becomes the backup, C(cipher/) holds what is still encrypted
    """

    def __init__(self, remote: RemoteBackup, place: str, progress: Progress) -> None:
        self._remote = remote
        self._progress = progress
        self._journal = os.path.join(place, "journal.jsonl")
        self._backup = os.path.join(place, "backup")
        self._cipher = os.path.join(place, "cipher")

    def run(self) -> Downloaded:
        """All of it, up to what is only to be renamed.

        :raises CoraError: when something is missing, damaged, or cannot be written
        """
        raw_sums = self._remote.read_small(layout.SUMS)
        sums = self._remote.parse_sums(raw_sums)
        linked = _databases_twice(sums)
        targets = [(self._remote.file(path), self._target(path)) for path in sums if path not in linked]
        self._check_room([file for file, _target in targets])
        self._clear(set(sums) - linked)
        fetched = download(self._remote, targets, journal_path=self._journal, progress=self._progress)
        if self._remote.is_encrypted:
            self._decrypt([file for file, _target in targets])
        for path in linked:
            self._link(path)
        durable.write_file(os.path.join(self._backup, layout.SUMS), raw_sums)
        self._check()
        marker = self._remote.metadata(self._remote.file(layout.SUMS))
        self._dress(sums, {**fetched.mtimes, layout.SUMS: marker.get("mtime", "")})
        durable.sync_files(self._backup)
        return fetched

    def _target(self, path: str) -> str:
        if self._remote.is_encrypted:
            return os.path.join(self._cipher, path + ENCRYPTED)
        return os.path.join(self._backup, path)

    def _check_room(self, files: list[RemoteFile]) -> None:
        durable.make_directories(self._backup)
        needed = sum(file.size_bytes for file in files) * (2 if self._remote.is_encrypted else 1)
        found = os.statvfs(self._backup)
        here = _blocks_bytes(self._backup) + _blocks_bytes(self._cipher)
        free = found.f_bavail * found.f_frsize + here
        if needed + _SPARE_BYTES > free:
            raise VaultError(
                f"{self._remote.backup_id} needs {needed} bytes and {printable(self._backup)} has {free}: free space "
                "there, or choose another vault."
            )

    def _clear(self, wanted: set[str]) -> None:
        """Remove what an earlier run left and this one does not continue: links, sums, and names there are no more."""
        for path in layout.files_below(self._backup):
            if path not in wanted or self._remote.is_encrypted:
                os.unlink(os.path.join(self._backup, path))

    def _decrypt(self, files: list[RemoteFile]) -> None:
        identity = self._remote.identity()

        def decrypt(file: RemoteFile) -> None:
            target = os.path.join(self._backup, file.path)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            try:
                decrypt_file(self._target(file.path), target, identity)
            except IntegrityError as error:
                os.unlink(self._target(file.path))
                raise IntegrityError(f"{printable(file.key)} {_DAMAGED}") from error

        self._progress.start("decrypt", files_total=len(files))
        for _none in ordered_map(decrypt, files):
            self._progress.advance(files=1)

    def _link(self, path: str) -> None:
        target = os.path.join(self._backup, path)
        try:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.link(os.path.join(self._backup, _critical_of(path)), target)
        except OSError as error:
            durable.fail(error, "write", target)

    def _check(self) -> None:
        """Compare all of it with SHA256SUMS.txt; what is damaged is removed, so that the next run fetches it anew."""
        damaged = check_sums(self._backup, self._progress)
        if not damaged:
            return
        sums = layout.read_sums(self._backup)
        for path in sums:
            if printable(path) in {str(one["artifact"]) for one in damaged}:
                for wrong in (self._target(path), os.path.join(self._backup, path)):
                    if os.path.lexists(wrong):
                        os.unlink(wrong)
        names = ", ".join(str(one["artifact"]) for one in damaged[:5])
        raise IntegrityError(f"{self._remote.where} {_DAMAGED.replace('is damaged', f'is damaged ({names})', 1)}")

    def _dress(self, sums: dict[str, str], mtimes: dict[str, str]) -> None:
        """Owner, mode and time of plain copies as the index has them, times of the rest as the service has them."""
        copies = {path: entry for entry in self._copied_entries(sums) for path in _copies_of(entry.path, sums)}
        for path in [*sums, layout.SUMS]:
            target = os.path.join(self._backup, path)
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
                    f"{layout.INDEX} gives {printable(path)} an owner or time that cannot be."
                ) from error

    def _copied_entries(self, sums: dict[str, str]) -> list[Entry]:
        index = os.path.join(self._backup, layout.INDEX)
        return [line for line in read_index(index) if isinstance(line, Entry) and _copies_of(line.path, sums)]


_DAMAGED = (
    "is damaged, so nothing was put into the vault. Fetch another backup (cora offsite list). "
    "cora offsite verify ID --deep tells which files are intact; they can be restored by name (--file PATH)."
)


def _critical_of(path: str) -> str:
    return layout.CRITICAL_DIR + path[len(layout.DATABASE_DIR) :]


def _databases_twice(sums: dict[str, str]) -> set[str]:
    """Databases that stand in C(critical/) too, and are one file with two names."""
    databases = {path for path in sums if path.startswith(layout.DATABASE_DIR + "/")}
    return {path for path in databases if sums.get(_critical_of(path)) == sums[path]}


def _copies_of(path: str, sums: dict[str, str]) -> list[str]:
    both = (f"{layout.CRITICAL_DIR}/{path}", f"{layout.DATABASE_DIR}/{path}")
    return [copy for copy in both if copy in sums]


def _nanoseconds(text: Optional[str]) -> Optional[int]:
    """A time as rclone writes it, seconds with decimals."""
    if not text:
        return None
    whole, _dot, decimals = text.partition(".")
    try:
        return int(whole) * 10**9 + int(decimals[:9].ljust(9, "0"))
    except ValueError:
        return None


def _blocks_bytes(top: str) -> int:
    return sum(
        os.lstat(os.path.join(directory, name)).st_blocks * 512
        for directory, _below, names in os.walk(top)
        for name in names
    )
