# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands at given paths of a project now, found again for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .errors import RestoreError
from .names import path_key, printable
from .safe_tree import SafeTree
from .scan import Found, kind_of


def present_entries(tree: SafeTree, paths: Iterable[str]) -> Iterator[Found]:
    """What stands at these paths, sorted as a walk would find it; what is not there is passed over.

    :raises RestoreError: for a socket or a device, which cannot be kept
    """
    for path in sorted(set(paths), key=path_key):
        status = tree.status(path)
        if status is None:
            continue
        kind = kind_of(status.st_mode)
        if kind is None:
            raise RestoreError(f"{printable(path)} is a socket or a device now: remove it first.")
        if path == ".":
            yield Found(path, b".", tree.directory(""), kind, status)
        else:
            directory_fd, name = tree.parent(path)
            yield Found(path, name, directory_fd, kind, status)
