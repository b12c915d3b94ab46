# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies backups of the vault to the service: oldest first, each one's SHA256SUMS.txt last.

A backup is looked for in the bucket, not in our notes. What goes wrong with one backup (it is damaged here, it was
pruned meanwhile) is told and the next one is tried; what goes wrong with the service ends the run, and the next run
goes on from there. The backups themselves are only read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Optional

from . import layout
from .catalog import project_of, resolve_id
from .errors import CoraError, IntegrityError, NotFoundError, OffsiteError, OffsitePermissionError, SettingsError
from .index import Frame
from .index_search import find_frames
from .names import printable
from .offsite_encrypted import encrypted_bundle, forget_staged, remove_staged
from .offsite_items import Bundle, Item, plain_bundle
from .offsite_layout import backup_prefix, marker
from .offsite_notes import COMPLETE, Note, lock, read_note, write_last_run, write_note
from .offsite_parts import unchanged_runs
from .offsite_pruned import pruned_ids
from .offsite_settings import OffsiteSettings
from .parallel import ordered_map
from .progress import Progress
from .s3_client import S3, connect
from .s3_errors import translated
from .s3_send import WHOLE_BYTES, Copyable, Sender, Sent
from .s3_uploads import Uploads, sweep
from .vault import Vault


@dataclass(frozen=True)
class SyncRequest:
    """One run of copying.

    :param ids: only these; empty: every backup of the vault
    :param check: say what would be sent, and send nothing
    :param wait_seconds: for another run that copies
    """

    vault: str
    settings: OffsiteSettings
    ids: tuple[str, ...] = ()
    check: bool = False
    wait_seconds: float = 0.0
    progress_file: Optional[str] = None


@dataclass
class _Run:
    """What came of a run."""

    uploaded: list[str] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)
    swept: int = 0


def sync(request: SyncRequest) -> dict[str, Any]:
    """Send what is missing there.

    :returns: JSON types; C(failures) names the backups that were not sent, and why
    :raises CoraError: when nothing could be tried at all; also noted for C(cora status)
    """
    vault = Vault(request.vault)
    began = time.monotonic()
    request = replace(request, ids=_wanted(vault, request.ids))
    if request.check:
        s3 = connect(request.settings)
        check_reachable(s3)
        return _result(request, _Run(uploaded=missing_ids(s3, vault, request.ids)), began)
    with lock(vault, request.wait_seconds):
        try:
            result = _result(request, _sync(request, vault), began)
        except CoraError as error:
            write_last_run(vault, _last_run(request, {"failures": [_failure("", error)]}))
            raise
        write_last_run(vault, _last_run(request, result))
    return result


def _sync(request: SyncRequest, vault: Vault) -> _Run:
    s3 = connect(request.settings)
    check_reachable(s3)
    missing = missing_ids(s3, vault, request.ids, adopt=True)
    if not request.ids:
        forget_staged(vault, missing)
    not_there = {*missing, *removed_on_purpose(s3)}
    there = [backup_id for backup_id in vault.ids() if backup_id not in not_there]
    run = _Run()
    progress = Progress(request.progress_file)
    for backup_id in missing:
        try:
            run.sent.add(_upload(s3, vault, backup_id, there, progress))
        except NotFoundError as error:
            run.warnings.append(str(error))  # pruned meanwhile: nothing is missing
            continue
        except IntegrityError as error:
            run.failures.append(_failure(backup_id, error))
            continue
        except OffsiteError as error:
            # the service would say the same of the others
            run.failures.append(_failure(backup_id, error))
            break
        there.append(backup_id)
        run.uploaded.append(backup_id)
    progress.close()
    if not run.failures:
        run.swept = sweep(s3, lambda key: any(key.startswith(backup_prefix(s3.prefix, done)) for done in there))
    return run


def _wanted(vault: Vault, texts: Sequence[str]) -> tuple[str, ...]:
    """The ids that were asked for by name.

    :raises CoraError: when one is none, or that of a checkpoint
    """
    ids = tuple(resolve_id(vault.root, text) for text in texts)
    others = sorted(set(ids) - set(vault.ids()))
    if others:
        raise SettingsError(f"{others[0]} is a checkpoint. Checkpoints stay here; only backups are copied.")
    return ids


def check_reachable(s3: S3) -> None:
    """One request whose answer tells a wrong key, a wrong bucket or a wrong clock apart before anything is sent.

    A key that may not list says so, and may still write.

    :raises OffsiteError: when the service cannot be used
    """
    try:
        with translated("list", s3.settings.place):
            s3.client.list_objects_v2(Bucket=s3.bucket, Prefix=f"{s3.prefix}/", MaxKeys=1)
    except OffsitePermissionError:
        pass


def missing_ids(s3: S3, vault: Vault, ids: Sequence[str] = (), *, adopt: bool = False) -> list[str]:
    """Backups of the vault that are not there, oldest first.

    :param ids: only of these, and those too that were removed there on purpose
    :param adopt: note those that are there, and of which there is no note
    :raises OffsiteError: when the service does not say
    """
    pruned = set() if ids else removed_on_purpose(s3)
    local = [backup_id for backup_id in vault.ids() if (not ids or backup_id in ids) and backup_id not in pruned]
    known = ordered_map(
        lambda backup_id: _is_complete(s3, vault, backup_id, adopt=adopt), local, workers=s3.settings.connections
    )
    return [backup_id for backup_id, is_complete in zip(local, known) if not is_complete]


def removed_on_purpose(s3: S3) -> set[str]:
    """Ids that a prune removed there; they are not sent again unless somebody names them."""
    try:
        return pruned_ids(s3)
    except OffsitePermissionError:
        return set()  # a key that may only write


def _is_complete(s3: S3, vault: Vault, backup_id: str, *, adopt: bool) -> bool:
    note = read_note(vault, backup_id) or {}
    was_sent = note.get("result") == COMPLETE and note.get("remote") == s3.settings.place
    try:
        found = marker(s3, backup_id)
    except OffsitePermissionError:
        return was_sent  # a key that may only write: what was noted is all there is to know
    if adopt and found is not None and not was_sent:
        uploaded_at = f"{found['LastModified']:%Y-%m-%dT%H:%M:%SZ}"
        write_note(vault, backup_id, _note(s3, COMPLETE, uploaded_at=uploaded_at, encrypted=found["encrypted"]))
    return found is not None


def upload_backup(s3: S3, vault_path: str, backup_id: str) -> dict[str, Any]:
    """Send one backup, unless it is there.

    :returns: as of :func:`sync`
    :raises CoraError: when it could not be sent; what was sent stays, and the next run goes on from there
    """
    result = sync(SyncRequest(vault=vault_path, settings=s3.settings, ids=(backup_id,)))
    if result["failures"]:
        raise OffsiteError(result["failures"][0]["message"])
    return result


def bundle_of(settings: OffsiteSettings, vault: Vault, backup_id: str) -> Bundle:
    """A backup of the vault as it is to be sent.

    :raises CoraError: when it cannot be
    """
    if settings.encrypt_to:
        return encrypted_bundle(vault, backup_id, settings.prefix, settings.encrypt_to)
    return plain_bundle(vault, backup_id, settings.prefix)


def _upload(s3: S3, vault: Vault, backup_id: str, there: Sequence[str], progress: Progress) -> Sent:
    """Send one backup that is not there, or not whole."""
    began = time.monotonic()
    bundle = bundle_of(s3.settings, vault, backup_id)
    prefix = backup_prefix(s3.prefix, backup_id)
    note = read_note(vault, backup_id) or {}
    noted = note.get("uploads") if note.get("remote") == s3.settings.place else None

    def keep(uploads: dict[str, str]) -> None:
        write_note(vault, backup_id, _note(s3, "uploading", uploads=uploads))

    uploads = Uploads(s3, prefix, noted=noted if isinstance(noted, dict) else {}, note=keep)
    sender = Sender(s3, present=_present(s3, prefix), uploads=uploads, progress=progress)
    progress.start("upload", files_total=len(bundle.items) + 1, bytes_total=bundle.size_bytes)
    total = sender.send_all([item for item in bundle.items if item.size_bytes <= WHOLE_BYTES])
    for item in bundle.items:
        if item.size_bytes > WHOLE_BYTES:
            total.add(sender.send_in_parts(item, _copyable(s3, vault, bundle, item, there)))
    total.add(sender.send_whole(bundle.marker, bundle.marker_metadata()))
    write_note(
        vault,
        backup_id,
        _note(
            s3,
            COMPLETE,
            uploaded_at=_now(),
            bytes_sent=total.bytes_sent,
            bytes_copied=total.bytes_copied,
            bytes_found=total.bytes_found,
            size_bytes=bundle.size_bytes,
            seconds=round(time.monotonic() - began, 3),
            encrypted=bundle.encrypted,
            read_back=sender.can_look,
            project=bundle.project,
        ),
    )
    remove_staged(vault, backup_id)
    return total


def _present(s3: S3, prefix: str) -> dict[str, int]:
    """Size of each object there is of a backup; nothing where this key may not list."""
    try:
        with translated("list", f"{s3.bucket}/{prefix}"):
            pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix)
            return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}
    except OffsitePermissionError:
        return {}


def _copyable(s3: S3, vault: Vault, bundle: Bundle, item: Item, there: Sequence[str]) -> Optional[Copyable]:
    """What of an archive stands in the last one of the same project that is there; encrypted ones share nothing."""
    if item.path != layout.ARCHIVE or bundle.encrypted:
        return None
    for older in reversed(there):
        try:
            if older == bundle.backup_id or project_of(vault.root, older) != bundle.project:
                continue
            runs = unchanged_runs(_frames(vault, bundle.backup_id), _frames(vault, older))
        except IntegrityError:
            continue  # it only would have saved time
        source = plain_key(s3, vault, older)
        return Copyable(source, tuple(runs)) if runs and source else None
    return None


def plain_key(s3: S3, vault: Vault, backup_id: str) -> Optional[str]:
    """The key of an archive there; None where it is encrypted."""
    note = read_note(vault, backup_id) or {}
    if note.get("encrypted"):
        return None
    return backup_prefix(s3.prefix, backup_id) + layout.ARCHIVE


def _frames(vault: Vault, backup_id: str) -> list[Frame]:
    return list(find_frames(f"{vault.path_of(backup_id)}/{layout.INDEX}"))


def _note(s3: S3, result: str, **more: Any) -> Note:
    return {"remote": s3.settings.place, "result": result, **more}


def _failure(backup_id: str, error: CoraError) -> dict[str, str]:
    return {"id": backup_id, "error": type(error).__name__, "message": printable(str(error))}


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _last_run(request: SyncRequest, result: Mapping[str, Any]) -> Note:
    return {
        "at": _now(),
        "ok": not result["failures"],
        "remote": request.settings.place,
        "uploaded": result.get("uploaded", []),
        "failures": result["failures"],
        "bytes_sent": result.get("bytes_sent", 0),
        "bytes_copied": result.get("bytes_copied", 0),
    }


def _result(request: SyncRequest, run: _Run, began: float) -> dict[str, Any]:
    return {
        "changed": bool(run.uploaded or run.sent.bytes_sent or run.sent.bytes_copied or run.swept),
        "remote": request.settings.place,
        "uploaded": run.uploaded,
        "failures": run.failures,
        "bytes_sent": run.sent.bytes_sent,
        "bytes_copied": run.sent.bytes_copied,
        "bytes_found": run.sent.bytes_found,
        "swept": run.swept,
        "seconds": round(time.monotonic() - began, 3),
        "warnings": run.warnings,
    }
