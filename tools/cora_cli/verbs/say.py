# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora say)."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from ..context import Context
from ..errors import WRONG_USAGE
from ..phrases import command_for, phrases
from ..registry import Verb


def configure(parser: ArgumentParser) -> None:
    """Own options."""
    parser.add_argument("text", metavar="TEXT", nargs="+", help="what you want, in your words")


def run(context: Context, options: Namespace) -> int:
    """Do what a phrase means."""
    from ..main import run_words

    text = " ".join(options.text)
    command = command_for(text)
    if command is None:
        context.output.document({"error": "UsageError", "msg": f"No phrase is like {text!r}.", "phrases": phrases()})
        context.output.note(f"No phrase is like {text!r}. These are known:")
        for words, known in phrases().items():
            context.output.note([f"  cora {words}", *(f"      {phrase}" for phrase in known)])
        return WRONG_USAGE
    context.output.note(f"That is: cora {command}")
    return run_words([*command.split(), *_options(context)], context.output)


def _options(context: Context) -> list[str]:
    words = ["--json"] if context.output.as_json else []
    for name, value in (("--project", context.project_option), ("--vault", context.vault_option)):
        words += [name, value] if value else []
    if context.extra_vars:
        words += ["-e", json.dumps(context.extra_vars)]
    return words + ["-v"] * context.verbose


VERBS = (
    Verb(
        names=("say",),
        help='do what a phrase means: cora say "let\'s backup our system"',
        run=run,
        configure=configure,
        description=(
            "Map a phrase to a command, for people and assistants who know what they want and not how it is called.\n"
            "No phrase restores, removes or takes back. Unknown text: the list of phrases, and exit code 2."
        ),
        examples=(
            'cora say "let\'s backup our system"',
            "cora say save our progress",
            "cora say 'backup and end session'",
        ),
        order=72,
    ),
)
