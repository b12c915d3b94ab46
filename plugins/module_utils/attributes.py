# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes and ACLs of what stands in a project, compared with what an archive has.

The index does not hold them, so the headers in the archive are read. That is done last, for what is the same otherwise:
a backup is also what brings ACLs back that somebody cleared.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Callable, Optional

from .archive_reader import ArchiveReader
from .errors import IntegrityError
from .index import Entry
from .safe_tree import SafeTree
from .source import Layer, Pick
from .source_files import read_xattrs
from .tar_format import DIRECTORY, FILE

#: What a system gives its files on its own, whether a backup knows of it or not.
_OF_THE_SYSTEM = ("security.selinux", "security.ima", "security.evm")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def differing(
    tree: SafeTree,
    layer: Layer,
    paths_of: Callable[[Entry], Iterable[str]],
    among: Optional[Collection[str]] = None,
) -> Iterator[str]:
    """Paths in the tree whose attributes are not those of an entry.

    :param paths_of: the paths that an entry of the layer is to be compared with
    :param among: paths of the only entries that have any; without it the whole index is read
    :raises IntegrityError: when the archive cannot be opened, or its index is damaged
    """
    with ArchiveReader(layer.directory, archive=layer.archive) as reader:
        for group in reader.groups() if among is None else reader.groups_at(among):
            if not any(paths_of(entry) for entry in group.entries):
                continue
            try:
                members = [opened.member for opened in reader.open_group(group, lambda entry: bool(paths_of(entry)))]
            except IntegrityError:
                continue  # nothing is known of what is damaged; who needs it reads it again and is told
            by_path = {entry.path: paths_of(entry) for entry in group.entries}
            for member in members:
                if member.kind in (FILE, DIRECTORY):
                    yield from (path for path in by_path[member.path] if _differs(tree, path, member.xattrs))


def differing_picks(tree: SafeTree, picks: Iterable[Pick]) -> set[str]:
    """The same for single entries, wherever each comes from."""
    targets: dict[Layer, dict[str, list[str]]] = {}
    for pick in picks:
        targets.setdefault(pick.layer, {}).setdefault(pick.content.path, []).append(pick.entry.path)
    found: set[str] = set()
    for layer, paths in targets.items():
        found |= _differing_among(tree, layer, paths)
    return found


def _differing_among(tree: SafeTree, layer: Layer, paths: dict[str, list[str]]) -> set[str]:
    return set(differing(tree, layer, lambda entry: paths.get(entry.path, ()), paths))


def _differs(tree: SafeTree, path: str, kept: Mapping[str, bytes]) -> bool:
    present = _present(tree, path)
    if present is None:
        return False
    return {name: value for name, value in present.items() if name in kept or name not in _OF_THE_SYSTEM} != dict(kept)


def _present(tree: SafeTree, path: str) -> Optional[dict[str, bytes]]:
    """Attributes of a file or directory; None where they cannot be read."""
    try:
        directory_fd, name = (tree.directory(""), b".") if path == "." else tree.parent(path)
        fd = os.open(name, _OPEN, dir_fd=directory_fd)
    except OSError:
        return None
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)
