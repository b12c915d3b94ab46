# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring files into a project that stays where it is; and taking that back."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import replace

from . import durable
from .attributes import differing_picks
from .beside_database import side_paths
from .errors import NotFoundError, RestoreError
from .extract import MetadataWriter
from .in_place import SAVED_ARCHIVE, Change, InPlaceChange, compare, discard, save_present
from .index_search import at, at_or_below
from .names import free_name, path_key, printable, with_parents
from .restore_record import CHANGED, CHANGING, ROLLED_BACK, STAGING, RestoreRecord
from .safe_tree import SafeTree, check_relative
from .service_window import change_between, refuse_open_databases
from .services import ServiceControl
from .source import Pick, Source, picks_of, single
from .tar_format import DIRECTORY


def select(source: Source, wanted_paths: Iterable[str]) -> list[Pick]:
    """Entries at these paths and below them, each with the entry that holds its content.

    :raises NotFoundError: when a path names nothing
    """
    wanted = {_clean(path): path for path in wanted_paths}
    chosen = [(entry, layer) for entry, layer in source.placed(at_or_below(wanted)) if _is_wanted(entry.path, wanted)]
    for path, given in wanted.items():
        if not any(_is_wanted(entry.path, {path: given}) for entry, _layer in chosen):
            raise NotFoundError(f"The backup holds no {printable(given)!r}. {_similar(source, path)}")
    return picks_of(chosen)


def held(source: Source, paths: Iterable[str]) -> set[str]:
    """Those of the paths at which there is something in the source."""
    cleaned = {path: os.path.normpath(path) for path in paths}
    wanted = set(cleaned.values())
    there: set[str] = set()
    for entry in source.entries():
        there |= wanted.intersection((entry.path, printable(entry.path)))
    return {path for path, name in cleaned.items() if name in there}


def _clean(path: str) -> str:
    cleaned = os.path.normpath(path) if path else path
    check_relative(cleaned)
    return cleaned


def _is_wanted(path: str, wanted: dict[str, str]) -> bool:
    # a name that is not UTF-8 is shown escaped, and can be given back as it was shown
    shown = printable(path)
    return _is_named(path, wanted) or (shown != path and _is_named(shown, wanted))


def _is_named(path: str, wanted: dict[str, str]) -> bool:
    if path in wanted or "." in wanted:
        return True
    at = path.rfind("/")
    while at > 0:
        if path[:at] in wanted:
            return True
        at = path.rfind("/", 0, at)
    return False


def _similar(source: Source, path: str) -> str:
    paths = [entry.path for entry in source.entries()]
    name = path.rpartition("/")[2].lower()
    same_name = [other for other in paths if other.rpartition("/")[2].lower() == name][:3]
    similar = same_name or difflib.get_close_matches(path, paths[:20000], n=3)
    return (
        f"Did you mean {' or '.join(printable(other) for other in similar)}?"
        if similar
        else "Paths are relative to the project."
    )


def with_missing_parents(source: Source, project: str, picks: list[Pick]) -> list[Pick]:
    """The same, and the directories on their way that the project has not any more.

    Made without these they would belong to root, and whom the file is for could not reach it.
    """
    chosen = {pick.entry.path for pick in picks}
    needed = {parent for path in chosen for parent in with_parents(path.rpartition("/")[0])} - chosen
    missing = {path for path in needed if not os.path.lexists(os.path.join(project, path))}
    if not missing:
        return picks
    parents = picks_of((entry, layer) for entry, layer in source.placed(at(missing)) if entry.path in missing)
    return sorted(parents + picks, key=lambda pick: path_key(pick.entry.path))


def plan(project: str, picks: list[Pick], created_ns: int) -> list[Change]:
    """What restoring these entries would do.

    :raises RestoreError: when it cannot be done
    """
    if not os.path.isdir(project):
        return [Change("create", pick.entry.path, pick.entry.kind, pick.content.size_bytes) for pick in picks]
    with SafeTree(project) as tree:
        changes = [compare(tree, pick.entry, pick.content, created_ns) for pick in picks]
        alike = [pick for pick, change in zip(picks, changes) if change.action == "same"]
        other = differing_picks(tree, alike)
    return [replace(change, action="replace") if change.path in other else change for change in changes]


def restore_files(
    record: RestoreRecord,
    vault: str,
    picks: list[Pick],
    changes: list[Change],
    control: ServiceControl,
    metadata: MetadataWriter,
    removals: Iterable[str] = (),
) -> list[str]:
    """Bring entries into the project; what they replace is saved in the record first.

    :param changes: the plan of C(picks), in the same order
    :returns: what was done to services
    :raises CoraError: when it failed; then nothing is changed
    """
    picks = [pick for pick, change in zip(picks, changes) if change.action != "same"]
    databases = [pick.entry.path for pick in picks if pick.content.database]
    side_files = [beside for path in databases for beside in side_paths(path)]
    record.created = [change.path for change in changes if change.action == "create"] + _absent(
        record.project, side_files
    )
    save_present(record, vault, [pick.entry.path for pick in picks] + side_files + list(removals))
    step = InPlaceChange(record, picks, list(removals), metadata)
    with SafeTree(record.project) as tree:

        def change() -> None:
            record.write(CHANGING)
            step.commit(tree)
            record.write(CHANGED)

        try:
            step.stage(tree)
            done = change_between(
                control,
                before=lambda: refuse_open_databases(
                    [os.path.join(record.project, path) for path in databases + side_files]
                ),
                change=change,
                take_back=lambda: put_back(record),
            )
        except BaseException:
            if record.state == STAGING:
                discard(record, tree)
                record.write(ROLLED_BACK)
            raise
    record.finish()
    return done


def saved_picks(record: RestoreRecord) -> list[Pick]:
    """All that a record saved."""
    return picks_of(single(record.directory, SAVED_ARCHIVE).placed())


def _absent(project: str, paths: list[str]) -> list[str]:
    with SafeTree(project) as tree:
        return [path for path in paths if tree.status(path) is None]


def put_back(record: RestoreRecord) -> None:
    """Bring back what a record saved, and remove what it created.

    :raises CoraError: when that fails; it can be tried again
    """
    with SafeTree(record.project) as tree:
        discard(record, tree)
        if record.state != STAGING:
            if record.state != CHANGING:
                record.write(CHANGING)  # from here on it is no more what was asked for
            picks = saved_picks(record)
            there_before = {pick.entry.path for pick in picks}
            removals = [path for path in record.created + record.made_directories if path not in there_before]
            changed = [pick for pick in picks if _is_changed(tree, pick)]
            step = InPlaceChange(record, changed, removals, MetadataWriter(keep_setuid=True))
            step.stage(tree)
            step.commit(tree)
    record.write(ROLLED_BACK)


def _is_changed(tree: SafeTree, pick: Pick) -> bool:
    # What could not be replaced (an immutable file) cannot be put back either, and need not be. Directories are cheap,
    # and their times are not compared.
    try:
        return pick.entry.kind == DIRECTORY or compare(tree, pick.entry, pick.content, 0).action != "same"
    except RestoreError:
        return True  # something else stands there now


def put_back_later(record: RestoreRecord, vault: str) -> str:
    """:func:`put_back` in a later run: since the kill somebody may have worked on these files, so they are kept first.

    :returns: where the state before this is kept
    :raises CoraError: when that fails; it can be tried again
    """
    kept = free_name(os.path.join(record.directory, "interrupted"))
    durable.make_directories(kept)
    paths = [pick.entry.path for pick in saved_picks(record)] + record.created
    save_present(replace(record, directory=kept), vault, paths)
    put_back(record)
    return kept
