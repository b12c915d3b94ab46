# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora backup now)."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from .. import ROOT
from ..context import Context
from ..errors import DONE, INCOMPLETE
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure(parser: ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument(
        "--paranoid",
        action="store_true",
        help="read every file, and take nothing over from the newest backup",
    )


def run(context: Context, options: Namespace) -> int:
    """Make a backup."""
    from ansible_collections.cora.backup.plugins.module_utils.summary import backup_summary

    project, vault = context.project, context.vault
    context.output.note(f"Backing up {project} to {vault}")
    if context.set_project is None and _stands_in_checkout(context) and project != str(ROOT):
        context.output.note(f"(the project around this checkout; the checkout itself: --project {ROOT})")
    variables: dict[str, Value] = {"cora_project": project, "cora_vault": vault}
    if options.paranoid:
        variables["cora_paranoid"] = True
    result = run_playbook(context, "backup", "cora.backup.snapshot", variables)
    context.output.document(result)
    context.output.say(backup_summary(result, check=False))
    context.output.say(f"Restore it with: {context.command('restore', str(result['id']))}")
    return INCOMPLETE if result["incomplete"] else DONE


def _stands_in_checkout(context: Context) -> bool:
    return f"{os.path.realpath(context.working_directory)}/".startswith(f"{ROOT}/")


VERBS = (
    Verb(
        names=("backup now",),
        help="make a backup of the project",
        run=run,
        configure=configure,
        description=(
            "Make one complete, immutable backup of the project: its files, consistent copies of its SQLite\n"
            "databases, its critical files plain a second time, and the commits that no remote has."
        ),
        examples=(
            "cora backup now",
            "cora backup now --project /srv/app",
            "cora backup now --paranoid   # reads everything, whatever size and times say",
            "cora backup now --vault /mnt/disk/cora --json",
            "cora backup now -e cora_seal=best_effort   # where files cannot be made immutable",
        ),
        order=10,
    ),
)
