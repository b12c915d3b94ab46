# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C while a playbook runs: what the engine has begun is put away before the command ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.1


class Interrupts:
    """Passes the first signal on to the playbook, and kills at the second; a context manager.

    The terminal's Ctrl-C reaches neither the playbook, which has a terminal of its own, nor the module, to which only
    ansible-core from 2.19 on passes it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.killed = False
        self._stopping: set[tuple[int, str]] = set()

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def must_kill(self) -> bool:
        """Asked by the runner now and then; also passes a signal on that came before there was a playbook."""
        if self.signal is not None and not self._stopping:
            self._pass_on()
        return self.killed

    def wait(self) -> None:
        """Wait until everything that was told to stop has stopped: a module may outlive its playbook."""
        while not self.killed and any(_start_time(process) == started for process, started in self._stopping):
            time.sleep(_POLL_SECONDS)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            self._pass_on()
            with suppress(OSError, ValueError):  # the terminal may be what is gone
                print("\nStopping… (once more to kill it)", file=sys.stderr, flush=True)
            return
        self.killed = True
        for process in {known[0] for known in self._stopping} | set(_descendants(os.getpid())):
            _send(process, signal.SIGKILL)

    def _pass_on(self) -> None:
        found = {(process, _start_time(process)) for process in _descendants(os.getpid())}
        self._stopping = {(process, started) for process, started in found if started}  # the others have ended by now
        playbooks = set(_children(os.getpid()))
        for process, _start in self._stopping:
            if process in playbooks or _is_module(process):
                _send(process, signal.SIGINT)


def _send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or become another user's


def _is_module(process: int) -> bool:
    # and not what a module has started: git, or a service
    try:
        return b"AnsiballZ_" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _start_time(process: int) -> str:
    """Together with its number, what a process is; empty when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _children(process: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(word) for word in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _descendants(process: int) -> list[int]:
    found = _children(process)
    for child in list(found):
        found += _descendants(child)
    return found
