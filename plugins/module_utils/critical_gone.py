# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Critical files that a backup still holds and the project has no more.

The next backup has not got them either, and nobody would miss them by looking at that one. So each backup carries on
what its predecessors knew of, until the file is there again, is not called critical any more, or no backup holds it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from . import layout
from .errors import IntegrityError
from .names import printable
from .patterns import PathFilter
from .settings import BackupSettings
from .vault import Vault

_SHOWN_AT_MOST = 5


class Gone(NamedTuple):
    """A critical file, and the last backup that holds it."""

    path: str
    backup_id: str


def critical_gone(vault: Vault, settings: BackupSettings, present: Collection[str]) -> list[Gone]:
    """What a new backup has to carry on, sorted.

    :param present: critical files of that backup
    """
    is_critical = PathFilter(settings.critical).matches
    held = {gone.path: gone for gone in _held_before(vault, settings.project)}
    return sorted(
        gone
        for gone in held.values()
        if gone.path not in present
        and is_critical(gone.path)
        and not os.path.lexists(os.path.join(settings.project, gone.path))
        and os.path.isdir(vault.path_of(gone.backup_id))
    )


def _held_before(vault: Vault, project: str) -> Iterator[Gone]:
    """What the newest backup of the project carried on, and what it holds itself."""
    for backup_id in reversed(vault.ids()):
        try:
            report = layout.read_report(vault.path_of(backup_id))
        except IntegrityError:
            continue
        if report["project"] == project:
            yield from gone_of(report)
            yield from (Gone(path, backup_id) for path in report.get("critical", []) if isinstance(path, str))
            return


def gone_of(report: dict[str, Any]) -> list[Gone]:
    """What REPORT.json of a backup carries on. Older backups say nothing of it."""
    rows = report.get("critical_gone", [])
    return [
        Gone(row["path"], row["backup"])
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("path"), str) and isinstance(row.get("backup"), str)
    ]


def gone_rows(gone: Collection[Gone]) -> list[dict[str, str]]:
    """The same, as REPORT.json says it."""
    return [{"path": one.path, "backup": one.backup_id} for one in gone]


def gone_text(gone: Collection[Gone]) -> str:
    """A sentence for a person: what is gone, and how to bring it back."""
    first = min(gone)
    paths = [printable(one.path) for one in sorted(gone)]
    more = f" and {len(paths) - _SHOWN_AT_MOST} more" if len(paths) > _SHOWN_AT_MOST else ""
    shown = f"{', '.join(paths[:_SHOWN_AT_MOST])}{more}"
    return (
        f"Critical files that earlier backups hold are gone from the project: {shown}. "
        f"Bring one back: cora restore {first.backup_id} --file {printable(first.path)}. "
        f"Removed on purpose? Add '!{printable(first.path)}' to cora_critical."
    )
