# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules share: argument specs, their way into the engine's requests, and the way of its errors out.

Ansible sends a host what a module imports, and all that this imports in turn; so what one verb alone needs stands in a
file of its own (C(argspec_restore.py), …).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any, Optional

from .defaults import default_seal, default_vault
from .errors import CoraError, ProgramError, RestoreError
from .names import printable
from .project_meant import project_meant, project_to_save
from .settings import BackupSettings

Spec = dict[str, Any]
Params = Mapping[str, Any]

_STOPPING = (signal.SIGINT, signal.SIGTERM)

VAULT_SPEC: Spec = {"vault": {"type": "path"}}
PROJECT_SPEC: Spec = {"project": {"type": "path"}, "search_from": {"type": "path"}}
RUN_SPEC: Spec = {"lock_wait_seconds": {"type": "float", "default": 0}, "progress_file": {"type": "path"}}
PATTERNS: Spec = {"type": "list", "elements": "str"}


def snapshot_spec() -> Spec:
    """Options of the module C(snapshot)."""
    return {
        "exclude": PATTERNS,
        "critical": PATTERNS,
        "logs": PATTERNS,
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
        "critical": PATTERNS,
        "exclude": PATTERNS,
        **PROJECT_SPEC,
        **VAULT_SPEC,
    }


def vault_of(params: Params) -> str:
    """The vault that was asked for, or the default one of the user who runs the module."""
    return str(params["vault"] or default_vault())


def project_of(params: Params) -> Optional[str]:
    """The project whose newest backup is meant; None where that does not matter.

    :raises VaultError: when the vault cannot be read
    """
    return project_meant(vault_of(params), project=params["project"], search_from=params["search_from"])


def snapshot_settings(params: Params) -> BackupSettings:
    """What C(snapshot) is asked to do; what was left out is the engine's default.

    :raises CoraError: when it cannot be
    """
    return BackupSettings(
        project=project_to_save_of(params),
        vault=vault_of(params),
        seal=params["seal"] or default_seal(),
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
        **given(params, *_PATTERN_NAMES, "log_cap_bytes", "large_file_bytes", "paranoid", *_BUDGET_NAMES),
    )


def protect_settings(params: Params) -> BackupSettings:
    """What C(protect) is asked to do.

    :raises CoraError: when it cannot be
    """
    return BackupSettings(
        project=project_to_save_of(params), vault=vault_of(params), **given(params, "critical", "exclude")
    )


_PATTERN_NAMES = ("exclude", "critical", "logs")
_BUDGET_NAMES = ("keep_checkpoints_bytes", "keep_checkpoints_percent")


def project_to_save_of(params: Params) -> str:
    """The project to be saved.

    :raises CoraError: when none is named, and none is around the directory one stands in
    """
    return str(params["project"] or project_to_save(vault_of(params), params["search_from"]))


def given(params: Params, *names: str) -> dict[str, Any]:
    """Those of these parameters that were not left out, as the engine takes them."""
    values = {name: params[name] for name in names if params.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


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
    _stop_no_more()
    _warn(module, result)
    module.exit_json(summary=summary, **{"changed": False, **result})


def fail(module: Any, result: dict[str, Any], summary: list[str], error: str) -> None:
    """End a module that has a result, and that result is bad."""
    _stop_no_more()
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
    _stop_no_more()
    raise KeyboardInterrupt


def _stop_no_more() -> None:
    """From now on there is nothing to stop: all is done but for saying so."""
    for each in _STOPPING:
        # not SIG_IGN, which services started from now on would inherit
        signal.signal(each, _stop_already)


def _stop_already(_number: int, _frame: Optional[FrameType]) -> None:
    pass
