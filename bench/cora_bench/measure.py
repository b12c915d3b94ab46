# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running one command and reading what it cost from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Command:
    """A command line to be measured; C(env) is added to the environment."""

    argv: Sequence[str]
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What a command and its children took.

    :param peak_bytes: of the largest of its processes; the kernel keeps no sum
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def shell(text: str, cwd: str = "/", env: Mapping[str, str] | None = None) -> Command:
    """A pipeline; any part of it that fails makes it fail."""
    return Command(["bash", "-o", "pipefail", "-c", text], cwd, env or {})


def measure(command: Command, log_path: str, *, cold: bool = False) -> Cost:
    """Run a command once. What earlier ones left to be written is on disk before the clock starts.

    :param cold: forget what is cached of all file systems first
    """
    os.sync()
    if cold:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as stream:
            stream.write("3")
    with open(log_path, "ab") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env={**os.environ, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command.argv)} ended with {process.returncode}; see {log_path}")
    return Cost(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def run(command: Command, log_path: str) -> None:
    """Run a command that is not measured."""
    measure(command, log_path)


def output(*argv: str) -> str:
    """What a command prints; empty where it is missing."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
