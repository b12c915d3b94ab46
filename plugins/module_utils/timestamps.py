# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as the vault's documents have them: C(2026-01-31T23:59:59Z), UTC."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def moment_of(text: str) -> datetime:
    """The moment that a text names.

    :raises ValueError: when it names none
    :raises TypeError: when it is no text
    """
    if _USUAL.fullmatch(text):
        # strptime() takes ten times as long, and a list asks for the age of each backup
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=timezone.utc)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
