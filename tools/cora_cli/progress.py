# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing how far a run is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from .progress_words import describe

_POLL_SECONDS = 0.15
_LINE_EVERY_SECONDS = 30.0


class _View(Protocol):
    def show(self, line: dict[str, Any]) -> None:
        """Show where the run is."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Progress:
    """Follows a progress file in a thread; a context manager.

    :param path: the engine appends JSON lines to it
    :param quiet: show a bar on a terminal, and nothing elsewhere
    """

    def __init__(self, path: Path, *, quiet: bool = False) -> None:
        self._path = path
        self._quiet = quiet
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        view: _View | None = None
        with self._path.open("rb") as stream:
            rest = b""
            while True:
                last = self._end.wait(_POLL_SECONDS)
                *lines, rest = (rest + stream.read()).split(b"\n")
                if lines and not last:
                    view = view or self._view()
                    view.show(json.loads(lines[-1]))
                if last:
                    break
        if view is not None:
            view.close()

    def _view(self) -> _View:
        if sys.stderr.isatty():
            from .progress_bar import Bar

            return Bar()
        return Silence() if self._quiet else Lines()


class Silence:
    """Shows nothing."""

    def show(self, line: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A plain line every half minute."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_EVERY_SECONDS

    def show(self, line: dict[str, Any]) -> None:
        """Where the run is, if the last line is old enough."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_SECONDS
            print(describe(line), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to put away."""
