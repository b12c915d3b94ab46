# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cases of a test `tools/test.sh --fast` runs: a few that show the promise; the full run takes them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def slow_but(quick: Sequence[str], cases: Iterable[str]) -> list[Any]:
    """Parameters, all of them marked slow but C(quick)."""
    names = list(cases)
    unknown = set(quick) - set(names)
    if unknown:
        raise ValueError(f"no such case: {unknown}")
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]
