# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(protect) and C(rotate) did, in a person's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .names import printable
from .summary import count_text, size_text

Result = Mapping[str, Any]

_SHOWN_AT_MOST = 20


def protect_summary(result: Result, *, on: bool, check: bool) -> list[str]:
    """What protecting, or taking protection off, did or found."""
    project = printable(result["project"])
    protected, unprotected = len(result["protected"]), len(result["unprotected"])
    if check:
        total = protected + unprotected
        lines = [f"{count_text(protected)} of {count_text(total, 'critical file')} of {project} are protected."]
        lines += _named("open    ", result["unprotected"])
    elif on:
        lines = [f"{count_text(protected, 'critical file')} of {project} can only be added to now (chattr +a)."]
        lines += _named("        ", result["protected"] if result["changed"] else ())
        if result["changed"]:
            lines.append(
                "To edit them: cora protect --off first. Most editors and sed -i are refused; Git switches branches "
                "and leaves these files as they are, and git pull may stop half-way."
            )
    else:
        lines = [
            f"{count_text(unprotected, 'critical file')} of {project} can be edited: put the protection back after."
        ]
    lines += _named("MISSING ", result["missing"])
    lines += _named("PROBLEM ", result["problems"])
    if result["missing"]:
        lines.append(f"Bring one back: cora restore latest --file {printable(result['missing'][0])}")
    return lines


def rotate_summary(result: Result, *, check: bool) -> list[str]:
    """What was rotated, or would be."""
    rows = result["rotated"]
    if not rows and not result["problems"]:
        return [f"No file of {printable(result['project'])} is large enough to rotate."]
    verb = "would be rotated" if check else "rotated"
    lines = [f"{count_text(len(rows), 'file')} {verb}."]
    for row in rows[:_SHOWN_AT_MOST]:
        where = f" → {printable(row['archive'])}" if row["archive"] else ""
        lines.append(f"  {row['path']}  {size_text(row['bytes'])}{where}")
    lines += _named("PROBLEM ", result["problems"])
    return lines + (["Nothing was changed."] if check else [])


def _named(word: str, names: Sequence[str]) -> list[str]:
    lines = [f"  {word} {printable(name)}" for name in names[:_SHOWN_AT_MOST]]
    if len(names) > _SHOWN_AT_MOST:
        lines.append(f"  {word} … and {count_text(len(names) - _SHOWN_AT_MOST)} more")
    return lines
