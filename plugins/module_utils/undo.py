# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the last restore back; which is itself a restore, and can be taken back."""

from __future__ import annotations

import os
import stat
import time
from typing import Any, Optional

from .errors import NotFoundError, RestoreError, VaultError
from .extract import MetadataWriter
from .immovable import refuse_immovable
from .in_place import Change
from .names import path_key, printable
from .restore_files import plan, restore_files, saved_picks
from .restore_plan import PlanSummary
from .restore_record import (
    CHANGED,
    CHANGING,
    IN_PLACE,
    ROLLED_BACK,
    STAGING,
    SWAP,
    UNDO,
    UNDONE,
    RestoreRecord,
    can_be_undone,
    new_record,
    read_records,
)
from .restore_recovery import Recovery, recover_restores
from .restore_tree import move_away, swap_in
from .safe_tree import SafeTree
from .scan import kind_of
from .services import ServiceControl
from .settings import Service
from .vault import Vault


def undo_last(
    vault_path: str,
    *,
    project: Optional[str] = None,
    services: tuple[Service, ...] = (),
    health_command: tuple[str, ...] = (),
    health_timeout_seconds: float = 30.0,
    lock_wait_seconds: float = 0.0,
    check: bool = False,
) -> dict[str, Any]:
    """Take the newest restore (of this project) back.

    :param check: say which, and change nothing
    :returns: what was done, in JSON types
    :raises NotFoundError: when there is no restore to take back
    """
    started = time.monotonic()
    vault = Vault(vault_path)
    if not vault.exists():
        raise NotFoundError(f"There is no vault at {printable(vault_path)}, so no restore that could be taken back.")
    with vault.lock(lock_wait_seconds, reading=True):
        recovery = Recovery() if check else recover_restores(vault, os.path.normpath(project) if project else None)
        put_right = recovery.undone + recovery.taken_back
        finished = [record for record in put_right if project in (None, record.project)]
        record = finished[-1] if finished else _newest(vault, project, or_interrupted=check)
        document: dict[str, Any] = {
            "changed": not finished or bool(recovery.taken_back),
            "undone_id": record.restore_id,
            "backup_id": record.backup_id,
            "project": record.project,
            "scenario": record.scenario,
            "kind": record.kind,
            "old_tree": record.old_tree or None,
            "restored_at": record.at,
            "warnings": [],
            "recovered": recovery.sentences,
        }
        # What was asked for is done where a killed restore was just taken back, or where an undo had been killed at its
        # very end: going on would undo the restore before it, or bring the restore back.
        if not check and not finished:
            control = ServiceControl(services, health_command, health_timeout_seconds)
            document.update(
                _undo_swap(vault, record, control) if record.kind == SWAP else _undo_files(vault, record, control)
            )
            _note(record)
    document["duration_seconds"] = round(time.monotonic() - started, 3)
    return document


def _note(record: RestoreRecord) -> None:
    try:
        record.write(UNDONE)
    except VaultError:
        pass  # the vault is mounted read-only by now: the record of the undo, which names it, says so


def _newest(vault: Vault, project: Optional[str], *, or_interrupted: bool = False) -> RestoreRecord:
    """The restore that is taken back.

    :param or_interrupted: one that was killed counts too, since an undo would put it right first
    """
    wanted = os.path.normpath(project) if project else None
    records = read_records(vault)
    standing = {record.restore_id for record in can_be_undone(records)}
    for record in reversed(records):
        # a killed undo is put right, and then done anew: it is no restore that would be taken back
        interrupted = record.state in (CHANGING, CHANGED) and record.scenario != UNDO
        counts = record.restore_id in standing or (or_interrupted and interrupted)
        if counts and wanted in (None, record.project):
            return record
    of = f" of {printable(wanted)}" if wanted else ""
    raise NotFoundError(f"There is no restore{of} in {printable(vault.root)} that could be taken back.")


def _undo_files(vault: Vault, record: RestoreRecord, control: ServiceControl) -> dict[str, Any]:
    picks = saved_picks(record)
    changes = plan(record.project, picks, 0)
    removals = record.created + record.made_directories
    going = _present(record.project, removals)
    own = new_record(
        vault,
        kind=IN_PLACE,
        backup_id=record.restore_id,
        project=record.project,
        scenario=UNDO,
        room_bytes=sum(change.size_bytes for change in changes),
    )
    try:
        services = restore_files(own, vault.root, picks, changes, control, MetadataWriter(keep_setuid=True), removals)
    finally:
        if own.state == STAGING:
            own.write(ROLLED_BACK)
    changes += going
    return {
        **PlanSummary(changes).to_json(),
        "restore_id": own.restore_id,
        "saved_at": own.directory,
        "services": services,
    }


def _present(project: str, paths: list[str]) -> list[Change]:
    """What of these is there to be removed; a restore names directories, and side files of databases, just in case."""
    going = []
    with SafeTree(project) as tree:
        for path in sorted(set(paths), key=path_key):
            status = tree.status(path)
            if status is not None:
                is_file = stat.S_ISREG(status.st_mode)
                going.append(Change("remove", path, kind_of(status.st_mode) or "", status.st_size if is_file else 0))
    return going


def _undo_swap(vault: Vault, record: RestoreRecord, control: ServiceControl) -> dict[str, Any]:
    own = new_record(vault, kind=SWAP, backup_id=record.restore_id, project=record.project, scenario=UNDO)
    own.databases = record.databases
    try:
        if record.old_tree:
            services = _swap_back(record, own, control)
        else:
            services = _move_away(own, control)
    finally:
        if own.state == STAGING:
            own.write(ROLLED_BACK)
    return {"restore_id": own.restore_id, "saved_at": own.old_tree or None, "services": services}


def _swap_back(record: RestoreRecord, own: RestoreRecord, control: ServiceControl) -> list[str]:
    if not os.path.isdir(record.old_tree):
        raise RestoreError(
            f"The old tree {printable(record.old_tree)} is not there any more, so the restore cannot be taken back."
        )
    _refuse_immovable(record.project, record.old_tree)
    own.staged = record.old_tree
    own.staged_inode = os.stat(record.old_tree).st_ino
    own.keep_staged = True
    own.write()
    return swap_in(own, control, lambda: record.carried, own.databases)


def _move_away(own: RestoreRecord, control: ServiceControl) -> list[str]:
    """There was no tree before: the restored one is moved aside, not removed."""
    if not os.path.lexists(own.project):
        own.write(CHANGED)
        own.finish()
        return []
    _refuse_immovable(own.project)
    return move_away(own, control, own.databases)


def _refuse_immovable(*trees: str) -> None:
    for tree in trees:
        parent, name = os.path.split(tree)
        refuse_immovable(os.path.realpath(parent), [name])
