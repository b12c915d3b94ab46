# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of Ansible said: the result of the module that matters, or why there is none."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CommandError

#: What of a module's result is Ansible's business.
_INTERNAL = ("invocation", "summary", "exception", "failed", "deprecations")
#: What Ansible adds to every result that has a path.
_PATH_FACTS = ("uid", "gid", "owner", "group", "mode", "state", "size", "secontext")
_ERROR_LINE = re.compile(r"^\[?ERROR\]?!?:?\s*(.+)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Events:
    """Listens to a run.

    :param action: full name of the module whose result is wanted
    :param aloud: show on stderr what Ansible prints
    """

    action: str
    aloud: bool
    result: Mapping[str, Any] | None = None
    _failure: Mapping[str, Any] | None = None
    _failed_action: str | None = None
    _texts: list[str] = field(default_factory=list)

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Take an event of ansible-runner; True, for it to be kept with the log of the run."""
        data = event.get("event_data", {})
        kind = event.get("event")
        if kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
            self.hear_result(data.get("resolved_action"), data["res"], failed=kind != "runner_on_ok")
        self._hear_text(event.get("stdout") or "")
        return True

    def hear_result(self, action: str | None, result: Mapping[str, Any], *, failed: bool) -> None:
        """Take the result of a module.

        :param action: its full name
        """
        if failed:
            if self._failure is None:
                self._failure, self._failed_action = result, action
        elif action == self.action:
            self.result = result

    def _hear_text(self, text: str) -> None:
        if text:
            self._texts.append(text)
            if self.aloud:
                print(text, file=sys.stderr, flush=True)

    def own_result(self) -> dict[str, Any]:
        """The result without what Ansible adds; its warnings are there even when there are none."""
        own = _without_internals(self.result or {})
        if "path" in own:
            own = {name: value for name, value in own.items() if name not in _PATH_FACTS}
        own["warnings"] = [str(warning) for warning in own.get("warnings", ())]
        return own

    def error(self, status: int, log: Path) -> CommandError:
        """Why there is no result.

        :param status: with which ansible-playbook ended
        :param log: where the log of the run is kept
        """
        where = {"log": str(log)}
        if self._failure is None:
            message = self._last_words() or f"ansible-playbook ended with {status}."
            return CommandError(f"{message}\nThe log of the run: {log}", error="PlaybookError", details=where)
        error = (
            "SettingsError" if self._is_refusal(self._failure) else str(self._failure.get("error") or "PlaybookError")
        )
        message = re.sub(r"^(Task failed: |Action failed: )+", "", str(self._failure.get("msg") or "A task failed."))
        if error == "PlaybookError":
            message += f"\nThe log of the run: {log}"
        details = {
            key: value
            for key, value in _without_internals(self._failure).items()
            if key not in ("msg", "error", "changed")
        }
        return CommandError(message, error=error, details={**details, **where})

    def _is_refusal(self, failure: Mapping[str, Any]) -> bool:
        # our modules name the class of every error; without that and without a traceback, Ansible refused the options
        unnamed = not {"error", "module_stderr"} & failure.keys() and "Traceback" not in str(failure.get("exception"))
        return self._failed_action == self.action and unnamed and "unreachable" not in failure

    def _last_words(self) -> str:
        found = _ERROR_LINE.search(_COLOUR.sub("", "\n".join(self._texts)))
        return found.group(1) if found else ""


def _without_internals(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in _INTERNAL and not name.startswith("_ansible")}
