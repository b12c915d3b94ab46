# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: stdout
short_description: Show only what a person wants to know of a backup or a restore
version_added: 1.0.0
description:
  - Prints the summary of each module of this collection, what M(ansible.builtin.debug) says, diffs, warnings and
    errors, and nothing of plays and tasks.
  - It is not the default. Choose it with C(ANSIBLE_STDOUT_CALLBACK=cora.backup.summary) or C(stdout_callback) in
    C(ansible.cfg).
author:
  - cora.backup contributors (!UNKNOWN)
requirements:
  - Set as stdout callback.
extends_documentation_fragment:
  - ansible.builtin.result_format_callback
"""

from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """The short output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "cora.backup.summary"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Lines of a summary, or what a debug task says."""
        values = result._result
        self._handle_warnings(values)
        if "summary" in values and isinstance(values["summary"], list):
            self._lines(result, values["summary"])
        elif result._task.action in constants._ACTION_DEBUG and values.get("msg") != self._last:
            message = values.get("msg", "")
            self._lines(result, message if isinstance(message, list) else [message])

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Why a task failed."""
        if not ignore_errors:
            self._handle_warnings(result._result)
            message = str(result._result.get("msg") or "A task failed.")
            # what is said once is about all hosts
            text = message if result._task.run_once else f"{result._host.get_name()}: {message}"
            self._display.display(text, color=constants.COLOR_ERROR, stderr=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Why a host cannot be reached."""
        self.v2_runner_on_failed(result)

    def v2_on_file_diff(self, result: Any) -> None:
        """What changes."""
        if result._result.get("diff"):
            self._display.display(self._get_diff(result._result["diff"]))

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Nothing was done."""
        self._display.display("No host matched, so nothing was done.", color=constants.COLOR_ERROR, stderr=True)

    _last: Any = None

    def _lines(self, result: Any, lines: list[Any]) -> None:
        # playbooks of this collection show the summary in a debug task for those who run them without this callback
        self._last = lines
        host = result._host.get_name()
        # what is said once is about all hosts
        about_one = host != "localhost" and not result._task.run_once
        for line in lines:
            self._display.display(f"{host}: {line}" if about_one else str(line))
