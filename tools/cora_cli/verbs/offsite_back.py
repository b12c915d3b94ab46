# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora offsite fetch), C(verify), C(prune) and C(key): the way back, and what it takes."""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..context import Context
from ..errors import DONE, FAILED
from ..offsite import offsite_settings, only_by_s3, uses_rclone
from ..playbook import run_playbook
from ..progress import Progress
from ..registry import Verb
from ..variables import Value

DEFAULT_KEY = "/etc/cora/identity.txt"


def configure_fetch(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("id", metavar="ID", help="latest, an id, or the beginning of one")
    parser.add_argument(
        "--check", "--dry-run", action="store_true", help="say what would be fetched, and fetch nothing"
    )


def run_fetch(context: Context, options: Namespace) -> int:
    """Bring a backup into the vault."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import fetch_summary

    variables: dict[str, Value] = {"id": options.id, "cora_vault": context.vault, "dry_run": options.check}
    if context.set_project:
        variables["cora_project"] = context.set_project
    by_rclone = uses_rclone(context)
    action = "rclone_download" if by_rclone else "spaces_download"
    result = run_playbook(context, "offsite_fetch", f"cora.backup.{action}", variables)
    context.output.document(result)
    if by_rclone:
        did = "would be fetched" if options.check else "fetched and checked"
        context.output.say(f"Backup {result['id']}: {did if result['changed'] else 'in the vault already'}.")
    else:
        context.output.say(fetch_summary(result, check=options.check))
    return DONE


def configure_verify(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "id", metavar="ID", nargs="?", default="latest", help="latest (default), an id, or the beginning of one"
    )
    parser.add_argument("--deep", action="store_true", help="download every byte and check it; nothing is kept")


def run_verify(context: Context, options: Namespace) -> int:
    """Check a backup that is there."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import verify_away_summary
    from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite

    only_by_s3(context, "rclone check --download compares a directory of the vault with the remote")
    with tempfile.TemporaryDirectory(prefix="cora-verify-") as directory:
        progress_file = Path(directory, "progress.jsonl")
        progress_file.touch()
        request = VerifyRequest(
            vault=context.vault,
            offsite=offsite_settings(context),
            id_text=options.id,
            project=context.set_project,
            deep=options.deep,
            progress_file=str(progress_file),
        )
        with Progress(progress_file, quiet=context.output.as_json):
            result = verify_offsite(request)
    context.output.document(result)
    context.output.say(verify_away_summary(result))
    return DONE if result["ok"] else FAILED


def configure_prune(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "--dry-run", "--check", action="store_true", help="give the reason for each id, and change nothing"
    )


def run_prune(context: Context, options: Namespace) -> int:
    """Remove there what no rule keeps."""
    from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import prune_away_summary

    only_by_s3(context, "remove what is too old with rclone, its SHA256SUMS.txt first")
    variables: dict[str, Value] = {"cora_vault": context.vault, "dry_run": options.dry_run}
    if context.named_project:
        variables["project"] = context.named_project
    result = run_playbook(context, "offsite_prune", "cora.backup.spaces_prune", variables)
    context.output.document(result)
    context.output.say(prune_away_summary(result, check=options.dry_run))
    return DONE


def configure_key(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=DEFAULT_KEY, help=f"where the secret half goes ({DEFAULT_KEY})"
    )


def run_key(context: Context, options: Namespace) -> int:
    """Make a key pair, and show the sheet to print."""
    from ansible_collections.cora.backup.plugins.module_utils import offsite_crypt

    path = os.path.abspath(os.path.expanduser(options.file))
    recipient = offsite_crypt.make_key(path)
    # the secret half is shown to a person, once, and never to a program that may keep what it reads
    context.output.document({"changed": True, "identity_file": path, "recipient": recipient})
    context.output.say(offsite_crypt.recovery_sheet(path, where="as `cora offsite list` shows them").splitlines())
    context.output.say(
        [
            "",
            f"The secret key is in {path}, which only you can read. What is only to send backups needs the public one:",
            "in inventory/group_vars/all.yml, then `cora install` where cora is installed:",
            f"  cora_offsite_encrypt_to: [{recipient}]",
            f"Where backups are to be restored from there: cora_offsite_identity_file: {path}",
        ]
    )
    return DONE


VERBS = (
    Verb(
        names=("offsite fetch",),
        help="bring a backup from there into the vault",
        run=run_fetch,
        configure=configure_fetch,
        description=(
            "Bring a backup from there into the vault, check every file of it, and seal it like one made here. A run\n"
            "that was interrupted is taken up where it stopped. cora restore does this on its own where it has to."
        ),
        examples=("cora offsite fetch latest", "cora offsite fetch 20261124-0402", "cora offsite fetch latest --check"),
        order=73,
    ),
    Verb(
        names=("offsite verify",),
        help="check that a backup there is intact; --deep reads every byte",
        run=run_verify,
        configure=configure_verify,
        description=(
            "Compare a backup there with its checksums, by what the service tells of each object: finds what is\n"
            "missing, was cut or was replaced. --deep downloads every byte, which finds what rotted too, and names it."
        ),
        examples=("cora offsite verify", "cora offsite verify 20261124 --deep"),
        order=74,
    ),
    Verb(
        names=("offsite prune",),
        help="remove the backups there that no rule keeps any more",
        run=run_prune,
        configure=configure_prune,
        description=(
            "Remove there what the cora_offsite_keep_ settings no longer keep; never the newest of a project. Needs a\n"
            "key that may delete (SPACES_DELETE_ACCESS_KEY in the environment file), which need not be on the server.\n"
            "In a bucket with versioning old versions stay until its lifecycle rule removes them."
        ),
        examples=(
            "cora offsite prune --dry-run      # what would go, and why each id stays",
            "cora offsite prune -e cora_offsite_env_file=/root/cora-delete.env",
        ),
        order=75,
    ),
    Verb(
        names=("offsite key",),
        help="make a key to encrypt what leaves, and a sheet to print",
        run=run_key,
        configure=configure_key,
        description=(
            "Make a key pair of age. The secret half goes into a new file, and once onto the screen, as a sheet to\n"
            "print and to keep where the server is not. Nobody can read an encrypted backup without it."
        ),
        examples=("cora offsite key", "cora offsite key ~/cora-key.txt > /dev/lp0"),
        order=76,
    ),
)
