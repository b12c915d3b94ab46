# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state that was saved, whether as a backup or as a checkpoint over one: where it is, and what to read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple, Optional

from . import layout
from .errors import IntegrityError, NotFoundError
from .names import printable
from .source import Layer, Pick, Source, single
from .vault import Vault


class SavedState(NamedTuple):
    """A backup, or a checkpoint with its base.

    :param directory: where its own files are
    :param report: its REPORT.json
    :param source: what a restore of it reads
    :param bring: where it is elsewhere, fetches what the source needs for these entries and returns how many bytes
    """

    state_id: str
    directory: str
    report: dict[str, Any]
    source: Source
    bring: Optional[Callable[[Iterable[Pick]], int]] = None

    @property
    def is_checkpoint(self) -> bool:
        """Whether it needs its base."""
        return bool(self.report["kind"] == "checkpoint")

    @property
    def stored_bytes(self) -> int:
        """What a restore of all of it needs on disk, at most."""
        return int(self.report["stored_bytes"]) + int(self.report.get("base_stored_bytes", 0))

    @property
    def databases(self) -> list[str]:
        """Paths of the databases in it."""
        reports = [layout.read_report(layer.directory) for layer in self.source.layers]
        return sorted({str(database["path"]) for report in reports for database in report["databases"]})


#: What stands in for the report of a backup of which it is damaged, where only files by name are wanted.
_LOST_REPORT: dict[str, Any] = {
    "kind": "full",
    "project": None,
    "created_at": None,
    "critical": [],
    "databases": [],
    "unreadable": [],
    "incomplete": False,
    "cut_logs": [],
}


def open_state(vault: Vault, state_id: str, *, by_name: bool = False) -> SavedState:
    """The state with this id.

    :param by_name: only files by name are wanted of it, for which a backup can do without its report
    :raises NotFoundError: when there is none
    :raises IntegrityError: when its report is damaged, or its base is gone
    """
    directory = vault.find(state_id)
    if not os.path.isdir(directory):
        raise NotFoundError(f"There is no backup or checkpoint {printable(state_id)} in {printable(vault.root)}.")
    return state_in(vault, state_id, directory, by_name=by_name)


def state_in(vault: Vault, state_id: str, directory: str, *, by_name: bool = False) -> SavedState:
    """The same of a state whose directory is known.

    :raises IntegrityError: when its report is damaged, or its base is gone
    """
    has_archive = by_name and os.path.exists(os.path.join(directory, layout.ARCHIVE))
    report = report_for(directory, by_name=by_name, has_archive=has_archive)
    if report["kind"] == "full":
        return SavedState(state_id, directory, report, single(directory))
    base = vault.path_of(str(report["base"]))
    if not os.path.isdir(base):
        raise IntegrityError(
            f"The checkpoint {state_id} needs its base backup {printable(str(report['base']))}, which is not there. "
            f"What it changed can be unpacked by hand: tar -xzf {printable(directory)}/{layout.CHANGES}."
        )
    layers = (Layer(base), Layer(directory, layout.CHANGES))
    return SavedState(state_id, directory, report, Source(layers, frozenset(_deleted(directory))))


def report_for(directory: str, *, by_name: bool, has_archive: bool) -> dict[str, Any]:
    """The report of a backup to restore from.

    :param by_name: only files by name are wanted, which an archive gives without one
    :raises IntegrityError: when it is damaged, and needed
    """
    try:
        return layout.read_report(directory, checked=True)
    except IntegrityError as error:
        if by_name and has_archive:
            return _LOST_REPORT
        raise IntegrityError(
            f"{error} Its files can be restored by name (--file PATH, and --project DIR); or restore another backup "
            "(cora list)."
        ) from error


def _deleted(directory: str) -> list[str]:
    path = os.path.join(directory, layout.DELETED)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise IntegrityError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    if layout.sha256_of(data) != layout.read_sums(directory).get(layout.DELETED):
        raise IntegrityError(f"{printable(path)} is damaged.")
    return layout.decode_paths(data)
