# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which project a person means who names none: that in which they stand, if the vault knows it, and never another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional

from .catalog import list_backups
from .errors import NotFoundError, ProjectError
from .names import printable
from .restore_record import ABANDONED, ROLLED_BACK, UNDONE, read_records
from .settings import find_project, is_this_collection
from .vault import Vault


def project_meant(vault: str, *, project: Optional[str], search_from: Optional[str]) -> Optional[str]:
    """The project whose newest backup is meant.

    None where it does not matter where one stands: in no project at all, or in a checkout of this collection, as on a
    new machine. A vault often holds one project only, and that is then meant. Whoever stands in a Git work tree means
    that one, also where the vault has nothing of it: another project's files in it would be a disaster.

    :param project: named, and then meant
    :param search_from: a directory in it, used where no project is named
    :raises VaultError: when the vault cannot be read
    """
    if project or not search_from:
        return project
    return _stood_in(_known(vault), search_from)


def project_to_undo(vault: str, *, project: Optional[str], search_from: Optional[str]) -> Optional[str]:
    """The project whose last restore is meant; what was restored to another place is one of its own here.

    :raises NotFoundError: when restores of several projects could be meant
    :raises RestoreError: when the record of one is damaged
    """
    if project or not search_from:
        return project
    records = read_records(Vault(vault))
    known = _known(vault)
    for record in records:
        known.update({os.path.realpath(path): record.project for path in (record.old_tree, record.project) if path})
    meant = _stood_in(known, search_from)
    several = {record.project for record in records if record.state not in (ROLLED_BACK, ABANDONED, UNDONE)}
    if meant is None and len(several) > 1:
        raise NotFoundError(
            f"There are restores of several projects ({', '.join(sorted(map(printable, several)))}): "
            "say which with --project."
        )
    return meant


def project_to_save(vault: str, search_from: str) -> str:
    """The project to back up: the Git work tree around a directory, or what was backed up before where there is none.

    :raises ProjectError: when there is neither
    :raises VaultError: when the vault cannot be read
    """
    try:
        return find_project(search_from)
    except ProjectError:
        known = _nearest(_known(vault), search_from)  # a full restore brings no .git back
        if known is None:
            raise
        return known


def _known(vault: str) -> dict[str, str]:
    """Projects of which there is a backup, by where they really are."""
    projects = [str(row["project"]) for row in list_backups(vault) if row["project"]]
    known = {os.path.realpath(project): project for project in reversed(projects)}
    # one that is not reached through a link goes before those that are
    return {**known, **{project: project for project in projects if project in known}}


def _stood_in(known: Mapping[str, str], directory: str) -> Optional[str]:
    try:
        around = find_project(directory)
    except ProjectError:
        return _nearest(known, directory)
    if around in known:
        return known[around]
    nearest = _nearest(known, directory)
    return nearest if nearest or is_this_collection(around) else around


def _nearest(known: Mapping[str, str], directory: str) -> Optional[str]:
    directory = os.path.realpath(directory)
    while directory not in known:
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return known[directory]
