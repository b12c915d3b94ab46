# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After whole trees changed places: where the person's shell stands now."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from .context import Context
from .errors import UsageError


def hint_at_old_tree(context: Context, result: Mapping[str, Any]) -> None:
    """Say so where it stands in the tree that was moved away."""
    # a shell stays in the directory it was in, which now bears another name
    saved_at, project = result.get("saved_at"), str(result["project"])
    try:
        here = context.working_directory
    except UsageError:
        return  # in none at all
    if saved_at and os.path.isdir(project) and f"{here}/".startswith(f"{saved_at}/"):
        context.output.note(f"Your shell stands in the old tree now: cd {shlex.quote(project)}")
