# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup whose frames a new one may take over: the newest of the same project whose index is as it was written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional

from . import layout
from .archive_reader import ArchiveReader
from .errors import IntegrityError
from .source import Layer
from .vault import Vault

#: Where so many in a row are damaged, the disk is, and reading everything anew is right.
_TRIED_AT_MOST = 3


@dataclass(frozen=True)
class EarlierBackup:
    """A backup that is held open.

    :param report: its REPORT.json, checked
    """

    backup_id: str
    directory: str
    report: dict[str, Any]
    reader: ArchiveReader

    def archive_sha256(self) -> str:
        """What the backup says the SHA-256 of its archive is; empty where it says two things.

        So it does where somebody made C(SHA256SUMS.txt) fit what was damaged.
        """
        try:
            promised = layout.read_sums(self.directory).get(layout.ARCHIVE, "")
        except IntegrityError:
            return ""
        return promised if self.report.get("archive_sha256") == promised else ""


def open_earlier(vault: Vault, project: str) -> tuple[Optional[EarlierBackup], list[str]]:
    """The newest backup that can be used, to be closed by the caller, and ids of newer ones that are damaged.

    Frames of a backup that is known to be damaged may be used all the same: each is checked before.
    """
    wanted = os.path.normpath(project)
    damaged: list[str] = []
    for backup_id in reversed(vault.ids()):
        directory = vault.path_of(backup_id)
        try:
            if layout.read_report(directory)["project"] != wanted:
                continue
            report = layout.read_report(directory, checked=True)
            Layer(directory).check_index()
            _check_form(report)
            return EarlierBackup(backup_id, directory, report, ArchiveReader(directory)), damaged
        except IntegrityError:
            damaged.append(backup_id)
            if len(damaged) == _TRIED_AT_MOST:
                break
    return None, damaged


def _check_form(report: dict[str, Any]) -> None:
    """Whether what the rules look at is there; only a backup that somebody forged is not so.

    :raises IntegrityError: when it is not
    """
    named = all(isinstance(one, dict) and isinstance(one.get("path"), str) for one in report["databases"])
    counted = all(isinstance(count, int) for count in report["entries"].values())
    owners = report.get("owners", {})
    if not named or not counted or not isinstance(owners, dict):
        raise IntegrityError(f"{layout.REPORT} is damaged.")
    if not all(isinstance(owners.get(key, {}), dict) for key in ("users", "groups")):
        raise IntegrityError(f"{layout.REPORT} is damaged.")
