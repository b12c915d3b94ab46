# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command prints: results on stdout, the rest on stderr; with C(--json) one document and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.names import printable


class Output:
    """Where lines go.

    :param as_json: print one JSON document in place of lines
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, lines: str | Iterable[str]) -> None:
        """Lines of the result."""
        if not self.as_json:
            self._print(lines, sys.stdout)

    def note(self, lines: str | Iterable[str]) -> None:
        """Lines beside the result: hints, what is going on."""
        if not self.as_json:
            self._print(lines, sys.stderr)

    def document(self, document: Any) -> None:
        """The result as JSON."""
        if self.as_json:
            print(json.dumps(document, indent=2), flush=True)

    def error(self, message: str, error: str, details: dict[str, Any]) -> None:
        """Why it failed."""
        if self.as_json:
            self.document({"error": error, "msg": message, **details})
        else:
            self._print(f"cora: {message}".splitlines(), sys.stderr)

    @staticmethod
    def _print(lines: str | Iterable[str], stream: Any) -> None:
        for line in [lines] if isinstance(lines, str) else lines:
            print(printable(line), file=stream)
        stream.flush()


def tolerate_any_locale() -> None:
    """Print what the terminal's encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
