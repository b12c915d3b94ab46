# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does something that is written down."""

from __future__ import annotations

import os
from typing import Any

from .names import printable


def who_runs_this() -> dict[str, Any]:
    """The user of this process, and who became that user: what sudo says, and who the login was by the kernel's word.

    C(sudo_user) is a variable that anybody can set; C(login_uid) is not, and None for what no login began (a timer).
    """
    return {
        "uid": os.getuid(),
        "sudo_user": printable(os.environ["SUDO_USER"]) if os.environ.get("SUDO_USER") else None,
        "login_uid": _login_uid(),
    }


def _login_uid() -> Any:
    try:
        with open("/proc/self/loginuid", encoding="ascii") as stream:
            uid = int(stream.read())
    except (OSError, ValueError):
        return None
    return uid if uid != 2**32 - 1 else None
