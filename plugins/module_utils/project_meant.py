# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which project a person means who names none: that around the directory they stand in, if the vault knows it."""

from __future__ import annotations

from typing import Optional

from .catalog import list_backups
from .errors import ProjectError
from .settings import find_project


def project_meant(vault: str, *, project: Optional[str], search_from: Optional[str]) -> Optional[str]:
    """The project whose newest backup, or last restore, is meant.

    A vault often holds one project only, and then it does not matter where one stands: None, whatever there is.

    :param project: named, and then meant
    :param search_from: a directory in it, used where no project is named
    :raises VaultError: when the vault cannot be read
    """
    if project or not search_from:
        return project
    try:
        around = find_project(search_from)
    except ProjectError:
        return None
    return around if any(row["project"] == around for row in list_backups(vault)) else None
