# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora verify)."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from ..context import Context
from ..errors import DONE, FAILED
from ..progress import Progress
from ..registry import Verb
from ..which_backup import resolve


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "id", metavar="ID", nargs="?", default="latest", help="latest (default), an id, or the beginning of one"
    )
    parser.add_argument("--quick", action="store_true", help="compare SHA256SUMS.txt only")


def run(context: Context, options: Namespace) -> int:
    """Check a backup."""
    from ansible_collections.cora.backup.plugins.module_utils.processes import apart
    from ansible_collections.cora.backup.plugins.module_utils.summary import verify_summary
    from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup

    backup_id = resolve(context, options.id)
    context.output.note(f"Verifying {backup_id} in {context.vault}")
    with tempfile.TemporaryDirectory(prefix="cora-verify-") as directory:
        progress_file = Path(directory, "progress.jsonl")
        progress_file.touch()
        check = partial(verify_backup, context.vault, backup_id, quick=options.quick, progress_file=str(progress_file))
        # the progress that is shown is a thread
        with apart(check) as verify, Progress(progress_file, quiet=context.output.as_json):
            result = verify()
    context.output.document(result)
    context.output.say(verify_summary(result))
    return DONE if result["ok"] else FAILED


VERBS = (
    Verb(
        names=("backup verify", "verify"),
        help="check that a backup is intact",
        run=run,
        configure=configure,
        description=(
            "Read every byte of a backup: its checksums, every entry of its archive, every database, every immutable\n"
            "flag. Names everything that is damaged, and says what can still be restored."
        ),
        examples=("cora verify", "cora verify 20261124", "cora verify latest --quick"),
        order=30,
    ),
)
