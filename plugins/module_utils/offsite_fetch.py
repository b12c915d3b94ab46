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
from typing import Any, Optional

from . import durable, layout
from .errors import IntegrityError, LockedError, VaultError
from .names import printable
from .offsite_crypt import decrypt_file
from .offsite_download import Downloaded, download
from .offsite_encrypted import staged_name
from .offsite_notes import directory_of
from .offsite_publish import check_sealable, databases_twice, publish_fetched
from .offsite_remote import RemoteBackup, RemoteFile
from .offsite_settings import OffsiteSettings
from .offsite_which import resolve_offsite
from .parallel import ordered_map
from .progress import Progress
from .s3_client import connect
from .vault import Vault

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
    check_sealable(vault, request.seal)
    if remote.is_encrypted:
        remote.identity()  # rather now than after an hour
    progress = Progress(request.progress_file)
    try:
        with _place(vault, remote.backup_id) as place:
            fetch = _Fetch(remote, place, progress)
            fetched = fetch.run()
            try:
                published = publish_fetched(
                    vault,
                    fetch.backup,
                    remote.backup_id,
                    seal=request.seal,
                    mtimes=fetched.mtimes,
                    lock_wait_seconds=request.lock_wait_seconds,
                    progress=progress,
                )
            except IntegrityError as error:
                shutil.rmtree(fetch.cipher, ignore_errors=True)  # what it holds became what is damaged
                raise IntegrityError(f"{remote.where} {_DAMAGED} Damaged: {error}.") from error
            shutil.rmtree(place, ignore_errors=True)
    finally:
        progress.close()
    return {
        "bytes_fetched": fetched.bytes_fetched,
        "bytes_kept": fetched.bytes_kept,
        "sealed": published.sealed,
        "recovered": published.recovered,
        "warnings": [published.seal_note] if published.seal_note else [],
    }


@contextmanager
def _place(vault: Vault, backup_id: str) -> Iterator[str]:
    """The directory in which one backup grows, held by this run alone."""
    top = os.path.join(directory_of(vault), "fetching")
    durable.make_directories(top)
    with _held(os.path.join(top, "lock"), vault):
        _forget_old(vault, top, backup_id)
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


def _forget_old(vault: Vault, top: str, wanted: str) -> None:
    """What a killed run began long ago and nobody went on with, or had published already, takes room for nothing."""
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if name in (wanted, "lock"):
            continue
        is_old = time.time() - os.lstat(path).st_mtime > _FORGOTTEN_AFTER_SECONDS
        if is_old or os.path.isdir(vault.path_of(name)):
            shutil.rmtree(path, ignore_errors=True)


class _Fetch:
    """One backup on its way.

    :param place: C(backup/) in it becomes the backup, C(cipher/) holds what is encrypted
    """

    def __init__(self, remote: RemoteBackup, place: str, progress: Progress) -> None:
        self._remote = remote
        self._progress = progress
        self._journal = os.path.join(place, "journal.jsonl")
        self.backup = os.path.join(place, "backup")
        self.cipher = os.path.join(place, "cipher")

    def run(self) -> Downloaded:
        """All its files, complete, and not yet checked.

        :raises CoraError: when something is missing, cannot be decrypted, or cannot be written
        """
        raw_sums = self._remote.read_small(layout.SUMS)
        sums = self._remote.parse_sums(raw_sums)
        linked = databases_twice(sums)
        targets = [(self._remote.file(path), self._target(path)) for path in sums if path not in linked]
        self._check_room([file for file, _target in targets])
        self._clear(set(sums) - linked)
        fetched = download(self._remote, targets, journal_path=self._journal, progress=self._progress)
        if self._remote.is_encrypted:
            self._decrypt([file for file, _target in targets])
        durable.write_file(os.path.join(self.backup, layout.SUMS), raw_sums)
        marker = self._remote.metadata(self._remote.file(layout.SUMS))
        fetched.mtimes[layout.SUMS] = marker.get("mtime", "")
        return fetched

    def _target(self, path: str) -> str:
        if self._remote.is_encrypted:
            return os.path.join(self.cipher, staged_name(path))
        return os.path.join(self.backup, path)

    def _check_room(self, files: list[RemoteFile]) -> None:
        durable.make_directories(self.backup)
        needed = sum(file.size_bytes for file in files) * (2 if self._remote.is_encrypted else 1)
        found = os.statvfs(self.backup)
        here = _blocks_bytes(self.backup) + _blocks_bytes(self.cipher)
        free = found.f_bavail * found.f_frsize + here
        if needed + _SPARE_BYTES > free:
            raise VaultError(
                f"{self._remote.backup_id} needs {needed} bytes and {printable(self.backup)} has {free}: free space "
                "there, or choose another vault."
            )

    def _clear(self, wanted: set[str]) -> None:
        """Remove what an earlier run left and this one does not continue: links, sums, and names there are no more."""
        for path in layout.files_below(self.backup):
            if path not in wanted or self._remote.is_encrypted:
                os.unlink(os.path.join(self.backup, path))

    def _decrypt(self, files: list[RemoteFile]) -> None:
        identity = self._remote.identity()

        def decrypt(file: RemoteFile) -> None:
            target = os.path.join(self.backup, file.path)
            durable.make_directories(os.path.dirname(target))
            try:
                decrypt_file(self._target(file.path), target, identity)
            except IntegrityError as error:
                os.unlink(self._target(file.path))
                raise IntegrityError(f"{printable(file.key)} {_DAMAGED}") from error

        self._progress.start("decrypt", files_total=len(files))
        for _none in ordered_map(decrypt, files):
            self._progress.advance(files=1)


_DAMAGED = (
    "is damaged, so nothing was put into the vault. Fetch another backup (cora offsite list). "
    "cora offsite verify ID --deep tells which files are intact; they can be restored by name (--file PATH)."
)


def _blocks_bytes(top: str) -> int:
    return sum(
        os.lstat(os.path.join(directory, name)).st_blocks * 512
        for directory, _below, names in os.walk(top)
        for name in names
    )
