# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a backup, in the order that a kill at any moment cannot spoil.

Stage inside the vault → write → fsync files → fsync directories → rename into place → fsync the vault → seal → read
every flag back. Until the rename nothing is listed; after it what is listed is whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

from . import durable, layout
from .archive_file import DamagedFramesError
from .archive_writer import ArchiveTotals, ArchiveWriter
from .critical_gone import critical_gone, gone_text, missing, reports_of
from .defaults import SEAL_REQUIRED
from .describe import large_files_text, manifest, report
from .earlier_backup import EarlierBackup, open_earlier
from .errors import IntegrityError, ProgramError, ProjectError, SealError, SettingsError
from .git_repo import GitRepo
from .inner_repositories import inner_repository_warnings
from .names import printable
from .new_archive import write_archive
from .patterns import PathFilter
from .progress import Progress
from .project_archiver import ProjectArchiver
from .reuse import FrameReuse
from .reuse_rules import ReuseRules
from .safe_tree import allow_many_open_files
from .scan import ScanNotes, walk
from .settings import BackupSettings
from .taken import Taken
from .vault import Vault, remove_unpublished

#: More would be met only by a disk that is failing just now.
_REUSED_ATTEMPTS = 2


@dataclass(frozen=True)
class _Written:
    """A staged backup, complete and on disk."""

    taken: Taken
    archive: ArchiveTotals
    report: dict[str, Any]


@dataclass(frozen=True)
class OpenedVault:
    """A vault that this run holds.

    :param recovered: sentences that say what killed runs had left
    :param unsealable: why nothing can be made immutable there; None where it can
    """

    vault: Vault
    recovered: list[str]
    unsealable: Optional[str]


def create_backup(settings: BackupSettings, *, check: bool = False) -> dict[str, Any]:
    """Make one complete, independent, sealed backup.

    :param check: look whether it could be made, and make nothing
    :returns: what was made, in JSON types
    :raises CoraError: when none could be made; then nothing is listed that was not there before
    """
    check_settings(settings)
    if check:
        return {"changed": True, "project": settings.project, "vault": settings.vault}
    started = time.monotonic()
    with open_vault(settings) as opened:
        result = write_backup(settings, opened)
        result["recovered"] = opened.recovered
    result["duration_seconds"] = round(time.monotonic() - started, 3)
    return result


def check_settings(settings: BackupSettings) -> None:
    """Whether this project can be kept in this vault at all.

    :raises CoraError: when it cannot
    """
    _check_project(settings)
    _check_vault_place(settings)
    for patterns in (settings.exclude, settings.critical, settings.logs):
        PathFilter(patterns)


@contextmanager
def open_vault(settings: BackupSettings) -> Iterator[OpenedVault]:
    """The vault, made where it is missing, locked, and put right after killed runs.

    :raises CoraError: when it cannot be used, or cannot seal and has to
    """
    allow_many_open_files()
    vault = Vault(settings.vault)
    vault.prepare()
    with vault.lock(settings.lock_wait_seconds):
        recovered = vault.recover()
        unsealable = vault.why_not_sealable()
        if unsealable and settings.seal == SEAL_REQUIRED:
            raise SealError(
                f"Backups in {printable(vault.root)} cannot be made immutable: {unsealable} Choose a vault where they "
                "can, "
                "or accept backups that root can delete (seal: best_effort)."
            )
        yield OpenedVault(vault, recovered, unsealable)


def _check_project(settings: BackupSettings) -> None:
    if not os.path.isdir(settings.project):
        raise ProjectError(f"The project {printable(settings.project)} is not a directory (or not there).")
    if os.path.realpath(settings.project) == "/":
        raise SettingsError("The project cannot be the whole system (/): name the directory to protect.")


def _check_vault_place(settings: BackupSettings) -> None:
    project, vault = os.path.realpath(settings.project), os.path.realpath(settings.vault)
    if project == vault or project.startswith(vault + "/"):
        raise SettingsError(
            f"The project {printable(project)} lies inside the vault {printable(vault)}: choose another vault."
        )
    if not vault.startswith(project + "/"):
        return
    exclude = PathFilter(settings.exclude)
    parts = os.path.relpath(vault, project).split("/")
    if not any(exclude.matches("/".join(parts[:count]), is_dir=True) for count in range(1, len(parts) + 1)):
        raise SettingsError(
            f"The vault {printable(vault)} lies inside the project {printable(project)}: what removes the project "
            "would go "
            "for its backups too. Choose a vault outside, or say that you mean it by excluding "
            f"/{printable('/'.join(parts))}/."
        )


def write_backup(settings: BackupSettings, opened: OpenedVault) -> dict[str, Any]:
    """Write, publish and seal one backup in a vault that is held.

    :returns: what was made, in JSON types
    :raises CoraError: when none could be made
    """
    vault = opened.vault
    git_warnings: list[str] = []
    repository = GitRepo.open(settings.project, git_warnings)
    backup_id = vault.new_id((repository.short_sha() if repository else None) or "nogit")
    staged = os.path.join(vault.staging, f"{backup_id}-{os.getpid()}")
    progress = Progress(settings.progress_file)
    durable.make_directories(staged)
    try:
        written = _write(settings, vault, backup_id, staged, repository, git_warnings, opened.unsealable, progress)
        progress.start("seal")
        path = vault.path_of(backup_id)
        vault.publish(staged, path)
    finally:
        progress.close()
        if os.path.lexists(staged):
            remove_unpublished(staged)
    sealed, seal_note = vault.seal(path, settings.seal)
    return _result(settings, backup_id, path, written, sealed, seal_note)


def _write(
    settings: BackupSettings,
    vault: Vault,
    backup_id: str,
    staged: str,
    repository: Optional[GitRepo],
    git_warnings: list[str],
    unsealable: Optional[str],
    progress: Progress,
) -> _Written:
    started = time.monotonic()
    taken, totals = _write_archive(settings, vault, staged, progress)
    if repository is not None:
        _write_bundle(repository, vault, staged, taken)
    tracked = repository.tracked_paths([path for _size, _digest, path in taken.large_files]) if repository else None
    durable.write_file(os.path.join(staged, layout.LARGE_FILES), large_files_text(taken.large_files, tracked))
    durable.write_file(
        os.path.join(staged, layout.MANIFEST), layout.manifest_text(manifest(settings, backup_id, repository))
    )
    taken.warnings += git_warnings + inner_repository_warnings(settings.project, taken.notes.repositories)
    gone = critical_gone(reports_of(vault, settings.project), taken.critical, settings.critical)
    if now_missing := missing(gone, settings.project):
        taken.warnings.append(gone_text(now_missing, settings.vault))
    document = report(settings, backup_id, taken, totals, unsealable, duration_seconds=time.monotonic() - started)
    layout.write_json(os.path.join(staged, layout.REPORT), document)
    layout.write_sums(staged, {**taken.plain_sums, layout.ARCHIVE: totals.sha256})
    durable.sync_files(staged)
    return _Written(taken, totals, document)


def _write_archive(
    settings: BackupSettings, vault: Vault, staged: str, progress: Progress
) -> tuple[Taken, ArchiveTotals]:
    earlier, damaged = (None, []) if settings.paranoid else open_earlier(vault, settings.project)
    _start_progress(settings, earlier, progress)
    written = None
    if earlier is not None:
        with earlier.reader:
            written = _write_reusing(settings, earlier, staged, progress)
        if written is None:
            damaged.append(earlier.backup_id)
    taken, totals = written or write_archive(settings, staged, layout.ARCHIVE, progress)
    taken.warnings += [
        f"The backup {backup_id} is damaged, and nothing of it was taken over. Look at it: cora verify {backup_id}."
        for backup_id in damaged
    ]
    return taken, totals


def _write_reusing(
    settings: BackupSettings, earlier: EarlierBackup, staged: str, progress: Progress
) -> Optional[tuple[Taken, ArchiveTotals]]:
    """The archive, with what can be taken over; None where reading the earlier one finds other damage each time.

    Where a damaged frame is met the archive is begun anew. To look at each frame before the next file is read would
    cost every backup, and this happens once in years.
    """
    known: dict[int, str] = {}
    for attempts_left in reversed(range(_REUSED_ATTEMPTS)):
        take = partial(_reuse, settings, earlier, known)
        try:
            return write_archive(settings, staged, layout.ARCHIVE, progress, take, earlier)
        except DamagedFramesError:
            remove_unpublished(staged)
            durable.make_directories(staged)
            _start_progress(settings, earlier, progress)
        if attempts_left:
            try:
                known.update(earlier.reader.damaged_frames())
            except IntegrityError:
                break  # its index could be read a moment ago
    return None


def _reuse(
    settings: BackupSettings,
    earlier: EarlierBackup,
    damaged: Mapping[int, str],
    archiver: ProjectArchiver,
    writer: ArchiveWriter,
) -> Taken:
    rules = ReuseRules(settings, earlier, archiver.taken.owners)
    taken = FrameReuse(earlier, archiver, writer, rules, damaged).run()
    places = taken.reused.damaged
    if places:
        taken.warnings.append(
            f"The backup {earlier.backup_id} is damaged ({printable(places[0])} {len(places)} such in all): what stood "
            f"there was read from the project again. Look at it: cora verify {earlier.backup_id}."
        )
    return taken


def _start_progress(settings: BackupSettings, earlier: Optional[EarlierBackup], progress: Progress) -> None:
    if earlier is not None:
        # what will have changed since is not worth a walk of its own
        entries, size_bytes = sum(earlier.report["entries"].values()), earlier.report["size_bytes"]
        progress.start("archive", files_total=entries, bytes_total=size_bytes)
        return
    progress.start("archive")
    if progress.wanted:
        progress.count_beside(lambda: _count(settings))


def _count(settings: BackupSettings) -> tuple[int, int]:
    """Entries and bytes that are to come, so that somebody who looks on sees how long it takes."""
    files = size_bytes = 0
    for found in walk(settings.project, PathFilter(settings.exclude), ScanNotes(), vault=settings.vault):
        files += 1
        size_bytes += found.status.st_size if found.kind == "file" else 0
    return files, size_bytes


def _write_bundle(repository: GitRepo, vault: Vault, staged: str, taken: Taken) -> None:
    bundle = os.path.join(staged, layout.BUNDLE)
    durable.make_directories(os.path.dirname(bundle))
    try:
        written = repository.write_unpushed_bundle(bundle, vault.staging)
    except ProgramError as error:
        # files come first: a broken repository must not keep them from being saved
        taken.notes.unreadable.append((".git", f"commits that no remote has could not be kept: {error}"))
        written = False
    except OSError as error:
        durable.fail(error, "write", bundle)
    if not written:
        os.rmdir(os.path.dirname(bundle))


def _result(
    settings: BackupSettings, backup_id: str, path: str, written: _Written, sealed: bool, seal_note: str
) -> dict[str, Any]:
    document = written.report
    warnings = list(document["warnings"])
    if seal_note:
        warnings.append(seal_note)
    return {
        "changed": True,
        "id": backup_id,
        "path": path,
        "project": settings.project,
        "vault": settings.vault,
        "sealed": sealed,
        "seal_note": seal_note,
        "files": document["files"],
        "size_bytes": document["size_bytes"],
        "archive_bytes": document["archive_bytes"],
        "critical": len(document["critical"]),
        "databases": len(document["databases"]),
        "excluded": document["excluded"]["count"],
        "warnings": warnings,
        "incomplete": document["incomplete"],
        "reused": document["reused"],
    }
