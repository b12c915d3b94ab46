# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a person means."""

from __future__ import annotations

from .context import Context


def resolve(context: Context, text: str) -> str:
    """The id that C(text) means; C(latest) is the newest of the project at hand.

    :raises NotFoundError: when there is none, or more than one
    """
    from ansible_collections.cora.backup.plugins.module_utils.catalog import LATEST, resolve_id

    return resolve_id(context.vault, text, _project_meant(context) if text == LATEST else None)


def _project_meant(context: Context) -> str | None:
    from ansible_collections.cora.backup.plugins.module_utils.catalog import list_backups

    project = context.known_project
    if project is None or context.named_project:
        return project
    # the vault of one project means that project, wherever one stands; that of several needs to be told
    projects = {row["project"] for row in list_backups(context.vault)}
    return project if project in projects or len(projects) > 1 else None
