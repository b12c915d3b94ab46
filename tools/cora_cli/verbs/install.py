# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora install)."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from ansible_collections.cora.backup.plugins.module_utils.version import VERSION

from ..context import Context
from ..errors import DONE, CommandError
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--no-timers", action="store_true", help="install the command, and let nothing run by itself")


def run(context: Context, options: Namespace) -> int:
    """Install on this machine."""
    if os.geteuid() != 0:
        raise CommandError("Installing is root's work: run it with sudo.", error="PermissionError")
    variables: dict[str, Value] = {"cora_project": context.project, "cora_vault": context.vault}
    if options.no_timers:
        variables["cora_timers"] = False
    context.output.note(f"Installing cora {VERSION}, to protect {context.project} in {context.vault}")
    result = run_playbook(context, "install", "ansible.builtin.debug", variables)
    lines = [str(line) for line in result["msg"]]
    context.output.document(
        {"version": VERSION, "project": context.project, "vault": context.vault, "installed": lines}
    )
    context.output.say(lines)
    return DONE


VERBS = (
    Verb(
        names=("install",),
        help="install cora on this machine: the command, the timers, the push hook",
        run=run,
        configure=configure,
        description=(
            "Install cora on this machine for one project: the command in /usr/local/bin, its own Python environment\n"
            "in /opt/cora, settings in /etc/cora, timers that save every 15 minutes and back up daily. A second run\n"
            "changes nothing. For other machines: ansible-playbook -i INVENTORY playbooks/install.yml."
        ),
        examples=(
            "sudo ./tools/cora.sh install --project /srv/app",
            "sudo ./tools/cora.sh install --project /srv/app -e cora_backup_schedule='*-*-* 01:30:00'",
            "sudo ./tools/cora.sh install --project /srv/app --no-timers",
        ),
        order=80,
    ),
)
