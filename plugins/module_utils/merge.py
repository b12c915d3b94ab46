# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sequences that are sorted as a tree is walked, read side by side in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable, Optional, TypeVar

from .names import path_key

L = TypeVar("L")
R = TypeVar("R")


def side_by_side(
    left: Iterable[L],
    right: Iterable[R],
    left_path: Callable[[L], str],
    right_path: Callable[[R], str],
    is_passed: Callable[[L, R], bool] = lambda _item, _other: False,
) -> Iterator[tuple[Optional[L], Optional[R]]]:
    """Pairs of equal path; None stands where one side has no such path.

    Both must be sorted by :func:`.names.path_key`. An item is taken from
    C(right) only when the pair before it was dealt with.

    :param is_passed: whether two are of equal path, and in no pair; asked first, and only of two that are next to come,
        so that the path of what is left of them need not be known
    """
    others = iter(right)
    other = next(others, None)
    for item in left:
        if other is not None and is_passed(item, other):
            other = next(others, None)
            continue
        path = left_path(item)
        while other is not None and right_path(other) != path and path_key(right_path(other)) < path_key(path):
            yield None, other
            other = next(others, None)
        if other is not None and right_path(other) == path:
            yield item, other
            other = next(others, None)
        else:
            yield item, None
    while other is not None:
        yield None, other
        other = next(others, None)
