# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora find), C(cora history) and C(cora diff)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime, timezone
from typing import Any

from ..context import Context
from ..errors import DONE, FAILED
from ..registry import Verb
from ..which_backup import path_in_project, project_at_hand, resolve
from ..which_files import PATH_HELP


def configure(parser: ArgumentParser) -> None:
    """Own options of C(find) and C(history)."""
    parser.add_argument("path", metavar="PATH", help=f"{PATH_HELP}; a plain name or a pattern, '*.db', is enough")


def configure_diff(parser: ArgumentParser) -> None:
    """Own options of C(diff)."""
    parser.add_argument("older", metavar="ID", help="latest, newest, an id, or the beginning of one")
    parser.add_argument("newer", metavar="ID", nargs="?", default="newest", help="the same; left out: newest")


def find_path(context: Context, options: Namespace) -> int:
    """Show which states have a file."""
    return _show(context, _rows(context, options.path), options.path)


def history(context: Context, options: Namespace) -> int:
    """Show the versions of a file."""
    from ansible_collections.cora.backup.plugins.module_utils.find import versions

    return _show(context, versions(_rows(context, options.path)), options.path)


def _rows(context: Context, text: str) -> list[dict[str, Any]]:
    from ansible_collections.cora.backup.plugins.module_utils.find import find

    project = project_at_hand(context)
    return find(context.vault, path_in_project(context, text, project), project=project)


def _show(context: Context, rows: list[dict[str, Any]], text: str) -> int:
    from ansible_collections.cora.backup.plugins.module_utils.summary import size_text

    context.output.document(rows)
    if not rows:
        context.output.say(f"No backup or checkpoint in {context.vault} has {text}.")
        return FAILED
    several = len({row["path"] for row in rows}) > 1
    width = max(len(row["id"]) for row in rows)
    lines = []
    for row in rows:
        changed = datetime.fromtimestamp(row["mtime_ns"] / 1e9, timezone.utc)
        line = (
            f"{row['id']:<{width}}  {row['kind']:<10}  {size_text(row['size_bytes']):>8}  {changed:%Y-%m-%d %H:%M:%S}"
        )
        line += f"  {(row['sha256'] or row['type'])[:12]:<12}"
        lines.append(f"{line}  {row['path']}" if several else line.rstrip())
    context.output.say(lines)
    context.output.say(f"Bring one back: {context.command('restore', rows[0]['id'], '--file', rows[0]['path'])}")
    return DONE


def diff(context: Context, options: Namespace) -> int:
    """Show how two states differ."""
    from ansible_collections.cora.backup.plugins.module_utils.compare_states import compare_states, compare_summary

    result = compare_states(context.vault, resolve(context, options.older), resolve(context, options.newer))
    context.output.document(result)
    context.output.say(compare_summary(result))
    return DONE


VERBS = (
    Verb(
        names=("find",),
        help="which backups and checkpoints have a file",
        run=find_path,
        configure=configure,
        description=(
            "Show each backup and checkpoint that has a file, the newest first, with its size, modification time\n"
            "(UTC) and the beginning of its SHA-256 there. Ends with 1 when none has it."
        ),
        examples=("cora find notes/TODO.md", "cora find '*.db'", "cora find TODO.md --json"),
        order=21,
    ),
    Verb(
        names=("history",),
        help="the versions of a file: of equal ones only the oldest",
        run=history,
        configure=configure,
        description="Show the saved versions of a file, the newest first, each with the oldest state that has it.",
        examples=("cora history AI_WORK_LOG.md",),
        order=22,
    ),
    Verb(
        names=("diff",),
        help="how two backups or checkpoints differ",
        run=diff,
        configure=configure_diff,
        description="Show what was added (+), changed (~) and removed (-) from one state to another, by their indexes.",
        examples=("cora diff latest              # from the newest backup to the newest state", "cora diff ID ID"),
        order=23,
    ),
)
