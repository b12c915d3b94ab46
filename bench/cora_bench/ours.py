# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This project as a contestant: the command as a person types it, and the engine alone."""

from __future__ import annotations

import os
import shlex

from .contestants import (
    AGAIN,
    CHANGED,
    FIND,
    FIRST,
    HISTORY,
    LIST,
    ONE_FILE,
    PRUNE,
    RESTORE,
    SAVE,
    STATUS,
    VERIFY,
    Contestant,
    Place,
    one_file_path,
)
from .measure import Command, output, run, shell

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_COMMAND = os.path.join(ROOT, "tools", "cora.sh")
_ENVIRONMENT = os.environ.get("CORA_VENV", os.path.join(ROOT, ".venv"))
#: The newest one, whatever the day is.
_KEEP_ONE = ("-e", "cora_keep_last=1", "-e", "cora_keep_within_days=0")
_DRIVER = os.path.join(ROOT, "bench", "engine_driver.py")


def _printed(call: Command, place: Place) -> Command:
    """Its standard output as the one file, as with the peers."""
    return shell(f"{shlex.join(call.argv)} > {one_file_path(place)}")


def _newest(vault: str) -> str:
    return max(name for name in os.listdir(vault) if name[:1].isdigit())


def _cora() -> Contestant:
    def command(project: str, place: Place, *argv: str) -> Command:
        return Command([_COMMAND, "--project", project, "--vault", f"{place.home}/vault", *argv])

    def backup(place: Place) -> Command:
        return command(place.dataset.path, place, "backup", "now")

    def restore(place: Place) -> Command:
        return command(place.out, place, "restore", _newest(f"{place.home}/vault"), "--full", "--yes")

    def one_file(place: Place) -> Command:
        return _printed(command(place.dataset.path, place, "cat", "latest", place.dataset.sample), place)

    works = {
        FIRST: backup,
        AGAIN: backup,
        SAVE: lambda place: command(place.dataset.path, place, "save"),
        CHANGED: backup,
        VERIFY: lambda place: command(place.dataset.path, place, "verify", "latest"),
        RESTORE: restore,
        ONE_FILE: one_file,
        LIST: lambda place: command(place.dataset.path, place, "list"),
        STATUS: lambda place: command(place.dataset.path, place, "status"),
        FIND: lambda place: command(place.dataset.path, place, "find", os.path.basename(place.dataset.sample)),
        HISTORY: lambda place: command(place.dataset.path, place, "history", place.dataset.sample),
        PRUNE: lambda place: command(place.dataset.path, place, "prune", *_KEEP_ONE),
    }
    # the first call makes the command's Python environment
    return Contestant(
        "cora",
        output(_COMMAND, "version"),
        works,
        prepare=lambda place: run(Command([_COMMAND, "version"]), place.log),
        is_ours=True,
    )


def many_backups(place: Place, count: int) -> Command:
    """So many backups, one after the other in one process; the sample file grows a line before each."""
    driver = [f"{_ENVIRONMENT}/bin/python", _DRIVER, "backups", place.dataset.path, f"{place.home}/vault"]
    return Command([*driver, place.dataset.sample, str(count)])


def _engine() -> Contestant:
    def command(place: Place, verb: str, project: str, *files: str) -> Command:
        return Command([f"{_ENVIRONMENT}/bin/python", _DRIVER, verb, project, f"{place.home}/vault", *files])

    def backup(place: Place) -> Command:
        return command(place, "backup", place.dataset.path)

    works = {
        FIRST: backup,
        AGAIN: backup,
        SAVE: lambda place: command(place, "save", place.dataset.path),
        CHANGED: backup,
        VERIFY: lambda place: command(place, "verify", place.dataset.path),
        RESTORE: lambda place: command(place, "restore", place.out),
        ONE_FILE: lambda place: _printed(command(place, "cat", place.dataset.path, place.dataset.sample), place),
        LIST: lambda place: command(place, "list", place.dataset.path),
        PRUNE: lambda place: command(place, "prune", place.dataset.path),
    }
    return Contestant("cora, engine only", "", works, is_ours=True)


def ours() -> list[Contestant]:
    """The command, and the engine in a process without Ansible."""
    return [_cora(), _engine()]
