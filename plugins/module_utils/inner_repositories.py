# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories inside the project: their history is not kept, and whoever relies on a backup has to know."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .defaults import is_this_collection
from .names import printable

_NAMED_AT_MOST = 3


def inner_repository_warnings(project: str, repositories: Sequence[str]) -> list[str]:
    """What a backup does not have of them.

    :param repositories: directories below the project whose C(.git) was left out
    :returns: a sentence, or none
    """
    inside = [*repositories, *_submodules(project)]
    # whoever cloned cora into the project did so to run it, not to work on it
    paths = [path for path in inside if not is_this_collection(os.path.join(project, path))]
    if not paths:
        return []
    named = ", ".join(printable(path) for path in paths[:_NAMED_AT_MOST])
    more = f" and {len(paths) - _NAMED_AT_MOST} more" if len(paths) > _NAMED_AT_MOST else ""
    return [
        f"Git repositories inside the project: {named}{more}. Their files are kept, their history (.git) is not: "
        "commits that only they have are in no backup. Push them, or exclude less (cora_exclude)."
    ]


def _submodules(project: str) -> list[str]:
    """Submodules, whose repositories stand in the C(.git) of the project's own."""
    top = os.path.join(project, ".git", "modules")
    found = []
    for directory, names, files in os.walk(top):
        names.sort()
        if "HEAD" in files and "objects" in names:
            found.append(os.path.relpath(directory, top))
            names[:] = [name for name in names if name == "modules"]
    return [path.replace("/modules/", "/") for path in found]
