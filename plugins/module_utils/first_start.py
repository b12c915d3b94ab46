# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts what runs on a project where nothing of it has ever run: on the machine that takes the place of a dead one.

A restore starts again what it has stopped, and knows it from there. Here nothing is known yet: pm2 is given the
project's C(ecosystem.config.js), and systemd is told to start a unit at boot too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .errors import CoraError, ProgramError, ServiceError
from .pm2 import Pm2
from .programs import run
from .service_account import Account
from .services import ServiceControl, label, unit_state
from .settings import Service

_ECOSYSTEM = tuple(f"ecosystem.config.{end}" for end in ("js", "cjs", "mjs", "json", "yml", "yaml"))
_START_SECONDS = 120.0


def start_services(
    project: str,
    services: Sequence[Service],
    *,
    health_command: Sequence[str] = (),
    health_timeout_seconds: float = 30.0,
    check: bool = False,
) -> dict[str, Any]:
    """Start what does not run, in the reverse order, and see that all is well.

    :raises ServiceError: something did not start, or the health command fails; the message names what
    """
    done, failed = [], []
    changed = False
    for service in reversed(services):
        try:
            started = _start(project, service, check=check)
        except (ProgramError, ServiceError) as error:
            failed.append(f"{label(service)}: {error}")
            continue
        changed = changed or started
        done.append(f"{label(service)}: {'started' if started else 'runs'}")
    if failed:
        raise ServiceError("Not everything could be started: " + " / ".join(failed))
    if not check:
        ServiceControl((), health_command, health_timeout_seconds).check_health()
    return {"changed": changed, "services": done}


def _start(project: str, service: Service, *, check: bool) -> bool:
    """Whether it had to be started."""
    if service.kind == "pm2":
        return _start_pm2(project, service, check=check)
    if service.kind == "systemd":
        return _start_unit(service, check=check)
    if not check:
        run(list(service.start or ()), cwd="/", timeout_seconds=_START_SECONDS, outlived=True)
    return True


def _start_pm2(project: str, service: Service, *, check: bool) -> bool:
    pm2 = Pm2(Account.named(service.user))
    name = service.name or ""
    is_known = pm2.knows(name)
    if is_known and pm2.is_running(name):
        return False
    if check:
        return True
    if is_known:
        pm2.start(name, timeout_seconds=_START_SECONDS)
    else:
        pm2.start_new(name, _ecosystem(project), timeout_seconds=_START_SECONDS)
    pm2.save()
    return True


def _ecosystem(project: str) -> str:
    for name in _ECOSYSTEM:
        path = os.path.join(project, name)
        if os.path.isfile(path):
            return path
    raise ServiceError(
        f"There is no ecosystem.config.js in {project}, so how to start it is not known: start it by hand "
        "(pm2 start ...; pm2 save), then run this again."
    )


def _start_unit(service: Service, *, check: bool) -> bool:
    name = service.name or ""
    run(["systemctl", "daemon-reload"], cwd="/")
    try:
        if unit_state(service) == "active":
            return False
    except CoraError as error:
        raise ServiceError(f"{error} A unit file is no part of the project: install it, then run this again.") from None
    if not check:
        run(["systemctl", "enable", "--now", "--", name], cwd="/", timeout_seconds=_START_SECONDS)
    return True
