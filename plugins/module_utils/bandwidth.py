# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on bytes a second that all threads of a transfer share."""

from __future__ import annotations

import threading
import time


class Bandwidth:
    """Lets through so many bytes a second.

    :param bytes_per_second: 0 for no limit
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, size_bytes: int) -> None:
        """Wait until so many more bytes may have gone through."""
        if not self._bytes_per_second:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size_bytes / self._bytes_per_second
            wait_seconds = self._free_at - now
        time.sleep(wait_seconds)
