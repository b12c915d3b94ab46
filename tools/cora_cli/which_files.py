# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a backup a person means, who names them as they are seen from where they stand."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from .context import Context
from .errors import UsageError

if TYPE_CHECKING:
    from ansible_collections.cora.backup.plugins.module_utils.saved_state import SavedState
    from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest

#: For the help of every verb that takes such a path.
PATH_HELP = "relative to the project, or to the directory you stand in"


def with_files_meant(context: Context, request: RestoreRequest) -> RestoreRequest:
    """The request, with its files relative to the project.

    A restore replaces what it finds, and often what it is to bring back is gone from the project. So the backup
    decides, not the project as it is now, and what it has both ways is not guessed.

    :param request: with a full id
    :raises UsageError: when a path names two files of the backup
    :raises CoraError: when the backup cannot be read
    """
    from dataclasses import replace

    from ansible_collections.cora.backup.plugins.module_utils.restore_source import open_source

    if not request.files:
        return request
    state = open_source(request, request.id_text)
    project = request.project or state.report["project"]
    if not project:
        return request  # its report is damaged: the restore asks for the project
    here = _place_in(project, context)
    readings = {path: _readings(path, project, here) for path in request.files}
    if here:
        readings = _in_backup(state, project, readings)
    return replace(request, files=tuple(readings[path][0] for path in request.files))


def _place_in(project: str, context: Context) -> str:
    """The directory of the project in which the person stands; empty where paths relative to it are no others."""
    try:
        here = os.path.relpath(context.working_directory, os.path.realpath(project))
    except UsageError:
        return ""  # in none at all: it was removed
    return "" if here == "." or _is_outside(here) else here


def _is_outside(path: str) -> bool:
    return path == ".." or path.startswith("../")


def _readings(path: str, project: str, here: str) -> list[str]:
    """What a path can mean, relative to the project."""
    if os.path.isabs(path):
        inside = [os.path.relpath(path, top) for top in (project, os.path.realpath(project))]
        return [*(one for one in inside if not _is_outside(one)), path][:1]
    return [path, os.path.normpath(os.path.join(here, path))] if here else [path]


def _in_backup(state: SavedState, project: str, readings: dict[str, list[str]]) -> dict[str, list[str]]:
    """Of each path what the backup has; where it has nothing, all readings, of which the first is what was typed."""
    from ansible_collections.cora.backup.plugins.module_utils.restore_files import held

    state.source.check_indexes()
    there = held(state.source, [one for several in readings.values() for one in several])
    known = {path: [one for one in several if one in there] for path, several in readings.items()}
    for path, several in known.items():
        if len(several) > 1:
            names = (shlex.quote(os.path.normpath(os.path.join(project, one))) for one in several)
            raise UsageError(
                f"{state.state_id} has {path} in the project and in the directory you stand in. Say which: "
                f"{' or '.join(f'--file {name}' for name in names)}."
            )
    return {path: known[path] or readings[path] for path in readings}
