# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers of this system that are ours: when they ran, when they run next, how it went."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, Optional

from .errors import ProgramError
from .programs import run

SAVE_TIMER = "cora-save.timer"
TIMERS = (SAVE_TIMER, "cora-backup.timer", "cora-prune.timer", "cora-verify.timer", "cora-offsite.timer")
_UNIT_DIRECTORY = "/etc/systemd/system"


def timer_rows() -> list[dict[str, Any]]:
    """One row an installed timer; none where none is installed or systemd does not run."""
    installed = [name for name in TIMERS if os.path.exists(os.path.join(_UNIT_DIRECTORY, name))]
    if not installed or not os.path.isdir("/run/systemd/system"):
        return []
    return [_row(name) for name in installed]


def _row(name: str) -> dict[str, Any]:
    service = name.replace(".timer", ".service")
    try:
        timer = _properties(name, "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime")
        unit = _properties(service, "ActiveState", "Result", "ExecMainStatus")
    except ProgramError as error:
        unknown = dict.fromkeys(("last_seconds", "next_seconds", "result"))
        return {"unit": name, **unknown, "running": False, "problem": str(error)}
    return {
        "unit": name,
        "last_seconds": _seconds(timer.get("LastTriggerUSec")),
        "next_seconds": _seconds(timer.get("NextElapseUSecRealtime")),
        "running": unit.get("ActiveState") == "activating",
        "result": unit.get("Result"),
        "problem": _problem(timer, unit),
    }


def _problem(timer: dict[str, str], unit: dict[str, str]) -> Optional[str]:
    if timer.get("ActiveState") != "active":
        return f"it is {timer.get('ActiveState', 'unknown')}, not active"
    if unit.get("Result") not in (None, "", "success"):
        return f"its last run ended with {unit['Result']} ({unit.get('ExecMainStatus', '?')}): journalctl -u cora-*"
    return None


def _properties(unit: str, *names: str) -> dict[str, str]:
    # what timers have is only shown as text, --timestamp=unix or not; so at least in a zone that is known
    argv = ["systemctl", "show", f"--property={','.join(names)}", unit]
    done = run(argv, timeout_seconds=10.0, env={"TZ": "UTC"})
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _seconds(text: Optional[str]) -> Optional[float]:
    """From C(Sat 2026-11-28 19:45:31 UTC); None for what is no time, such as C(n/a)."""
    without_weekday = (text or "").partition(" ")[2]
    try:
        return datetime.strptime(without_weekday.replace("UTC", "+0000"), "%Y-%m-%d %H:%M:%S %z").timestamp()
    except ValueError:
        return None
