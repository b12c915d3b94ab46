# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prune did, and why each id stays, in a person's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .names import printable
from .summary import count_text, size_text, warning_lines

Result = Mapping[str, Any]


def prune_summary(result: Result, *, check: bool) -> list[str]:
    """What a prune removed; what it would remove, and with C(check) also why each other id stays."""
    going = len(result["removed"])
    lines = [_head(result, check=check)]
    lines += [f"  note     {printable(sentence)}" for sentence in result["recovered"]]
    lines += [f"  verified {backup_id}" for backup_id in result["verified"]]
    shown = [one for one in result["decisions"] if check or not one["keep"]]
    width = max((len(one["id"]) for one in shown), default=0)
    for one in shown:
        action = "keep" if one["keep"] else "remove" if check else "removed"
        lines.append(f"  {action:<8} {one['id']:<{width}}  {one['kind']:<10}  {'; '.join(one['reasons'])}")
    lines += warning_lines(result["warnings"])
    lines += waiting_lines(result)
    return lines + (["Nothing was changed."] if check and going else [])


def _head(result: Result, *, check: bool) -> str:
    if not result["decisions"]:
        return f"There is nothing in {printable(result['vault'])}."
    removed, kept, freed = len(result["removed"]), result["kept"], size_text(result["freed_bytes"])
    if not removed:
        return f"Nothing to remove, {count_text(kept)} kept."
    if check:
        return f"Would remove {count_text(removed)}, which frees {freed}; {count_text(kept)} kept."
    return f"Removed {count_text(removed)}, which frees {freed}; {count_text(kept)} kept."


def waiting_lines(result: Result) -> list[str]:
    """Which backup has to be verified before more can go."""
    waiting = [one["waits_for"] for one in result["decisions"] if one["waits_for"]]
    if not waiting:
        return []
    needed = max(waiting)
    return [
        f"{count_text(len(waiting))} of these would go if {needed} was verified: cora verify {needed}, "
        "or cora prune --verify."
    ]


def prune_diff(result: Result) -> dict[str, str]:
    """The ids before and after, a line each."""
    decisions = result["decisions"]
    return {
        "before": "".join(f"{one['kind']} {one['id']}\n" for one in decisions),
        "after": "".join(f"{one['kind']} {one['id']}\n" for one in decisions if one["keep"]),
    }
