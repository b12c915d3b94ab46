# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: global options before or after the verb, and help that needs no README."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from .errors import UsageError
from .registry import Verb

_ABOUT = """\
Backups of one project that survive clean-up scripts, coding agents and size limits:
complete, immutable, verified, and restorable with nothing but tar, sha256sum and cp."""

_EXAMPLES = (
    "cora backup now                            # back up the project around this directory",
    "cora --project /srv/app backup now         # back up another one",
    "cora list                                  # what there is",
    "cora verify latest                         # is it intact?",
    "cora restore latest                        # what a restore would do, and how by hand",
    "cora restore latest --file notes/TODO.md   # bring one file back",
    "cora undo                                  # take the last restore back",
)

_EXIT_CODES = "exit codes: 0 done, 1 failed, 2 wrong usage, 3 done, but some files could not be read"

_GROUPS = {
    "backup": (
        "make, list and check backups",
        (
            "cora backup now",
            "cora backup now --project /srv/app --vault /mnt/disk/cora",
            "cora backup now --json                     # one JSON document for scripts",
            "cora backup now -e cora_seal=best_effort   # where files cannot be made immutable",
            "cora backup list",
            "cora backup verify latest",
        ),
    ),
    "offsite": (
        "copies of the backups in Spaces or another S3 service",
        (
            "cora offsite setup                         # is the bucket fit, and what does it protect?",
            "cora offsite sync                          # send every backup that is not there yet",
            "cora offsite list",
            "cora offsite verify latest --deep",
        ),
    ),
}


#: argparse lays a line of the usage out for each option it is given, so until somebody reads it the width is any.
_FORMATTER = partial(argparse.RawDescriptionHelpFormatter, width=110)


class Parser(ArgumentParser):
    """Raises instead of printing and leaving, so that C(--json) holds for wrong usage too."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _FORMATTER)
        super().__init__(allow_abbrev=False, **kwargs)

    def format_help(self) -> str:
        """As wide as the terminal, but no wider than one reads well."""
        import shutil

        width = min(shutil.get_terminal_size().columns, 110)
        self.formatter_class = partial(argparse.RawDescriptionHelpFormatter, width=width)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Wrong usage."""
        raise UsageError(f"{message}\nTry: {self.prog} --help")


def build_parser(verbs: Sequence[Verb], version: str) -> Parser:
    """The whole command line."""
    parser = Parser(prog="cora", description=_ABOUT, epilog=_epilog(_EXAMPLES) + f"\n{_EXIT_CODES}")
    parser.add_argument("--version", action="version", version=f"cora {version}")
    parser.set_defaults(verb=None, group=parser)
    choices = _add_choices(parser)
    _add_global_options(parser, "main")
    groups: dict[str, Any] = {}
    for verb in verbs:
        for name in verb.names:
            *group, own_name = name.split()
            if not group:
                _add_verb(choices, own_name, verb)
                continue
            if group[0] not in groups:
                groups[group[0]] = _add_group(choices, group[0])
            _add_verb(groups[group[0]], own_name, verb)
    return parser


def _add_group(parent: Any, name: str) -> Any:
    text, examples = _GROUPS[name]
    parser = parent.add_parser(
        name, help=text, description=_sentence(text), epilog=_epilog(examples) + f"\n{_EXIT_CODES}"
    )
    parser.set_defaults(group=parser)
    choices = _add_choices(parser)
    _add_global_options(parser, "group")
    return choices


def _add_choices(parser: Parser) -> Any:
    # named, because to find the name out argparse would lay out its usage
    return parser.add_subparsers(title="verbs", metavar="VERB", prog=parser.prog)


def _add_verb(choices: Any, name: str, verb: Verb) -> None:
    parser = choices.add_parser(
        name, help=verb.help, description=verb.description or _sentence(verb.help), epilog=_epilog(verb.examples)
    )
    verb.configure(parser)
    _add_global_options(parser, "verb")
    parser.set_defaults(verb=verb)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _epilog(examples: Sequence[str]) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in examples), ""]) if examples else ""


def _add_global_options(parser: ArgumentParser, place: str) -> None:
    # each place has a name of its own for what adds up: an inner parser would overwrite what an outer one has seen
    group = parser.add_argument_group("options of every verb")
    group.add_argument(
        "--project",
        metavar="DIR",
        default=SUPPRESS,
        help="the project (default: the Git work tree around this directory)",
    )
    group.add_argument(
        "--vault", metavar="DIR", default=SUPPRESS, help="where backups live (default for root: /var/backups/cora)"
    )
    group.add_argument("--json", action="store_true", default=SUPPRESS, help="print one JSON document and nothing else")
    group.add_argument(
        "-e",
        dest=f"extra_vars_{place}",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting of inventory/group_vars/all.yml for this run; also JSON or @FILE",
    )
    group.add_argument(
        "-v",
        dest=f"verbose_{place}",
        action="count",
        default=0,
        help="show what Ansible does (-vv: more), and tracebacks",
    )


def extra_vars(options: Namespace) -> list[str]:
    """All C(-e), in the order in which they were given."""
    return [text for place in ("main", "group", "verb") for text in getattr(options, f"extra_vars_{place}", [])]


def verbosity(options: Namespace) -> int:
    """How often C(-v) was given."""
    return sum(getattr(options, f"verbose_{place}", 0) for place in ("main", "group", "verb"))
