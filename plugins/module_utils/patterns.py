# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths a pattern means: gitignore syntax, by C(pathspec), joined into few regular expressions for speed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any, Optional

from .errors import SettingsError


def _pattern_class() -> Any:
    """The gitignore pattern of whatever C(pathspec) there is: 1.x renamed it.

    :raises SettingsError: where there is none
    """
    for module, name in (
        ("pathspec.patterns.gitignore.spec", "GitIgnoreSpecPattern"),
        ("pathspec.patterns.gitwildmatch", "GitWildMatchPattern"),
    ):
        try:
            return getattr(importlib.import_module(module), name)
        except ImportError:
            continue
    raise SettingsError(
        "The Python package pathspec is missing on this host: "
        "pip install pathspec, or apt-get install python3-pathspec."
    )


class PathFilter:
    """Answers whether a path relative to the project is meant by gitignore patterns; the last that fits decides.

    :raises SettingsError: for a pattern that cannot be understood, or where C(pathspec) is missing
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        pattern_class = _pattern_class()
        self._rules = [
            (bool(include), re.compile("|".join(group), re.DOTALL)) for include, group in _runs(pattern_class, patterns)
        ]
        #: Whether a file is meant only with a directory above it: a walk need not ask for files then.
        self.only_directories = all(pattern.endswith("/") and not pattern.startswith("!") for pattern in patterns)

    def matches(self, path: str, *, is_dir: bool = False) -> bool:
        """Whether C(path) itself is meant. A directory's content is not asked for: a caller does not descend."""
        return bool(self.decides(path, is_dir=is_dir))

    def decides(self, path: str, *, is_dir: bool = False) -> Optional[bool]:
        """The same; None where no pattern fits."""
        subject = f"{path}/" if is_dir else path
        for include, regex in reversed(self._rules):
            if regex.match(subject):
                return include
        return None


def _runs(pattern_class: Any, patterns: Sequence[str]) -> list[tuple[bool, list[str]]]:
    runs: list[tuple[bool, list[str]]] = []
    for pattern in patterns:
        if not pattern.strip() or pattern.startswith("#"):
            continue
        include, regex = _compile(pattern_class, pattern)
        if runs and runs[-1][0] == include:
            runs[-1][1].append(regex)
        else:
            runs.append((include, [regex]))
    return runs


def _compile(pattern_class: Any, pattern: str) -> tuple[bool, str]:
    try:
        regex, include = pattern_class.pattern_to_regex(pattern)
    except ValueError as error:
        raise SettingsError(f"The pattern {pattern!r} is not valid gitignore syntax: {error}") from error
    if regex is None or include is None or not pattern.removeprefix("!").strip(" /"):
        # pathspec lets such a pattern mean nothing; a person who wrote it meant something
        raise SettingsError(f"The pattern {pattern!r} is not valid gitignore syntax.")
    regex = re.sub(r"\(\?P<\w+>", "(?:", regex)  # named groups may not repeat in one expression
    return bool(include), re.sub(r"\$(\)?)$", r"\\Z\1", regex)  # "$" would also fit before a newline in a name
