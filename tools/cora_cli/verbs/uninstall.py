# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora uninstall)."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser, Namespace

from .. import ROOT
from ..ask import confirm
from ..context import Context
from ..errors import DONE, FAILED, CommandError
from ..playbook import run_playbook
from ..registry import Verb
from ..variables import Value

_HOME = "/opt/cora"


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(context: Context, options: Namespace) -> int:
    """Remove what was installed on this machine."""
    if os.geteuid() != 0:
        raise CommandError("Uninstalling is root's work: run it with sudo.", error="PermissionError")
    variables: dict[str, Value] = {"cora_vault": context.vault}
    if context.set_project:
        variables["cora_project"] = context.set_project
    if not confirm("Remove the command, the timers and the hooks? Backups stay.", yes=options.yes):
        context.output.note("Nothing was changed.")
        return FAILED
    runs_from_home = f"{ROOT}/".startswith(f"{_HOME}/")
    if runs_from_home:
        variables["cora_keep_program"] = True  # the play would pull away what it stands on
    result = run_playbook(context, "uninstall", "ansible.builtin.debug", variables)
    lines = [str(line) for line in result["msg"]]
    context.output.document({"uninstalled": lines})
    context.output.say(lines)
    if runs_from_home:
        shutil.rmtree(_HOME, ignore_errors=True)
    return DONE


VERBS = (
    Verb(
        names=("uninstall",),
        help="remove what cora install installed; backups stay",
        run=run,
        configure=configure,
        description="Remove what cora install installed. The vault and what a person wrote stay; it lists them.",
        examples=("sudo cora uninstall", "sudo cora uninstall --yes"),
        order=81,
    ),
)
