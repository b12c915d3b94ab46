# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain copies in a backup: databases in C(db/), critical files and databases in C(critical/).

Each stands at its path relative to the project, with the owner, mode and time of its original. A database is one inode
in both places.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any, Optional

from . import durable, layout
from .index import Entry
from .scan import Found
from .taken import Taken
from .vault_file import VaultFile
from .verified_copy import copy_verified


class PlainCopies:
    """Puts plain copies into a staged backup.

    :param staged: the staging directory
    :param taken: where each copy is noted
    """

    def __init__(self, staged: str, taken: Taken) -> None:
        self._staged = staged
        self._taken = taken

    def room_for(self, part: str, path: str) -> str:
        """The place of a copy, whose directory is there when this returns.

        :param part: C(critical) or C(db)
        :raises VaultError: when the directory cannot be made
        """
        target = os.path.join(self._staged, part, path)
        try:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        except OSError as error:
            durable.fail(error, "make the directory of", target)
        return target

    def write_critical(self, path: str, chunks: Iterable[bytes]) -> str:
        """Write the copy of a critical file, which :meth:`keep_critical` then finishes; returns its place.

        :raises VaultError: when it cannot be written
        """
        target = self.room_for(layout.CRITICAL_DIR, path)
        with VaultFile(target) as stream:
            for chunk in chunks:
                stream.write(chunk)
        return target

    def keep_critical(self, path: str, status: os.stat_result) -> None:
        """Finish and note a copy that was written into C(critical/).

        :param status: of its original
        :raises VaultError: when it cannot get its owner, mode and time
        """
        _dress(os.path.join(self._staged, layout.CRITICAL_DIR, path), status)
        self._taken.critical.append(path)

    def keep_database(self, path: str, status: os.stat_result) -> None:
        """Finish a copy that was written into C(db/), and give it its place in C(critical/) too.

        :param status: of its original
        :raises VaultError: when it cannot get its owner, mode and time, or its second place no directory
        """
        copy_path = os.path.join(self._staged, layout.DATABASE_DIR, path)
        _dress(copy_path, status)
        os.link(copy_path, self.room_for(layout.CRITICAL_DIR, path))
        self._taken.critical.append(path)

    def know(self, path: str, sha256: Optional[str], *, is_database: bool) -> None:
        """Remember the digest of a copy that was read to the end, so that it is not read again."""
        for part in (layout.CRITICAL_DIR, layout.DATABASE_DIR) if is_database else (layout.CRITICAL_DIR,):
            self._taken.plain_sums[f"{part}/{path}"] = sha256 or ""

    def adopt(self, found: Found, entry: Entry, earlier: str, database: Optional[dict[str, Any]]) -> bool:
        """Take the copy of an unchanged critical file or database over from an earlier backup.

        :param earlier: the directory of that backup
        :param database: what its report says of the database; None for another file
        :returns: False where it is missing there or damaged; nothing is kept then
        :raises VaultError: when it cannot be written
        """
        part = layout.CRITICAL_DIR if database is None else layout.DATABASE_DIR
        copy_path = self.room_for(part, found.path)
        if not copy_verified(os.path.join(earlier, part, found.path), copy_path, entry.sha256 or ""):
            return False
        if database is None:
            self.keep_critical(found.path, found.status)
        else:
            self.keep_database(found.path, found.status)
            self._taken.databases.append(database)
        self.know(found.path, entry.sha256, is_database=database is not None)
        return True

    def drop(self, path: str) -> None:
        """Take back what :meth:`adopt` did: the frames that belong to it could not be taken over."""
        for part in (layout.CRITICAL_DIR, layout.DATABASE_DIR):
            self._taken.plain_sums.pop(f"{part}/{path}", None)
            copy_path = os.path.join(self._staged, part, path)
            if os.path.lexists(copy_path):
                os.unlink(copy_path)
        if path in self._taken.critical:
            self._taken.critical.remove(path)
        self._taken.databases = [one for one in self._taken.databases if one["path"] != path]


def _dress(path: str, status: os.stat_result) -> None:
    """Give a copy the owner, mode and time of its original, so that C(cp -a) restores it."""
    try:
        if os.geteuid() == 0:
            os.chown(path, status.st_uid, status.st_gid)
        os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    except OSError as error:
        durable.fail(error, "set owner, mode and time of", path)
