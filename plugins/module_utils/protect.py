# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping critical files from being emptied or removed: C(chattr +a), append-only, while they live in the project.

Append-only means: what is written stays, more can be added at the end. It also stops whatever replaces a file: most
editors (they write a new file and rename it), C(git checkout) and C(git pull) of a new version, C(sed -i), log
rotation. So protection is taken off for a moment of editing and put back. Databases are never protected: SQLite has to
write in the middle of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional

from .catalog import newest_of
from .errors import SealError
from .inode_flags import APPEND_ONLY, IMMUTABLE, change_flags, get_flags
from .layout import read_report
from .names import printable
from .patterns import PathFilter
from .scan import Found, ScanNotes, walk
from .settings import BackupSettings
from .source_files import UnreadableError, open_source
from .sqlite_copy import is_sqlite
from .tar_format import FILE
from .vault import Vault

_SQLITE_HEADER_BYTES = 16


def protect(settings: BackupSettings, *, on: bool = True, check: bool = False) -> dict[str, Any]:
    """Set or clear the append-only flag of every critical file.

    :param on: set it; False: clear it, for a moment of editing
    :param check: look only, change nothing
    :returns: JSON types: C(changed), C(protected), C(unprotected), C(missing), C(problems), C(ok)
    :raises ProjectError: when the project cannot be read
    """
    critical = PathFilter(settings.critical)
    document: dict[str, Any] = {"changed": False, "project": settings.project, "problems": []}
    protected: list[str] = []
    unprotected: list[str] = []
    present: set[str] = set()
    for found in walk(settings.project, PathFilter(settings.exclude), ScanNotes(), vault=settings.vault):
        if found.kind != FILE or not critical.matches(found.path):
            continue
        present.add(found.path)
        try:
            state = _treat(found, on=on, check=check)
        except (UnreadableError, SealError) as error:
            document["problems"].append(f"{printable(found.path)}: {error}")
            state = _State(protected=False, changed=False)
        if state is None:
            continue
        (protected if state.protected else unprotected).append(printable(found.path))
        document["changed"] = document["changed"] or state.changed
    missing = [printable(path) for path in _missing(settings, present)]
    document.update({"protected": protected, "unprotected": unprotected, "missing": missing})
    document["ok"] = not missing and not document["problems"] and not (on and unprotected)
    return document


@dataclass(frozen=True)
class _State:
    """A critical file after it was treated; where only a look was asked for: as it is.

    :param changed: it was changed, or would be
    """

    protected: bool
    changed: bool


def _treat(found: Found, *, on: bool, check: bool) -> Optional[_State]:
    """None for what is never protected: databases, and what is immutable already."""
    fd = open_source(found)
    try:
        if is_sqlite(os.pread(fd, _SQLITE_HEADER_BYTES, 0)):
            return None
        flags = get_flags(fd) or 0
        if flags & IMMUTABLE:
            return None
        is_on = bool(flags & APPEND_ONLY)
        if check or is_on == on:
            return _State(protected=is_on, changed=is_on != on)
        add, remove = (APPEND_ONLY, 0) if on else (0, APPEND_ONLY)
        change_flags(fd, add=add, remove=remove, what=found.path)
        return _State(protected=on, changed=True)
    finally:
        os.close(fd)


def _missing(settings: BackupSettings, present: set[str]) -> list[str]:
    """Critical files of the newest backup that are not in the project any more."""
    vault = Vault(settings.vault)
    newest = newest_of(vault, settings.project) if vault.exists() else None
    if newest is None:
        return []
    saved = read_report(vault.path_of(newest))["critical"]
    return [path for path in saved if path not in present and not os.path.lexists(os.path.join(settings.project, path))]
