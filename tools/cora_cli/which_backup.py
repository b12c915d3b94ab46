# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a person means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .context import Context

if TYPE_CHECKING:
    from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings


def resolve(context: Context, text: str) -> str:
    """The id that C(text) means; C(latest) and C(newest) are of the project at hand.

    :raises NotFoundError: when there is none, or more than one
    """
    from ansible_collections.cora.backup.plugins.module_utils.catalog import LATEST, NEWEST, resolve_id

    return resolve_id(context.vault, text, project_at_hand(context) if text in (LATEST, NEWEST) else None)


def resolve_anywhere(context: Context, text: str) -> tuple[str, OffsiteSettings | None]:
    """The same, and where the backup is when it is only offsite."""
    from ansible_collections.cora.backup.plugins.module_utils import restore_source
    from ansible_collections.cora.backup.plugins.module_utils.catalog import LATEST, NEWEST

    from .offsite import offsite_if_any

    project = project_at_hand(context) if text in (LATEST, NEWEST) else None
    return restore_source.resolve_anywhere(context.vault, text, project, lambda: offsite_if_any(context))


def project_at_hand(context: Context) -> str | None:
    """The project that is named, or set, or stood in; None: whatever the vault holds."""
    from ansible_collections.cora.backup.plugins.module_utils.project_meant import project_meant

    if context.set_project:
        return context.set_project  # wherever one stands, be it nowhere any more
    return project_meant(context.vault, project=None, search_from=context.working_directory)


def project_to_undo(context: Context) -> str | None:
    """The same for taking a restore back: what was restored to another place counts too.

    :raises NotFoundError: when several could be meant
    """
    from ansible_collections.cora.backup.plugins.module_utils import project_restored

    if context.set_project:
        return context.set_project
    return project_restored.project_to_undo(context.vault, project=None, search_from=context.working_directory)


def path_in_project(context: Context, text: str, project: str | None) -> str:
    """A path as the person sees it, in the project or beside the working directory, as the index has it."""
    if project is None:
        return text
    if os.path.isabs(text):
        return os.path.relpath(text, project)
    inside = os.path.relpath(os.path.join(context.working_directory, text), project)
    return inside if os.path.lexists(os.path.join(project, inside)) and not inside.startswith("../") else text
