# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting right what killed restores left, at the beginning of the next run that needs the vault's restores.

Before everything was in its place the restore is taken back; after that it counts as done. Nothing that a person may
have written meanwhile is lost: it is kept, and the sentences say where.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Optional

from .errors import CoraError, RestoreError, VaultError
from .in_place import discard
from .names import printable
from .restore_files import put_back_later
from .restore_record import (
    ABANDONED,
    CHANGED,
    CHANGING,
    DONE,
    ROLLED_BACK,
    STAGING,
    SWAP,
    UNDO,
    UNDONE,
    RestoreRecord,
    read_records,
)
from .restore_tree import take_back
from .safe_tree import SafeTree
from .vault import Vault


@dataclass
class Recovery:
    """What was put right.

    :param sentences: what was done, for people
    :param taken_back: restores that had changed something, and are taken back now
    :param undone: restores whose undo had come to its end when it was killed; it is noted only now
    """

    sentences: list[str] = field(default_factory=list)
    taken_back: list[RestoreRecord] = field(default_factory=list)
    undone: list[RestoreRecord] = field(default_factory=list)


def recover_restores(vault: Vault, project: Optional[str] = None) -> Recovery:
    """Put right what killed restores left. Needs the vault's lock.

    :param project: what is to be restored now; where another project cannot be put right, that is only told
    :raises CoraError: when this project cannot be put right
    """
    recovery = Recovery()
    records = read_records(vault)
    for record in records:
        if record.state not in (STAGING, CHANGING, CHANGED):
            continue
        had_changed = record.state == CHANGING and record.scenario != UNDO
        try:
            recovery.sentences.append(_recover(record, vault))
            if had_changed and record.state == ROLLED_BACK:
                recovery.taken_back.append(record)
        except (CoraError, OSError) as error:
            problem = f"The interrupted restore {record.restore_id} of {printable(record.project)} cannot be put right"
            if project in (None, record.project):
                raise RestoreError(f"{problem}: {error} Nothing was changed now.") from error
            recovery.sentences.append(f"{problem}: {error}")
    _note_undone(records, recovery)
    return recovery


def _recover(record: RestoreRecord, vault: Vault) -> str:
    what = f"The restore {record.restore_id} of {printable(record.project)}"
    if record.scenario == UNDO:
        what = f"The undo {record.restore_id} of the restore {record.backup_id} of {printable(record.project)}"
    services = "Its services may still be stopped."
    if record.state == CHANGED:
        record.write(DONE)
        return f"{what} had been interrupted when all files were in their places: it counts as done. {services}"
    if record.kind == SWAP:
        kept = take_back(record)
        aside = f" What it had brought is kept as {printable(kept)}." if kept and not record.keep_staged else ""
        return f"{what} had been interrupted: it was taken back. {services}{aside}"
    if not os.path.isdir(record.project):
        saved = f" What it had saved is kept in {printable(record.directory)}." if record.state == CHANGING else ""
        record.write(ABANDONED)
        return f"{what} had been interrupted, and the project is not there any more.{saved}"
    if record.state == STAGING:
        with SafeTree(record.project) as tree:
            discard(record, tree)
        record.write(ABANDONED)
        return f"{what} had been interrupted before it changed anything. {services}"
    kept = put_back_later(record, vault.root)
    return (
        f"{what} had been interrupted: it was taken back. {services} The files as they were until now are kept in "
        f"{printable(kept)}."
    )


def _note_undone(records: list[RestoreRecord], recovery: Recovery) -> None:
    by_id = {record.restore_id: record for record in records}
    for record in records:
        undone = by_id.get(record.backup_id) if record.scenario == UNDO and record.state == DONE else None
        if undone is not None and undone.state == DONE:
            try:
                undone.write(UNDONE)
            except VaultError:
                continue  # the vault is mounted read-only: the record of the undo says all there is to say
            recovery.undone.append(undone)
