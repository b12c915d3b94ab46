# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept, and why: a decision only; nothing here touches a disk.

Each project of a vault is decided on its own. Time does not pass for a project of which nothing new is saved: ages are
counted from its newest state, so that whoever comes back after three months finds what was there on the last day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Optional

from .keep_rules import (
    BACKUP,
    CHECKPOINT,
    Decision,
    Policy,
    Saved,
    decision_of,
    in_future,
    pinned_or_tagged,
    reference_time,
    unknown_age,
)
from .thinning import apply_budget, decide_checkpoints

_PERIODS: tuple[tuple[str, Callable[[datetime], str]], ...] = (
    ("hourly", lambda time: f"{time:%Y-%m-%d %H}h"),
    ("daily", lambda time: f"{time:%Y-%m-%d}"),
    ("weekly", lambda time: "{}-W{:02}".format(*time.isocalendar()[:2])),
    ("monthly", lambda time: f"{time:%Y-%m}"),
    ("yearly", lambda time: f"{time:%Y}"),
)


def decide(
    states: Iterable[Saved], policy: Policy, *, now: datetime, budget_bytes: int
) -> tuple[list[Decision], Optional[str]]:
    """Decide about all that a vault holds.

    :param now: what the clock says
    :param budget_bytes: what all checkpoints may measure together
    :returns: decisions, newest first, and a warning where the budget cannot be kept
    """
    newest_first = sorted(states, key=lambda saved: saved.state_id, reverse=True)
    unknown = [saved for saved in newest_first if saved.project is None]
    projects = sorted({saved.project for saved in newest_first if saved.project is not None})
    of = {project: [saved for saved in newest_first if saved.project == project] for project in projects}
    backup_ids = {saved.state_id for saved in newest_first if saved.kind == BACKUP}
    references = {project: reference_time(of[project], now) for project in projects}

    checkpoints = [_unknown(saved) for saved in unknown if saved.kind == CHECKPOINT]
    for project in projects:
        checkpoints += decide_checkpoints(
            of[project], policy, now=now, reference=references[project], backup_ids=backup_ids
        )
    warning = apply_budget(checkpoints, budget_bytes)

    bases = {saved.state_id: saved.base for saved in newest_first if saved.kind == CHECKPOINT}
    needed = [base for base in (bases[decision.state_id] for decision in checkpoints if decision.keep) if base]
    decisions = checkpoints + [_unknown(saved) for saved in unknown if saved.kind == BACKUP]
    for project in projects:
        backups = [saved for saved in of[project] if saved.kind == BACKUP]
        perhaps = [_newest_before(backups, saved) for saved in unknown if saved.kind == CHECKPOINT]
        decisions += decide_backups(
            backups,
            policy,
            now=now,
            reference=references[project],
            needed=needed + [base for base in perhaps if base],
        )
    return sorted(decisions, key=lambda decision: decision.state_id, reverse=True), warning


def _unknown(saved: Saved) -> Decision:
    decision = decision_of(saved)
    decision.protected = True
    decision.reasons = ["its report cannot be read, so nobody knows whose it is: cora verify tells what is left of it"]
    return decision


def _newest_before(backups: Sequence[Saved], checkpoint: Saved) -> Optional[str]:
    """What a checkpoint that does not say so may have as its base."""
    return next((backup.state_id for backup in backups if backup.state_id < checkpoint.state_id), None)


def decide_backups(
    backups: Sequence[Saved], policy: Policy, *, now: datetime, reference: datetime, needed: Iterable[str]
) -> list[Decision]:
    """Decide about all backups of one project.

    :param backups: newest first
    :param needed: the base of each checkpoint that is kept
    :returns: in the same order
    """
    rules = _Rules(backups, policy, now, reference, Counter(needed))
    heirs = _Heirs(backups)
    return [_decide(saved, rules, heirs) for saved in backups]


def _decide(saved: Saved, rules: _Rules, heirs: _Heirs) -> Decision:
    decision = decision_of(saved)
    decision.reasons = rules.that_keep(saved)
    if not decision.reasons:
        heirs.judge(saved, decision)
    if decision.keep:
        heirs.kept.append(saved)
    return decision


class _Rules:
    """The rules that keep backups of one project, worked out once for all of them."""

    def __init__(
        self, backups: Sequence[Saved], policy: Policy, now: datetime, reference: datetime, needed: Counter[str]
    ) -> None:
        self._policy, self._now, self._reference, self._needed = policy, now, reference, needed
        # what is damaged, or of an unknown time, takes no place that a good one could have
        good = [saved for saved in backups if saved.verified is not False and not in_future(saved, now)]
        self._found: dict[str, list[str]] = {saved.state_id: [] for saved in backups}
        for number, saved in enumerate(good[: policy.keep_last], start=1):
            self._found[saved.state_id].append(f"last {number} of {policy.keep_last}")
        for name, period_of in _PERIODS:
            self._fill(good, name, period_of, getattr(policy, f"keep_{name}"))
        self._newest = backups[0].state_id if backups else None
        self._verified = next((saved.state_id for saved in backups if saved.verified), None)

    def _fill(self, good: Sequence[Saved], name: str, period_of: Callable[[datetime], str], count: int) -> None:
        filled: set[str] = set()
        for saved in good:
            period = period_of(saved.made_at)
            if period not in filled and len(filled) < count:
                filled.add(period)
                self._found[saved.state_id].append(f"{name} {period}, {len(filled)} of {count}")

    def that_keep(self, saved: Saved) -> list[str]:
        """The rules that keep this backup; none of them where it may go."""
        reasons = pinned_or_tagged(saved, self._policy) + unknown_age(saved, self._now)
        if saved.state_id == self._verified:
            reasons.append("the newest verified backup of its project")
        elif saved.state_id == self._newest:
            reasons.append("the newest backup of its project")
        count = self._needed[saved.state_id]
        if count:
            reasons.append(f"the base of {count} kept checkpoint{'s' if count > 1 else ''}")
        if saved.last_of:
            files = "a critical file" if saved.last_of == 1 else f"{saved.last_of} critical files"
            reasons.append(f"the last to hold {files} that the project has no more")
        reasons += self._found[saved.state_id]
        within = self._policy.keep_within_days
        if within and self._reference - saved.made_at <= timedelta(days=within):
            reasons.append(f"not older than {within:g} days")
        return reasons


class _Heirs:
    """Who takes the place of a backup that no rule keeps: only what was verified may."""

    def __init__(self, backups: Sequence[Saved]) -> None:
        self._newest = backups[0] if backups else None
        self._any_verified = any(saved.verified for saved in backups)
        self.kept: list[Saved] = []

    def judge(self, saved: Saved, decision: Decision) -> None:
        """Let a backup go, or keep it because nothing takes its place yet."""
        newest = self._newest
        heir = next((other for other in reversed(self.kept) if other.verified is not False), None)
        if newest is None or heir is None or not self._any_verified:
            decision.reasons = ["no backup of its project is known to be intact: verify the newest"]
            decision.waits_for = newest.state_id if newest and newest.verified is None else None
        elif newest.verified is False:
            decision.reasons = [f"the newest backup, {newest.state_id}, is damaged: make a new one"]
        elif newest.verified is None:
            decision.reasons = [f"the newest backup, {newest.state_id}, is not verified yet"]
            decision.waits_for = newest.state_id
        elif not heir.verified:
            decision.reasons = [f"{heir.state_id}, which would take its place, is not verified yet"]
            decision.waits_for = heir.state_id
        elif not saved.incomplete and not any(other.verified and not other.incomplete for other in self.kept):
            decision.reasons = ["no newer verified backup is complete"]
        else:
            decision.keep = False
            decision.reasons = [f"no rule keeps it; {heir.state_id}, newer and verified, takes its place"]
