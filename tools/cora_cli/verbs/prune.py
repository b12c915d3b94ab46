# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora prune)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "--dry-run", "--check", action="store_true", help="give the reason for each id, and change nothing"
    )
    parser.add_argument(
        "--verify", action="store_true", help="verify first what would take the place of something, where nobody has"
    )


def run(context: Context, options: Namespace) -> int:
    """Remove what no rule keeps."""
    from ansible_collections.cora.backup.plugins.module_utils.prune_summary import prune_summary

    variables: dict[str, Value] = {"cora_vault": context.vault, "dry_run": options.dry_run, "verify": options.verify}
    if context.named_project:
        variables["project"] = context.named_project
    result = run_playbook(context, "prune", "cora.backup.prune", variables)
    context.output.document(result)
    context.output.say(prune_summary(result, check=options.dry_run))
    return DONE


VERBS = (
    Verb(
        names=("prune",),
        help="remove the backups and checkpoints that no rule keeps any more",
        run=run,
        configure=configure,
        description=(
            "Remove what the cora_keep_ settings (inventory/group_vars/all.yml) no longer keep. Never removed: the\n"
            "newest verified backup of a project, what a kept checkpoint needs, what is pinned; and no backup at all\n"
            "while the newest one, or the one that takes its place, is not verified."
        ),
        examples=(
            "cora prune --dry-run              # what would go, and why each id stays",
            "cora prune --verify",
            "cora prune -e cora_keep_daily=30",
        ),
        order=60,
    ),
)
