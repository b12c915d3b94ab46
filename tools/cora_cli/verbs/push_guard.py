# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora push-guard)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import DONE
from ..registry import Verb


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("--git-dir", metavar="DIR", required=True, help="the repository that is pushed from")


def run(context: Context, options: Namespace) -> int:
    """Explain the large files of a push."""
    from ansible_collections.cora.backup.plugins.module_utils.push_guard import explain_push, parse_push, push_summary

    push = parse_push(sys.stdin.buffer.read())
    found = explain_push(options.git_dir, push)
    context.output.document(found)
    context.output.say(push_summary(push, found))
    return DONE


VERBS = (
    Verb(
        names=("push-guard",),
        help="used by the Git hook: which commits bring large files, and what would help",
        run=run,
        configure=configure,
        description=(
            "Say which commits of a push bring files over the limit, and which commands would help. The hook pre-push\n"
            "calls it with its findings on standard input; see docs/push-hook.md."
        ),
        order=90,
    ),
)
