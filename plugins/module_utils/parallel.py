# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on all cores, results in order, never more than a few items ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """CPUs this process may use."""
    return max(len(os.sched_getaffinity(0)), 1)


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], *, ahead: int = 0, workers: int = 0
) -> Generator[R, None, None]:
    """C(map) in threads; memory stays bounded because items are taken only C(ahead) of the results.

    An exception of C(function) is raised where its result would have come.

    :param workers: threads; 0 for one a core, more for work that waits for somebody else
    """
    workers = workers or cores()
    ahead = ahead or 2 * workers
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
