# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file's times will tell that it was written to after it was read.

Through mapped memory they may not: the kernel stamps a file at the first write to a mapped page, and not again until
that page was written to disk, half a minute later. A backup that had read the file in between would take it for
unchanged for ever. So where a file was changed of late, all is brought to disk before it is read; from then on the
next write is stamped. What was changed after that, while the backup ran, is not told by its times.
"""

from __future__ import annotations

import os
import time

from .durable import sync_file_system
from .scan import Found
from .source_files import is_settled

#: What was changed before that is on disk by now, also where a laptop lets its disk sleep.
_OF_LATE_NS = 3600 * 10**9


class CleanPages:
    """What was brought to disk in this run, and when."""

    def __init__(self) -> None:
        self._of_late_ns = time.time_ns() - _OF_LATE_NS
        self._synced_ns: dict[int, int] = {}

    def prepare(self, found: Found) -> None:
        """Bring to disk what was written to the file system of a file that is about to be read; once a run."""
        status = found.status
        if status.st_ctime_ns > self._of_late_ns and status.st_dev not in self._synced_ns:
            self._synced_ns[status.st_dev] = _sync(found.parent_fd, status.st_dev)

    def will_tell(self, found: Found, status: os.stat_result) -> bool:
        """Whether a write from now on would change the times of a file.

        :param status: what it was when it was read, or what the walk saw where nothing is read
        """
        seen_ns = (found.seen_ns if status is found.status else 0) or time.time_ns()
        synced_ns = self._synced_ns.get(found.status.st_dev)
        if synced_ns is not None:
            return is_settled(status.st_ctime_ns, min(synced_ns, seen_ns))
        return status.st_ctime_ns == found.status.st_ctime_ns and is_settled(status.st_ctime_ns, seen_ns)


def _sync(directory_fd: int, device: int) -> int:
    """When all was on disk; 0, before which nothing was written, where that is not known."""
    now_ns = time.time_ns()
    try:
        if os.fstat(directory_fd).st_dev != device:
            return 0  # a file that is a mount point itself
        sync_file_system(directory_fd)
    except OSError:
        return 0  # a failing disk: what cannot be read is told when it is read
    return now_ns
