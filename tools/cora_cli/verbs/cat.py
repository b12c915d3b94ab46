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
from ..which_files import PATH_HELP


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("id", metavar="ID", help="latest, newest, an id, or the beginning of one")
    parser.add_argument("path", metavar="PATH", help=PATH_HELP)


def run(context: Context, options: Namespace) -> int:
    """Write the content of a file to standard output."""
    from ansible_collections.cora.backup.plugins.module_utils.saved_file import read_saved_file
    from ansible_collections.cora.backup.plugins.module_utils.vault import Vault

    if context.output.as_json:
        raise UsageError("cora cat prints the bytes of the file; there is no JSON of it.")
    backup_id = resolve(context, options.id)
    path = path_in_project(context, options.path, context.set_project or _project_of(context, backup_id))
    for piece in read_saved_file(Vault(context.vault), backup_id, path):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return DONE


def _project_of(context: Context, backup_id: str) -> str | None:
    # an id may be of another project than the one in which the person stands
    from ansible_collections.cora.backup.plugins.module_utils.catalog import project_of
    from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError

    try:
        return project_of(context.vault, backup_id)
    except IntegrityError:
        return project_at_hand(context)


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
