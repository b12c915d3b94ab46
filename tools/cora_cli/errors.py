# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command ends."""

from __future__ import annotations

from typing import Any

DONE = 0
FAILED = 1
WRONG_USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130
TERMINATED = 143

#: Classes of the engine's errors that mean: the request itself was wrong.
USAGE_CLASSES = ("SettingsError", "UsageError")


class CommandError(Exception):
    """The command cannot go on; its text is meant for the person who typed it.

    :param error: name of the class of the error, for C(--json)
    :param details: what else C(--json) says
    :param code: exit code; by default what the class of the error means
    """

    def __init__(
        self,
        message: str,
        *,
        error: str = "CommandError",
        details: dict[str, Any] | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.details = details or {}
        self.code = exit_code(error) if code is None else code


class UsageError(CommandError):
    """The command was not used as it can be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error="UsageError")


def exit_code(error: str) -> int:
    """The exit code that a class of errors stands for."""
    return WRONG_USAGE if error in USAGE_CLASSES else FAILED
