# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: each is one file in C(verbs/), which holds one or more C(VERBS)."""

from __future__ import annotations

import importlib
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import verbs
from .context import Context

#: By name the file of each verb that only reads: to import all others takes longer than most of these do.
_QUICK = {
    "cat": "cat",
    "diff": "find",
    "find": "find",
    "history": "find",
    "list": "list",
    "status": "status",
    "version": "version",
}
_WITH_VALUE = ("--project", "--vault", "-e")
_WITHOUT_ONE = re.compile(r"--json|-v+|--(?:project|vault)=.*|-e.+", re.DOTALL)


class Verb(NamedTuple):
    """Something the command can do.

    :param names: how it is called, C("backup list") or C("list"); all of them do the same
    :param help: a line for the list of verbs
    :param run: does it, and returns the exit code
    :param configure: adds its own options
    :param description: what it does, for its own C(--help)
    :param examples: command lines with a remark behind C(#), for its own C(--help)
    :param order: place in the list of verbs
    """

    names: tuple[str, ...]
    help: str
    run: Callable[[Context, Namespace], int]
    configure: Callable[[ArgumentParser], None] = lambda parser: None
    description: str = ""
    examples: tuple[str, ...] = ()
    order: int = 50


def verbs_for(words: Sequence[str]) -> list[Verb]:
    """The verbs that can be meant by a command line: one file's, where that is plain, or all of them."""
    name = _QUICK.get(_first_word(words))
    return sorted(_verbs_in(name), key=_place) if name else all_verbs()


def all_verbs() -> list[Verb]:
    """Every verb, in the order of the help."""
    import pkgutil

    found: list[Verb] = []
    for module in pkgutil.iter_modules(verbs.__path__):
        found += _verbs_in(module.name)
    return sorted(found, key=_place)


def _verbs_in(module: str) -> tuple[Verb, ...]:
    found: tuple[Verb, ...] = importlib.import_module(f"{verbs.__name__}.{module}").VERBS
    return found


def _place(verb: Verb) -> tuple[int, tuple[str, ...]]:
    return verb.order, verb.names


def _first_word(words: Sequence[str]) -> str:
    """The first that is no global option or its value, as far as can be told without the parser."""
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif not _WITHOUT_ONE.fullmatch(word):
            return word
    return ""
