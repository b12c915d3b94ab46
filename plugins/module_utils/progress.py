# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress as JSON lines in a file, for whoever shows it: C({"phase", "files_done", "files_total", ...})."""

from __future__ import annotations

import json
import time
from typing import Callable, Optional, TextIO

from .errors import SettingsError
from .names import printable
from .processes import Beside

_INTERVAL_SECONDS = 0.1
#: Who has waited that long wants to know how long it takes; what is done sooner needs no walk for that.
_COUNT_AFTER_SECONDS = 10.0
#: Files and bytes that are to come; None where nobody knows.
Totals = tuple[Optional[int], Optional[int]]


def _open(path: str) -> TextIO:
    try:
        return open(path, "a", encoding="ascii", buffering=1)
    except OSError as error:
        raise SettingsError(f"The progress file {printable(path)} cannot be written: {error.strerror}.") from error


class Progress:
    """Counts work and appends a line now and then; costs nothing where no file was asked for.

    :param path: file to append to; None for no reporting
    :raises SettingsError: when it cannot be written
    """

    def __init__(self, path: Optional[str]) -> None:
        self._stream = _open(path) if path else None
        self._next_write = 0.0
        self._phase = ""
        self._totals: Totals = (None, None)
        self._counting: Optional[Beside[Totals]] = None
        self.files_done = 0
        self.bytes_done = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody looks, so that counting totals beforehand is worth it."""
        return self._stream is not None

    def start(self, phase: str, *, files_total: Optional[int] = None, bytes_total: Optional[int] = None) -> None:
        """Begin a phase; its counters start at zero."""
        self._phase = phase
        self._totals = (files_total, bytes_total)
        if self._counting is not None:  # for the phase that is over
            self._counting.close()
            self._counting = None
        self.files_done = self.bytes_done = 0
        self._write()

    def advance(self, *, files: int = 0, size_bytes: int = 0) -> None:
        """Count work done."""
        self.files_done += files
        self.bytes_done += size_bytes
        if self._stream is not None and time.monotonic() >= self._next_write:
            self._write()

    def count_beside(self, count: Callable[[], Totals]) -> None:
        """Have a process of its own count the totals of this phase, if that lasts; the work need not wait for them."""

        def count_later() -> Totals:
            time.sleep(_COUNT_AFTER_SECONDS)
            return count()

        self._counting = Beside(count_later)

    def close(self) -> None:
        """Write the last line."""
        self._write()
        if self._counting is not None:
            self._counting.close()
            self._counting = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write(self) -> None:
        if self._stream is None:
            return
        if self._counting is not None:
            self._totals = self._counting.poll() or self._totals
        self._next_write = time.monotonic() + _INTERVAL_SECONDS
        if self._are_totals_too_low():
            self._totals = (None, None)
        line = {
            "phase": self._phase,
            "files_done": self.files_done,
            "files_total": self._totals[0],
            "bytes_done": self.bytes_done,
            "bytes_total": self._totals[1],
        }
        self._stream.write(json.dumps(line) + "\n")

    def _are_totals_too_low(self) -> bool:
        """They may be those of the earlier backup; once there is more than that, nobody knows how much there is."""
        done = self.files_done, self.bytes_done
        return any(total is not None and count > total for count, total in zip(done, self._totals))
