# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strace as the hand that kills, refuses and fills up."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.lab import Ended, engine

_LINE = re.compile(r"(?P<pid>\d+)\s+(?P<call>[a-z0-9_]+)\((?P<rest>.*)")

RENAMES = ("rename", "renameat", "renameat2")
REMOVALS = ("unlink", "unlinkat", "rmdir")
SYNCS = ("fsync", "fdatasync", "syncfs")


@dataclass(frozen=True)
class Point:
    """One system call of a run: the C(number)th of its name that the process makes."""

    call: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.what}"


def traced(log: Path, calls: tuple[str, ...], *inject: str) -> list[str]:
    """The words that put a command under strace."""
    words = ["strace", "-f", "-qq", "-s", "200", "-o", str(log), "-e", f"trace={','.join(calls)}"]
    return words + [word for fault in inject for word in ("-e", f"inject={fault}")] + ["--"]


def points(log: Path, calls: tuple[str, ...], call: str, *, only: str = "", **arguments: Any) -> list[Point]:
    """Run the engine to its end and note each of these system calls of its first thread.

    :param only: text that the line of the call has to have
    """
    ended = engine(call, wrapper=traced(log, calls), **arguments)
    ended.result()
    found, counts, first = [], Counter[str](), ""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        first = first or match["pid"]
        if match["pid"] != first:
            continue
        counts[match["call"]] += 1
        if only in line:
            found.append(Point(match["call"], counts[match["call"]], match["rest"]))
    assert found, f"no {calls} in the run"
    return found


def killed_at(point: Point, log: Path, call: str, **arguments: Any) -> Ended:
    """Run the engine and kill it with SIGKILL when it enters a system call; the call does not take place."""
    ended = engine(
        call, wrapper=traced(log, (point.call,), f"{point.call}:signal=KILL:when={point.number}"), **arguments
    )
    assert ended.killed, f"not killed at {point}: exit {ended.returncode} {ended.stdout}{ended.stderr}"
    assert "killed by SIGKILL" in log.read_text(errors="replace"), point
    return ended
