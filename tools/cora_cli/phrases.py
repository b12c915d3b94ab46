# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Phrases of people, and the commands they mean: the table is C(phrases.json)."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_name("phrases.json")
_LIKE_ENOUGH = 0.75
_WORD_LIKE = 0.84


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def phrases() -> dict[str, list[str]]:
    """By command the phrases that mean it."""
    commands: dict[str, list[str]] = _table()["commands"]
    return commands


@cache
def _listed(name: str) -> frozenset[str]:
    """C(fillers) change nothing of what is meant; who says one of C(refused) wants what no phrase may do."""
    return frozenset(_table()[name].split())


def command_for(text: str) -> str | None:
    """The command that C(text) means; None where no phrase is like it."""
    said = _words(text)
    if not said or said & _listed("refused"):
        return None
    best, command = 0.0, None
    for candidate, known in phrases().items():
        for phrase in known:
            likeness = _likeness(said, _words(phrase))
            if likeness > best:
                best, command = likeness, candidate
    return command if best >= _LIKE_ENOUGH else None


def _words(text: str) -> frozenset[str]:
    folded = text.casefold().replace("\u2019", "'").replace("'", "")
    folded = re.sub(r"\bback(?:ing|ed)?[\s-]*up", "backup", folded)
    words = re.findall(r"[^\W_]+", folded)
    return frozenset(words) - _listed("fillers") or frozenset(words)


def _likeness(said: frozenset[str], known: frozenset[str]) -> float:
    """How alike two sets of words are, 0 to 1; a word may be misspelt."""
    rest = set(known)
    common = 0
    for word in sorted(said):
        match = (
            word if word in rest else next(iter(difflib.get_close_matches(word, rest, n=1, cutoff=_WORD_LIKE)), None)
        )
        if match is not None:
            rest.discard(match)
            common += 1
    return 2 * common / (len(said) + len(known))
