# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant where nothing is set: the project around a directory, the vault, the seal.

Apart from the settings of a run, which the verbs that only read do not need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .errors import ProjectError

SEAL_REQUIRED = "required"
SEAL_BEST_EFFORT = "best_effort"


def find_project(start: str) -> str:
    """The top of the Git work tree around C(start).

    A checkout of this collection that lies in some other work tree is a tool in that project: the project is meant.

    :raises ProjectError: when there is none; backing up whatever directory one happens to stand in would be a guess
    """
    around = _work_trees_around(os.path.realpath(start))
    for directory in around:
        return next(around, directory) if is_this_collection(directory) else directory
    raise ProjectError(f"There is no Git work tree around {start}: name the project (--project DIR, or cora_project).")


def _work_trees_around(directory: str) -> Iterator[str]:
    """Tops of Git work trees, from inside out."""
    while True:
        if os.path.lexists(os.path.join(directory, ".git")):
            yield directory
        parent = os.path.dirname(directory)
        if parent == directory:
            return
        directory = parent


def is_this_collection(directory: str) -> bool:
    """Whether this is a checkout of this collection."""
    try:
        with open(os.path.join(directory, "galaxy.yml"), encoding="utf-8") as stream:
            lines = set(stream.read(4096).splitlines())
    except (OSError, ValueError):
        return False
    return {"namespace: cora", "name: backup"} <= lines


def default_vault() -> str:
    """C(/var/backups/cora) for root; for others a directory under their XDG state home."""
    if os.geteuid() == 0:
        return "/var/backups/cora"
    return os.path.join(state_directory(), "vault")


def state_directory() -> str:
    """Where this user's own notes go: C(/var/lib/cora) for root; for others a directory under their XDG state home."""
    if os.geteuid() == 0:
        return "/var/lib/cora"
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "cora")


def default_seal() -> str:
    """C(required) for root; others cannot set the flag, so C(best_effort)."""
    return SEAL_REQUIRED if os.geteuid() == 0 else SEAL_BEST_EFFORT
