# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora undo)."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from ansible_collections.cora.backup.plugins.module_utils.restore_record import SWAP

from ..ask import confirm
from ..context import Context
from ..errors import DONE, FAILED
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value
from ..where_one_stands import hint_at_old_tree
from ..which_backup import project_to_undo


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(context: Context, options: Namespace) -> int:
    """Take the last restore back."""
    from ansible_collections.cora.backup.plugins.module_utils.summary import undo_plan_lines, undo_summary
    from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last

    plan = undo_last(context.vault, project=project_to_undo(context), check=True)
    context.output.note(undo_plan_lines(plan, tree_is_there=os.path.lexists(plan["project"])))
    if plan["kind"] == SWAP and not confirm("Take it back?", yes=options.yes):
        context.output.note("Nothing was changed.")
        return FAILED
    variables: dict[str, Value] = {"cora_vault": context.vault, "cora_project": plan["project"]}
    result = run_playbook(context, "undo", "cora.backup.restore_undo", variables)
    context.output.document(result)
    context.output.say(undo_summary(result, check=False))
    hint_at_old_tree(context, result)
    return DONE


VERBS = (
    Verb(
        names=("undo",),
        help="take the last restore back",
        run=run,
        configure=configure,
        description=(
            "Put back what the last restore of the project replaced. What that restore had brought is saved in turn.\n"
            "Where whole trees change places it asks first, as the restore did."
        ),
        examples=(
            "cora undo",
            "cora undo --project /srv/app   # the last one of this project",
            "cora undo --yes                # for scripts",
        ),
        order=45,
    ),
)
