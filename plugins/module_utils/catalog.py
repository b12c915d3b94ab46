# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a vault holds, and which one a person means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Optional

from . import layout
from .errors import IntegrityError, NotFoundError
from .ids import id_time, id_timestamp
from .inode_flags import IMMUTABLE, get_flags, is_sealed
from .marks import is_pinned, pins_directory, tags_directory, tags_of
from .names import printable
from .vault import Vault

LATEST = "latest"
NEWEST = "newest"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def list_backups(vault: str) -> list[dict[str, Any]]:
    """One row a backup, newest first.

    :raises VaultError: when the vault cannot be read
    """
    keeper = Vault(vault)
    notes = _Notes(keeper)
    return [_row(backup_id, keeper.path_of(backup_id), notes) for backup_id in reversed(keeper.ids())]


class _Notes:
    """What the vault notes of its states. Of which it notes anything is asked once, and not once a state."""

    def __init__(self, keeper: Vault) -> None:
        self._keeper = keeper
        self._verified = _names_in(keeper.verified)
        self._pins = _names_in(pins_directory(keeper))
        self._tags = _names_in(tags_directory(keeper))

    def verified(self, state_id: str) -> dict[str, object]:
        """The result of its last check."""
        return self._keeper.verified_note(state_id) if _may_be_in(self._verified, state_id) else {}

    def is_pinned(self, state_id: str) -> bool:
        """Whether nothing may remove it."""
        return _may_be_in(self._pins, state_id) and is_pinned(self._keeper, state_id)

    def tags(self, state_id: str) -> list[str]:
        """Its tags."""
        return tags_of(self._keeper, state_id) if _may_be_in(self._tags, state_id) else []


def _names_in(directory: str) -> Optional[frozenset[str]]:
    """None where that cannot be told; then each name has to be tried."""
    try:
        return frozenset(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:
        return None


def _may_be_in(names: Optional[frozenset[str]], state_id: str) -> bool:
    return names is None or f"{state_id}.json" in names


def _row(state_id: str, path: str, notes: _Notes) -> dict[str, Any]:
    problem = None
    try:
        sealed, report = _flag_and_report(path)
    except IntegrityError as error:
        sealed, report, problem = _sealed(path), {}, str(error)
    note = notes.verified(state_id)
    return {
        "id": state_id,
        "created_at": id_timestamp(state_id),
        "kind": report.get("kind", "full"),
        "base": report.get("base"),
        "project": report.get("project"),
        "files": report.get("files"),
        "size_bytes": report.get("size_bytes"),
        "archive_bytes": report.get("archive_bytes"),
        "sealed": sealed,
        "verified_at": note.get("at"),
        "verified_ok": note.get("ok"),
        "verified_quick": note.get("quick"),
        "warnings": len(report.get("warnings", ())),
        "incomplete": report.get("incomplete"),
        "problem": problem,
        "pinned": notes.is_pinned(state_id),
        "tags": notes.tags(state_id),
        "path": path,
    }


def checkpoint_rows(vault: str) -> list[dict[str, Any]]:
    """One row a checkpoint, newest first; the same keys as of a backup, and C(base) and C(deleted).

    :raises VaultError: when the vault cannot be read
    """
    keeper = Vault(vault)
    notes = _Notes(keeper)
    return [_checkpoint_row(keeper, checkpoint_id, notes) for checkpoint_id in reversed(keeper.checkpoint_ids())]


def _checkpoint_row(keeper: Vault, checkpoint_id: str, notes: _Notes) -> dict[str, Any]:
    row = _row(checkpoint_id, keeper.find(checkpoint_id), notes)
    row["saved_at_seconds"] = id_time(checkpoint_id).timestamp()
    return row


def _flag_and_report(path: str) -> tuple[bool, dict[str, Any]]:
    """Whether a state is sealed, and its report, both through one descriptor.

    :raises IntegrityError: when the report is missing or damaged
    """
    try:
        fd = os.open(path, _OPEN_DIRECTORY)
    except OSError:
        return False, layout.read_report(path)  # it leads through a link, or is none
    try:
        return _is_immutable(fd), layout.read_report(path, backup_fd=fd)
    finally:
        os.close(fd)


def _is_immutable(fd: int) -> bool:
    try:
        return bool((get_flags(fd) or 0) & IMMUTABLE)
    except OSError:
        return False


def _sealed(path: str) -> bool:
    try:
        return is_sealed(path)
    except OSError:
        return False


def projects_saved(vault: str) -> Iterator[str]:
    """The project of each backup whose report can be read, newest first.

    :raises VaultError: when the vault cannot be read
    """
    keeper = Vault(vault)
    for backup_id in reversed(keeper.ids()):
        try:
            project = layout.read_report(keeper.path_of(backup_id))["project"]
        except IntegrityError:
            continue
        if project:
            yield project


def project_of(vault: str, backup_id: str) -> str:
    """Where a backup came from.

    :raises IntegrityError: when its report is damaged
    """
    return str(layout.read_report(Vault(vault).find(backup_id))["project"])


def resolve_id(vault: str, text: str, project: Optional[str] = None) -> str:
    """The id that C(text) means: C(latest), C(newest), an id, or the beginning of exactly one.

    C(latest) is the newest backup; C(newest) may be a checkpoint too. They differ on purpose: a checkpoint of a project
    that a clean-up script has just emptied is the newest state, and hardly what a person wants back.

    :param project: C(latest) and C(newest) are then of this project
    :raises NotFoundError: when none answers, or more than one does
    """
    ids = Vault(vault).ids()
    # a checkpoint that is left alone is worth little, and can be named all the same
    if not ids and (text == LATEST or not Vault(vault).checkpoint_ids()):
        raise NotFoundError(f"There is no backup in {printable(vault)}. Make the first one: cora backup now.")
    if text == LATEST:
        return _latest(vault, ids, project)
    ids = sorted(ids + Vault(vault).checkpoint_ids())
    if text == NEWEST:
        return _latest(vault, ids, project)
    if text in ids:
        return text
    matching = [backup_id for backup_id in ids if text and backup_id.startswith(text)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise NotFoundError(
            f"{printable(text)!r} is the beginning of {len(matching)} ids, the newest: {', '.join(matching[-5:])}. "
            "Give more of it."
        )
    raise NotFoundError(
        f"No backup in {printable(vault)} has the id {printable(text)!r}. The newest is {ids[-1]}; cora list shows all."
    )


def _latest(vault: str, ids: list[str], project: Optional[str]) -> str:
    if project is None:
        return _only_project(vault, ids)
    wanted = os.path.normpath(project)
    for backup_id in reversed(ids):
        try:
            if project_of(vault, backup_id) == wanted:
                return backup_id
        except IntegrityError:
            return backup_id  # whose it is cannot be read: better a check that fails than an older backup unasked
    raise NotFoundError(
        f"No backup in {printable(vault)} is of {printable(wanted)}; it holds backups of "
        f"{', '.join(sorted(map(printable, _projects(vault, ids))))}: say which with --project. "
        "To restore another project's there, give its id."
    )


def newest_of(vault: Vault, project: str) -> Optional[str]:
    """Id of the newest backup of a project that later work can build on: not one that is known to be damaged."""
    wanted = os.path.normpath(project)
    for backup_id in reversed(vault.ids()):
        try:
            if project_of(vault.root, backup_id) != wanted:
                continue
        except IntegrityError:
            return None
        return None if vault.verified_note(backup_id).get("ok") is False else backup_id
    return None


def _only_project(vault: str, ids: list[str]) -> str:
    # "latest" of a vault that several projects share would be a guess, and a full restore of the wrong one a disaster
    projects = _projects(vault, ids)
    if len(projects) > 1:
        raise NotFoundError(
            f"{printable(vault)} holds backups of several projects ({', '.join(sorted(map(printable, projects)))}): "
            "say which with --project."
        )
    return ids[-1]


def _projects(vault: str, ids: list[str]) -> set[str]:
    projects = set()
    for backup_id in ids:
        try:
            projects.add(project_of(vault, backup_id))
        except IntegrityError:
            continue
    return projects
