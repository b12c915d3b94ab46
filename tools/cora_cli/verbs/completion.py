# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora completion)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ansible_collections.cora.backup.plugins.module_utils.version import VERSION

from ..completion import bash_completion
from ..context import Context
from ..errors import DONE
from ..registry import Verb


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("shell", choices=("bash",), help="the shell to complete in")


def run(context: Context, options: Namespace) -> int:
    """Print the completion file."""
    from ..parser import build_parser
    from ..registry import all_verbs

    script = bash_completion(build_parser(all_verbs(), VERSION))
    context.output.document({"shell": options.shell, "script": script})
    context.output.say(script.splitlines())
    return DONE


VERBS = (
    Verb(
        names=("completion",),
        help="print what a shell needs to complete cora's words",
        run=run,
        configure=configure,
        examples=("source <(cora completion bash)",),
        order=98,
    ),
)
