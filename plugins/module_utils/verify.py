# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checking a backup: every byte of every file, every entry of the archive, every database, every flag."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from . import layout
from .archive_check import ArchiveCheck, Checked
from .archive_reader import ArchiveReader
from .catalog import resolve_id
from .errors import IntegrityError, VaultError
from .inode_flags import unsealed_paths
from .names import printable
from .parallel import ordered_map
from .past_cache import PastCacheReader
from .progress import Progress
from .saved_state import open_state
from .sqlite_copy import check_integrity
from .vault import Vault

_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass
class _Findings:
    damaged: list[dict[str, Optional[str]]] = field(default_factory=list)
    entries: int = 0
    size_bytes: int = 0
    databases: int = 0

    def add(self, artifact: str, path: Optional[str], problem: str) -> None:
        self.damaged.append(
            {"artifact": printable(artifact), "path": printable(path) if path else None, "problem": problem}
        )


def verify_backup(
    vault: str, id_text: str, *, project: Optional[str] = None, quick: bool = False, progress_file: Optional[str] = None
) -> dict[str, Any]:
    """Check one backup and remember the result in the vault.

    :param quick: compare SHA256SUMS.txt only
    :returns: what was checked and what is damaged, in JSON types
    :raises NotFoundError: when there is no such backup
    """
    started = time.monotonic()
    backup_id = resolve_id(vault, id_text, project)
    keeper = Vault(vault)
    path = keeper.find(backup_id)
    progress = Progress(progress_file)
    findings = _Findings()
    if quick:
        _check_sums(path, findings, progress, {})
    else:
        _check_everything(path, findings, progress)
    if path != keeper.path_of(backup_id):
        _check_base(keeper, backup_id, findings, progress)
    unsealed = unsealed_paths(path)
    progress.close()
    result: dict[str, Any] = {
        "id": backup_id,
        "path": path,
        "ok": not findings.damaged,
        "quick": quick,
        "damaged": findings.damaged,
        "restorable": _restorable(backup_id, path, findings, quick=quick),
        "entries_checked": findings.entries,
        "bytes_checked": findings.size_bytes,
        "databases_checked": findings.databases,
        "sealed": not unsealed,
        "warnings": _seal_warnings(path, unsealed),
        "duration_seconds": round(time.monotonic() - started, 3),
    }
    note: dict[str, object] = {
        "at": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "ok": result["ok"],
        "quick": quick,
        "damaged": len(findings.damaged),
    }
    earlier = keeper.verified_note(backup_id)
    if quick and result["ok"] and earlier.get("ok") and not earlier.get("quick"):
        note = {**earlier, "quick_at": note["at"]}  # a quick look takes nothing away from a full check
    try:
        keeper.note_verified(backup_id, note)
    except VaultError as error:
        result["warnings"].append(f"That it was checked could not be noted: {error}")
    return result


def check_sums(path: str, progress: Progress) -> list[dict[str, Optional[str]]]:
    """Compare every file of a backup with SHA256SUMS.txt; returns what is damaged."""
    findings = _Findings()
    _check_sums(path, findings, progress, {})
    return findings.damaged


def _check_everything(path: str, findings: _Findings, progress: Progress) -> None:
    sums = _Findings()
    known = _check_archive(path, findings, progress)
    _check_sums(path, sums, Progress(None), known)
    findings.damaged[:0] = sums.damaged
    findings.size_bytes += sums.size_bytes
    _check_databases(path, findings)


def _check_sums(path: str, findings: _Findings, progress: Progress, known: Mapping[str, str]) -> None:
    """Compare files with SHA256SUMS.txt.

    :param known: SHA-256 of those that were just read from the disk
    """
    try:
        digests = layout.read_sums(path)
    except IntegrityError as error:
        findings.add(layout.SUMS, None, str(error))
        return
    present = set(layout.files_below(path)) - {layout.SUMS}
    for name in sorted(digests.keys() - present):
        findings.add(name, None, "missing")
    for name in sorted(present - digests.keys()):
        findings.add(name, None, f"not named in {layout.SUMS}")
    names = sorted(digests.keys() & present)
    sizes = {name: os.lstat(os.path.join(path, name)).st_size for name in names}
    progress.start("verify", files_total=len(names), bytes_total=sum(sizes.values()))
    for name, problem in ordered_map(lambda name: (name, _compare(path, name, digests[name], known.get(name))), names):
        progress.advance(files=1, size_bytes=sizes[name])
        findings.size_bytes += sizes[name]
        if problem:
            findings.add(name, None, problem)


def _check_base(keeper: Vault, checkpoint_id: str, findings: _Findings, progress: Progress) -> None:
    """A checkpoint is worth what its base is worth."""
    try:
        base = open_state(keeper, checkpoint_id).source.layers[0].directory
    except IntegrityError as error:
        findings.add("base", None, str(error))
        return
    for damage in check_sums(base, progress):
        findings.add(f"base/{damage['artifact']}", damage["path"], str(damage["problem"]))


def _compare(path: str, name: str, digest: str, known: Optional[str] = None) -> Optional[str]:
    target = os.path.join(path, name)
    if os.path.islink(target):
        return "replaced by a link"
    try:
        return None if (known or _sha256_on_disk(target)) == digest else f"its SHA-256 is not the one in {layout.SUMS}"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _sha256_on_disk(path: str) -> str:
    """SHA-256 of what the disk holds, whatever the page cache has of it.

    :raises OSError: when it cannot be read
    """
    digest = hashlib.sha256()
    with layout.open_artifact(path) as stream, closing(PastCacheReader(stream.fileno(), from_disk=True)) as past_cache:
        at = 0
        while data := past_cache.read_at(at, _CHUNK_BYTES):
            digest.update(data)
            at += len(data)
    return digest.hexdigest()


def _archive_name(path: str) -> str:
    """The archive of a backup, or of a checkpoint."""
    return layout.CHANGES if os.path.exists(os.path.join(path, layout.CHANGES)) else layout.ARCHIVE


def _check_archive(path: str, findings: _Findings, progress: Progress) -> dict[str, str]:
    """Check all that the archive holds; returns its name and SHA-256, where it could be read in one go."""
    progress.start("verify")
    sha256 = None
    damaged: list[Checked] = []
    archive = _archive_name(path)
    try:
        with ArchiveReader(path, archive=archive) as reader, ArchiveCheck(reader) as check:
            for part in check.parts():
                findings.entries += part.entries
                findings.size_bytes += part.size_bytes
                progress.advance(files=part.entries, size_bytes=part.size_bytes)
                if part.problems:
                    damaged.append(part)
            sha256 = check.sha256()
    except IntegrityError as error:
        findings.add(layout.INDEX, None, str(error))
    for part in sorted(damaged):
        for entry_path, problem in part.problems:
            findings.add(archive, entry_path, problem)
    return {archive: sha256} if sha256 else {}


def _check_databases(path: str, findings: _Findings) -> None:
    top = os.path.join(path, layout.DATABASE_DIR)
    for name in layout.files_below(top) if os.path.isdir(top) else []:
        target = os.path.join(top, name)
        if not stat.S_ISREG(os.lstat(target).st_mode):
            continue  # named as damaged already, and not to be opened
        findings.databases += 1
        verdict = check_integrity(target)
        if verdict != "ok":
            findings.add(f"{layout.DATABASE_DIR}/{name}", name, f"PRAGMA integrity_check: {verdict}")


def _seal_warnings(path: str, unsealed: list[str]) -> list[str]:
    if not unsealed:
        return []
    first = printable(os.path.relpath(unsealed[0], path))
    return [f"Not sealed: {len(unsealed)} files or directories are not immutable, the first is {first}."]


def _restorable(backup_id: str, path: str, findings: _Findings, *, quick: bool) -> str:
    if not findings.damaged:
        return "Everything can be restored."
    archive = _archive_name(path)
    artifacts = {entry["artifact"] for entry in findings.damaged}
    lost = sorted({entry["path"] for entry in findings.damaged if entry["artifact"] == archive and entry["path"]})
    if "base" in artifacts:
        return f"Only what changed since its base backup, and by hand: tar -xzf {path}/{archive}."
    if any(str(artifact).startswith("base/") for artifact in artifacts):
        return "Its base backup is damaged: cora verify of that one says what of it can be restored."
    if archive in artifacts and quick:
        return f"The archive is damaged. A full check (verify {backup_id}, without quick) tells which of its files are."
    if layout.INDEX in artifacts and archive not in artifacts:
        return f"The index is damaged, the archive is not: restore by hand with tar -xzf {path}/{archive}."
    if layout.INDEX in artifacts:
        return (
            f"Index and archive are damaged. What is intact under {path}/{layout.CRITICAL_DIR} can be copied by hand."
        )
    if artifacts & {layout.SUMS, layout.REPORT}:
        what = f"All files of the archive but {len(lost)} are" if lost else "The archive is"
        return f"{what} intact, and can be restored by hand: tar -xzf {path}/{archive}."
    if lost:
        return f"All files of the archive but {len(lost)} can be restored by name (restore {backup_id} --file PATH)."
    return "The archive is intact: all its files can be restored by name (--file PATH)."
