# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two saved states of a project differ, by their indexes."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Optional

from .index import Entry
from .merge import side_by_side
from .names import printable
from .saved_state import open_state
from .source import Source
from .tar_format import DIRECTORY
from .vault import Vault


def compare_states(vault_path: str, older: str, newer: str) -> dict[str, Any]:
    """What was added, changed and removed from one state to another.

    :param older: full id
    :param newer: full id
    :returns: JSON types: C(added), C(changed), C(removed), each a list of C({path, type, size_bytes})
    :raises CoraError: when one of them cannot be read
    """
    vault = Vault(vault_path)
    found: dict[str, list[dict[str, Any]]] = {"added": [], "changed": [], "removed": []}
    for action, entry in _differences(open_state(vault, older).source, open_state(vault, newer).source):
        row = {"path": printable(entry.path), "type": entry.kind, "size_bytes": entry.size_bytes}
        found[action].append(row)
    return {"older": older, "newer": newer, **found}


def _differences(older: Source, newer: Source) -> Iterator[tuple[str, Entry]]:
    for before, after in side_by_side(older.entries(), newer.entries(), attrgetter("path"), attrgetter("path")):
        if before is None and after is not None:
            yield "added", after
        elif before is not None and after is None:
            yield "removed", before
        elif before is not None and after is not None and _differ(before, after):
            yield "changed", after


def _differ(before: Entry, after: Entry) -> bool:
    keys = ["kind", "mode", "uid", "gid", "link", "sha256"]
    if after.kind != DIRECTORY:
        keys += ["size_bytes"]  # nobody asks when a directory was last written to
    return any(getattr(before, key) != getattr(after, key) for key in keys)


def compare_summary(result: dict[str, Any], *, at_most: Optional[int] = 200) -> list[str]:
    """A line each path, C(+), C(~) or C(-) before it."""
    marks = {"added": "+", "changed": "~", "removed": "-"}
    rows = [(row["path"], f"{mark} {row['path']}") for action, mark in marks.items() for row in result[action]]
    lines = [line for _path, line in sorted(rows)]
    counts = ", ".join(f"{len(result[action])} {action}" for action in marks)
    more = [f"… and {len(lines) - at_most} more (--json has all)"] if at_most and len(lines) > at_most else []
    return [f"From {result['older']} to {result['newer']}: {counts}.", *lines[:at_most], *more]
