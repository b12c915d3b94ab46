# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a progress file in a person's words."""

from __future__ import annotations

from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.summary import count_text, size_text

_PHASES = {
    "scan": "Looking",
    "databases": "Copying databases",
    "archive": "Archiving",
    "seal": "Sealing",
    "upload": "Sending",
    "fetch": "Fetching",
    "decrypt": "Decrypting",
    "verify": "Verifying",
    "extract": "Restoring",
}


def phase_text(line: dict[str, Any]) -> str:
    """What is being done."""
    return _PHASES.get(line["phase"], str(line["phase"]))


def files_text(line: dict[str, Any]) -> str:
    """How many files of how many."""
    total = line.get("files_total")
    return f"{count_text(line['files_done'])}{f' of {count_text(total)}' if total else ''} files"


def describe(line: dict[str, Any]) -> str:
    """One line of progress."""
    total = line.get("bytes_total")
    done = f"{size_text(line['bytes_done'])}{f' of {size_text(total)}' if total else ''}"
    return f"{phase_text(line)}: {files_text(line)}, {done}"
