# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What saving did, in a person's words: a checkpoint, a backup, a check, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .names import printable
from .summary import backup_summary, count_text, duration_text, size_text, verdict, warning_lines

Result = Mapping[str, Any]

_WOULD_MAKE = {"full": "A backup would be made.", "checkpoint": "A checkpoint would be made."}


def saved_summary(result: Result, *, check: bool) -> list[str]:
    """What a run of the module C(checkpoint) did, or would do."""
    if check:
        return [_WOULD_MAKE.get(result["kind"], "Nothing changed since the last run."), "Nothing was changed."]
    lines = []
    if result["kind"] == "full":
        lines = backup_summary(result, check=False)
        lines.append("  why      there was no backup to build on, or over a quarter of it has changed since")
    elif result["kind"] == "checkpoint":
        lines = _checkpoint_lines(result)
    else:
        lines = [f"Nothing changed since {result['id']}, so nothing was saved."]
        lines += [f"  note     {printable(sentence)}" for sentence in result.get("recovered", ())]
        lines += warning_lines(result.get("warnings", ()))
    if result.get("verification", {}).get("ok"):
        lines.append(verdict(result["verification"]))
    return lines


def _checkpoint_lines(result: Result) -> list[str]:
    state = "is incomplete: some files could not be read" if result["incomplete"] else "is complete"
    lines = [
        f"Checkpoint {result['id']} of {printable(result['project'])} {state}.",
        f"  changed  {count_text(result['files'], 'file')}, {count_text(result['deleted'])} deleted, "
        f"since backup {result['base']}",
        f"  size     {size_text(result['size_bytes'])}, archive {size_text(result['archive_bytes'])}",
        f"  took     {duration_text(result['duration_seconds'])}",
        f"  sealed   {'yes' if result['sealed'] else 'no'}",
        f"  where    {printable(result['path'])}",
    ]
    lines += [f"  note     {printable(sentence)}" for sentence in result.get("recovered", ())]
    return lines + warning_lines(result.get("warnings", ()))


def saved_paragraph(result: Result, *, check: bool = False) -> str:
    """The same in one paragraph, for somebody who only wants to know whether all is well."""
    if check:
        wanted = {"full": "a backup", "checkpoint": "a checkpoint", None: "a check of the newest state"}
        return f"This run would make {wanted[result['kind']]}; nothing was changed."
    found = result.get("verification")
    damaged = f"{found['id']} IS DAMAGED: {printable(found['restorable'])} " if found and not found["ok"] else ""
    if result["kind"] is None:
        checked = "and that was read whole and is intact" if found and found["ok"] else "so nothing was saved"
        return f"{damaged}Nothing changed since {result['id']}, {checked}."
    if result["kind"] == "full":
        text = f"A backup was made: {result['id']}, {count_text(result['files'], 'file')}."
    else:
        text = (
            f"A checkpoint was made: {result['id']}, {count_text(result['files'], 'file')} changed and "
            f"{count_text(result['deleted'])} deleted since the backup {result['base']}."
        )
    state = "It is sealed." if result["sealed"] else "It is NOT sealed: root could delete it."
    missing = " Some files could not be read: see the warnings." if result["incomplete"] else ""
    return f"{damaged}{text} {state}{missing}"
