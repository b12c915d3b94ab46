# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is asked to do: frozen settings, and what they are for a person who sets nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from .defaults import SEAL_BEST_EFFORT, SEAL_REQUIRED
from .errors import SettingsError
from .offsite_settings import OffsiteSettings

#: 50 MB as Git hosts count it: GitHub warns above 50 MiB.
MEBIBYTE = 1024 * 1024
DEFAULT_LARGE_FILE_BYTES = 50 * MEBIBYTE
DEFAULT_LOG_CAP_BYTES = 50 * MEBIBYTE

#: All checkpoints of a vault together: the smaller of both counts.
DEFAULT_CHECKPOINTS_BYTES = 20 * 1024 * MEBIBYTE
DEFAULT_CHECKPOINTS_PERCENT = 10.0

#: Patterns have gitignore syntax, relative to the project.
DEFAULT_EXCLUDE = ("node_modules/", "venv/", ".venv/", "__pycache__/", ".git/")
DEFAULT_CRITICAL = ("/*.md", "*WORK_LOG*", ".env", ".env.*", "/ecosystem.config.*", "/docker-compose*.y*ml")
#: Only names that are surely plain text: half of a compressed log would be no log.
DEFAULT_LOGS = ("*.log", "*.log.[0-9]", "*.log.[0-9][0-9]")

#: A critical file is kept plain a second time; beyond this size only the archive has it, and the report says so.
CRITICAL_LIMIT_BYTES = 256 * MEBIBYTE

SCENARIOS = ("plan", "files", "critical", "full")
SERVICE_KINDS = ("pm2", "systemd", "command")


@dataclass(frozen=True)
class BackupSettings:
    """One backup run.

    :param project: absolute path of the directory to protect
    :param vault: absolute path of the vault
    :param exclude: gitignore patterns of what is left out (and only counted)
    :param critical: gitignore patterns of files kept plain under C(critical/) too
    :param logs: gitignore patterns of logs, kept by their newest C(log_cap_bytes)
    :param large_file_bytes: files over this size are listed in LARGE_FILES.txt
    :param seal: C(required) or C(best_effort)
    :param paranoid: read every file, and take nothing over from an earlier backup
    :param keep_checkpoints_bytes: the budget of all checkpoints, which each new one keeps
    :param keep_checkpoints_percent: and as a part of the file system
    :param lock_wait_seconds: how long to wait for another run
    :param progress_file: JSON lines of progress are appended there
    """

    project: str
    vault: str
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    critical: tuple[str, ...] = DEFAULT_CRITICAL
    logs: tuple[str, ...] = DEFAULT_LOGS
    log_cap_bytes: int = DEFAULT_LOG_CAP_BYTES
    large_file_bytes: int = DEFAULT_LARGE_FILE_BYTES
    seal: str = SEAL_REQUIRED
    paranoid: bool = False
    keep_checkpoints_bytes: int = DEFAULT_CHECKPOINTS_BYTES
    keep_checkpoints_percent: float = DEFAULT_CHECKPOINTS_PERCENT
    lock_wait_seconds: float = 0.0
    progress_file: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("project", "vault"):
            if not os.path.isabs(getattr(self, name)):
                raise SettingsError(f"{name} must be an absolute path, not {getattr(self, name)!r}.")
        if self.seal not in (SEAL_REQUIRED, SEAL_BEST_EFFORT):
            raise SettingsError(f"seal must be {SEAL_REQUIRED} or {SEAL_BEST_EFFORT}, not {self.seal!r}.")
        if self.log_cap_bytes < 0 or self.large_file_bytes < 0 or self.lock_wait_seconds < 0:
            raise SettingsError("Sizes and waiting times cannot be negative.")
        if self.keep_checkpoints_bytes < 0 or not 0 <= self.keep_checkpoints_percent <= 100:
            raise SettingsError("The budget of checkpoints is a size, and a part of 100.")


@dataclass(frozen=True)
class Service:
    """Something that runs on the project and must stand still while its files are swapped.

    :param kind: C(pm2), C(systemd) or C(command)
    :param name: unit name or pm2 process name
    :param user: whose pm2 daemon it is
    :param stop: argv that stops it (kind C(command))
    :param start: argv that starts it (kind C(command))
    """

    kind: str
    name: Optional[str] = None
    user: Optional[str] = None
    stop: Optional[tuple[str, ...]] = None
    start: Optional[tuple[str, ...]] = None

    def __post_init__(self) -> None:
        if self.kind not in SERVICE_KINDS:
            raise SettingsError(f"A service's kind is one of {', '.join(SERVICE_KINDS)}, not {self.kind!r}.")
        if self.kind == "command" and not (self.stop and self.start):
            raise SettingsError("A service of kind command needs both stop and start, each a list of words.")
        if self.kind != "command" and not self.name:
            raise SettingsError(f"A service of kind {self.kind} needs a name.")


@dataclass(frozen=True)
class RestoreRequest:
    """One restore run.

    :param id_text: C(latest), an id, or an unambiguous beginning of one
    :param project: where to restore to; None: where the backup came from
    :param scenario: C(plan), C(files), C(critical) or C(full)
    :param files: paths relative to the project (scenario C(files)); a directory brings all that is in it
    :param keep_setuid: keep set-user-id and set-group-id bits of files
    :param check: plan only, change nothing
    :param offsite: where the backup is when the vault has not got it
    """

    vault: str
    id_text: str
    project: Optional[str] = None
    scenario: str = "plan"
    files: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    health_command: tuple[str, ...] = ()
    health_timeout_seconds: float = 30.0
    keep_setuid: bool = False
    check: bool = False
    lock_wait_seconds: float = 0.0
    progress_file: Optional[str] = None
    offsite: Optional[OffsiteSettings] = None

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise SettingsError(f"scenario is one of {', '.join(SCENARIOS)}, not {self.scenario!r}.")
        if self.scenario == "files" and not self.files:
            raise SettingsError("Scenario files needs at least one path: say which with files.")
        if self.files and self.scenario != "files":
            raise SettingsError(f"files goes with scenario files, not with scenario {self.scenario}.")
        if self.health_timeout_seconds < 0 or self.lock_wait_seconds < 0:
            raise SettingsError("Waiting times cannot be negative.")
        for name in ("project", "vault"):
            value = getattr(self, name)
            if value is not None and not os.path.isabs(value):
                raise SettingsError(f"{name} must be an absolute path, not {value!r}.")
