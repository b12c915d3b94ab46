# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora save) and C(cora backup auto)."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from ..context import Context
from ..errors import DONE, INCOMPLETE
from ..playbook import run_playbook
from ..registry import Verb
from ..unknown_settings import warn_of_unknown_settings


def save(context: Context, _options: Namespace) -> int:
    """Save what changed."""
    from ansible_collections.cora.backup.plugins.module_utils.checkpoint_summary import saved_summary

    result = _without_ansible(context) or _run(context, "save")
    context.output.say(saved_summary(result, check=False))
    return _ended(context, result)


def auto(context: Context, _options: Namespace) -> int:
    """Back up what changed, or check what is there."""
    result = _run(context, "backup_auto")
    context.output.say(str(result["paragraph"]))
    context.output.say([f"  warning  {text}" for text in result["warnings"]])
    return _ended(context, result)


def _without_ansible(context: Context) -> dict[str, Any] | None:
    """The answer where nothing changed, which needs no playbook; None where one has to look, or to act."""
    from ansible_collections.cora.backup.plugins.module_utils.checkpoint import nothing_to_save
    from ansible_collections.cora.backup.plugins.module_utils.checkpoint_summary import saved_paragraph, saved_summary
    from ansible_collections.cora.backup.plugins.module_utils.settings import DEFAULT_EXCLUDE, BackupSettings

    exclude = context.extra_vars.get("cora_exclude", context.inventory.value("cora_exclude"))
    if exclude is None:
        exclude = list(DEFAULT_EXCLUDE)
    if context.verbose or "cora_hosts" in context.extra_vars or not _is_plain(exclude):
        return None
    settings = BackupSettings(project=context.project, vault=context.vault, exclude=tuple(exclude))
    result = nothing_to_save(settings)
    if result is None:
        return None
    warn_of_unknown_settings(context)
    result.pop("warnings")
    document = {**result, "paragraph": saved_paragraph(result), "summary": saved_summary(result, check=False)}
    context.output.document(document)
    return document


def _is_plain(patterns: object) -> bool:
    """Whether these are patterns as they stand there, and no template that only Ansible can work out."""
    return isinstance(patterns, list) and all(isinstance(one, str) and "{" not in one for one in patterns)


def _run(context: Context, playbook: str) -> dict[str, Any]:
    project, vault = context.project, context.vault
    context.output.note(f"Saving {project} to {vault}")
    variables = {"cora_project": project, "cora_vault": vault}
    result = run_playbook(context, playbook, "cora.backup.checkpoint", variables)
    context.output.document(result)
    return result


def _ended(context: Context, result: dict[str, Any]) -> int:
    if result["changed"]:
        context.output.say(f"Restore it with: {context.command('restore', str(result['id']))}")
    return INCOMPLETE if result["incomplete"] else DONE


VERBS = (
    Verb(
        names=("save",),
        help="save what changed since the newest backup: a checkpoint, in moments",
        run=save,
        description=(
            "Save what changed since the newest backup, as an immutable checkpoint. Nothing changed: says so and\n"
            "writes nothing. No backup to build on, or much changed: makes a backup. bash tools/save.sh does the\n"
            "same, and where there is no Python writes a plain archive."
        ),
        examples=("cora save", "cora save --project /srv/app --json"),
        order=11,
    ),
    Verb(
        names=("backup auto",),
        help="do what is right: a backup, a checkpoint, or a check of the newest one",
        run=auto,
        description=(
            "Decide by what changed: nothing → read the newest state whole and say whether it is intact; a little → a\n"
            "checkpoint; much, or no backup yet → a backup. Answers in one paragraph."
        ),
        examples=("cora backup auto", "cora backup auto --json"),
        order=12,
    ),
)
