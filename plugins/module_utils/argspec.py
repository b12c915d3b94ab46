# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules share: argument specs, their way into the engine's requests, and the way of its errors out."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import fields
from types import FrameType
from typing import Any, Optional

from . import catalog
from .argspec_offsite import OFFSITE_SPEC, offsite_if_any
from .errors import CoraError, ProgramError, RestoreError, SettingsError
from .keep_rules import Policy, PruneRequest
from .names import printable
from .offsite_which import project_offsite
from .project_meant import project_meant, project_to_save, project_to_undo
from .restore_source import resolve_anywhere
from .rotate import RotateSettings
from .settings import (
    SCENARIOS,
    SERVICE_KINDS,
    BackupSettings,
    RestoreRequest,
    Service,
    default_seal,
    default_vault,
)
from .status import Limits

Spec = dict[str, Any]
Params = Mapping[str, Any]

_STOPPING = (signal.SIGINT, signal.SIGTERM)

VAULT_SPEC: Spec = {"vault": {"type": "path"}}
PROJECT_SPEC: Spec = {"project": {"type": "path"}, "search_from": {"type": "path"}}
RUN_SPEC: Spec = {"lock_wait_seconds": {"type": "float", "default": 0}, "progress_file": {"type": "path"}}
SERVICES_SPEC: Spec = {
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "kind": {"type": "str", "required": True, "choices": list(SERVICE_KINDS)},
            "name": {"type": "str"},
            "user": {"type": "str"},
            "stop": {"type": "list", "elements": "str"},
            "start": {"type": "list", "elements": "str"},
        },
        "required_if": [
            ("kind", "pm2", ["name"]),
            ("kind", "systemd", ["name"]),
            ("kind", "command", ["stop", "start"]),
        ],
    },
    "health_command": {"type": "list", "elements": "str", "default": []},
    "health_timeout_seconds": {"type": "float", "default": 30},
}


_PATTERNS: Spec = {"type": "list", "elements": "str"}


def snapshot_spec() -> Spec:
    """Options of the module C(snapshot)."""
    return {
        "exclude": _PATTERNS,
        "critical": _PATTERNS,
        "logs": _PATTERNS,
        "log_cap_bytes": {"type": "int"},
        "large_file_bytes": {"type": "int"},
        "paranoid": {"type": "bool"},
        "seal": {"type": "str", "choices": ["required", "best_effort"]},
        **PROJECT_SPEC,
        **VAULT_SPEC,
        **RUN_SPEC,
    }


def checkpoint_spec() -> Spec:
    """Options of the module C(checkpoint)."""
    return {
        "when_unchanged": {"type": "str", "default": "nothing", "choices": ["nothing", "verify"]},
        "prefer_full": {"type": "bool", "default": False},
        "keep_checkpoints_bytes": {"type": "int"},
        "keep_checkpoints_percent": {"type": "float"},
        **snapshot_spec(),
    }


def protect_spec() -> Spec:
    """Options of the module C(protect)."""
    return {
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "critical": _PATTERNS,
        "exclude": _PATTERNS,
        **PROJECT_SPEC,
        **VAULT_SPEC,
    }


def rotate_spec() -> Spec:
    """Options of the module C(rotate)."""
    return {
        "files": _PATTERNS,
        "exclude": _PATTERNS,
        "rotate_bytes": {"type": "int"},
        "lock_wait_seconds": {"type": "float", "default": 0},
        **PROJECT_SPEC,
        **VAULT_SPEC,
    }


def status_spec() -> Spec:
    """Options of the module C(status_info); limits have the names that they have in the engine."""
    limits: Spec = {item.name: {"type": "int" if item.name.endswith("_bytes") else "float"} for item in fields(Limits)}
    return {**limits, "project": {"type": "path"}, "protect": {"type": "bool", "default": False}, **VAULT_SPEC}


def restore_spec() -> Spec:
    """Options of the module C(restore)."""
    return {
        "id": {"type": "str", "required": True},
        "target": {"type": "path"},
        "scenario": {"type": "str", "default": "plan", "choices": list(SCENARIOS)},
        "files": {"type": "list", "elements": "str", "default": []},
        "keep_setuid": {"type": "bool", "default": False},
        "offsite": {"type": "dict", "options": OFFSITE_SPEC},
        **PROJECT_SPEC,
        **VAULT_SPEC,
        **SERVICES_SPEC,
        **RUN_SPEC,
    }


def prune_spec() -> Spec:
    """Options of the module C(prune); those of the policy have the names that it has in the engine."""
    spec: Spec = {item.name: {"type": _POLICY_TYPES[str(item.type)]} for item in fields(Policy)}
    spec["keep_tags"] = {"type": "list", "elements": "str"}
    return {
        **spec,
        "project": {"type": "path"},
        "verify": {"type": "bool", "default": False},
        **VAULT_SPEC,
        **RUN_SPEC,
    }


_POLICY_TYPES = {"int": "int", "float": "float", "tuple[str, ...]": "list"}


def prune_request(params: Params) -> PruneRequest:
    """What C(prune) is asked to do; what was left out of the policy is the engine's default.

    :raises CoraError: when it cannot be
    """
    chosen = {item.name: params[item.name] for item in fields(Policy) if params[item.name] is not None}
    if "keep_tags" in chosen:
        chosen["keep_tags"] = tuple(chosen["keep_tags"])
    return PruneRequest(
        vault=vault_of(params),
        policy=Policy(**chosen),
        project=params["project"].rstrip("/") if params["project"] else None,
        verify=params["verify"],
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
    )


def vault_of(params: Params) -> str:
    """The vault that was asked for, or the default one of the user who runs the module."""
    return str(params["vault"] or default_vault())


def project_of(params: Params) -> Optional[str]:
    """The project whose newest backup is meant; None where that does not matter.

    :raises VaultError: when the vault cannot be read
    """
    return project_meant(vault_of(params), project=params["project"], search_from=params["search_from"])


def project_undone(params: Params) -> Optional[str]:
    """The project whose last restore is meant; None where that does not matter.

    :raises CoraError: when several could be meant
    """
    return project_to_undo(vault_of(params), project=params["project"], search_from=params["search_from"])


def snapshot_settings(params: Params) -> BackupSettings:
    """What C(snapshot) is asked to do; what was left out is the engine's default.

    :raises CoraError: when it cannot be
    """
    return BackupSettings(
        project=_project_to_save(params),
        vault=vault_of(params),
        seal=params["seal"] or default_seal(),
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
        **_given(params, *_PATTERN_NAMES, "log_cap_bytes", "large_file_bytes", "paranoid", *_BUDGET_NAMES),
    )


def protect_settings(params: Params) -> BackupSettings:
    """What C(protect) is asked to do.

    :raises CoraError: when it cannot be
    """
    return BackupSettings(
        project=_project_to_save(params), vault=vault_of(params), **_given(params, "critical", "exclude")
    )


def rotate_settings(params: Params) -> RotateSettings:
    """What C(rotate) is asked to do.

    :raises CoraError: when it cannot be
    """
    return RotateSettings(
        project=_project_to_save(params),
        vault=vault_of(params),
        lock_wait_seconds=params["lock_wait_seconds"],
        **_given(params, "files", "exclude", "rotate_bytes"),
    )


def status_limits(params: Params) -> Limits:
    """From when on C(status_info) calls something a problem."""
    return Limits(**_given(params, *(item.name for item in fields(Limits))))


_PATTERN_NAMES = ("exclude", "critical", "logs")
_BUDGET_NAMES = ("keep_checkpoints_bytes", "keep_checkpoints_percent")


def _project_to_save(params: Params) -> str:
    return str(params["project"] or project_to_save(vault_of(params), params["search_from"]))


def _given(params: Params, *names: str) -> dict[str, Any]:
    """Those of these parameters that were not left out, as the engine takes them."""
    values = {name: params[name] for name in names if params.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def services_of(params: Params) -> tuple[Service, ...]:
    """The services to stop and start.

    :raises SettingsError: when one is not described whole
    """
    return tuple(
        Service(
            kind=service["kind"],
            name=service["name"],
            user=service["user"],
            stop=_words(service["stop"]),
            start=_words(service["start"]),
        )
        for service in params["services"]
    )


def _words(words: Optional[list[str]]) -> Optional[tuple[str, ...]]:
    return None if words is None else tuple(words)


def restore_request(params: Params, *, check: bool) -> RestoreRequest:
    """What C(restore) is asked to do.

    :raises CoraError: when there is no such backup, or the options contradict each other
    """
    vault = vault_of(params)
    backup_id, offsite = resolve_anywhere(
        vault, params["id"], project_of(params), lambda: offsite_if_any(params["offsite"] or {})
    )
    if params["project"] and not params["target"]:
        origin = catalog.project_of(vault, backup_id) if offsite is None else project_offsite(offsite, backup_id)
        _check_origin(backup_id, origin, params["project"])
    return RestoreRequest(
        vault=vault,
        offsite=offsite,
        id_text=backup_id,
        project=params["target"],
        scenario=params["scenario"],
        files=tuple(params["files"]),
        services=services_of(params),
        health_command=tuple(params["health_command"]),
        health_timeout_seconds=params["health_timeout_seconds"],
        keep_setuid=params["keep_setuid"],
        check=check,
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
    )


def _check_origin(backup_id: str, origin: Optional[str], project: str) -> None:
    # an id of another project beside a configured one: either may be the mistake, and a restore must not guess which
    if origin is not None and origin.rstrip("/") != project.rstrip("/"):
        raise SettingsError(
            f"Backup {backup_id} is of {printable(origin)}, not of {printable(project)}. "
            "Say where it shall be restored to: target."
        )


def failure(error: CoraError) -> dict[str, Any]:
    """An error as arguments of C(fail_json)."""
    result: dict[str, Any] = {"msg": _valid_text(str(error)), "error": type(error).__name__}
    if isinstance(error, ProgramError):
        result["cmd"] = [printable(word) for word in error.argv]
        result["rc"] = error.returncode
        result["stderr"] = _valid_text(error.stderr)
    if isinstance(error, RestoreError):
        result["rolled_back"] = bool(getattr(error, "rolled_back", False))
    return result


def _valid_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def finish(module: Any, result: dict[str, Any], summary: list[str]) -> None:
    """End a module that did what it was asked to do; the warnings of the result become Ansible's own."""
    _warn(module, result)
    module.exit_json(summary=summary, **{"changed": False, **result})


def fail(module: Any, result: dict[str, Any], summary: list[str], error: str) -> None:
    """End a module that has a result, and that result is bad."""
    _warn(module, result)
    module.fail_json(msg="\n".join(summary), error=error, summary=summary, **result)


def _warn(module: Any, result: dict[str, Any]) -> None:
    for warning in result.pop("warnings", ()):
        module.warn(_valid_text(warning))


def stop_on_signals() -> None:
    """Let SIGTERM end a module as Ctrl-C does, and once only: what the engine has begun is put away undisturbed."""
    for number in _STOPPING:
        signal.signal(number, _stop)


def _stop(_number: int, _frame: Optional[FrameType]) -> None:
    for each in _STOPPING:
        # not SIG_IGN, which services started from now on would inherit
        signal.signal(each, _stop_already)
    raise KeyboardInterrupt


def _stop_already(_number: int, _frame: Optional[FrameType]) -> None:
    pass
