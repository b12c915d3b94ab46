# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a tool to its end, or to its time limit, with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: The repository.
ROOT = Path(__file__).resolve().parents[2]

_running: set[subprocess.Popen[bytes]] = set()


def run(
    argv: Sequence[str], *, timeout_seconds: float, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run a command; returns its code and what it printed, both streams together.

    A command that is missing or takes too long gets a code of its own (127, 124) and a sentence in the output.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **(env or {})}
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return 127, f"cannot run {argv[0]}: {error}\n"
    _running.add(process)
    try:
        output, _stderr = process.communicate(timeout=timeout_seconds)
        return process.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return 124, f"{end(process).decode(errors='replace')}\nstopped after {timeout_seconds:.0f} s\n"
    finally:
        _running.discard(process)


def end(process: subprocess.Popen[bytes]) -> bytes:
    """Stop a command and all it started; returns what it printed. Asked first: pytest then tells what it knows."""
    for number, patience_seconds in ((signal.SIGINT, 20.0), (signal.SIGKILL, 20.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            return process.communicate(timeout=patience_seconds)[0]
        except subprocess.TimeoutExpired:
            continue
    return b""


def interrupt_all() -> None:
    """Ask every running command to end; whoever waits for it goes on."""
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)


def repository_files(*patterns: str) -> list[Path]:
    """Files that Git tracks or would add, relative to the repository, without the links into itself."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = sorted(set(listing.stdout.decode().split("\0")) - {""})
    return [
        Path(name)
        for name in names
        if not name.startswith("playbooks/collections/") and os.path.lexists(os.path.join(ROOT, name))
    ]
