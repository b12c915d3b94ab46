# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that are none: a name with a slip of the pen would be obeyed by nobody, and nobody would say so."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable

from . import ROOT_DIRECTORY
from .context import Context

_NAME = re.compile(rb"\bcora_[a-z_]+\b")
_READ_BY = ("playbooks/*.yml", "roles/*/*/*.yml", "roles/*/templates/*")


def warn_of_unknown_settings(context: Context) -> None:
    """Name on stderr what is set, with C(-e) or in the settings, and read by nothing."""
    names = {name for name in (*context.extra_vars, *context.inventory.names) if name.startswith("cora_")}
    if not names:
        return
    known = _known_settings()
    for name in sorted(names - known):
        context.output.note(f"warning: there is no setting {name}.{_similar(name, known)}")


def _similar(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    return "".join(f" Did you mean {found}?" for found in get_close_matches(name, known, n=1))


def _known_settings() -> set[str]:
    """All names that playbooks and roles read."""
    found: set[str] = set()
    for pattern in _READ_BY:
        for path in glob.iglob(f"{glob.escape(ROOT_DIRECTORY)}/{pattern}"):
            with open(path, "rb") as stream:
                found.update(name.decode() for name in _NAME.findall(stream.read()))
    return found
