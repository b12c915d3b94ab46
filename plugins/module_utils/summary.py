# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results in a person's words: the same lines at the end of a playbook and of the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional

from .names import printable
from .timestamps import moment_of

Result = Mapping[str, Any]

_SHOWN_AT_MOST = 20
_ACTIONS = {"create": "created", "replace": "replaced", "remove": "removed", "same": "left as they are"}


def size_text(size_bytes: Optional[int]) -> str:
    """C(1234567) as C(1.2 MB); an unknown size as C(?)."""
    if size_bytes is None:
        return "?"
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value, unit = size_bytes / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def duration_text(seconds: float) -> str:
    """C(3725.2) as C(1 h 2 min)."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count_text(count: Optional[int], one: str = "", many: str = "") -> str:
    """C(12345) as C(12,345), with a noun where one is given; an unknown count as C(?)."""
    number = "?" if count is None else f"{count:,}"
    noun = one if count == 1 else many or f"{one}s" if one else ""
    return f"{number} {noun}".rstrip()


def age_text(moment: str, now: Optional[datetime] = None) -> str:
    """How long ago an ISO time was, in one unit: C(5 min ago)."""
    seconds = int(((now or datetime.now(timezone.utc)) - moment_of(moment)).total_seconds())
    if seconds < 60:
        return "just now"
    for unit, length in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}s ago" if unit == "day" and count > 1 else f"{count} {unit} ago"
    return "just now"


def backup_summary(result: Result, *, check: bool) -> list[str]:
    """What a backup did."""
    if check:
        return [
            f"{printable(result['project'])} would be backed up to {printable(result['vault'])}.",
            "Nothing was changed.",
        ]
    state = "is incomplete: some files could not be read" if result["incomplete"] else "is complete"
    lines = [
        f"Backup {result['id']} of {printable(result['project'])} {state}.",
        f"  files    {_contents(result)}",
        f"  size     {size_text(result['size_bytes'])}, archive {size_text(result['archive_bytes'])}",
        *_reused_line(result.get("reused") or {}),
        f"  took     {duration_text(result['duration_seconds'])}",
        f"  sealed   {'yes' if result['sealed'] else 'no'}",
        f"  where    {printable(result['path'])}",
    ]
    lines += [f"  note     {printable(sentence)}" for sentence in result.get("recovered", ())]
    return lines + warning_lines(result.get("warnings", ()))


def _reused_line(reused: Mapping[str, Any]) -> list[str]:
    if not reused.get("frames"):
        return []
    return [f"  reused   {size_text(reused['archive_bytes'])} of {reused['backup']}, of {reused['entries']} entries"]


def _contents(result: Result) -> str:
    parts = [count_text(result["files"])]
    if result.get("databases"):
        parts.append(count_text(result["databases"], "database"))
    if result.get("critical"):
        parts.append(f"{count_text(result['critical'])} critical")
    if result.get("excluded"):
        parts.append(f"{count_text(result['excluded'])} excluded")
    return ", ".join(parts)


def warning_lines(warnings: Sequence[str]) -> list[str]:
    """Each warning as a line; of very many only the first."""
    lines = [f"  warning  {printable(text)}" for text in warnings[:_SHOWN_AT_MOST]]
    if len(warnings) > _SHOWN_AT_MOST:
        lines.append(f"  warning  … and {len(warnings) - _SHOWN_AT_MOST} more: REPORT.json has all of them")
    return lines


def verify_summary(result: Result) -> list[str]:
    """What a check found."""
    lines = [verdict(result)]
    lines += [f"  {damage_text(damage)}" for damage in result["damaged"]]
    if not result["ok"]:
        lines.append(printable(result["restorable"]))
    elif result["quick"]:
        lines.append(
            "Only the checksums of its files were compared; without quick, every archived entry and database is read."
        )
    return lines + warning_lines(result["warnings"])


def verdict(result: Result) -> str:
    """The result of a check in one sentence."""
    if not result["ok"]:
        return f"Backup {result['id']} is damaged: {count_text(len(result['damaged']), 'problem')} found."
    parts = [f"{size_text(result['bytes_checked'])} read"]
    if not result["quick"]:
        parts.insert(0, count_text(result["entries_checked"], "entry", "entries"))
    if result["databases_checked"]:
        parts.insert(1, count_text(result["databases_checked"], "database"))
    sealed = "sealed" if result["sealed"] else "not sealed"
    return (
        f"Backup {result['id']} is intact: {', '.join(parts)} in {duration_text(result['duration_seconds'])}, {sealed}."
    )


def damage_text(damage: Result) -> str:
    """One damaged file of a backup."""
    where = printable(damage["artifact"])
    if damage.get("path") and damage["path"] != damage["artifact"]:
        where = f"{where}: {printable(damage['path'])}"
    return f"{where}: {printable(damage['problem'])}"


def restore_summary(result: Result, *, check: bool) -> list[str]:
    """What a restore did, or would do."""
    counts = result["counts"]
    if result["scenario"] == "plan":
        head = f"Backup {result['id']} can be restored to {printable(result['project'])}."
    elif check:
        head = f"Backup {result['id']} would be restored to {printable(result['project'])} ({result['scenario']})."
    elif result.get("rolled_back"):
        head = f"Restoring {result['id']} failed and was rolled back: {printable(result['project'])} is as it was."
    elif not result["changed"]:
        head = f"{printable(result['project'])} already is as in backup {result['id']}."
    else:
        head = f"Backup {result['id']} was restored to {printable(result['project'])} ({result['scenario']})."
    lines = [head, f"  files    {counts_text(counts)}"]
    lines += entry_lines(result) if check or result["scenario"] == "plan" else newer_work_lines(result)
    lines += [f"  note     {printable(sentence)}" for sentence in result.get("recovered", ())]
    if not check and result.get("changed"):
        lines += _done_lines(result)
    lines += warning_lines(result.get("warnings", ()))
    if result["scenario"] == "plan":
        lines += command_lines(result["commands"])
    if check or result["scenario"] == "plan":
        lines.append("Nothing was changed.")
    return lines


def _done_lines(result: Result) -> list[str]:
    lines = []
    if result.get("saved_at"):
        lines.append(f"  saved    {printable(result['saved_at'])} holds what was there before")
    lines += [f"  service  {printable(sentence)}" for sentence in result.get("services", ())]
    lines.append(f"  took     {duration_text(result['duration_seconds'])}")
    return lines


def counts_text(counts: Mapping[str, int]) -> str:
    """C({"create": 2, …}) as C(2 created, 1 replaced)."""
    parts = [f"{count_text(counts[action])} {word}" for action, word in _ACTIONS.items() if counts.get(action)]
    return ", ".join(parts) or "none"


def entry_lines(result: Result) -> list[str]:
    """What happens to which file; of very many only the first, newer work before all."""
    entries = [entry for entry in result.get("entries", ()) if entry["action"] != "same"]
    lines = []
    for entry in entries[:_SHOWN_AT_MOST]:
        newer = " (changed since the backup)" if entry["newer_work"] else ""
        lines.append(f"    {entry['action']:<8} {printable(entry['path'])}{newer}")
    changing = sum(result["counts"].get(action, 0) for action in ("create", "replace", "remove"))
    if changing > len(lines):
        lines.append(f"    … and {count_text(changing - len(lines))} more (--json or --diff has more of them)")
    return lines


def newer_work_lines(result: Result) -> list[str]:
    """The files whose newer content a restore replaces or removes."""
    newer = result["counts"].get("newer", 0)
    if not newer:
        return []
    paths = [entry["path"] for entry in result.get("entries", ()) if entry.get("newer_work")]
    lines = [f"  newer    {count_text(newer, 'file')} changed since the backup:"]
    lines += [f"             {printable(path)}" for path in paths[:_SHOWN_AT_MOST]]
    if newer > _SHOWN_AT_MOST:
        lines.append(f"             … and {count_text(newer - _SHOWN_AT_MOST)} more")
    return lines


def command_lines(commands: Mapping[str, Sequence[str]]) -> list[str]:
    """The plain commands of each scenario."""
    lines = []
    for scenario, words in commands.items():
        lines += ["", f"By hand, {scenario}:", *(f"  {printable(line)}" for line in words)]
    return lines


def undo_plan_lines(plan: Result, *, tree_is_there: bool) -> list[str]:
    """Which restore is about to be taken back, and what that does to a whole tree."""
    what = "undo" if plan["scenario"] == "undo" else f"restore ({plan['scenario']} of {plan['backup_id']})"
    lines = [
        f"Taking back {plan['undone_id']}, the {what} of {printable(plan['project'])}, {age_text(plan['restored_at'])}."
    ]
    if plan["kind"] != "swap":
        return lines
    if plan["old_tree"]:
        lines.append(f"The whole tree is replaced by the one before it, {printable(plan['old_tree'])}.")
    else:
        lines.append("There was no tree before it, so the whole tree is moved away.")
    return lines + (["The tree that is there now is kept beside it."] if tree_is_there else [])


def undo_summary(result: Result, *, check: bool) -> list[str]:
    """What taking a restore back did, or would do."""
    project = printable(result["project"])
    if check:
        head = f"Restore {result['undone_id']} of {project} would be taken back."
    else:
        head = f"Restore {result['undone_id']} was taken back: {project} is as it was before."
    lines = [head]
    if result.get("counts"):
        lines.append(f"  files    {counts_text(result['counts'])}")
    lines += [f"  note     {printable(sentence)}" for sentence in result.get("recovered", ())]
    if result.get("saved_at") and not check:
        lines.append(f"  saved    {printable(result['saved_at'])} holds what was there before the undo")
    lines += warning_lines(result.get("warnings", ()))
    return lines + (["Nothing was changed."] if check else [])


def list_table(rows: Sequence[Result], vault: str) -> list[str]:
    """Backups as a table, as wide as it needs to be."""
    if not rows:
        return [f"There is no backup in {printable(vault)}."]
    head = ["ID", "MADE (UTC)", "AGE", "KIND", "FILES", "SIZE", "ARCHIVE", "SEALED", "VERIFIED"]
    several = len({row["project"] for row in rows}) > 1
    if several:
        head.append("PROJECT")
    cells = [_row(row, several=several) for row in rows]
    widths = [max(len(line[column]) for line in [head, *cells]) for column in range(len(head))]
    numbers = (4, 5, 6)
    return [
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in [head, *cells]
    ]


def _row(row: Result, *, several: bool) -> list[str]:
    cells = [
        row["id"],
        row["created_at"].replace("T", " ").rstrip("Z"),
        age_text(row["created_at"]),
        _kind(row),
        count_text(row["files"]),
        size_text(row["size_bytes"]),
        size_text(row["archive_bytes"]),
        "yes" if row["sealed"] else "NO",
        _verified(row),
    ]
    return [*cells, printable(row["project"] or "?")] if several else cells


def _kind(row: Result) -> str:
    if row.get("problem"):
        return "DAMAGED"
    return f"{row['kind']}, incomplete" if row.get("incomplete") else str(row["kind"])


def _verified(row: Result) -> str:
    if row["verified_at"] is None:
        return "never"
    quick = " (quick)" if row.get("verified_quick") else ""
    return f"{'ok' if row['verified_ok'] else 'DAMAGED'}, {age_text(row['verified_at'])}{quick}"
