# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of backups and checkpoints: the time in UTC, and the commit, C(20260131-235959-4f6dfed)."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_PATTERN = re.compile(r"([0-9]{8}-[0-9]{6})-([0-9a-f]{4,40}|nogit)")


def is_id(name: str) -> bool:
    """Whether a name has the form of an id, and its time is one."""
    if not _PATTERN.fullmatch(name):
        return False
    try:
        id_time(name)
    except ValueError:
        return False
    return True


def id_time(backup_id: str) -> datetime:
    """When a backup was made, from its id.

    :raises ValueError: when there is no such time
    """
    # by hand: strptime() takes ten times as long, and a list asks for the time of each
    date, time_of_day = backup_id[:8], backup_id[9:15]
    return datetime(
        int(date[:4]),
        int(date[4:6]),
        int(date[6:]),
        int(time_of_day[:2]),
        int(time_of_day[2:4]),
        int(time_of_day[4:]),
        tzinfo=timezone.utc,
    )


def id_timestamp(backup_id: str) -> str:
    """The same as C(2026-01-31T23:59:59Z)."""
    date, clock = backup_id[:8], backup_id[9:15]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}Z"
