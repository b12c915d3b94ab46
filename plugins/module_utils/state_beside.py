# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved state beside a walk of the project, without what is the same in both.

Most lines of most indexes say what the walk sees. They are compared as they stand, and not parsed: a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Callable, Optional

from .index import Entry, parse_entries, read_frames_and_lines
from .merge import side_by_side
from .scan import Found
from .source import Layer, Source

_Placed = tuple[Entry, Layer]
_Pair = tuple[Optional[_Placed], Optional[Found]]


def side_by_side_but_same(
    state: Source,
    walked: Iterable[Found],
    is_same: Callable[[str, Found], bool],
    pass_same: Callable[[Found], None],
) -> Iterator[_Pair]:
    """Pairs of equal path, in the order of a walk; None stands where one side has no such path.

    Something is taken from C(walked) only when the pair before it was dealt with.

    :param is_same: whether a line of the index is certainly that of what was found, unchanged
    :param pass_same: is called with what was found and is in no pair, because it is the same in the first layer, and
        no other layer has it
    :raises IntegrityError: when an index is damaged
    """
    base, *above = state.layers
    hidden = state.hidden_paths()

    def is_passed(line: str, found: Found) -> bool:
        passes = found.path not in hidden and is_same(line, found)
        if passes:
            pass_same(found)
        return passes

    pairs = _layer_beside(base, walked, is_passed)
    over = Source(tuple(above)).placed() if above else iter(())
    for placed, pair in side_by_side(over, pairs, _placed_path, _pair_path):
        below, found = pair or (None, None)
        if placed is None and below is not None and below[0].path not in state.deleted:
            placed = below
        if placed is not None or found is not None:
            yield placed, found


def _layer_beside(layer: Layer, walked: Iterable[Found], is_passed: Callable[[str, Found], bool]) -> Iterator[_Pair]:
    @lru_cache(maxsize=1)  # asked for its path, and then for itself
    def parse(line: str) -> Entry:
        return parse_entries(layer.index_path, [line])[0]

    lines = (line for line in read_frames_and_lines(layer.index_path) if isinstance(line, str))
    for line, found in side_by_side(lines, walked, lambda line: parse(line).path, _found_path, is_passed):
        yield (None if line is None else (parse(line), layer)), found


def _found_path(found: Found) -> str:
    return found.path


def _placed_path(placed: _Placed) -> str:
    return placed[0].path


def _pair_path(pair: _Pair) -> str:
    placed, found = pair
    if placed is not None:
        return placed[0].path
    return found.path if found is not None else ""
