# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bar on a terminal: files, bytes, rate, time left."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .progress_words import files_text, phase_text


class Bar:
    """One bar, for the phase the run is in."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[files]}"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._phase = ""
        self._task: TaskID | None = None
        self._progress.start()

    def show(self, line: dict[str, Any]) -> None:
        """Move the bar."""
        if self._task is None or line["phase"] != self._phase:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._phase = line["phase"]
            self._task = self._progress.add_task(phase_text(line), total=None, files="")
        self._progress.update(
            self._task, completed=line["bytes_done"], total=line.get("bytes_total") or None, files=files_text(line)
        )

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
