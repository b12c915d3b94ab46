# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that restore, undo or start services share."""

from __future__ import annotations

from typing import Optional

from . import catalog
from .argspec import PROJECT_SPEC, RUN_SPEC, VAULT_SPEC, Params, Spec, project_of, vault_of
from .argspec_offsite import OFFSITE_SPEC, offsite_if_any
from .errors import SettingsError
from .names import printable
from .offsite_which import project_offsite
from .project_restored import project_to_undo
from .restore_source import resolve_anywhere
from .settings import SCENARIOS, SERVICE_KINDS, RestoreRequest, Service

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


def project_undone(params: Params) -> Optional[str]:
    """The project whose last restore is meant; None where that does not matter.

    :raises CoraError: when several could be meant
    """
    return project_to_undo(vault_of(params), project=params["project"], search_from=params["search_from"])


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
