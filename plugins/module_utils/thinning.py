# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which checkpoints are kept: all for a day, then one an hour, then one a day, and never more than a budget.

A backup gives way only to a verified one. A checkpoint need not wait for that: what it holds stands in the next one
too, and a vault that fills its disk saves nothing any more. But nothing is thinned before one backup of the project was
found intact, and a checkpoint whose base is gone, perhaps the last trace of somebody's work, waits for a newer backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Optional

from .keep_rules import BACKUP, CHECKPOINT, Decision, Policy, Saved, decision_of, pinned_or_tagged, unknown_age


def decide_checkpoints(
    states: Sequence[Saved], policy: Policy, *, now: datetime, reference: datetime, backup_ids: Collection[str]
) -> list[Decision]:
    """Decide about all checkpoints of one project, but for the budget.

    :param states: all that there is of the project, newest first
    :param backup_ids: all backups of the vault
    :returns: newest first
    """
    backups = [saved for saved in states if saved.kind == BACKUP]
    thinner = _Thinner(policy, now, reference, backups, newest_id=states[0].state_id if states else "")
    return [
        thinner.decide(saved) if saved.base in backup_ids else thinner.decide_orphan(saved)
        for saved in states
        if saved.kind == CHECKPOINT
    ]


class _Thinner:
    """Decides about the checkpoints of one project, newest first."""

    def __init__(
        self, policy: Policy, now: datetime, reference: datetime, backups: Sequence[Saved], *, newest_id: str
    ) -> None:
        self._policy, self._now, self._newest_id = policy, now, newest_id
        self._slots = _Slots(policy, reference)
        self._newest_backup = backups[0] if backups else None
        self._any_verified = any(saved.verified for saved in backups)

    def decide(self, saved: Saved) -> Decision:
        """About a checkpoint that can be restored."""
        decision = self._begin(saved)
        slot = self._slots.take(saved)
        if slot:
            decision.reasons.append(slot)
        if decision.reasons:
            return decision
        if not self._any_verified:
            decision.reasons = ["no backup of its project is known to be intact: verify the newest"]
            decision.waits_for = self._unverified_newest()
            return decision
        decision.keep = False
        decision.reasons = ["damaged" if saved.verified is False else "no rule keeps it"]
        return decision

    def decide_orphan(self, saved: Saved) -> Decision:
        """About a checkpoint without the backup that it needs."""
        decision = self._begin(saved)
        gone = f"its base, {saved.base}, is gone"
        newest = self._newest_backup
        if decision.protected:
            decision.reasons.append(gone)
        elif newest is not None and newest.verified and newest.state_id > saved.state_id:
            decision.keep = False
            decision.reasons = [f"{gone}; {newest.state_id}, newer and verified, has what there was"]
        else:
            decision.protected = True
            decision.reasons = [f"{gone}, and no newer backup is verified: what it changed can be unpacked by hand"]
            newer = newest is not None and newest.state_id > saved.state_id
            decision.waits_for = self._unverified_newest() if newer else None
        return decision

    def _begin(self, saved: Saved) -> Decision:
        decision = decision_of(saved)
        newest = ["the newest state of its project"] if saved.state_id == self._newest_id else []
        asked_for = pinned_or_tagged(saved, self._policy)
        decision.reasons = asked_for + newest + unknown_age(saved, self._now)
        decision.protected = bool(asked_for + newest)
        return decision

    def _unverified_newest(self) -> Optional[str]:
        newest = self._newest_backup
        return newest.state_id if newest is not None and newest.verified is None else None


class _Slots:
    """The hours and days that have their checkpoint already; asked newest first."""

    def __init__(self, policy: Policy, reference: datetime) -> None:
        self._policy, self._reference = policy, reference
        self._hours: set[str] = set()
        self._days: set[str] = set()

    def take(self, saved: Saved) -> Optional[str]:
        """The rule that keeps this checkpoint for its age."""
        age = self._reference - saved.made_at
        hour, day = f"{saved.made_at:%Y-%m-%d %H}h", f"{saved.made_at:%Y-%m-%d}"
        policy = self._policy
        if _within(age, timedelta(hours=policy.keep_checkpoints_hours)):
            reason: Optional[str] = f"not older than {policy.keep_checkpoints_hours:g} hours"
        elif saved.verified is False:
            return None
        elif _within(age, timedelta(days=policy.keep_checkpoints_hourly_days)) and hour not in self._hours:
            reason = f"hourly {hour}"
        elif _within(age, timedelta(days=policy.keep_checkpoints_daily_days)) and day not in self._days:
            reason = f"daily {day}"
        else:
            return None
        if saved.verified is not False:
            self._hours.add(hour)
            self._days.add(day)
        return reason


def _within(age: timedelta, limit: timedelta) -> bool:
    return bool(limit) and age <= limit  # 0 switches a rule off


def apply_budget(decisions: Iterable[Decision], budget_bytes: int) -> Optional[str]:
    """Let go of the oldest checkpoints of the vault until the others fit.

    What is pinned or tagged stays, and so does the newest state of each project, however large: without it, the work
    since the last backup would be lost. The next run after such a checkpoint makes a full backup, over which a new
    checkpoint is small.

    :param decisions: about all checkpoints of a vault; changed in place
    :returns: a warning where what has to stay is over the budget already
    """
    kept = sorted((decision for decision in decisions if decision.keep), key=lambda decision: decision.state_id)
    total = sum(decision.size_bytes for decision in kept)
    for decision in kept:
        if total <= budget_bytes:
            return None
        if not decision.protected:
            decision.keep, decision.waits_for = False, None
            decision.reasons = [f"checkpoints are over their budget of {budget_bytes} bytes, and this is the oldest"]
            total -= decision.size_bytes
    if total <= budget_bytes:
        return None
    return (
        f"The checkpoints that have to stay measure {total} bytes, which is over their budget of {budget_bytes}. "
        "Unpin some, make a full backup and verify it, or raise keep_checkpoints_bytes and keep_checkpoints_percent."
    )
