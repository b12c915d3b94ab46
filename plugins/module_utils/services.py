# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop what runs on a project, start it again, and see that it is well.

Only what was running is stopped, and only what was stopped is started: a service that a person has stopped stays so.
Commands have no state to ask for, so both of theirs always run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from .errors import ProgramError, ServiceError
from .names import printable
from .pm2 import Pm2
from .programs import Completed, last_words, redact, run
from .service_account import Account
from .settings import Service

_STOP_SECONDS = 120.0
_START_SECONDS = 120.0
_HEALTH_ATTEMPT_SECONDS = 30.0
_HEALTH_PAUSE_SECONDS = 0.5
_OUTPUT_LIMIT = 500

_RUNNING_STATES = ("active", "activating", "reloading", "refreshing")


class ServiceControl:
    """The services of one restore, stopped in the given order and started in the reverse one.

    Stopping and starting can be repeated, as a restore that takes itself back does: whatever ran in the beginning is
    owed a start until one succeeds.

    :param health_command: argv that exits with 0 when all is well; empty: nobody is asked
    :param health_timeout_seconds: how long it may take until it does
    """

    def __init__(
        self,
        services: Sequence[Service],
        health_command: Sequence[str] = (),
        health_timeout_seconds: float = 30.0,
    ) -> None:
        self._services = tuple(services)
        self._health_command = tuple(health_command)
        self._health_timeout_seconds = health_timeout_seconds
        self._owed: set[int] = set()  # positions of those that were stopped and not yet started
        self._half_started: set[int] = set()  # those of them whose start was tried, and failed

    @property
    def stopped(self) -> tuple[Service, ...]:
        """What was stopped and :meth:`start_all` would start, in the order of stopping."""
        return tuple(self._services[position] for position in sorted(self._owed))

    def stop_all(self) -> list[str]:
        """Stop what runs; a sentence for each service.

        :raises ServiceError: one did not stop; those that had to be stopped have been started again
        """
        done = []
        for position, service in enumerate(self._services):
            try:
                done.append(f"{label(service)}: {self._stop(position, service)}")
            except (ProgramError, ServiceError) as exc:
                raise self._give_up(service, exc) from exc
        return done

    def start_all(self) -> list[str]:
        """Start what was stopped, the last one first; a sentence for each service.

        Every one of them is tried, whatever happens to the others.

        :raises ServiceError: some did not start; the message names them
        """
        done, failed = [], []
        for position in sorted(self._owed, reverse=True):
            service = self._services[position]
            try:
                _start(service)
            except (ProgramError, ServiceError) as exc:
                self._half_started.add(position)
                failed.append(f"{label(service)}: {exc}")
            else:
                self._owed.discard(position)
                self._half_started.discard(position)
                done.append(f"{label(service)}: started")
        if failed:
            raise ServiceError("Not everything could be started again. Start it by hand: " + " / ".join(failed))
        return done

    def check_health(self) -> None:
        """Run the health command until it exits with 0.

        :raises ServiceError: it did not in time; the message has what it said last
        """
        if not self._health_command:
            return
        deadline = time.monotonic() + self._health_timeout_seconds
        while True:
            said = self._ask_health(deadline)
            if said is None:
                return
            if time.monotonic() + _HEALTH_PAUSE_SECONDS >= deadline:
                break
            time.sleep(_HEALTH_PAUSE_SECONDS)
        command = printable(redact(" ".join(self._health_command)))
        raise ServiceError(
            f"The project is not healthy after {self._health_timeout_seconds:g} s: `{command}` still fails: {said}"
        )

    def _ask_health(self, deadline: float) -> str | None:
        """None when all is well, else what the command said."""
        left = min(_HEALTH_ATTEMPT_SECONDS, max(1.0, deadline - time.monotonic()))
        try:
            done = run(self._health_command, cwd="/", timeout_seconds=left, check=False, outlived=True)
        except ProgramError as exc:
            return str(exc)
        return None if done.returncode == 0 else _last_words(done)

    def _stop(self, position: int, service: Service) -> str:
        if service.kind == "command":
            if position in self._owed and position not in self._half_started:
                return "is stopped already"
            try:
                _command(service, service.stop or (), _STOP_SECONDS)
            except (ProgramError, ServiceError):
                if position not in self._half_started:
                    raise
                # It did not start, so there may be nothing to stop.
        elif _is_running(service):
            self._owed.add(position)  # also when stopping fails half-way: it ran, so it has to run again
            _stop_running(service)
        else:
            return "is stopped already" if position in self._owed else "was not running, and stays so"
        self._owed.add(position)
        self._half_started.discard(position)
        return "stopped"

    def _give_up(self, service: Service, reason: Exception) -> ServiceError:
        message = f"{label(service)} could not be stopped, so nothing was restored: {reason}"
        try:
            self.start_all()
        except ServiceError as exc:
            message += f" {exc}"
        return ServiceError(message)


def label(service: Service) -> str:
    """How a message names a service."""
    name = service.name or " ".join(service.stop or ())
    owner = f" of {service.user}" if service.user else ""
    return f"{service.kind} {printable(redact(name))}{owner}"


def _is_running(service: Service) -> bool:
    if service.kind == "pm2":
        return _pm2(service).is_running(service.name or "")
    return unit_state(service) in _RUNNING_STATES


def _stop_running(service: Service) -> None:
    if service.kind == "pm2":
        _pm2(service).stop(service.name or "", timeout_seconds=_STOP_SECONDS)
        return
    run(["systemctl", "stop", "--", service.name or ""], cwd="/", timeout_seconds=_STOP_SECONDS)
    state = unit_state(service)
    if state in _RUNNING_STATES:
        raise ServiceError(
            f"systemd says it is {state} after `systemctl stop`: a socket, path or timer unit may start it again; "
            "list that unit too, before it."
        )


def _start(service: Service) -> None:
    if service.kind == "command":
        _command(service, service.start or (), _START_SECONDS)
    elif service.kind == "pm2":
        _pm2(service).start(service.name or "", timeout_seconds=_START_SECONDS)
    else:
        # Something may have woken it up meanwhile: then it has old files open, and starting alone would change nothing.
        verb = "restart" if unit_state(service) in _RUNNING_STATES else "start"
        run(["systemctl", verb, "--", service.name or ""], cwd="/", timeout_seconds=_START_SECONDS)
        state = unit_state(service)
        if state not in _RUNNING_STATES and not _is_oneshot(service):
            raise ServiceError(f"systemd says it is {state}: see `journalctl -u {printable(service.name or '')}`.")


def unit_state(service: Service) -> str:
    """systemd's ActiveState.

    :raises ServiceError: there is no such unit
    """
    found = _unit_properties(service, "LoadState", "ActiveState")
    if found.get("LoadState") in ("not-found", "bad-setting", "error", "masked"):
        raise ServiceError(
            f"systemd says the unit is {found['LoadState']}: check its name with `systemctl list-units`."
        )
    return found.get("ActiveState", "unknown")


def _is_oneshot(service: Service) -> bool:
    return _unit_properties(service, "Type").get("Type") == "oneshot"


def _unit_properties(service: Service, *names: str) -> dict[str, str]:
    argv = ["systemctl", "show", f"--property={','.join(names)}", "--", service.name or ""]
    lines = run(argv, cwd="/", timeout_seconds=30.0).stdout.decode("utf-8", "replace").splitlines()
    return {key: value for key, _equals, value in (line.partition("=") for line in lines)}


def _pm2(service: Service) -> Pm2:
    return Pm2(Account.named(service.user))


def _command(service: Service, argv: Sequence[str], timeout_seconds: float) -> None:
    account = Account.named(service.user)
    done = account.run(argv, timeout_seconds=timeout_seconds, check=False, outlived=True)
    if done.returncode != 0:
        command = printable(redact(" ".join(argv)))
        raise ServiceError(f"`{command}` ended with exit status {done.returncode}: {_last_words(done)}")


def _last_words(done: Completed) -> str:
    text = last_words(done.stdout + b"\n" + done.stderr, _OUTPUT_LIMIT)
    words = printable(" / ".join(line.strip() for line in text.splitlines() if line.strip()))
    return words or f"exit status {done.returncode}, and not a word"
