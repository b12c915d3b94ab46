# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inode flags (C(chattr +i), C(chattr +a)) keep from being moved, looked at before a rename is tried.

Nothing with such a flag can be renamed, and nothing that stands directly in a directory with one. What is flagged
further down moves with the tree it stands in.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from contextlib import suppress

from .errors import RestoreError
from .inode_flags import APPEND_ONLY, IMMUTABLE, get_flags, is_flaggable
from .names import printable
from .safe_tree import SafeTree

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_THE_WAY = ((IMMUTABLE, "immutable", "i"), (APPEND_ONLY, "append-only", "a"))


def refuse_immovable(top: str, paths: Iterable[str]) -> None:
    """Refuse what cannot be moved out of its directory; where nothing stands yet, what cannot be moved there and back.

    :param top: a directory, no link
    :param paths: in it, relative
    :raises RestoreError: naming the first that is in the way, and the command that clears its flag
    """
    with SafeTree(top, follow=False) as tree:
        for path in paths:
            with suppress(FileNotFoundError):  # gone a moment ago: there is nothing to move then
                _refuse_flags(os.path.join(top, os.path.dirname(path)), _flags(tree.parent(path)[0]))
                _refuse_flags(os.path.join(top, path), _flags_at(tree, path))


def _refuse_flags(path: str, flags: int) -> None:
    found = [(word, letter) for flag, word, letter in _IN_THE_WAY if flags & flag]
    if not found:
        return
    place = printable(path.rstrip("/") or "/")
    words, letters = " and ".join(word for word, _letter in found), "".join(letter for _word, letter in found)
    raise RestoreError(
        f"{place} is {words}, and neither it nor what stands in it can be moved. Allow that first: chattr -{letters} "
        f"{shlex.quote(place)}"
    )


def _flags_at(tree: SafeTree, path: str) -> int:
    status = tree.status(path)
    if status is None or not is_flaggable(status.st_mode):
        return 0
    directory_fd, name = tree.parent(path)
    try:
        fd = os.open(name, _OPEN, dir_fd=directory_fd)
    except OSError:
        return 0  # who may not look learns it from the rename
    try:
        return _flags(fd)
    finally:
        os.close(fd)


def _flags(fd: int) -> int:
    try:
        return get_flags(fd) or 0
    except OSError:
        return 0  # the same
