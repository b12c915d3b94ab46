# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring, from the request to the result: resolve, verify, plan, stage, save, stop, change, start, or take back."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from . import layout
from .append_only import protected_among, set_again
from .carry import excluded_paths
from .catalog import project_of
from .errors import CoraError, IntegrityError, NotFoundError, RestoreError, SettingsError
from .extract import MetadataWriter
from .find import where_else
from .in_place import Change
from .names import printable
from .processes import finished_after
from .progress import Progress
from .restore_files import plan, restore_files, select, with_missing_parents
from .restore_plan import PlanSummary, created_ns, has_same_content, plain_commands, plan_tree
from .restore_record import IN_PLACE, ROLLED_BACK, STAGING, SWAP, new_record
from .restore_recovery import recover_restores
from .restore_source import bring_here, is_away, open_source, resolve_anywhere
from .restore_tree import build_tree, check_target, swap_in
from .safe_tree import SafeTree
from .saved_state import SavedState
from .services import ServiceControl
from .settings import RestoreRequest
from .source import Pick, single
from .vault import Vault
from .verify import check_sums


@dataclass(frozen=True)
class _Planned:
    """A request, resolved."""

    backup_id: str
    state: SavedState
    project: str
    picks: list[Pick]
    changes: list[Change]
    summary: PlanSummary
    bytes_fetched: int = 0


def plan_restore(request: RestoreRequest) -> dict[str, Any]:
    """What a restore would do; changes nothing.

    :returns: the plan in JSON types
    :raises CoraError: when it could not be done
    """
    return _plan_document(request, _plan(request))


def meant_by(request: RestoreRequest) -> dict[str, Any]:
    """Which backup a request means and where to; nothing is verified and nothing compared, which :func:`run_restore`
    does before it changes anything.

    :returns: id, project and scenario
    :raises CoraError: when there is no such backup, or its report is damaged
    """
    backup_id = _resolve(request)
    project = _project(request, open_source(request, backup_id))
    return {"id": backup_id, "project": project, "scenario": request.scenario}


def run_restore(request: RestoreRequest) -> dict[str, Any]:
    """Restore; or, with C(check) or scenario C(plan), only plan.

    :returns: plan and result in JSON types
    :raises CoraError: when it failed; then everything is as it was, unless the message says otherwise
    """
    if request.check or request.scenario == "plan":
        document = plan_restore(request)
        return {**document, "changed": request.scenario != "plan" and changes_something(document)}
    started = time.monotonic()
    request, fetched = bring_here(request)
    vault = Vault(request.vault)
    with vault.lock(request.lock_wait_seconds, reading=True) if vault.exists() else _no_vault(request.vault):
        recovered = recover_restores(vault, _target(request)).sentences
        planned = _plan(request)
        document = _plan_document(request, planned)
        if changes_something(document) or not _is_identical(request, planned):
            document.update(_restore(request, vault, planned))
        else:
            document.update({"changed": False, "restore_id": None, "saved_at": None, "services": []})
    if fetched:
        document["bytes_fetched"] = fetched["bytes_fetched"]
        document["warnings"] += fetched["warnings"]
        recovered = fetched["recovered"] + recovered
    document["recovered"] = recovered
    document["rolled_back"] = False
    document["duration_seconds"] = round(time.monotonic() - started, 3)
    return document


def _target(request: RestoreRequest) -> str:
    if request.project:
        return os.path.normpath(request.project)
    backup_id = _resolve(request)
    if is_away(request, backup_id):
        return _project(request, open_source(request, backup_id))
    return os.path.normpath(project_of(request.vault, backup_id))


def _resolve(request: RestoreRequest) -> str:
    return resolve_anywhere(request.vault, request.id_text, request.project, lambda: request.offsite)[0]


def _project(request: RestoreRequest, state: SavedState) -> str:
    if not request.project and not state.report["project"]:
        raise IntegrityError(f"{layout.REPORT} of {state.state_id} is damaged, so say whose it is: --project DIR.")
    return os.path.normpath(request.project or str(state.report["project"]))


def _no_vault(path: str) -> Any:
    raise RestoreError(f"There is no vault at {printable(path)}: name it (--vault DIR, or cora_vault).")


def changes_something(document: dict[str, Any]) -> bool:
    """Whether something has to be done, by what was planned."""
    return any(document["counts"][action] for action in ("create", "replace", "remove"))


def _is_identical(request: RestoreRequest, planned: _Planned) -> bool:
    """Whether nothing is left to do. The plan of a whole tree goes by size and time; damage changes neither.

    So before a full restore that would change nothing is called done, every file is read.
    """
    return request.scenario != "full" or has_same_content(planned.state.source, planned.project)


def _plan(request: RestoreRequest) -> _Planned:
    backup_id = _resolve(request)
    state = open_source(request, backup_id)
    report, source = state.report, state.source
    project = _project(request, state)
    source.check_indexes()
    bytes_fetched = 0
    picks: list[Pick] = []
    changes: list[Change] = []
    if request.scenario in ("plan", "full"):
        _check_no_link(project)
        exclude = tuple(report["settings"]["exclude"])
        with nullcontext() if request.scenario == "plan" else finished_after(lambda: _verify(request, state)):
            summary = PlanSummary(plan_tree(source, project, exclude, created_ns(backup_id), vault=request.vault))
    else:
        _verify(request, state)
        picks = _select(request, backup_id, state, project)
        picks = with_missing_parents(source, project, picks)
        if state.bring is not None and not request.check:
            bytes_fetched = state.bring(picks)
        changes = plan(project, picks, created_ns(backup_id))
        summary = PlanSummary(changes)
    return _Planned(backup_id, state, project, picks, changes, summary, bytes_fetched)


def _select(request: RestoreRequest, state_id: str, state: SavedState, project: str) -> list[Pick]:
    if request.scenario != "files":
        return select(state.source, state.report["critical"])
    try:
        return select(state.source, [_inside(project, path) for path in request.files])
    except NotFoundError as error:
        hint = where_else(request.vault, request.files, state_id, str(state.report["project"]))
        if not hint:
            raise
        raise NotFoundError(f"{error} {hint}") from error


def _inside(project: str, path: str) -> str:
    """A path relative to the project, also where it was given from the root."""
    return os.path.relpath(path, project) if path.startswith(project + "/") else path


def _verify(request: RestoreRequest, state: SavedState) -> None:
    """Nothing of a damaged backup is restored unless the intact files are asked for by name.

    Files by name need only the index to be right: each is checked by its own digest before it is put in place.

    :raises IntegrityError: when something is damaged
    """
    if request.scenario not in ("critical", "full") or state.bring is not None:
        return  # what is elsewhere is verified when it has been fetched
    progress = Progress(request.progress_file)
    for layer in state.source.layers:
        damaged = check_sums(layer.directory, progress)
        if damaged:
            names = ", ".join(str(entry["artifact"]) for entry in damaged[:5])
            raise IntegrityError(
                f"{printable(layer.directory)} is damaged ({names}), so nothing was restored. cora verify tells which "
                "files are intact; they can be restored by name (--file PATH). Or restore another backup (cora list)."
            )
    progress.close()


def _plan_document(request: RestoreRequest, planned: _Planned) -> dict[str, Any]:
    document = planned.summary.to_json()
    document.update(
        {
            "id": planned.backup_id,
            "path": _place(request, planned),
            "project": planned.project,
            "scenario": request.scenario,
            "created_at": planned.state.report["created_at"],
            "commands": _commands(request, planned),
            "bytes_fetched": planned.bytes_fetched,
            "diff": planned.summary.diff(),
            "warnings": _plan_warnings(request, planned),
            "critical": [printable(path) for path in planned.state.report["critical"]],
        }
    )
    return document


def _place(request: RestoreRequest, planned: _Planned) -> str:
    if planned.state.bring is not None and request.offsite is not None:
        return request.offsite.place
    return planned.state.directory


def _commands(request: RestoreRequest, planned: _Planned) -> dict[str, list[str]]:
    if planned.state.bring is None:
        return plain_commands(planned.state.source, planned.project)
    # what is in the cache is no archive that tar could read
    later = single(Vault(request.vault).path_of(planned.backup_id))
    first = f"cora offsite fetch {planned.backup_id}"
    return {
        scenario: [first, *(lines or [f"cora restore {planned.backup_id}  # then shows the commands"])]
        for scenario, lines in plain_commands(later, planned.project).items()
    }


def _plan_warnings(request: RestoreRequest, planned: _Planned) -> list[str]:
    warnings = []
    if planned.state.report["incomplete"]:
        warnings.append(
            f"This backup is incomplete: {len(planned.state.report['unreadable'])} files could not be read when it "
            "was made."
        )
    cut = [printable(log["path"]) for log in planned.state.report["cut_logs"]]
    if request.scenario in ("plan", "full") and cut:
        warnings.append(f"Logs over the cap come back with their newest part only ({len(cut)}, the first is {cut[0]}).")
    torn = [printable(db["path"]) for db in planned.state.report["databases"] if db["integrity"] != "ok"]
    if torn:
        warnings.append(
            f"{torn[0]} was damaged already when this backup was made; an older backup may have it whole (cora list)."
        )
    return warnings


def _git_warnings(planned: _Planned) -> list[str]:
    """Backups leave C(.git) out, and a full restore carries it over; where there was none, a person has to know."""
    if planned.backup_id.endswith("-nogit") or os.path.lexists(os.path.join(planned.project, ".git")):
        return []
    bundle = os.path.join(planned.state.source.layers[0].directory, layout.BUNDLE)
    where = "Nothing in it was unpushed."
    if os.path.exists(bundle):
        where = f"What no remote had is in {printable(bundle)}; docs/restore-by-hand.md says how to bring it back."
    return [
        "The Git history (.git) is not part of a backup, and there was none here to keep: clone it from its remote. "
        + where
    ]


def _restore(request: RestoreRequest, vault: Vault, planned: _Planned) -> dict[str, Any]:
    full = request.scenario == "full"
    if full:
        _check_swap(request, planned)
    elif not os.path.isdir(planned.project):
        raise RestoreError(f"The project {printable(planned.project)} is not there. Restore the whole tree: --full.")
    record = new_record(
        vault,
        kind=SWAP if full else IN_PLACE,
        backup_id=planned.backup_id,
        project=planned.project,
        scenario=request.scenario,
        room_bytes=sum(change.size_bytes for change in planned.changes),
    )
    control = ServiceControl(request.services, request.health_command, request.health_timeout_seconds)
    metadata = MetadataWriter(keep_setuid=request.keep_setuid)
    progress = Progress(request.progress_file)
    progress.start(
        "extract",
        files_total=sum(planned.state.report["entries"].values()) if full else len(planned.changes),
        bytes_total=planned.state.report["size_bytes"] if full else None,
    )
    protected = protected_among(planned.project, planned.state.report["critical"]) if full else []
    warnings = _plan_warnings(request, planned)
    try:
        if full:
            build_tree(record, planned.state.source, metadata, progress)
            record.databases = planned.state.databases
            exclude = tuple(planned.state.report["settings"]["exclude"])
            services = swap_in(record, control, lambda: excluded_paths(planned.project, exclude), record.databases)
            with SafeTree(planned.project) as tree:
                warnings += set_again(tree, protected)
            warnings += _git_warnings(planned)
        else:
            services = restore_files(record, request.vault, planned.picks, planned.changes, control, metadata)
    finally:
        progress.close()
        if record.state == STAGING:
            record.write(ROLLED_BACK)
    return {
        "changed": True,
        "restore_id": record.restore_id,
        "saved_at": record.old_tree if full else record.directory,
        "services": services,
        "warnings": warnings + metadata.warnings,
    }


def _check_no_link(project: str) -> None:
    if os.path.islink(project) or (os.path.lexists(project) and not os.path.isdir(project)):
        raise RestoreError(
            f"{printable(project)} is a link or no directory: move it away, or name its target with --project."
        )


def _check_swap(request: RestoreRequest, planned: _Planned) -> None:
    project, vault = os.path.realpath(planned.project), os.path.realpath(request.vault)
    if vault.startswith(project + "/"):
        raise SettingsError(
            f"The vault lies inside {printable(project)}, which a full restore would swap away. Restore to another "
            "directory: --project DIR."
        )
    check_target(planned.project, planned.state.stored_bytes)


def describe_failure(error: CoraError) -> dict[str, Any]:
    """What a caller wants to know of a failed restore besides its message."""
    return {"error": type(error).__name__, "rolled_back": getattr(error, "rolled_back", False)}
