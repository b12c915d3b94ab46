# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora undo)."""

from __future__ import annotations

from argparse import Namespace

from ..context import Context
from ..errors import DONE
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value
from ..which_backup import project_at_hand


def run(context: Context, _options: Namespace) -> int:
    """Take the last restore back."""
    from ansible_collections.cora.backup.plugins.module_utils.summary import undo_summary

    variables: dict[str, Value] = {"cora_vault": context.vault}
    project = project_at_hand(context)
    if project:
        variables["cora_project"] = project
    result = run_playbook(context, "undo", "cora.backup.restore_undo", variables)
    context.output.document(result)
    context.output.say(undo_summary(result, check=False))
    return DONE


VERBS = (
    Verb(
        names=("undo",),
        help="take the last restore back",
        run=run,
        description="Put back what the last restore replaced. What that restore had brought is saved in turn.",
        examples=("cora undo", "cora undo --project /srv/app   # the last one of this project"),
        order=45,
    ),
)
