# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore reads from: one archive, or a backup with a checkpoint laid over it.

State at a checkpoint = its base backup, then what changed, minus what was deleted. Each is a layer with an index of its
own; the indexes are sorted alike, so they are merged as they are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import layout
from .errors import IntegrityError
from .index import Entry
from .index_search import LineFilter, anything, at, find_entries
from .merge import side_by_side
from .names import printable
from .tar_format import HARDLINK


class Layer(NamedTuple):
    """An archive and its index.

    :param directory: a backup, a checkpoint, or a record with saved files
    :param archive: file name of the archive there
    """

    directory: str
    archive: str = layout.ARCHIVE

    @property
    def index_path(self) -> str:
        """Path of the index."""
        return os.path.join(self.directory, layout.INDEX)

    def entries(self, passes: LineFilter = anything) -> Iterator[Entry]:
        """Entries of the index, in its order.

        :param passes: those that it lets pass; others are not parsed
        :raises IntegrityError: when the index is damaged
        """
        return find_entries(self.index_path, passes)

    def placed(self, passes: LineFilter = anything) -> Iterator[tuple[Entry, Layer]]:
        """The same, each with this layer."""
        for entry in self.entries(passes):
            yield entry, self

    def check_index(self) -> None:
        """Whether the index is the one that was written with the archive.

        :raises IntegrityError: when it is not
        """
        digest = layout.read_sums(self.directory).get(layout.INDEX)
        try:
            is_intact = layout.sha256_of_file(self.index_path) == digest
        except OSError:
            is_intact = False
        if not is_intact:
            raise IntegrityError(
                f"{layout.INDEX} of {printable(self.directory)} is damaged: restore by hand with tar -xzf."
            )


class Pick(NamedTuple):
    """An entry to restore.

    :param content: the entry that holds its content: itself, but for a hard link
    :param layer: where that content is
    """

    entry: Entry
    content: Entry
    layer: Layer


class Source(NamedTuple):
    """Layers, the newest last, and what none of them brings back.

    :param deleted: paths that a checkpoint says were deleted
    """

    layers: tuple[Layer, ...]
    deleted: frozenset[str] = frozenset()

    def check_indexes(self) -> None:
        """Whether every index is as it was written.

        :raises IntegrityError: when one is not
        """
        for layer in self.layers:
            layer.check_index()

    def placed(self, passes: LineFilter = anything) -> Iterator[tuple[Entry, Layer]]:
        """All entries of the state, sorted, each from the newest layer that has it.

        :param passes: those whose path it lets pass; others are not parsed
        :raises IntegrityError: when an index is damaged
        """
        if len(self.layers) == 1 and not self.deleted:
            return self.layers[0].placed(passes)
        merged: Iterable[tuple[Entry, Layer]] = ()
        for layer in self.layers:
            merged = _overlay(merged, layer.placed(passes), self.deleted)
        return iter(merged)

    def entries(self) -> Iterator[Entry]:
        """The same without the layers."""
        return (entry for entry, _layer in self.placed())

    def hidden_paths(self) -> set[str]:
        """Paths that the first layer has and the state has not, or has from another layer."""
        hidden = set(self.deleted)
        for layer in self.layers[1:]:
            hidden.update(entry.path for entry in layer.entries())
        return hidden


def single(directory: str, archive: str = layout.ARCHIVE) -> Source:
    """A source of one archive."""
    return Source((Layer(directory, archive),))


def picks_of(chosen: Iterable[tuple[Entry, Layer]]) -> list[Pick]:
    """Each entry with the one that holds its content.

    :raises IntegrityError: when a hard link leads to nothing
    """
    chosen = list(chosen)
    targets: dict[Layer, dict[str, Entry]] = {}
    for entry, layer in chosen:
        if entry.kind == HARDLINK:
            targets.setdefault(layer, {})[entry.link] = entry
    for layer, wanted in targets.items():
        wanted.update({entry.path: entry for entry in layer.entries(at(wanted)) if entry.path in wanted})
    picks = []
    for entry, layer in chosen:
        content = targets[layer][entry.link] if entry.kind == HARDLINK else entry
        if content.kind == HARDLINK:
            raise IntegrityError(f"The hard link {printable(entry.path)} leads to nothing in the archive.")
        picks.append(Pick(entry, content, layer))
    return picks


def _overlay(
    below: Iterable[tuple[Entry, Layer]], above: Iterable[tuple[Entry, Layer]], deleted: frozenset[str]
) -> Iterator[tuple[Entry, Layer]]:
    for lower, upper in side_by_side(below, above, _path, _path):
        if upper is not None:
            yield upper
        elif lower is not None and lower[0].path not in deleted:
            yield lower


def _path(placed: tuple[Entry, Layer]) -> str:
    return placed[0].path
