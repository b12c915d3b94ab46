# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an entry of an earlier archive is what a full reading would write now, told by metadata alone.

Stricter than :mod:`.changes`, which asks only whether a file changed: the header must be the same to the last byte, and
whatever a backup does beside the archive (plain copies, cut logs, warnings) must come out the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from . import layout
from .beside_database import DATABASE_NAMES
from .changes import is_line_of, is_unchanged
from .earlier_backup import EarlierBackup
from .index import Entry
from .items import Owners
from .patterns import PathFilter
from .scan import Found
from .settings import CRITICAL_LIMIT_BYTES, BackupSettings
from .tar_format import DIRECTORY, FIFO, FILE, SYMLINK


class ReuseRules:
    """What may be taken over from one earlier backup.

    :param owners: names of users and groups as they are now
    """

    def __init__(self, settings: BackupSettings, earlier: EarlierBackup, owners: Owners) -> None:
        self._settings = settings
        self._directory = earlier.directory
        self._owners = owners
        self._critical = PathFilter(settings.critical)
        self._logs = PathFilter(settings.logs)
        report = earlier.report
        self._same_cap = report["settings"].get("log_cap_bytes") == settings.log_cap_bytes
        self._databases = {str(one["path"]): one for one in report["databases"]}
        # what could not be copied in peace is tried again each time, and warned of each time
        self._try_again = {path for path, one in self._databases.items() if not _is_whole(one)}
        self._try_again.update(report.get("changed_while_read", ()))
        self._critical_paths: set[str] = set()  # of files that were allowed: patterns are asked once a file
        #: Larger files are listed by their digest, or warned of.
        self._needed_from_bytes = min(settings.large_file_bytes, CRITICAL_LIMIT_BYTES)
        self._owned_as_before: dict[tuple[int, int], bool] = {}
        self._named_before = report.get("owners", {})

    def database_of(self, entry: Entry) -> Optional[dict[str, Any]]:
        """What the report of the earlier backup says of a database; None for another file."""
        return self._databases.get(entry.path) if entry.database else None

    def has_plain_copy(self, entry: Entry) -> bool:
        """Whether a backup keeps this entry, which was allowed, under C(critical/) too."""
        return entry.kind == FILE and (
            entry.database or (entry.size_bytes <= CRITICAL_LIMIT_BYTES and entry.path in self._critical_paths)
        )

    def needs_entry(self, found: Found) -> bool:
        """Whether there is more to do with a file that was allowed by its line: it is copied, listed, or warned of."""
        is_large = found.status.st_size > self._needed_from_bytes
        return is_large or found.path in self._critical_paths or found.path.endswith(DATABASE_NAMES)

    def allow_line(self, line: str, found: Found) -> Optional[bool]:
        """The same as :meth:`allow` without parsing the line of the entry; None where that does not tell, or the line
        is that of another path."""
        if not is_line_of(line, found):
            return None
        if found.path in self._try_again or not self._is_owned_as_before((found.status.st_uid, found.status.st_gid)):
            return False
        return found.kind == DIRECTORY or self._allow_content(found, found.status.st_size, cut_bytes=0)

    def allow(self, entry: Entry, found: Found) -> bool:
        """Whether the entry can be taken over as it is."""
        if entry.kind not in (SYMLINK, FIFO) and entry.source is None:
            return False  # written just before it was read: another write may hide behind the same times
        if not is_unchanged(entry, found) or entry.path in self._try_again:
            return False
        if not self._is_owned_as_before((entry.uid, entry.gid)):
            return False
        if entry.kind != FILE:
            return True
        if entry.database:
            return entry.path in self._databases
        return self._allow_content(found, entry.size_bytes, cut_bytes=entry.cut_bytes)

    def _allow_content(self, found: Found, size_bytes: int, *, cut_bytes: int) -> bool:
        """Whether what a backup does with an unchanged file, no database, is what the earlier one did.

        :param size_bytes: what the archive has of it
        """
        is_critical = self._critical.matches(found.path)
        if is_critical:
            self._critical_paths.add(found.path)
        is_long_log = not is_critical and found.status.st_size > self._settings.log_cap_bytes
        is_long_log = is_long_log and self._logs.matches(found.path)
        if is_long_log != bool(cut_bytes) or (is_long_log and not self._same_cap):
            return False
        is_copied = is_critical and size_bytes <= CRITICAL_LIMIT_BYTES
        return not is_copied or os.path.lexists(os.path.join(self._directory, layout.CRITICAL_DIR, found.path))

    def _is_owned_as_before(self, owner: tuple[int, int]) -> bool:
        if owner not in self._owned_as_before:
            self._owned_as_before[owner] = self._has_same_names(*owner)
        return self._owned_as_before[owner]

    def _has_same_names(self, uid: int, gid: int) -> bool:
        """Headers hold names beside numbers, and C(tar) goes by the names."""
        users, groups = self._named_before.get("users", {}), self._named_before.get("groups", {})
        return bool(users.get(str(uid)) == self._owners.user(uid) and groups.get(str(gid)) == self._owners.group(gid))


def _is_whole(database: Mapping[str, Any]) -> bool:
    return database.get("method") == "online" and database.get("integrity") == "ok"
