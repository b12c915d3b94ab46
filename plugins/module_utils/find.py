# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which saved states have a file: read from the indexes alone, newest first."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable
from typing import Any, Callable, Optional

from .errors import CoraError
from .ids import id_timestamp
from .index import Entry
from .index_search import entries_holding
from .names import printable
from .saved_state import state_in
from .source import Layer
from .vault import Vault

_WILDCARDS = frozenset("*?[")
#: An answer to a mistake should not take minutes.
_LOOKED_THROUGH = 200
Matcher = Callable[[str], bool]


class _Indexes:
    """Entries of indexes that match, each index read once.

    :param needle: a text that no path is without that matches
    """

    def __init__(self, needle: str, matches: Matcher) -> None:
        self._needle = needle
        self._matches = matches
        self._parsed: dict[str, Entry] = {}
        self._found: dict[str, dict[str, Entry]] = {}

    def of(self, layer: Layer) -> dict[str, Entry]:
        """Matching entries by path.

        :raises IntegrityError: when the index is damaged
        """
        if layer.directory not in self._found:
            entries = entries_holding(layer.index_path, self._needle, self._parsed)
            self._found[layer.directory] = {entry.path: entry for entry in entries if self._matches(entry.path)}
        return self._found[layer.directory]


def find(
    vault_path: str, wanted: str, *, project: Optional[str] = None, at_most: Optional[int] = None
) -> list[dict[str, Any]]:
    """A row for each saved state and each file of it that is meant, the newest state first.

    :param wanted: a path relative to the project, a pattern with wildcards, or a plain name that stands anywhere
    :param project: only its states
    :param at_most: so many states are looked through
    :raises VaultError: when the vault cannot be read
    """
    vault = Vault(vault_path)
    indexes = _Indexes(*_matcher(wanted))
    rows: list[dict[str, Any]] = []
    backups, checkpoints = vault.ids(), vault.checkpoint_ids()
    directories = {state_id: vault.checkpoint_path(state_id) for state_id in checkpoints}
    directories.update({state_id: vault.path_of(state_id) for state_id in backups})
    state_ids = sorted(backups + checkpoints, reverse=True)
    for state_id in state_ids[:at_most]:
        try:
            state = state_in(vault, state_id, directories[state_id])
            if project in (None, state.report["project"]):
                rows += [_row(state_id, state.report["kind"], entry) for entry in _entries(indexes, state.source)]
        except (CoraError, OSError, ValueError, KeyError):
            continue  # a damaged state answers no question; verify tells about it
    return rows


def _matcher(wanted: str) -> tuple[str, Matcher]:
    if _WILDCARDS.isdisjoint(wanted):
        name = os.path.normpath(wanted)
        last = name.rpartition("/")[2]
        if "/" in name:
            return last, lambda path: path == name
        return last, lambda path: path == name or path.endswith(f"/{name}")
    pattern = wanted if "/" in wanted else f"*{wanted}"
    plain = re.split(r"[*?]", pattern.partition("[")[0])
    return max(plain, key=len), lambda path: fnmatch.fnmatchcase(path, pattern)


def _entries(indexes: _Indexes, source: Any) -> list[Entry]:
    first, *others = source.layers
    merged = {path: entry for path, entry in indexes.of(first).items() if path not in source.deleted}
    for layer in others:
        merged.update(indexes.of(layer))
    return sorted(merged.values(), key=lambda entry: entry.path)


def _row(state_id: str, kind: str, entry: Entry) -> dict[str, Any]:
    return {
        "id": state_id,
        "kind": kind,
        "created_at": id_timestamp(state_id),
        "path": printable(entry.path),
        "type": entry.kind,
        "size_bytes": entry.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "sha256": entry.sha256,
        "mode": f"{entry.mode:04o}",
    }


def where_else(vault_path: str, paths: Iterable[str], state_id: str, project: str) -> str:
    """A sentence that names the newest state with these files, for somebody who asked the wrong one; or nothing."""
    sentences = []
    for path in paths:
        rows = find(vault_path, path, project=project, at_most=_LOOKED_THROUGH)
        ids = [row["id"] for row in rows]
        if ids and state_id not in ids:
            sentences.append(f"The newest state that has {printable(rows[0]['path'])} is {ids[0]}.")
    return " ".join(sentences)


def versions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows of :func:`find` those with which something new begins: a path's first, and each change of it.

    Rows keep their order; a version stands with the oldest state that has it, and C(until) names the newest.
    """
    kept: list[dict[str, Any]] = []
    current: dict[str, dict[str, Any]] = {}
    for row in rows:
        newer = current.get(row["path"])
        if newer is not None and all(newer[key] == row[key] for key in ("type", "size_bytes", "mtime_ns", "sha256")):
            newer.update({"id": row["id"], "kind": row["kind"], "created_at": row["created_at"]})
            continue
        current[row["path"]] = {**row, "until": row["id"]}
        kept.append(current[row["path"]])
    return kept
