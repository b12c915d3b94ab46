# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora list)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE
from ..registry import Verb


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--all", action="store_true", help="checkpoints too")


def run(context: Context, options: Namespace) -> int:
    """Show the backups of the vault, newest first."""
    from ansible_collections.cora.backup.plugins.module_utils.catalog import checkpoint_rows, list_backups
    from ansible_collections.cora.backup.plugins.module_utils.names import printable
    from ansible_collections.cora.backup.plugins.module_utils.summary import list_table

    rows = list_backups(context.vault)
    if options.all:
        rows = sorted(rows + checkpoint_rows(context.vault), key=lambda row: str(row["id"]), reverse=True)
    projects = sorted({str(row["project"]) for row in rows if row["project"]})
    if context.named_project:
        rows = [row for row in rows if row["project"] == context.named_project]
    context.output.document(rows)
    if context.named_project and projects and not rows:
        others = ", ".join(map(printable, projects))
        context.output.say(f"No backup in {context.vault} is of {context.named_project}. There are some of {others}.")
        return DONE
    context.output.say(list_table(rows, context.vault))
    if not rows:
        context.output.say(f"Make the first one: {context.command('backup', 'now')}")
    return DONE


VERBS = (
    Verb(
        names=("backup list", "list"),
        help="show the backups: id, when, kind, files, size, sealed, verified",
        run=run,
        configure=configure,
        description=(
            "Show the backups of the vault, newest first; with --all the checkpoints between them too. With --project\n"
            "only those of one project."
        ),
        examples=("cora list --all", "cora list", "cora list --json | jq -r '.[0].id'"),
        order=20,
    ),
)
