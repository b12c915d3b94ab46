# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora rotate)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--check", "--dry-run", action="store_true", help="name the files, and change nothing")


def run(context: Context, options: Namespace) -> int:
    """Rotate large logs."""
    from ansible_collections.cora.backup.plugins.module_utils.guard_summary import rotate_summary

    variables: dict[str, Value] = {
        "cora_project": context.project,
        "cora_vault": context.vault,
        "dry_run": options.check,
    }
    result = run_playbook(context, "rotate", "cora.backup.rotate", variables)
    context.output.document(result)
    context.output.say(rotate_summary(result, check=options.check))
    return DONE


VERBS = (
    Verb(
        names=("rotate",),
        help="move the beginning of large logs into sealed archives",
        run=run,
        configure=configure,
        description=(
            "Move the beginning of each log over cora_rotate_bytes (100 MiB) into a compressed, immutable archive in\n"
            "the vault, below rotated/, and cut it off the file. Programs may go on writing: not a byte is lost."
        ),
        examples=("cora rotate --check", "cora rotate", "cora rotate -e cora_rotate_bytes=209715200"),
        order=71,
    ),
)
