# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora cat)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE, UsageError
from ..registry import Verb
from ..which_backup import path_in_project, project_at_hand, resolve


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("id", metavar="ID", help="latest, newest, an id, or the beginning of one")
    parser.add_argument("path", metavar="PATH", help="relative to the project")


def run(context: Context, options: Namespace) -> int:
    """Write the content of a file to standard output."""
    from ansible_collections.cora.backup.plugins.module_utils.saved_file import read_saved_file
    from ansible_collections.cora.backup.plugins.module_utils.vault import Vault

    if context.output.as_json:
        raise UsageError("cora cat prints the bytes of the file; there is no JSON of it.")
    path = path_in_project(context, options.path, project_at_hand(context))
    for piece in read_saved_file(Vault(context.vault), resolve(context, options.id), path):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return DONE


VERBS = (
    Verb(
        names=("cat",),
        help="print a file as it was",
        run=run,
        configure=configure,
        description=(
            "Print a file as a backup or checkpoint has it, and change nothing. It reads one piece of the archive,\n"
            "however large that is, and checks it before it is printed; exit code 1: the backup is damaged there."
        ),
        examples=(
            "cora cat latest AI_WORK_LOG.md | less",
            "cora cat 20261124-0330 src/app.py | diff - src/app.py",
            "cora cat newest app.db > /tmp/app.db",
        ),
        order=24,
    ),
)
