# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a vault holds, and which one a person means."""

from __future__ import annotations

import os
from typing import Any, Optional

from . import layout
from .errors import IntegrityError, NotFoundError
from .inode_flags import is_sealed
from .marks import is_pinned, tags_of
from .names import printable
from .vault import Vault, id_time

LATEST = "latest"
NEWEST = "newest"


def list_backups(vault: str) -> list[dict[str, Any]]:
    """One row a backup, newest first.

    :raises VaultError: when the vault cannot be read
    """
    keeper = Vault(vault)
    return [_row(keeper, backup_id) for backup_id in reversed(keeper.ids())]


def _row(keeper: Vault, backup_id: str) -> dict[str, Any]:
    path = keeper.find(backup_id)
    try:
        report = layout.read_report(path)
        problem = None
    except IntegrityError as error:
        report, problem = {}, str(error)
    note = keeper.verified_note(backup_id)
    return {
        "id": backup_id,
        "created_at": f"{id_time(backup_id):%Y-%m-%dT%H:%M:%SZ}",
        "kind": report.get("kind", "full"),
        "base": report.get("base"),
        "project": report.get("project"),
        "files": report.get("files"),
        "size_bytes": report.get("size_bytes"),
        "archive_bytes": report.get("archive_bytes"),
        "sealed": _sealed(path),
        "verified_at": note.get("at"),
        "verified_ok": note.get("ok"),
        "verified_quick": note.get("quick"),
        "warnings": len(report.get("warnings", ())),
        "incomplete": report.get("incomplete"),
        "problem": problem,
        "pinned": is_pinned(keeper, backup_id),
        "tags": tags_of(keeper, backup_id),
        "path": path,
    }


def checkpoint_rows(vault: str) -> list[dict[str, Any]]:
    """One row a checkpoint, newest first; the same keys as of a backup, and C(base) and C(deleted).

    :raises VaultError: when the vault cannot be read
    """
    keeper = Vault(vault)
    return [_checkpoint_row(keeper, checkpoint_id) for checkpoint_id in reversed(keeper.checkpoint_ids())]


def _checkpoint_row(keeper: Vault, checkpoint_id: str) -> dict[str, Any]:
    row = _row(keeper, checkpoint_id)
    row["saved_at_seconds"] = id_time(checkpoint_id).timestamp()
    return row


def _sealed(path: str) -> bool:
    try:
        return is_sealed(path)
    except OSError:
        return False


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
            f"{printable(text)!r} is the beginning of {len(matching)} ids: {', '.join(matching[-5:])}. Give more of it."
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
