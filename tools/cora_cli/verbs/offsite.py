# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora offsite setup), C(cora offsite sync) and C(cora offsite list)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE, FAILED
from ..offsite import offsite_settings, uses_rclone
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure_setup(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "--check", "--dry-run", action="store_true", help="only look; what the key may do stays unknown"
    )


def run_setup(context: Context, options: Namespace) -> int:
    """Find out what the bucket protects."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import setup_summary

    variables: dict[str, Value] = {"cora_vault": context.vault, "dry_run": options.check}
    result = run_playbook(context, "offsite_setup", "cora.backup.spaces_setup", variables)
    context.output.document(result)
    context.output.say(setup_summary(result))
    return FAILED if result["public"] else DONE


def configure_sync(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these backups")
    parser.add_argument("--check", "--dry-run", action="store_true", help="say what would be sent, and send nothing")


def run_sync(context: Context, options: Namespace) -> int:
    """Send what is not there yet."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import sync_summary

    variables: dict[str, Value] = {"cora_vault": context.vault, "dry_run": options.check, "ids": options.ids}
    action = "rclone_upload" if uses_rclone(context) else "spaces_upload"
    result = run_playbook(context, "offsite_sync", f"cora.backup.{action}", variables)
    context.output.document(result)
    context.output.say(sync_summary(result, check=options.check))
    return DONE


def run_list(context: Context, _options: Namespace) -> int:
    """Show what is there."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_list import list_offsite
    from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import list_summary
    from ansible_collections.cora.backup.plugins.module_utils.s3_client import connect

    settings = offsite_settings(context)
    rows = list_offsite(connect(settings), context.vault)
    context.output.document(rows)
    context.output.say(list_summary(rows, settings.place))
    return DONE


VERBS = (
    Verb(
        names=("offsite setup",),
        help="check keys and bucket, and find out what it protects",
        run=run_setup,
        configure=configure_setup,
        description=(
            "Check keys, bucket, region and clock; switch on versioning and a rule that clears unfinished uploads,\n"
            "where the key may; and find out by trying it, on a small object, what the key can do. Says what the\n"
            "bucket protects and what a stolen key could do. Keys stand in /etc/cora/backup.env: docs/offsite.md."
        ),
        examples=("cora offsite setup", "cora offsite setup --check", "cora offsite setup --json | jq .may"),
        order=70,
    ),
    Verb(
        names=("offsite sync",),
        help="send every backup that is not there yet, the oldest first",
        run=run_sync,
        configure=configure_sync,
        description=(
            "Send every backup that is not there yet, the oldest first. A run that was interrupted is taken up where\n"
            "it stopped; what an older backup there has in common is copied by the service. With cora_offsite the\n"
            "daily timer does it after the backup."
        ),
        examples=("cora offsite sync", "cora offsite sync --check", "cora offsite sync 20261124-040253-3d54373"),
        order=71,
    ),
    Verb(
        names=("offsite list",),
        help="show the backups that are there",
        run=run_list,
        description=(
            "Show the complete backups that are there, newest first, and whether this vault has them too. The\n"
            "beginning of an upload is none."
        ),
        examples=("cora offsite list", "cora offsite list --json | jq -r '.[0].id'"),
        order=72,
    ),
)
