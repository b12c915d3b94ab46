# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: what changed since the newest backup, saved in moments, a dozen times an hour.

A checkpoint holds all that differs from its base, so that it restores with the base alone:
base, then changes, minus deleted.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any, Optional

from . import durable, layout
from .archive_writer import ArchiveTotals
from .backup import OpenedVault, check_settings, open_vault, write_backup
from .catalog import newest_of
from .changes import ChangeFinder, Changes
from .describe import checkpoint_report
from .errors import CoraError, IntegrityError, LockedError, NotFoundError, ProgramError, RestoreError
from .git_repo import GitRepo
from .inode_flags import is_sealed
from .new_archive import write_entries
from .present import present_entries
from .progress import Progress
from .prune import keep_budget
from .safe_tree import SafeTree
from .saved_state import SavedState, open_state
from .scan import Found
from .settings import BackupSettings
from .taken import Taken
from .vault import Vault, remove_unpublished

#: A checkpoint that holds more than this part of its base is followed by a full backup.
_FULL_FROM_PART = 0.25
#: From here on a checkpoint says that much is gone: whoever or whatever removed it may not have meant to.
_MANY_DELETED, _MANY_DELETED_PART = 20, 0.25


def save(settings: BackupSettings, *, prefer_full: bool = False, check: bool = False) -> dict[str, Any]:
    """Save what changed since the last run: nothing, a checkpoint, or (with no base, or much changed) a backup.

    :param prefer_full: make a backup at once where much changed; else the run after such a checkpoint makes it
    :param check: say what it would be, and save nothing
    :returns: C(kind) is C(checkpoint), C(full) or None; the rest as of a backup
    :raises CoraError: when it could not be saved
    """
    check_settings(settings)
    started = time.monotonic()
    if check:
        state, changes = _compare(settings, Vault(settings.vault))
        return _outlook(settings, state, changes, prefer_full)
    with open_vault(settings) as opened:
        result = _save(settings, opened, prefer_full)
        result["recovered"] = opened.recovered
    result["duration_seconds"] = round(time.monotonic() - started, 3)
    return result


def nothing_to_save(settings: BackupSettings) -> Optional[dict[str, Any]]:
    """What :func:`save` would answer where nothing changed; None where it has, or may have, something to do.

    Writes nothing, and stops at the first change: a quick look before all that a run costs.

    :raises CoraError: when vault or project cannot be read
    """
    check_settings(settings)
    started = time.monotonic()
    vault = Vault(settings.vault)
    if not os.path.isdir(vault.staging) or os.listdir(vault.staging):
        return None
    try:
        with vault.lock(reading=True):
            state = next(_states(vault, settings.project), None)
            if state is None or not _is_in_order(vault, state, settings):
                return None
            if ChangeFinder(settings, state.source, _unreadable_in(state)).run(until_first=True).since_last:
                return None
    except (IntegrityError, LockedError):
        return None
    result = _unchanged(settings, state, sealed=True)
    return {**result, "recovered": [], "duration_seconds": round(time.monotonic() - started, 3)}


def _is_in_order(vault: Vault, state: SavedState, settings: BackupSettings) -> bool:
    """Whether a run would find nothing to put right, and would compare by the same rules as the last one."""
    same_rules = state.report["settings"].get("exclude") == list(settings.exclude)
    return same_rules and is_sealed(state.directory) and vault.is_protected()


def _compare(settings: BackupSettings, vault: Vault) -> tuple[Optional[SavedState], Optional[Changes]]:
    """The newest saved state that can be built on, and how the project differs from it; none: a backup is due."""
    for state in _states(vault, settings.project):
        try:
            return state, ChangeFinder(settings, state.source, _unreadable_in(state)).run()
        except IntegrityError:
            continue  # its index is damaged: the state before it will do
    return None, None


def _unreadable_in(state: SavedState) -> list[str]:
    return [entry["path"] for entry in state.report["unreadable"]]


def _states(vault: Vault, project: str) -> Iterator[SavedState]:
    """The checkpoints over the newest backup of the project, newest first, and then that backup."""
    base = newest_of(vault, project)
    if base is None:
        return
    for state_id in [*reversed([one for one in vault.checkpoint_ids() if one > base]), base]:
        if vault.verified_note(state_id).get("ok") is False:
            continue
        try:
            if state_id == base or layout.read_report(vault.checkpoint_path(state_id)).get("base") == base:
                yield open_state(vault, state_id)
        except (IntegrityError, NotFoundError):
            continue  # damaged, or half removed by hand


def _outlook(
    settings: BackupSettings, state: Optional[SavedState], changes: Optional[Changes], prefer_full: bool
) -> dict[str, Any]:
    kind = _kind(state, changes, prefer_full)
    return {"changed": kind is not None, "kind": kind, "project": settings.project, "vault": settings.vault}


def _kind(state: Optional[SavedState], changes: Optional[Changes], prefer_full: bool) -> Optional[str]:
    if state is None or changes is None:
        return "full"
    if not changes.since_last:
        return None
    base_bytes = state.report["base_size_bytes"] if state.is_checkpoint else state.report["size_bytes"]
    saved_bytes = state.report["size_bytes"] if state.is_checkpoint else 0
    if max(saved_bytes, changes.size_bytes if prefer_full else 0) > _FULL_FROM_PART * base_bytes:
        return "full"
    return "checkpoint"


def _save(settings: BackupSettings, opened: OpenedVault, prefer_full: bool) -> dict[str, Any]:
    state, changes = _compare(settings, opened.vault)
    kind = _kind(state, changes, prefer_full)
    if kind == "full" or state is None or changes is None:
        return {"kind": "full", **write_backup(settings, opened)}
    if kind is None:
        return _unchanged(settings, state, sealed=opened.unsealable is None)
    return _write_checkpoint(settings, opened, state, changes)


def _unchanged(settings: BackupSettings, state: SavedState, *, sealed: bool) -> dict[str, Any]:
    return {
        "changed": False,
        "kind": None,
        "id": state.state_id,
        "path": state.directory,
        "project": settings.project,
        "vault": settings.vault,
        "sealed": sealed,
        "warnings": [],
        "incomplete": False,
    }


def _write_checkpoint(
    settings: BackupSettings, opened: OpenedVault, state: SavedState, changes: Changes
) -> dict[str, Any]:
    vault = opened.vault
    git_warnings: list[str] = []
    repository = GitRepo.open(settings.project, git_warnings)
    checkpoint_id = vault.new_id((repository.short_sha() if repository else None) or "nogit")
    base_id = str(state.report["base"]) if state.is_checkpoint else state.state_id
    staged = os.path.join(vault.staging, f"{checkpoint_id}-{os.getpid()}")
    durable.make_directories(staged)
    path = vault.checkpoint_path(checkpoint_id)
    try:
        taken, totals = _write_changes(settings, staged, changes)
        if repository is not None:
            _write_diff(repository, staged, git_warnings)
        taken.warnings += git_warnings
        taken.critical = changes.critical
        base = layout.read_report(vault.path_of(base_id))
        taken.warnings += _mass_deletion(base, changes)
        document = checkpoint_report(
            settings, checkpoint_id, taken, totals, opened.unsealable, base, len(changes.deleted)
        )
        layout.write_json(os.path.join(staged, layout.REPORT), document)
        layout.write_sums(staged, {layout.CHANGES: totals.sha256})
        durable.sync_files(staged)
        vault.publish(staged, path)
    finally:
        if os.path.lexists(staged):
            remove_unpublished(staged)
    sealed, seal_note = vault.seal(path, settings.seal)
    document["warnings"] += _keep_budget(settings, vault)
    return _result(settings, document, path, sealed, seal_note)


def _keep_budget(settings: BackupSettings, vault: Vault) -> list[str]:
    try:
        return keep_budget(
            vault,
            keep_checkpoints_bytes=settings.keep_checkpoints_bytes,
            keep_checkpoints_percent=settings.keep_checkpoints_percent,
        )
    except CoraError as error:
        return [f"Checkpoints are over their budget, and older ones could not be removed: {error}"]  # this one is saved


def _write_changes(settings: BackupSettings, staged: str, changes: Changes) -> tuple[Taken, ArchiveTotals]:
    progress = Progress(settings.progress_file)
    progress.start("archive", files_total=len(changes.paths), bytes_total=changes.size_bytes)
    with SafeTree(settings.project) as tree:
        entries = _entries(tree, changes)
        taken, totals = write_entries(settings, staged, layout.CHANGES, progress, entries)
    progress.close()
    for name in (layout.DATABASE_DIR, layout.CRITICAL_DIR):
        # the archive has the consistent copies; a checkpoint keeps no second, plain ones
        if os.path.isdir(os.path.join(staged, name)):
            shutil.rmtree(os.path.join(staged, name))
    taken.notes.unreadable += changes.notes.unreadable
    taken.notes.excluded_count, taken.notes.excluded = changes.notes.excluded_count, changes.notes.excluded
    taken.notes.skipped += changes.notes.skipped
    durable.write_file(os.path.join(staged, layout.DELETED), layout.encode_paths(changes.deleted))
    return taken, totals


def _entries(tree: SafeTree, changes: Changes) -> Iterator[Found]:
    """What was found to have changed, as it is now."""
    for path in changes.paths:
        try:
            yield from present_entries(tree, [path])
        except RestoreError as error:
            changes.notes.unreadable.append((path, f"it changed while the checkpoint was made: {error}"))


def _write_diff(repository: GitRepo, staged: str, warnings: list[str]) -> None:
    try:
        durable.write_file(os.path.join(staged, layout.GIT_DIFF), repository.diff())
    except ProgramError as error:
        warnings.append(f"git.diff could not be written (the changes themselves are saved): {error}")


def _mass_deletion(base: dict[str, Any], changes: Changes) -> list[str]:
    entries = sum(base["entries"].values())
    if len(changes.deleted) < max(_MANY_DELETED, entries * _MANY_DELETED_PART):
        return []
    return [
        f"{len(changes.deleted)} of {entries} entries of the backup {base['id']} are gone from the project. If nobody "
        f"meant that: cora restore {base['id']}."
    ]


def _result(
    settings: BackupSettings, document: dict[str, Any], path: str, sealed: bool, seal_note: str
) -> dict[str, Any]:
    return {
        "changed": True,
        "kind": "checkpoint",
        "id": document["id"],
        "base": document["base"],
        "path": path,
        "project": settings.project,
        "vault": settings.vault,
        "sealed": sealed,
        "seal_note": seal_note,
        "files": document["files"],
        "deleted": document["deleted"],
        "size_bytes": document["size_bytes"],
        "archive_bytes": document["archive_bytes"],
        "warnings": document["warnings"] + ([seal_note] if seal_note else []),
        "incomplete": document["incomplete"],
    }
