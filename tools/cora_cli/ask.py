# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the person."""

from __future__ import annotations

import sys

from .errors import UsageError


def confirm(question: str, *, yes: bool) -> bool:
    """Whether the person agrees; C(--yes) agrees beforehand.

    :raises UsageError: when there is nobody to ask
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "This asks before it changes anything, and there is no terminal to ask on. Add --yes to agree."
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
