# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora protect)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE, FAILED
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--off", action="store_true", help="take the protection off, for a moment of editing")
    what.add_argument(
        "--check", "--dry-run", action="store_true", help="look only; ends with 1 when something is open or missing"
    )


def run(context: Context, options: Namespace) -> int:
    """Protect critical files, or take that off, or look."""
    from ansible_collections.cora.backup.plugins.module_utils.guard_summary import protect_summary

    variables: dict[str, Value] = {
        "cora_project": context.project,
        "cora_vault": context.vault,
        "state": "absent" if options.off else "present",
        "dry_run": options.check,
    }
    result = run_playbook(context, "protect", "cora.backup.protect", variables)
    context.output.document(result)
    context.output.say(protect_summary(result, on=not options.off, check=options.check))
    return DONE if result["ok"] else FAILED


VERBS = (
    Verb(
        names=("protect",),
        help="let critical files only be added to (chattr +a); --off, --check",
        run=run,
        configure=configure,
        description=(
            "Make the critical files of the project append-only: what is written stays, more can be added at the end,\n"
            "and nobody, root included, empties, overwrites, renames or removes them. Editors, sed -i and git pull\n"
            "replace files, which they cannot do then: --off, edit, protect again. Databases are left alone.\n"
            "Ends with 1 when a critical file of the newest backup is gone."
        ),
        examples=("cora protect", "cora protect --check", "cora protect --off    # before editing or git pull"),
        order=70,
    ),
)
