# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which project a person means who names none: that in which they stand, if the vault knows it, and never another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Optional

from .catalog import projects_saved
from .defaults import find_project, is_this_collection
from .errors import ProjectError


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
    around = _work_tree(search_from)
    others = []
    for saved in projects_saved(vault):
        if saved == around:
            return around  # known by the name of where it really is, it goes before all that is reached through links
        others.append(saved)
    return project_around(_by_real_place(others), search_from)


def project_to_save(vault: str, search_from: str) -> str:
    """The project to back up: the Git work tree around a directory, or what was backed up before where there is none.

    :raises ProjectError: when there is neither
    :raises VaultError: when the vault cannot be read
    """
    try:
        return find_project(search_from)
    except ProjectError:
        known = _nearest(known_projects(vault), search_from)  # a full restore brings no .git back
        if known is None:
            raise
        return known


def known_projects(vault: str) -> dict[str, str]:
    """Projects of which there is a backup, by where they really are."""
    return _by_real_place(projects_saved(vault))


def _by_real_place(saved: Iterable[str]) -> dict[str, str]:
    """
    :param saved: the newest first
    """
    projects = list(dict.fromkeys(saved))
    known = {os.path.realpath(project): project for project in reversed(projects)}
    # one that is not reached through a link goes before those that are
    return {**known, **{project: project for project in projects if project in known}}


def project_around(known: Mapping[str, str], directory: str) -> Optional[str]:
    """The project in which a directory is.

    :param known: projects by where they really are
    """
    around = _work_tree(directory)
    if around is None:
        return _nearest(known, directory)
    if around in known:
        return known[around]
    nearest = _nearest(known, directory)
    return nearest if nearest or is_this_collection(around) else around


def _work_tree(directory: str) -> Optional[str]:
    try:
        return find_project(directory)
    except ProjectError:
        return None


def _nearest(known: Mapping[str, str], directory: str) -> Optional[str]:
    directory = os.path.realpath(directory)
    while directory not in known:
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return known[directory]
