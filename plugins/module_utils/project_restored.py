# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose restore a person means to take back who names no project."""

from __future__ import annotations

import os
from typing import Optional

from .errors import NotFoundError
from .names import printable
from .project_meant import known_projects, project_around
from .restore_record import ABANDONED, ROLLED_BACK, UNDONE, read_records
from .vault import Vault


def project_to_undo(vault: str, *, project: Optional[str], search_from: Optional[str]) -> Optional[str]:
    """The project whose last restore is meant; what was restored to another place is one of its own here.

    :raises NotFoundError: when restores of several projects could be meant
    :raises RestoreError: when the record of one is damaged
    """
    if project or not search_from:
        return project
    records = read_records(Vault(vault))
    known = known_projects(vault)
    for record in records:
        known.update({os.path.realpath(path): record.project for path in (record.old_tree, record.project) if path})
    meant = project_around(known, search_from)
    several = {record.project for record in records if record.state not in (ROLLED_BACK, ABANDONED, UNDONE)}
    if meant is None and len(several) > 1:
        raise NotFoundError(
            f"There are restores of several projects ({', '.join(sorted(map(printable, several)))}): "
            "say which with --project."
        )
    return meant
