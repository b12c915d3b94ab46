# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was fetched, checked and removed elsewhere, in a person's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .names import printable
from .summary import count_text, damage_text, duration_text, size_text, warning_lines

Result = Mapping[str, Any]


def fetch_summary(result: Result, *, check: bool) -> list[str]:
    """What was brought into the vault, or would be."""
    backup_id, vault = result["id"], printable(result["vault"])
    if not result["changed"]:
        return [f"Backup {backup_id} is in {vault} already; nothing was fetched."]
    if check:
        return [f"Would fetch backup {backup_id} into {vault}.", "Nothing was changed."]
    kept = f", {size_text(result['bytes_kept'])} were here from an earlier run" if result["bytes_kept"] else ""
    sealed = "sealed" if result["sealed"] else "not sealed"
    lines = [
        f"Fetched backup {backup_id} into {vault}: {size_text(result['bytes_fetched'])} in "
        f"{duration_text(result['duration_seconds'])}{kept}, checked, {sealed}."
    ]
    lines += [f"  note     {printable(sentence)}" for sentence in result["recovered"]]
    return lines + warning_lines(result["warnings"])


def verify_away_summary(result: Result) -> list[str]:
    """What a check elsewhere found."""
    objects = count_text(result["objects_checked"], "object")
    if result["ok"]:
        read = f", {size_text(result['bytes_read'])} read" if result["deep"] else ""
        how = "is intact" if result["deep"] else "is all there"
        lines = [
            f"Backup {result['id']} {how}: {objects}{read} in {duration_text(result['duration_seconds'])} at "
            f"{printable(result['place'])}"
        ]
    else:
        problems = count_text(len(result["damaged"]), "problem")
        lines = [f"Backup {result['id']} is damaged at {printable(result['place'])}: {problems} found."]
    lines += [f"  {damage_text(damage)}" for damage in result["damaged"]]
    if not result["ok"] or not result["deep"]:
        lines.append(printable(result["restorable"]))
    return lines + warning_lines(result["warnings"])


def prune_away_summary(result: Result, *, check: bool) -> list[str]:
    """What was removed elsewhere; what would be, and with C(check) also why each other id stays."""
    removed, kept = result["removed"], count_text(result["kept"])
    place, freed = printable(result["place"]), size_text(result["freed_bytes"])
    if not result["decisions"]:
        lines = [f"There is no backup at {place}."]
    elif not removed:
        lines = [f"Nothing to remove at {place}, {kept} kept."]
    else:
        done = "Would remove" if check else "Removed"
        lines = [f"{done} {count_text(len(removed))} of {freed} at {place}; {kept} kept."]
    lines += [
        f"  finished {backup_id}, which an interrupted run had begun to remove" for backup_id in result["finished"]
    ]
    for one in result["decisions"]:
        if check or not one["keep"]:
            action = "keep" if one["keep"] else "remove" if check else "removed"
            lines.append(f"  {action:<8} {one['id']}  {'; '.join(one['reasons'])}")
    lines += warning_lines(result["warnings"])
    return lines + (["Nothing was changed."] if check and result["changed"] else [])
