# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of one file of a saved state, and of nothing else: it costs one pass over raw index lines and one frame.

The index is compared with SHA256SUMS.txt before, so what stands behind the file in it need not be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Optional

from .archive_reader import ArchiveReader, Group, Opened, checked, groups_at
from .errors import IntegrityError, NotFoundError
from .index import Entry
from .names import printable, to_text
from .saved_state import SavedState, open_state
from .source import Layer
from .tar_format import FILE, HARDLINK
from .vault import Vault

_ZEROS = bytes(1024 * 1024)


def read_saved_file(vault: Vault, state_id: str, path: str) -> Iterator[bytes]:
    """The content of a file, piece by piece, holes as zeros; after the last piece its digest has been compared.

    :param path: relative to the project
    :raises NotFoundError: when the state has no such file
    :raises IntegrityError: when what is needed of the backup is damaged
    """
    state = open_state(vault, state_id, by_name=True)
    state.source.check_indexes()
    layer, group, entry = _find(state, _normal(path))
    with ArchiveReader(layer.directory, archive=layer.archive) as reader:
        for opened in reader.open_group(group, lambda one: one.path == entry.path):
            yield from _content(opened)


def _normal(path: str) -> str:
    # a name that is not UTF-8 stands in the index with a lone surrogate for each byte that is not
    return to_text(os.fsencode(os.path.normpath(path)))


def _find(state: SavedState, path: str) -> tuple[Layer, Group, Entry]:
    for layer in reversed(state.source.layers):
        found = None if path in state.source.deleted and layer is state.source.layers[0] else _group_of(layer, path)
        if found is None:
            continue
        entry = _entry(found, path)
        if entry.kind == HARDLINK:
            found = _group_of(layer, entry.link)
            if found is None or _entry(found, entry.link).kind != FILE:
                raise IntegrityError(f"The hard link {printable(path)} leads to nothing in the archive.")
            entry = _entry(found, entry.link)
        if entry.kind != FILE:
            raise NotFoundError(f"{printable(path)} is no file in {state.state_id}, but a {entry.kind}.")
        return layer, found, entry
    raise NotFoundError(f"{state.state_id} holds no {printable(path)}. Paths are relative to the project.")


def _entry(group: Group, path: str) -> Entry:
    return next(entry for entry in group.entries if entry.path == path)


def _group_of(layer: Layer, path: str) -> Optional[Group]:
    """The frames in which an entry stands, with all entries of them; None where there is none."""
    return next(groups_at(layer.index_path, {path}), None)


def _content(opened: Opened) -> Iterator[bytes]:
    pieces = opened.pieces if opened.whole is None else [(0, opened.whole)]
    at = 0
    for offset, data in checked(opened.entry, pieces):
        yield from _hole(offset - at)
        yield bytes(data)
        at = offset + len(data)
    yield from _hole(opened.entry.size_bytes - at)


def _hole(size_bytes: int) -> Iterator[bytes]:
    while size_bytes > 0:
        yield _ZEROS[:size_bytes]
        size_bytes -= len(_ZEROS)
