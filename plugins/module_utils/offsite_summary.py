# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies elsewhere, in a person's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .names import printable
from .summary import age_text, count_text, size_text, warning_lines

Result = Mapping[str, Any]


def sync_summary(result: Result, *, check: bool) -> list[str]:
    """What was copied, or would be."""
    uploaded, remote = result["uploaded"], printable(result["remote"])
    if check:
        lines = [f"Would copy {count_text(len(uploaded), 'backup')} to {remote}."] if uploaded else [_nothing(remote)]
        return lines + [f"  {backup_id}" for backup_id in uploaded]
    lines = [f"  failed   {one['id']}  {one['message']}".rstrip() for one in result["failures"]]
    lines += [f"  copied   {backup_id}" for backup_id in uploaded]
    if uploaded:
        lines.insert(0, f"Copied {count_text(len(uploaded), 'backup')} to {remote}: {_bytes(result)}.")
    elif result["failures"]:
        lines.insert(0, f"Nothing was copied to {remote}. The backups here are not touched; the next run tries again.")
    else:
        lines.insert(0, _nothing(remote))
    if result.get("swept"):
        lines.append(f"Cleared away {count_text(result['swept'], 'abandoned upload')}.")
    return lines + warning_lines(result.get("warnings", ()))


def _nothing(remote: str) -> str:
    return f"Every backup is at {remote} already; nothing was sent."


def _bytes(result: Result) -> str:
    parts = [f"{size_text(result['bytes_sent'])} sent"]
    if result.get("bytes_copied"):
        parts.append(f"{size_text(result['bytes_copied'])} copied by the service")
    if result.get("bytes_found"):
        parts.append(f"{size_text(result['bytes_found'])} there from an earlier run")
    return ", ".join(parts) + f" in {result['seconds']:.0f} s"


def list_summary(rows: Sequence[Result], remote: str) -> list[str]:
    """A table, newest first."""
    if not rows:
        return [f"There is no backup at {printable(remote)}. Send what is here: cora offsite sync"]
    cells = [["ID", "UPLOADED", "SIZE", "HERE", "ENCRYPTED", "PROJECT"]]
    cells += [
        [
            row["id"],
            age_text(row["uploaded_at"]),
            size_text(row["size_bytes"]) if row["size_bytes"] is not None else "?",
            "yes" if row["local"] else "no",
            "yes" if row["encrypted"] else "no",
            printable(row["project"] or "?"),
        ]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    table = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells]
    return [*table, "", f"{count_text(len(rows), 'backup')} at {printable(remote)}."]


def setup_summary(result: Result) -> list[str]:
    """What a bucket protects and what it does not, problems last."""
    skew = result["clock_skew_seconds"]
    lines = [
        f"place       {printable(result['remote'])}, region {printable(result['region'] or '?')}",
        f"clock       {'unknown' if skew is None else f'{abs(skew):.0f} s off'}",
        f"versioning  {result['versioning'] or 'unknown: this key may not ask'}{_switched(result, 'versioning')}",
        f"lock        {_lock(result['object_lock'])}",
        f"lifecycle   {_lifecycle(result)}{_switched(result, 'lifecycle')}",
        f"this key    {_rights(result['may'])}",
        "",
        "What the bucket protects:",
        *[f"  {line}" for line in result["protects"] or ["Nothing beyond being elsewhere."]],
        "What somebody could do who steals this key:",
        *[f"  {line}" for line in result["stolen_key"] or ["Not tried: this was only a look."]],
    ]
    if result["left_behind"]:
        lines += ["", f"Left there, since this key may not delete: {', '.join(map(printable, result['left_behind']))}"]
    if result["problems"]:
        lines += ["", *[f"PROBLEM: {printable(line)}" for line in result["problems"]]]
    return lines


def _switched(result: Result, name: str) -> str:
    return " (switched on now)" if name in result["switched_on"] else ""


def _lock(object_lock: Any) -> str:
    if object_lock is None:
        return "unknown: this key may not ask, or the service has none"
    return f"{object_lock['mode']}, {object_lock['days']} days" if object_lock else "none"


def _lifecycle(result: Result) -> str:
    if result["clears_uploads"] is None:
        return "unknown: this key may not ask"
    return "clears unfinished uploads" if result["clears_uploads"] else "none for unfinished uploads"


def _rights(may: Mapping[str, Any]) -> str:
    words = [
        f"{'may' if value else 'may not'} {name.replace('_', ' ')}" for name, value in may.items() if value is not None
    ]
    return ", ".join(words) or "unknown"
