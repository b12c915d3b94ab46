# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora restore)."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.names import printable

from ..ask import confirm
from ..context import Context
from ..errors import DONE, FAILED, CommandError
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value
from ..where_one_stands import hint_at_old_tree
from ..which_backup import project_to_undo, resolve_anywhere
from ..which_files import PATH_HELP, with_files_meant


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "id", metavar="ID", help="latest (backup), newest (backup or checkpoint), an id, or the beginning of one"
    )
    scenario = parser.add_mutually_exclusive_group()
    scenario.add_argument(
        "--file",
        dest="files",
        metavar="PATH",
        action="append",
        default=[],
        help=f"bring this file or directory back; {PATH_HELP}; repeatable",
    )
    scenario.add_argument("--critical", action="store_true", help="bring databases and critical files back")
    scenario.add_argument(
        "--full", action="store_true", help="bring the whole project back; the old tree is kept as <project>.old-<time>"
    )
    parser.add_argument("--check", "--dry-run", action="store_true", help="show what it would do, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(context: Context, options: Namespace) -> int:
    """Restore, or show what a restore would do."""
    from ansible_collections.cora.backup.plugins.module_utils.restore import meant_by, plan_restore
    from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest
    from ansible_collections.cora.backup.plugins.module_utils.summary import restore_summary

    scenario = _scenario(options)
    backup_id, offsite = resolve_anywhere(context, options.id)
    request = RestoreRequest(
        vault=context.vault,
        offsite=offsite,
        id_text=backup_id,
        project=context.named_project,
        scenario=scenario,
        files=tuple(options.files),
        check=True,
    )
    request = with_files_meant(context, request)
    # Who is asked sees before what would be lost, and whether the backup is damaged. Where nobody is asked it is left
    # to the run, which verifies and plans before it changes anything: the same here would only cost the time twice.
    unasked = not options.check and (scenario == "critical" or (scenario == "full" and options.yes))
    plan = meant_by(request) if unasked else plan_restore(request)
    if offsite is None:
        _hint_at_newer(context, options.id, plan)
    else:
        context.output.note(f"{backup_id} is not in {context.vault}: it is taken from {offsite.place}")
    if scenario == "plan" or options.check:
        context.output.document({"changed": False, **plan})
        context.output.say(restore_summary(plan, check=True))
        if scenario == "plan":
            context.output.say(_next_commands(context, plan))
        return DONE
    if scenario == "full" and not _agreed(context, plan, yes=options.yes):
        context.output.note("Nothing was changed.")
        return FAILED
    context.output.note(f"Restoring {plan['id']} to {plan['project']}")
    result = run_playbook(context, "restore", "cora.backup.restore", _variables(context, plan, request.files))
    context.output.document(result)
    context.output.say(restore_summary(result, check=False))
    if result["changed"]:
        context.output.say(f"Take it back with: {_undo_command(context, result['project'])}")
        hint_at_old_tree(context, result)
    return DONE


def _hint_at_newer(context: Context, text: str, plan: dict[str, Any]) -> None:
    """C(latest) is a backup: say so where a checkpoint is newer."""
    from ansible_collections.cora.backup.plugins.module_utils.catalog import LATEST, checkpoint_rows, project_of
    from ansible_collections.cora.backup.plugins.module_utils.summary import age_text

    if text != LATEST:
        return
    origin = project_of(context.vault, plan["id"])
    newer = [row for row in checkpoint_rows(context.vault) if row["id"] > plan["id"] and row["project"] == origin]
    if newer:
        made = age_text(newer[0]["created_at"])
        context.output.note(f"latest is the newest backup. Newer is the checkpoint {newer[0]['id']} ({made}): newest.")


def _undo_command(context: Context, project: str) -> str:
    try:
        meant = project_to_undo(context)
    except (CoraError, CommandError):
        return context.command("undo", "--project", project)
    return context.command("undo") if meant in (None, project) else context.command("undo", "--project", project)


def _scenario(options: Namespace) -> str:
    if options.files:
        return "files"
    return "critical" if options.critical else "full" if options.full else "plan"


def _agreed(context: Context, plan: dict[str, Any], *, yes: bool) -> bool:
    from ansible_collections.cora.backup.plugins.module_utils.restore import changes_something
    from ansible_collections.cora.backup.plugins.module_utils.summary import counts_text, newer_work_lines

    kept = ["The tree that is there now is kept beside it."] if os.path.lexists(plan["project"]) else []
    does = "replaces the whole of" if kept else "brings back the whole of"
    what = f"Backup {plan['id']} {does} {plan['project']}"
    if yes:  # counts and newer work stand in what is told when it is done
        context.output.note([f"{what}.", *kept])
        return True
    if kept and not changes_something(plan):
        # the same name, size and time: damage, or a program that sets times back, is seen by reading only
        kept = [
            "Nothing differs by size and time. All is read first, and replaced only where some of it is not the same."
        ]
    context.output.note([f"{what}: {counts_text(plan['counts'])}.", *newer_work_lines(plan), *kept])
    return confirm("Restore it?", yes=False)


def _variables(context: Context, plan: dict[str, Any], files: Iterable[str]) -> dict[str, Value]:
    variables: dict[str, Value] = {
        "id": plan["id"],
        "scenario": plan["scenario"],
        "files": [printable(path) for path in files],  # the engine takes a name that is not UTF-8 as it was shown
        "cora_vault": context.vault,
        "cora_project": plan["project"],
        "cora_target": plan["project"],
    }
    return variables


def _next_commands(context: Context, plan: dict[str, Any]) -> list[str]:
    commands = (("--file", "PATH"), ("--critical",), ("--full",))
    return ["", "With cora:", *(f"  {context.command('restore', plan['id'], *words)}" for words in commands)]


VERBS = (
    Verb(
        names=("restore",),
        help="bring files, critical files or the whole project back",
        run=run,
        configure=configure,
        description=(
            "Bring something back from a backup. Without --file, --critical or --full it shows what a restore would\n"
            "do, with the plain commands to do it by hand, and changes nothing. What a restore replaces is saved\n"
            "first: cora undo takes it back. latest is the newest backup; newest is the newest state, which may be a\n"
            "checkpoint: of a project that a clean-up has just emptied hardly what you want."
        ),
        examples=(
            "cora restore latest                          # the plan, and the plain commands",
            "cora restore latest --file AI_WORK_LOG.md    # one file; --file can be given again",
            "cora restore newest --file AI_WORK_LOG.md    # as of the newest checkpoint",
            "cora restore latest --critical               # databases and critical files",
            "cora restore 20261124-0330 --full            # the whole project; asks first",
            "cora restore latest --full --yes             # for scripts",
            "cora restore ID --full --project /srv/copy   # to another place",
        ),
        order=40,
    ),
)
