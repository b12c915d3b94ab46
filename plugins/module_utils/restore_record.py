# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore did, written down before it is done, so that a killed one can be put right and a finished one undone.

Each restore has a directory C(<vault>/.cora/restores/<restore id>/) (where the vault cannot be written: below
C(/var/lib/cora/restores/)) with C(STATE.json) and, for files that were
replaced, an archive of them. States: C(staging) → C(changing) → C(changed) → C(done), or C(rolled_back), C(abandoned),
later C(undone). C(changed) means that everything is in its place and only services and their health are still to be
seen to: whoever worked on after a kill there worked on the restored files, so a later run lets them stand.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from . import durable
from .errors import RestoreError, VaultError
from .names import printable
from .vault import Vault

STAGING, CHANGING, CHANGED, DONE, ROLLED_BACK, ABANDONED, UNDONE = (
    "staging",
    "changing",
    "changed",
    "done",
    "rolled_back",
    "abandoned",
    "undone",
)
IN_PLACE, SWAP = "in_place", "swap"
UNDO = "undo"
_STATE = "STATE.json"
_ID_TIME = "%Y%m%d-%H%M%S"
_ID = re.compile(r"\d{8}-\d{6}")
_HEADROOM_BYTES = 1024 * 1024
_HEADROOM_INODES = 16


@dataclass
class RestoreRecord:
    """One restore.

    :param directory: where the record and the saved files are
    :param kind: C(in_place) for single files, C(swap) for a whole tree
    :param backup_id: what was restored; for an undo the restore id that was undone
    :param token: part of the names of temporary files
    :param created: paths that were not there before
    :param parents: directories in which temporary files may stand
    :param made_directories: directories that were made for them, in order
    :param staged: the new tree before the swap
    :param staged_inode: its inode, by which one sees after a kill whether the swap took place
    :param keep_staged: the staged tree is somebody's only copy (an undo): it is never removed
    :param old_tree: where the old tree is kept; empty where there was none
    :param carried: excluded paths that move from the old tree to the new one
    :param databases: databases of the tree that is swapped in, which nobody may hold open when it is taken back
    """

    directory: str
    restore_id: str
    kind: str
    backup_id: str
    project: str
    scenario: str
    state: str = STAGING
    at: str = ""
    token: str = ""
    created: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    made_directories: list[str] = field(default_factory=list)
    staged: str = ""
    staged_inode: int = 0
    keep_staged: bool = False
    old_tree: str = ""
    carried: list[str] = field(default_factory=list)
    databases: list[str] = field(default_factory=list)

    def write(self, state: Optional[str] = None) -> None:
        """Put the record on disk.

        :raises VaultError: when that fails
        """
        document = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "directory"}
        document["state"] = state or self.state
        durable.replace_file(
            os.path.join(self.directory, _STATE), json.dumps(document, indent=2).encode("ascii") + b"\n"
        )
        self.state = document["state"]

    def finish(self) -> None:
        """Say that all is done, where C(changed) was said before."""
        try:
            self.write(DONE)
        except VaultError:
            pass  # the vault is full: what stands there counts as done already, see recover_restores


def new_record(
    vault: Vault, *, kind: str, backup_id: str, project: str, scenario: str, room_bytes: int = 0
) -> RestoreRecord:
    """Begin a record; its directory is made. Needs the vault's lock.

    It stands in the vault; where that cannot be written (mounted read-only, full), in this machine's own place: the day
    on which a vault is mounted read-only is the day on which it is needed.

    :param room_bytes: what is going to be saved in it
    :raises VaultError: when neither can be written
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    taken = sorted(name for _place, name in _all_names(vault))
    if taken:
        # later than every earlier one, whatever the clock says: undo means the newest
        now = max(now, datetime.strptime(taken[-1], _ID_TIME).replace(tzinfo=timezone.utc) + timedelta(seconds=1))
    restore_id = f"{now:{_ID_TIME}}"
    record = RestoreRecord("", restore_id, kind, backup_id, project, scenario)
    record.at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    record.token = restore_id
    if _has_room(vault, room_bytes):
        try:
            return _begin(record, vault.restores)
        except VaultError:
            pass  # it cannot be written, whatever it said of its room
    return _begin(record, vault.away)


def _begin(record: RestoreRecord, parent: str) -> RestoreRecord:
    record.directory = os.path.join(parent, record.restore_id)
    durable.make_directories(record.directory)  # its parents too: somebody may have cleared what is not sealed
    record.write()
    return record


def _has_room(vault: Vault, room_bytes: int) -> bool:
    if not os.path.isdir(vault.control):
        return False  # backups that were copied somewhere: nothing is added to them
    status = os.statvfs(vault.control)
    # btrfs and others count no inodes and say 0
    has_inodes = status.f_favail > _HEADROOM_INODES or not status.f_files
    return has_inodes and status.f_bavail * status.f_frsize > room_bytes + _HEADROOM_BYTES


def read_records(vault: Vault) -> list[RestoreRecord]:
    """All records, oldest first.

    :raises RestoreError: when one is damaged
    """
    paths = [os.path.join(parent, name) for parent, name in _all_names(vault)]
    # without a state nothing was changed yet: a kill between making the directory and writing into it
    return [_read(path) for path in paths if os.path.exists(os.path.join(path, _STATE))]


def can_be_undone(records: list[RestoreRecord]) -> list[RestoreRecord]:
    """Those that brought something and still stand, in the same order.

    What was refused, failed or was killed in time changed nothing.

    :param records: all of a vault
    """
    # where the vault was read-only, only the record of an undo says what it took back
    undone = {record.backup_id for record in records if (record.scenario, record.state) == (UNDO, DONE)}
    return [record for record in records if record.state == DONE and record.restore_id not in undone]


def _all_names(vault: Vault) -> list[tuple[str, str]]:
    found = []
    for parent in (vault.restores, vault.away):
        if os.path.isdir(parent):
            found += [(parent, name) for name in os.listdir(parent) if _ID.fullmatch(name)]
    return sorted(found, key=lambda pair: pair[1])


def _read(directory: str) -> RestoreRecord:
    path = os.path.join(directory, _STATE)
    try:
        with open(path, "rb") as stream:
            document: dict[str, Any] = json.load(stream)
        return RestoreRecord(directory=directory, **document)
    except (OSError, ValueError, TypeError) as error:
        raise RestoreError(
            f"The record of a restore, {printable(path)}, cannot be read: {error}. Move {printable(directory)} away; "
            "that restore can then only be taken back by hand."
        ) from error
