# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing the right thing without being told which: back up what changed, or check what is there."""

from __future__ import annotations

from typing import Any

from .checkpoint import save
from .settings import BackupSettings
from .verify import verify_backup


def save_or_verify(settings: BackupSettings, *, prefer_full: bool = True, check: bool = False) -> dict[str, Any]:
    """Nothing new: verify the newest state, and where that is damaged, save anew. Else as :func:`.checkpoint.save`.

    :param prefer_full: make a backup at once where much changed
    :param check: say what would be done, and do nothing
    :returns: the result of :func:`.checkpoint.save`; where nothing was new, C(verification) besides
    :raises CoraError: when it could not be done
    """
    result = save(settings, prefer_full=prefer_full, check=check)
    if check or result["changed"]:
        return result
    found = verify_backup(settings.vault, str(result["id"]), progress_file=settings.progress_file)
    if not found["ok"]:
        result = save(settings, prefer_full=prefer_full)
        result["warnings"] = [f"{found['id']} is damaged: {found['restorable']}", *result["warnings"]]
    return {**result, "verification": found}
