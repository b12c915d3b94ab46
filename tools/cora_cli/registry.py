# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: each is one file in C(verbs/), which holds one or more C(VERBS)."""

from __future__ import annotations

import importlib
import pkgutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from . import verbs
from .context import Context


@dataclass(frozen=True)
class Verb:
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


def all_verbs() -> list[Verb]:
    """Every verb, in the order of the help."""
    found: list[Verb] = []
    for module in pkgutil.iter_modules(verbs.__path__):
        found += importlib.import_module(f"{verbs.__name__}.{module.name}").VERBS
    return sorted(found, key=lambda verb: (verb.order, verb.names))
