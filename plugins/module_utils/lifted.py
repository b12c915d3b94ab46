# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protection that is off for a moment, and comes back even where a kill ends that moment.

C(.cora/lifted.json) names the file before its flag is cleared, and goes when the flag is set again. Whoever holds the
vault's lock and finds it there sets the flag.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from . import durable
from .append_only import is_protected, lift, set_again
from .errors import RestoreError
from .safe_tree import SafeTree
from .vault import Vault

_NOTE = "lifted.json"


@contextmanager
def unprotected(vault: Vault, tree: SafeTree, path: str, *, project: str) -> Iterator[list[str]]:
    """A file of the project without its append-only flag, while this lasts. Needs the lock of the vault.

    :param project: where the tree is
    :returns: a list that afterwards has a sentence where the flag could not be set again
    :raises CoraError: when it could not be cleared
    """
    warnings: list[str] = []
    if not is_protected(tree, path):
        yield warnings
        return
    note = _note_path(vault)
    durable.replace_file(note, json.dumps({"project": project, "path": path}).encode("ascii") + b"\n")
    try:
        lift(tree, path)
        yield warnings
    finally:
        warnings += set_again(tree, [path])
        _forget(note)


def has_lifted(vault: Vault) -> bool:
    """Whether a killed run left a file without its protection."""
    return os.path.exists(_note_path(vault))


def protect_lifted(vault: Vault) -> list[str]:
    """Set the flag that a killed run did not set again. Needs the lock of the vault.

    :returns: a sentence where that failed
    """
    note = _note_path(vault)
    try:
        with open(note, "rb") as stream:
            lifted = json.load(stream)
    except FileNotFoundError:
        return []
    warnings: list[str] = []
    try:
        with SafeTree(lifted["project"]) as tree:
            warnings = set_again(tree, [lifted["path"]])
    except RestoreError:
        pass  # the project is gone, and with it what was protected
    _forget(note)
    return warnings


def _note_path(vault: Vault) -> str:
    return os.path.join(vault.control, _NOTE)


def _forget(note: str) -> None:
    os.unlink(note)
    durable.sync_directory(os.path.dirname(note))
