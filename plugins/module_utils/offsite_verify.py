# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup in the bucket is what SHA256SUMS.txt says: by what the service tells, or by reading every byte.

Without reading, an object counts as right where it is there, of the right size, and was stored with the right digest.
That finds what was lost, cut or replaced, and not what rotted: for that the bytes are read (deep).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any, Optional

from . import durable, layout
from .errors import IntegrityError, VaultError
from .index import Entry, Frame, read_index
from .index_search import find_frames
from .names import printable
from .offsite_crypt import decrypt_file
from .offsite_download import download
from .offsite_layout import ENCRYPTED
from .offsite_notes import directory_of, read_note, write_note
from .offsite_remote import RemoteBackup, RemoteFile
from .offsite_settings import OffsiteSettings
from .offsite_which import resolve_offsite
from .parallel import ordered_map
from .progress import Progress
from .s3_client import S3, connect
from .vault import Vault

_RANGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class VerifyRequest:
    """One check.

    :param deep: read every byte
    """

    vault: str
    offsite: OffsiteSettings
    id_text: str
    project: Optional[str] = None
    deep: bool = False
    progress_file: Optional[str] = None


@dataclass
class _Findings:
    damaged: list[dict[str, Optional[str]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    objects: int = 0
    bytes_read: int = 0

    def add(self, artifact: str, path: Optional[str], problem: str) -> None:
        self.damaged.append(
            {"artifact": printable(artifact), "path": printable(path) if path else None, "problem": problem}
        )


def verify_offsite(request: VerifyRequest) -> dict[str, Any]:
    """Check one backup of the bucket, and note the result in the vault where there is one.

    :returns: what was checked and what is damaged, in JSON types
    :raises CoraError: when there is no such backup, or the service does not answer
    """
    s3 = connect(request.offsite)
    backup_id = resolve_offsite(s3, request.id_text, request.project)
    result = verify_remote(s3, request, backup_id)
    _note(Vault(request.vault), result)
    return result


def verify_remote(s3: S3, request: VerifyRequest, backup_id: str) -> dict[str, Any]:
    """The same of an id that is known to be there, without a note."""
    started = time.monotonic()
    findings = _Findings()
    progress = Progress(request.progress_file)
    remote = RemoteBackup(s3, backup_id)
    try:
        _check(remote, Vault(request.vault), findings, progress, deep=request.deep)
    finally:
        progress.close()
    return {
        "id": backup_id,
        "place": remote.where,
        "ok": not findings.damaged,
        "deep": request.deep,
        "damaged": findings.damaged,
        "restorable": _restorable(backup_id, findings, deep=request.deep),
        "objects_checked": findings.objects,
        "bytes_read": findings.bytes_read,
        "encrypted": remote.is_encrypted,
        "warnings": findings.warnings,
        "duration_seconds": round(time.monotonic() - started, 3),
    }


def _check(remote: RemoteBackup, vault: Vault, findings: _Findings, progress: Progress, *, deep: bool) -> None:
    try:
        raw = _raw_sums(remote, vault, findings, deep=deep)
        sums = remote.parse_sums(raw)
    except IntegrityError as error:
        findings.add(layout.SUMS, None, str(error))
        return
    findings.bytes_read += remote.file(layout.SUMS).size_bytes
    _compare_with_local(vault, remote.backup_id, raw, findings)
    there = [file for file in (remote.find(path) for path in sums) if file is not None]
    for path in sorted(set(sums) - {file.path for file in there}):
        findings.add(path, None, "missing")
    named = {file.key for file in there} | {remote.file(layout.SUMS).key}
    strangers = sorted(remote.keys - named)
    if strangers:
        findings.warnings.append(
            f"{len(strangers)} objects stand beside this backup that {layout.SUMS} does not name; they are left alone. "
            f"The first is {printable(strangers[0])}."
        )
    findings.objects = len(there) + 1
    if deep and remote.is_encrypted:
        _read_encrypted(remote, vault, sums, there, findings, progress)
    elif deep:
        _read_all(remote, sums, there, findings, progress)
    else:
        _ask(remote, vault, sums, there, findings, progress)


def _raw_sums(remote: RemoteBackup, vault: Vault, findings: _Findings, *, deep: bool) -> bytes:
    """SHA256SUMS.txt; who has not got the key of an encrypted one looks for the files that the vault knows of."""
    local = _local_sums(vault, remote.backup_id)
    if remote.is_encrypted and not remote.has_identity and local is not None and not deep:
        findings.warnings.append("The secret key is not here, so the objects were compared with the vault.")
        return local
    return remote.read_small(layout.SUMS)


def _local_sums(vault: Vault, backup_id: str) -> Optional[bytes]:
    try:
        with layout.open_artifact(os.path.join(vault.path_of(backup_id), layout.SUMS)) as stream:
            return stream.read()
    except OSError:
        return None  # not here (any more)


def _compare_with_local(vault: Vault, backup_id: str, raw: bytes, findings: _Findings) -> None:
    """Where the vault has this backup too, both must be the same one."""
    local = _local_sums(vault, backup_id)
    if local not in (None, raw):
        findings.add(layout.SUMS, None, "it is not the one of the same backup in the vault")


def _ask(
    remote: RemoteBackup,
    vault: Vault,
    sums: dict[str, str],
    files: list[RemoteFile],
    findings: _Findings,
    progress: Progress,
) -> None:
    progress.start("verify", files_total=len(files))
    sizes = _sizes_here(vault.path_of(remote.backup_id), sums)
    if remote.is_encrypted:
        findings.warnings.append("It is encrypted, so only --deep compares contents, with the secret key.")
    answers = ordered_map(lambda file: (file, remote.metadata(file)), files, workers=remote.connections)
    for file, metadata in answers:
        progress.advance(files=1)
        size_bytes = sizes.get(file.path)
        digest = metadata.get("sha256")
        if size_bytes is not None and not file.is_encrypted and file.size_bytes != size_bytes:
            findings.add(file.path, None, f"it has {file.size_bytes} bytes, and {size_bytes} were sent")
        elif digest is None:
            findings.add(file.path, None, "it was put there by another program: no digest was stored with it")
        elif not file.is_encrypted and digest != sums[file.path]:
            findings.add(file.path, None, f"the digest stored with it is not the one in {layout.SUMS}")


def _sizes_here(backup: str, sums: dict[str, str]) -> dict[str, int]:
    """Sizes of files, where the vault has the same backup; elsewhere the digests have to do."""
    paths = {path: os.path.join(backup, path) for path in sums}
    return {path: os.lstat(full).st_size for path, full in paths.items() if os.path.lexists(full)}


def _read_all(
    remote: RemoteBackup, sums: dict[str, str], files: list[RemoteFile], findings: _Findings, progress: Progress
) -> None:
    progress.start("verify", files_total=len(files), bytes_total=sum(file.size_bytes for file in files))
    archive = remote.find(layout.ARCHIVE)
    for file in files:
        if file.path != layout.ARCHIVE:
            digest = hashlib.sha256()
            for data in _in_order(remote, file, findings, progress):
                digest.update(data)
            _judge(file.path, digest.hexdigest(), sums, findings)
    if archive is not None:
        _read_archive(remote, archive, sums, findings, progress)


def _in_order(remote: RemoteBackup, file: RemoteFile, findings: _Findings, progress: Progress) -> Iterator[bytes]:
    ranges = range(0, file.size_bytes, _RANGE_BYTES)
    reads = ordered_map(
        lambda at: remote.read_range(file, at, min(_RANGE_BYTES, file.size_bytes - at)).data,
        ranges,
        workers=remote.connections,
        ahead=remote.connections,
    )
    for data in reads:
        findings.bytes_read += len(data)
        progress.advance(size_bytes=len(data))
        yield data
    progress.advance(files=1)


def _read_archive(
    remote: RemoteBackup, archive: RemoteFile, sums: dict[str, str], findings: _Findings, progress: Progress
) -> None:
    """The archive, frame by frame, so that what is damaged has the names of its files."""
    digest = hashlib.sha256()
    damaged: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="cora-verify-") as directory:
        index = os.path.join(directory, layout.INDEX)
        try:
            durable.write_file(index, remote.read_small(layout.INDEX, sums.get(layout.INDEX)))
            stretches = list(_stretches(index, archive.size_bytes))
        except IntegrityError:
            # named already; without its index the archive is only right or wrong
            stretches = []
        if stretches:
            for data, wrong in ordered_map(
                partial(_read, remote, archive), stretches, workers=remote.connections, ahead=remote.connections
            ):
                digest.update(data)
                findings.bytes_read += len(data)
                progress.advance(size_bytes=len(data))
                damaged |= wrong
            _name_lost(index, damaged, findings)
            progress.advance(files=1)
        else:
            for data in _in_order(remote, archive, findings, progress):
                digest.update(data)
    if not damaged:
        _judge(layout.ARCHIVE, digest.hexdigest(), sums, findings)


def _read(remote: RemoteBackup, archive: RemoteFile, frames: list[Frame]) -> tuple[bytes, set[int]]:
    begin, end = frames[0].offset, frames[-1].offset + frames[-1].length_bytes
    data = remote.read_range(archive, begin, end - begin).data
    parts = [(frame, data[frame.offset - begin :][: frame.length_bytes]) for frame in frames]
    return data, {frame.number for frame, part in parts if layout.sha256_of(part) != frame.sha256}


def _stretches(index: str, size_bytes: int) -> Iterator[list[Frame]]:
    """Frames that follow one another, as many as are worth a request.

    :raises IntegrityError: when the index is damaged, or is not that of the archive
    """
    stretch: list[Frame] = []
    offset = 0
    for frame in find_frames(index):
        if frame.offset != offset or not 0 < frame.length_bytes <= size_bytes - offset:
            raise IntegrityError(f"The frames in {layout.INDEX} do not follow one another.")
        if stretch and offset + frame.length_bytes - stretch[0].offset > _RANGE_BYTES:
            yield stretch
            stretch = []
        stretch.append(frame)
        offset += frame.length_bytes
    if offset != size_bytes:
        raise IntegrityError(f"{layout.ARCHIVE} is not as long as {layout.INDEX} says.")
    yield stretch


def _name_lost(index: str, damaged: set[int], findings: _Findings) -> None:
    if not damaged:
        return
    named = False
    for line in read_index(index):
        if isinstance(line, Entry) and not damaged.isdisjoint(range(line.frame, line.frame + line.frames)):
            findings.add(layout.ARCHIVE, line.path, "its bytes in the archive are damaged")
            named = True
    if not named:
        findings.add(layout.ARCHIVE, None, "its end is damaged; no file is")


def _read_encrypted(
    remote: RemoteBackup,
    vault: Vault,
    sums: dict[str, str],
    files: list[RemoteFile],
    findings: _Findings,
    progress: Progress,
) -> None:
    """One object after the other, through a directory: age checks it while it decrypts."""
    identity = remote.identity()
    top = directory_of(vault)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=top if os.path.isdir(top) else None) as directory:
        source, target = os.path.join(directory, "object" + ENCRYPTED), os.path.join(directory, "object")
        for file in files:
            fetched = download(
                remote, [(file, source)], journal_path=os.path.join(directory, "journal"), progress=progress
            )
            findings.bytes_read += fetched.bytes_fetched
            try:
                decrypt_file(source, target, identity)
            except IntegrityError:
                findings.add(file.path, None, "it cannot be decrypted")
                continue
            _judge(file.path, layout.sha256_of_file(target), sums, findings)
            os.unlink(target)


def _judge(path: str, digest: str, sums: dict[str, str], findings: _Findings) -> None:
    if digest != sums[path]:
        findings.add(path, None, f"its SHA-256 is not the one in {layout.SUMS}")


def _restorable(backup_id: str, findings: _Findings, *, deep: bool) -> str:
    artifacts = {one["artifact"] for one in findings.damaged}
    if not artifacts:
        return "Everything can be restored." if deep else "All is there; --deep reads every byte of it."
    if layout.SUMS in artifacts:
        return "Nothing is sure: send it again from the vault, or restore another backup."
    if layout.INDEX in artifacts:
        return f"By hand: download {layout.ARCHIVE} and unpack it with tar -xzf. Or restore another backup."
    lost = [one for one in findings.damaged if one["artifact"] == layout.ARCHIVE and one["path"]]
    if lost:
        return f"All files but {len(lost)} can be restored by name (cora restore {backup_id} --file PATH)."
    if layout.ARCHIVE in artifacts and not deep:
        return "--deep tells which files of the archive are damaged."
    return f"Files of the archive can be restored by name (cora restore {backup_id} --file PATH)."


def _note(vault: Vault, result: dict[str, Any]) -> None:
    if not os.path.isdir(vault.control):
        return
    note = dict(read_note(vault, result["id"]) or {"id": result["id"]})
    at = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    checked = {"at": at, "ok": result["ok"], "deep": result["deep"], "damaged": len(result["damaged"])}
    earlier = note.get("verified")
    if isinstance(earlier, dict) and earlier.get("deep") and earlier.get("ok") and result["ok"] and not result["deep"]:
        checked = {**earlier, "quick_at": at}  # a look at the names takes nothing away from a full check
    try:
        write_note(vault, result["id"], {**note, "verified": checked})
    except VaultError as error:
        result["warnings"].append(f"That it was checked could not be noted: {error}")
