# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing the right thing without being told which: back up what changed, or check what is there."""

from __future__ import annotations

from typing import Any

from .checkpoint import save
from .names import printable
from .settings import BackupSettings
from .verify import verify_backup


def save_or_verify(settings: BackupSettings, *, check: bool = False) -> dict[str, Any]:
    """Nothing new: verify the newest state. A small change: a checkpoint. Much changed, or no base: a backup.

    :param check: say what would be done, and do nothing
    :returns: the result of :func:`.checkpoint.save`; where nothing was new, C(verification) besides
    :raises CoraError: when it could not be done
    """
    result = save(settings, prefer_full=True, check=check)
    if not check and not result["changed"]:
        result["verification"] = verify_backup(settings.vault, str(result["id"]), progress_file=settings.progress_file)
    result["paragraph"] = _paragraph(result, check=check)
    return result


def _paragraph(result: dict[str, Any], *, check: bool) -> str:
    """What was done, for a person, in one paragraph."""
    if check:
        wanted = {"full": "a full backup", "checkpoint": "a checkpoint", None: "a check of the newest backup"}
        return f"This run would make {wanted[result['kind']]}."
    if result["kind"] == "full":
        text = f"A full backup was made: {result['id']} ({result['files']} files)."
    elif result["kind"] == "checkpoint":
        text = (
            f"A checkpoint was made: {result['id']} ({result['files']} files changed, {result['deleted']} entries "
            f"deleted since the backup {result['base']})."
        )
    else:
        found = result["verification"]
        verdict = "is intact" if found["ok"] else f"IS DAMAGED in {len(found['damaged'])} places: {found['restorable']}"
        return (
            f"Nothing changed since {found['id']}, so that was checked instead: it {verdict}"[:2000].rstrip(".") + "."
        )
    state = "It is sealed." if result["sealed"] else "It is NOT sealed: root could delete it."
    missing = f" {printable(result['warnings'][0])}" if result["incomplete"] else ""
    return f"{text} {state}{missing}"
