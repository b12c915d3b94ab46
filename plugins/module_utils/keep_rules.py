# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention works with: the policy, what there is, and what is decided about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Optional

from .errors import SettingsError
from .settings import DEFAULT_CHECKPOINTS_BYTES, DEFAULT_CHECKPOINTS_PERCENT

BACKUP, CHECKPOINT, RESTORE = "backup", "checkpoint", "restore"
#: Ids go on a second at a time where the clock was set back, so a time a little ahead of the clock is nothing unusual.
CLOCK_TOLERANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Policy:
    """What is kept. A backup stays while any one of these rules keeps it; periods are in UTC, weeks begin on Monday.

    :param keep_last: the newest ones
    :param keep_hourly: the newest one of each of this many hours in which there are any; likewise the next four
    :param keep_within_days: all that are so old at most
    :param keep_tags: all that have one of these tags
    :param keep_checkpoints_hours: all checkpoints that are so old at most
    :param keep_checkpoints_hourly_days: beyond that, one checkpoint an hour until they are so old
    :param keep_checkpoints_daily_days: beyond that, one checkpoint a day until they are so old
    :param keep_checkpoints_bytes: all checkpoints of the vault together are so large at most
    :param keep_checkpoints_percent: and take so much of its file system at most; the smaller of both counts
    :param keep_restores_days: what restores replaced, and their records
    """

    keep_last: int = 3
    keep_hourly: int = 0
    keep_daily: int = 14
    keep_weekly: int = 8
    keep_monthly: int = 12
    keep_yearly: int = 3
    keep_within_days: float = 3.0
    keep_tags: tuple[str, ...] = ()
    keep_checkpoints_hours: float = 24.0
    keep_checkpoints_hourly_days: float = 7.0
    keep_checkpoints_daily_days: float = 30.0
    keep_checkpoints_bytes: int = DEFAULT_CHECKPOINTS_BYTES
    keep_checkpoints_percent: float = DEFAULT_CHECKPOINTS_PERCENT
    keep_restores_days: float = 30.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "keep_tags" and value < 0:
                raise SettingsError(f"{item.name} cannot be negative, as {value} is.")
        if self.keep_last < 1:
            raise SettingsError("keep_last must be at least 1: a vault without its newest backup protects nothing.")
        if self.keep_checkpoints_percent > 100:
            raise SettingsError("keep_checkpoints_percent is a part of the file system: 100 at most.")

    def budget_bytes(self, filesystem_bytes: int) -> int:
        """What all checkpoints of a vault may measure together on a file system of this size."""
        return min(self.keep_checkpoints_bytes, int(filesystem_bytes * self.keep_checkpoints_percent / 100))


@dataclass(frozen=True)
class PruneRequest:
    """One run.

    :param project: only what is of this project
    :param verify: where something would go but for a backup that nobody has verified yet, verify that
    """

    vault: str
    policy: Policy
    project: Optional[str] = None
    verify: bool = False
    lock_wait_seconds: float = 0.0
    progress_file: Optional[str] = None


@dataclass(frozen=True)
class Saved:
    """A backup or a checkpoint, as far as it matters here.

    :param state_id: order of ids is order in time
    :param kind: C(backup) or C(checkpoint)
    :param project: None where its report cannot be read, so that nobody knows whose it is
    :param made_at: when it was made; not always what its id says, see :mod:`.prune`
    :param base: of a checkpoint, the backup that it needs
    :param verified: the result of the last full check; None where there was none
    :param incomplete: files could not be read when it was made
    :param size_bytes: what it takes on disk
    :param last_of: how many critical files, gone from the project since, no later backup holds
    """

    state_id: str
    kind: str
    project: Optional[str]
    made_at: datetime
    base: Optional[str] = None
    verified: Optional[bool] = None
    incomplete: bool = False
    pinned: bool = False
    tags: tuple[str, ...] = ()
    size_bytes: int = 0
    last_of: int = 0


@dataclass
class Decision:
    """What becomes of one state.

    :param reasons: sentences or rules; never empty once all is decided
    :param waits_for: a backup that has to be verified before this state may go
    :param protected: not even the budget of checkpoints takes it
    """

    state_id: str
    kind: str
    project: Optional[str]
    size_bytes: int
    keep: bool = True
    reasons: list[str] = field(default_factory=list)
    waits_for: Optional[str] = None
    protected: bool = False


def decision_of(saved: Saved) -> Decision:
    """A decision that is still to be made."""
    return Decision(saved.state_id, saved.kind, saved.project, saved.size_bytes)


def reference_time(states: Iterable[Saved], now: datetime) -> datetime:
    """From when ages are counted: the newest state of a project whose time can be believed."""
    return max((saved.made_at for saved in states if not in_future(saved, now)), default=now)


def in_future(saved: Saved, now: datetime) -> bool:
    """Whether the time of a state cannot be believed."""
    return saved.made_at > now + CLOCK_TOLERANCE


def pinned_or_tagged(saved: Saved, policy: Policy) -> list[str]:
    """Why a person wants it kept."""
    return ["pinned"] * saved.pinned + [f"tagged {tag}" for tag in saved.tags if tag in policy.keep_tags]


def unknown_age(saved: Saved, now: datetime) -> list[str]:
    """The reason to keep a state that was made in the future, as far as the clock knows."""
    if not in_future(saved, now):
        return []
    return [f"made on {saved.made_at:%Y-%m-%d}, which is still to come by the clock: its age is not known"]
