# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the command line to the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.version import VERSION

from .context import Context
from .errors import DONE, FAILED, INTERRUPTED, WRONG_USAGE, CommandError, UsageError, exit_code
from .extra_vars import parse_extra_vars
from .output import Output, tolerate_any_locale
from .parser import build_parser, extra_vars, verbosity
from .registry import verbs_for
from .unattended import is_skipped, logged


def main(words: Sequence[str]) -> int:
    """Do what the words say.

    :returns: exit code
    """
    tolerate_any_locale()
    output = Output(as_json="--json" in words)
    if not _wants_details(words):
        sys.excepthook = _short_excepthook(output)
    try:
        with logged(list(words)):
            return _run_and_report(words, output)
    except UsageError as error:
        output.error(str(error), error.error, {})
        return error.code
    except KeyboardInterrupt:
        output.error("Interrupted.", "Interrupted", {})
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has left; let the interpreter not try again when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run_and_report(words: Sequence[str], output: Output) -> int:
    try:
        return run_words(words, output)
    except CommandError as error:
        return _report(output, str(error), error.error, error.details, error.code)
    except CoraError as error:
        name = type(error).__name__
        return _report(output, str(error), name, {}, exit_code(name))


def _report(output: Output, message: str, error: str, details: dict[str, Any], code: int) -> int:
    if is_skipped(error):
        output.note(f"Left out, and that is no failure: {message}")
        return DONE
    output.error(message, error, details)
    return code


def run_words(words: Sequence[str], output: Output) -> int:
    """Do what the words say.

    :returns: exit code
    :raises CommandError, CoraError: when it could not be done
    """
    options = build_parser(verbs_for(words), VERSION).parse_args(words)
    if options.verb is None:
        if output.as_json:
            raise UsageError(f"{options.group.prog} needs a verb: see {options.group.prog} --help.")
        options.group.print_help(sys.stderr)
        return WRONG_USAGE
    context = Context(
        output=output,
        project_option=getattr(options, "project", None),
        vault_option=getattr(options, "vault", None),
        extra_vars=parse_extra_vars(extra_vars(options)),
        verbose=verbosity(options),
    )
    code: int = options.verb.run(context, options)
    return code


def _wants_details(words: Sequence[str]) -> bool:
    return any(word.startswith("-v") and not word.strip("-v") for word in words)


def _short_excepthook(output: Output) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    def show(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
        text = f"{kind.__name__}: {error}"
        output.error(f"This should not have happened: {text}\nRun it again with -v for the details.", kind.__name__, {})

    return show
