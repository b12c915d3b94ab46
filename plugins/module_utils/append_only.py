# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Append-only files in the way of a restore or a rotation: the flag is lifted for the moment, and set again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Optional

from .errors import SealError
from .inode_flags import APPEND_ONLY, change_flags, get_flags
from .safe_tree import SafeTree

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def lift(tree: SafeTree, path: str) -> bool:
    """Clear the flag of a file; returns whether it was set.

    :raises SealError: when it is set and cannot be cleared
    """
    fd = _open(tree, path)
    if fd is None:
        return False
    try:
        if not (get_flags(fd) or 0) & APPEND_ONLY:
            return False
        return change_flags(fd, remove=APPEND_ONLY, what=path)
    finally:
        os.close(fd)


def set_again(tree: SafeTree, paths: Iterable[str]) -> list[str]:
    """Set the flag of files; returns sentences for those where that failed."""
    failed = []
    for path in paths:
        fd = _open(tree, path)
        if fd is None:
            continue
        try:
            change_flags(fd, add=APPEND_ONLY, what=path)
        except SealError as error:
            failed.append(f"{error} Protect it again: cora protect.")
        finally:
            os.close(fd)
    return failed


def protected_among(project: str, paths: Iterable[str]) -> list[str]:
    """Which of these files of a project are append-only."""
    if not os.path.isdir(project):
        return []
    with SafeTree(project) as tree:
        return [path for path in paths if is_protected(tree, path)]


def protection_of(project: str, paths: Iterable[str]) -> dict[str, Optional[bool]]:
    """Whether each of these files of a project is append-only; None where it is gone, or this user may not look."""
    if not os.path.isdir(project):
        return {}
    with SafeTree(project) as tree:
        return {path: _flag_of(tree, path) for path in paths}


def _flag_of(tree: SafeTree, path: str) -> Optional[bool]:
    fd = _open(tree, path)
    if fd is None:
        return None
    try:
        return bool((get_flags(fd) or 0) & APPEND_ONLY)
    finally:
        os.close(fd)


def is_protected(tree: SafeTree, path: str) -> bool:
    """Whether a file is append-only."""
    return bool(_flag_of(tree, path))


def _open(tree: SafeTree, path: str) -> Optional[int]:
    try:
        directory_fd, name = tree.parent(path)
        return os.open(name, _OPEN, dir_fd=directory_fd)
    except OSError:
        return None  # a link, a socket, or nothing: it carries no flag
