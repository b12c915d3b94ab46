# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention, applied: what the policy says no longer to be kept is removed, and each removal is written down."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from . import layout
from .catalog import checkpoint_rows, list_backups
from .critical_gone import last_holders
from .errors import RestoreError
from .ids import id_time
from .keep_rules import BACKUP, CHECKPOINT, CLOCK_TOLERANCE, RESTORE, Decision, Policy, PruneRequest, Saved
from .names import printable
from .remover import Remover
from .restore_record import CHANGED, CHANGING, STAGING, RestoreRecord, can_be_undone, read_records
from .retention import decide
from .vault import Vault
from .verify import verify_backup

_DISK_BLOCK = 512
_FOR_EVER_HOURS = 24 * 366 * 1000.0
_RESTORE_TIME = "%Y%m%d-%H%M%S"


def prune(request: PruneRequest, *, check: bool = False) -> dict[str, Any]:
    """Remove what the policy does not keep.

    :param check: only decide; nothing is verified then either
    :returns: a decision for each backup, checkpoint and record of a restore, with its reasons; JSON types
    :raises CoraError: when something could not be removed
    """
    started = time.monotonic()
    vault = Vault(request.vault)
    if check or not os.path.isdir(vault.root):
        run = _Run(request, vault)
        run.decide()
        return run.result(started, [])
    vault.prepare()
    with vault.lock(request.lock_wait_seconds):
        recovered = vault.recover()
        run = _Run(request, vault)
        run.decide()
        if request.verify:
            run.verify_what_is_waited_for()
        remover = Remover(vault)
        for decision in run.to_remove():
            remover.remove(decision)
    return run.result(started, recovered)


def keep_budget(vault: Vault, *, keep_checkpoints_bytes: int, keep_checkpoints_percent: float) -> list[str]:
    """Let the oldest checkpoints go where all of them are over their budget; what a new one calls. Needs the lock.

    No other rule is applied, and what has a tag stays, since only a prune knows which tags matter.

    :returns: sentences that say what was removed, or why too much stays
    :raises CoraError: when something could not be removed
    """
    policy = Policy(
        keep_checkpoints_bytes=keep_checkpoints_bytes,
        keep_checkpoints_percent=keep_checkpoints_percent,
        keep_checkpoints_hours=_FOR_EVER_HOURS,
    )
    budget_bytes = policy.budget_bytes(_filesystem_bytes(vault.root))
    if sum(disk_bytes(vault.checkpoint_path(one)) for one in vault.checkpoint_ids()) <= budget_bytes:
        return []
    now = datetime.now(timezone.utc)
    states = saved_states(vault, now)
    policy = replace(policy, keep_tags=tuple({tag for saved in states for tag in saved.tags}))
    decisions, warning = decide(states, policy, now=now, budget_bytes=budget_bytes)
    remover, said = Remover(vault), [warning] if warning else []
    for decision in sorted(decisions, key=lambda one: one.state_id):
        if decision.kind == CHECKPOINT and not decision.keep:
            remover.remove(decision)
            said.append(f"Removed the checkpoint {decision.state_id}: {decision.reasons[0]}.")
    return said


class _Run:
    def __init__(self, request: PruneRequest, vault: Vault) -> None:
        self._request, self._vault = request, vault
        self._decisions: list[Decision] = []
        self._warnings: list[str] = []
        self._verified: list[str] = []
        self._damaged: list[str] = []

    def decide(self) -> None:
        """Look at the vault, and decide."""
        now = datetime.now(timezone.utc)
        policy, warning = self._request.policy, None
        states = saved_states(self._vault, now)
        self._decisions = []
        if states:
            budget_bytes = policy.budget_bytes(_filesystem_bytes(self._vault.root))
            self._decisions, warning = decide(states, policy, now=now, budget_bytes=budget_bytes)
        self._warnings = [warning] if warning else []
        newest = max((saved.made_at for saved in states), default=now)
        try:
            records = read_records(self._vault)
        except RestoreError as error:
            records = []
            self._warnings.append(f"No record of a restore is removed: {error}")
        self._decisions += decide_restores(records, policy, min(now, newest))
        self._decisions = [one for one in self._decisions if self._request.project in (None, one.project)]

    def verify_what_is_waited_for(self) -> None:
        """Verify, newest first, until nothing waits for it any more; what is damaged then holds back what it did."""
        while True:
            waited_for = {one.waits_for for one in self._decisions if one.waits_for} - set(self._verified)
            if not waited_for:
                return
            backup_id = max(waited_for)
            self._verified.append(backup_id)
            found = verify_backup(self._vault.root, backup_id, progress_file=self._request.progress_file)
            if not found["ok"]:
                self._damaged.append(f"{backup_id} is damaged, so what it would have replaced stays: cora verify.")
            self.decide()

    def to_remove(self) -> list[Decision]:
        """Checkpoints before their bases, the oldest first."""
        order = {CHECKPOINT: 0, BACKUP: 1, RESTORE: 2}
        going = [one for one in self._decisions if not one.keep]
        return sorted(going, key=lambda one: (order[one.kind], one.state_id))

    def result(self, started: float, recovered: list[str]) -> dict[str, Any]:
        """What was decided, and so done."""
        going = self.to_remove()
        return {
            "changed": bool(going),
            "vault": self._vault.root,
            "removed": [one.state_id for one in going],
            "kept": sum(one.keep for one in self._decisions),
            "freed_bytes": sum(one.size_bytes for one in going),
            "verified": self._verified,
            "decisions": [decision_document(one) for one in self._decisions],
            "recovered": recovered,
            "warnings": self._damaged + self._warnings,
            "duration_seconds": round(time.monotonic() - started, 3),
        }


def decision_document(decision: Decision) -> dict[str, Any]:
    """A decision in JSON types."""
    return {
        "id": decision.state_id,
        "kind": decision.kind,
        "project": printable(decision.project) if decision.project is not None else None,
        "keep": decision.keep,
        "reasons": [printable(reason) for reason in decision.reasons],
        "waits_for": decision.waits_for,
        "size_bytes": decision.size_bytes,
    }


def saved_states(vault: Vault, now: datetime) -> list[Saved]:
    """What a vault holds, as retention looks at it.

    :raises VaultError: when the vault cannot be read
    """
    backups = list_backups(vault.root)
    rows = [(BACKUP, row) for row in backups] + [(CHECKPOINT, row) for row in checkpoint_rows(vault.root)]
    states = [_saved(kind, row, now) for kind, row in rows]
    last_of = last_holders(vault, {saved.state_id: saved.verified for saved in states})
    return [replace(saved, last_of=last_of[saved.state_id]) for saved in states]


def _saved(kind: str, row: dict[str, Any], now: datetime) -> Saved:
    # a quick check says that the bytes are those that were written, and not that they can be restored
    in_full = row["verified_ok"] is False or not row["verified_quick"]
    return Saved(
        state_id=row["id"],
        kind=kind,
        project=row["project"],
        made_at=_made_at(row, now),
        base=row["base"],
        verified=row["verified_ok"] if in_full else None,
        incomplete=bool(row["incomplete"]),
        pinned=row["pinned"],
        tags=tuple(row["tags"]),
        size_bytes=disk_bytes(row["path"]),
    )


def _made_at(row: dict[str, Any], now: datetime) -> datetime:
    """The time of an id, unless that is still to come.

    Once the clock was wrong and far ahead, all later ids go on from there, a second at a time, and would look like one
    busy day. Their files tell when they were really made, and being sealed cannot be touched.
    """
    by_id = id_time(row["id"])
    if by_id <= now + CLOCK_TOLERANCE:
        return by_id
    try:
        return datetime.fromtimestamp(os.lstat(os.path.join(row["path"], layout.SUMS)).st_mtime, timezone.utc)
    except OSError:
        return by_id


def disk_bytes(top: str) -> int:
    """What a directory takes on disk; a file with two names counts once."""
    sizes: dict[int, int] = {}
    for directory, _directories, names in os.walk(top):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            try:
                status = os.lstat(path)
            except OSError:
                continue
            sizes[status.st_ino] = status.st_blocks * _DISK_BLOCK
    return sum(sizes.values())


def _filesystem_bytes(path: str) -> int:
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def decide_restores(records: list[RestoreRecord], policy: Policy, reference: datetime) -> list[Decision]:
    """Decide about what restores replaced, for each of them in the order of C(records)."""
    newest = {record.project: record.restore_id for record in can_be_undone(records)}
    return [_decide_restore(record, policy, reference, newest.get(record.project)) for record in records]


def _decide_restore(record: RestoreRecord, policy: Policy, reference: datetime, newest_id: Optional[str]) -> Decision:
    decision = Decision(record.restore_id, RESTORE, record.project, disk_bytes(record.directory))
    made_at = datetime.strptime(record.restore_id, _RESTORE_TIME).replace(tzinfo=timezone.utc)
    if record.restore_id == newest_id:
        decision.reasons.append("the newest restore of its project")
    if record.state in (STAGING, CHANGING, CHANGED):
        decision.reasons.append("interrupted: the next restore or undo puts it right")
    if policy.keep_restores_days and reference - made_at <= timedelta(days=policy.keep_restores_days):
        decision.reasons.append(f"not older than {policy.keep_restores_days:g} days")
    if not decision.reasons:
        decision.keep = False
        decision.reasons = [f"older than {policy.keep_restores_days:g} days"]
        if record.old_tree and os.path.isdir(record.old_tree):
            decision.reasons.append(f"the old tree {printable(record.old_tree)} stays where it is")
    return decision
