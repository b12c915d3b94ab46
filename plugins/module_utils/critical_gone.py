# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Critical files that backups hold and the project has no more.

The next backup has not got them either, and nobody would miss them by looking at that one. So all backups are asked
what they held, each time: nothing is noted that one backup in between, made otherwise, could make forgotten.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from . import layout
from .defaults import default_vault
from .errors import IntegrityError, RestoreError, SettingsError
from .names import printable, to_bytes
from .patterns import PathFilter
from .safe_tree import check_relative
from .vault import Vault

_SHOWN_AT_MOST = 5
#: So many backups of a project are asked where somebody waits for the answer.
_ASKED_AT_MOST = 100
#: So many backups of a project are kept for this alone: where each day's log has a name of its own, each would be.
_KEPT_AT_MOST = 10
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")

#: A backup's id, and its REPORT.json.
Report = tuple[str, dict[str, Any]]


class Gone(NamedTuple):
    """A critical file, and the backups that hold it, the newest first."""

    path: str
    holders: list[str]


def reports_of(vault: Vault, project: str, *, at_most: int = _ASKED_AT_MOST) -> list[Report]:
    """Reports of the newest backups of a project, the newest first; of which it cannot be read, tells nothing."""
    found: list[Report] = []
    for backup_id, report in _reports(vault):
        if report["project"] == project:
            found.append((backup_id, report))
            if len(found) == at_most:
                break
    return found


def _reports(vault: Vault) -> Iterator[Report]:
    for backup_id in reversed(vault.ids()):
        try:
            yield backup_id, layout.read_report(vault.path_of(backup_id))
        except IntegrityError:
            continue


def critical_gone(reports: Iterable[Report], present: Collection[str], patterns: Sequence[str]) -> list[Gone]:
    """Critical files that backups of a project hold and its newest state does not, sorted.

    :param reports: of the backups, the newest first
    :param present: critical files of that state
    :param patterns: what is critical now; a database is, unless one of them says that it is not
    """
    try:
        decides = PathFilter(patterns).decides
    except SettingsError:
        return []  # somebody wrote them into a report
    holders: dict[str, list[str]] = {}
    for backup_id, report in reports:
        databases = {str(one.get("path")) for one in _list(report, "databases") if isinstance(one, dict)}
        for path in _list(report, "critical"):
            if not isinstance(path, str) or path in present:
                continue
            decision = decides(path)
            if decision or (decision is None and path in databases):
                holders.setdefault(path, []).append(backup_id)
    return [Gone(path, holders[path]) for path in sorted(holders)]


def gone_since(reports: Sequence[Report]) -> list[Gone]:
    """What the newest of these backups has no more."""
    if not reports:
        return []
    newest = reports[0][1]
    settings = newest.get("settings")
    patterns = _list(settings, "critical") if isinstance(settings, dict) else []
    return critical_gone(reports[1:], set(map(str, _list(newest, "critical"))), list(map(str, patterns)))


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []


def missing(gone: Iterable[Gone], project: str) -> list[Gone]:
    """Those that are not there at this moment."""
    return [one for one in gone if not _is_there(project, one.path)]


def _is_there(project: str, path: str) -> bool:
    try:
        check_relative(path)
        return os.path.isfile(os.path.join(to_bytes(project), to_bytes(path)))
    except (RestoreError, ValueError):
        return True  # what no file can be called is missed by nobody


def gone_text(gone: Sequence[Gone], vault: str) -> str:
    """A sentence for a person: what is gone, how to bring it back, and how to have it forgotten.

    :param vault: where the backups are; named where a command would not look for them there
    """
    paths = [printable(one.path) for one in gone]
    more = f" and {len(paths) - _SHOWN_AT_MOST} more" if len(paths) > _SHOWN_AT_MOST else ""
    pattern = _SPECIAL.sub(r"\\\1", paths[0])
    where = [] if vault == default_vault() else ["--vault", printable(vault)]
    restore = shlex.join(["cora", "restore", gone[0].holders[0], "--file", paths[0], *where])
    return (
        f"Critical files that earlier backups hold are gone from the project: "
        f"{', '.join(paths[:_SHOWN_AT_MOST])}{more}. "
        f"Bring one back: {restore}. "
        f"Removed on purpose? Add '!/{pattern}' to cora_critical, below what is there by default."
    )


def last_holders(vault: Vault, verified: Mapping[str, Optional[bool]]) -> Counter[str]:
    """Backups that are to be kept as the last to hold critical files which are gone, and of how many each is.

    :param verified: result of the last full check of each backup. One that is damaged is no holder, and of what is held
        by one that nobody checked, the next older holder is kept too
    """
    of: dict[str, list[Report]] = {}
    for backup_id, report in _reports(vault):
        of.setdefault(report["project"], []).append((backup_id, report))
    kept: Counter[str] = Counter()
    for reports in of.values():
        count: Counter[str] = Counter()
        for one in gone_since(reports):
            count.update(_needed(one.holders, verified))
        for backup_id in sorted(count, reverse=True)[:_KEPT_AT_MOST]:
            kept[backup_id] = count[backup_id]
    return kept


def _needed(holders: Iterable[str], verified: Mapping[str, Optional[bool]]) -> Iterator[str]:
    for backup_id in holders:
        if verified.get(backup_id) is not False:
            yield backup_id
        if verified.get(backup_id):
            return
