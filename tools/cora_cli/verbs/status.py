# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora status)."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from typing import Any

from ..context import Context
from ..errors import DONE, FAILED
from ..registry import Verb
from ..which_backup import project_at_hand


def run(context: Context, _options: Namespace) -> int:
    """Show how things stand."""
    from ansible_collections.cora.backup.plugins.module_utils.status import Limits, status
    from ansible_collections.cora.backup.plugins.module_utils.status_summary import status_summary

    given: dict[str, Any] = {item.name: context.number(f"cora_status_{item.name}") for item in fields(Limits)}
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    protect = context.is_on("cora_protect")
    result = status(context.vault, project=project_at_hand(context), limits=limits, protect=protect)
    context.output.document(result)
    context.output.say(status_summary(result))
    return DONE if result["ok"] else FAILED


VERBS = (
    Verb(
        names=("status",),
        help="how things stand: newest backup, timers, disk, and what is wrong",
        run=run,
        description=(
            "Show the newest backup and checkpoint and their age, the timers and their last results, the disk and how\n"
            "long it lasts, critical files and their growth; last of all what is wrong. Ends with 1 when something\n"
            "is. Many hosts in one table: ansible-playbook playbooks/status.yml."
        ),
        examples=("cora status", "cora status --json | jq '.problems'"),
        order=15,
    ),
)
