# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pm2, the process manager of Node.js: each account has a daemon of its own, reached by C(pm2) run as that account."""

from __future__ import annotations

import glob
import json
import os
import time
from typing import Any

from .errors import ProgramError, ServiceError
from .names import printable
from .programs import SYSTEM_PATH, find_program
from .service_account import Account
from .small_files import read_regular

_LIST_SECONDS = 30.0
_POLL_SECONDS = 0.2
_STEADY_SECONDS = 1.0

#: In these states pm2 runs a process, or will run it in a moment.
_RUNNING = frozenset({"online", "launching", "waiting restart", "stopping", "one-launch-status"})

#: Where people install pm2 in their home directories.
_HOME_PLACES = (
    ".nvm/versions/node/*/bin",
    ".local/share/fnm/node-versions/*/installation/bin",
    ".volta/bin",
    ".npm-global/bin",
    ".local/bin",
    "n/bin",
)


class Pm2:
    """The pm2 of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._home = os.path.join(account.home, ".pm2")

    def is_running(self, name: str) -> bool:
        """Whether a process of this name runs; asks pm2 only when its daemon does, because asking would start one.

        :raises ServiceError: pm2 does not know the name
        :raises ProgramError: pm2 is missing or fails
        """
        if self._daemon() is None:
            return False
        return any(state in _RUNNING for state in self._states(name))

    def stop(self, name: str, *, timeout_seconds: float) -> None:
        """Stop every process of this name.

        :raises ServiceError: it did not stop in time
        """
        self._call("stop", name, timeout_seconds=timeout_seconds)
        deadline = time.monotonic() + timeout_seconds
        while any(state in _RUNNING for state in self._states(name)):
            if time.monotonic() >= deadline:
                raise ServiceError(f"pm2 still runs it {timeout_seconds:g} s after `pm2 stop {printable(name)}`.")
            time.sleep(_POLL_SECONDS)

    def start(self, name: str, *, timeout_seconds: float) -> None:
        """Start every process of this name, and see that none falls over at once.

        C(pm2 restart) takes a name only; C(pm2 start) would take a file of that name for a new program.

        :raises ServiceError: it is not online
        """
        self._call("restart", name, timeout_seconds=timeout_seconds)
        self._see_it_online(name, timeout_seconds)

    def _see_it_online(self, name: str, timeout_seconds: float) -> None:
        steady_since: float | None = None
        deadline = time.monotonic() + timeout_seconds
        while True:
            states = self._states(name)
            now = time.monotonic()
            if any(state == "errored" for state in states) or now >= deadline:
                said = ", ".join(sorted(set(states)))
                raise ServiceError(f"pm2 says it is {said}: see {self._account.name}'s `pm2 logs {printable(name)}`.")
            if all(state == "online" for state in states):
                steady_since = now if steady_since is None else steady_since
                if now - steady_since >= _STEADY_SECONDS:
                    return
            else:
                steady_since = None
            time.sleep(_POLL_SECONDS)

    def knows(self, name: str) -> bool:
        """Whether a process of this name is on its list; starts its daemon where it does not run.

        :raises ProgramError: pm2 is missing or fails
        """
        return any(other == name for other, _state in self._list())

    def start_new(self, name: str, ecosystem: str, *, timeout_seconds: float) -> None:
        """Start a process that is not on its list yet, as the project's file describes it.

        :raises ServiceError: the file does not name it, or it does not come online
        """
        directory = os.path.dirname(ecosystem)
        self._call("start", ecosystem, "--only", name, timeout_seconds=timeout_seconds, cwd=directory)
        if not self.knows(name):
            raise ServiceError(f"{printable(ecosystem)} has no app of the name {printable(name)}.")
        self._see_it_online(name, timeout_seconds)

    def save(self) -> None:
        """Have pm2 remember what runs, for C(pm2 resurrect) and for the start of the machine."""
        self._call("save", "--force", timeout_seconds=_LIST_SECONDS)

    def _states(self, name: str) -> list[str]:
        known = self._list()
        states = [state for other, state in known if other == name]
        if not states:
            names = ", ".join(sorted({printable(other) for other, _state in known})) or "none"
            raise ServiceError(
                f"The pm2 of {self._account.name} has no process {printable(name)}; the ones it has: {names}."
            )
        return states

    def _list(self) -> list[tuple[str, str]]:
        """Name and state of each process."""
        output = self._call("jlist", timeout_seconds=_LIST_SECONDS)
        # Notices of pm2 (that it is out of date, say) may stand before the list.
        for line in output.splitlines():
            if line.startswith("["):
                try:
                    return [_name_and_state(entry) for entry in json.loads(line)]
                except (ValueError, TypeError, AttributeError):
                    continue
        raise ServiceError(f"`pm2 jlist` of {self._account.name} gave no list: run it by hand to see what is wrong.")

    def _call(self, *arguments: str, timeout_seconds: float, cwd: str = "/") -> str:
        path = self._path()
        program = find_program("pm2", path)
        if program is None:
            raise ProgramError(
                f"pm2 was not found for {self._account.name}: install it with `npm install -g pm2`.",
                argv=("pm2", *arguments),
                returncode=127,
            )
        env = {"PATH": path, "PM2_HOME": self._home, "NO_COLOR": "1"}
        argv = [program, "--silent", *arguments] if arguments[0] != "jlist" else [program, *arguments]
        done = self._account.run(argv, env=env, cwd=cwd, timeout_seconds=timeout_seconds, outlived=True)
        return done.stdout.decode("utf-8", "replace")

    def _path(self) -> str:
        """Where to look: what the daemon itself runs on comes first. All of it is run as the account, never as root."""
        places = []
        daemon = self._daemon()
        if daemon is not None:
            try:
                places.append(os.path.dirname(os.readlink(f"/proc/{daemon}/exe")))
            except OSError:
                pass  # it ended just now
        places += SYSTEM_PATH.split(":")
        for pattern in _HOME_PLACES:
            places += sorted(glob.glob(os.path.join(glob.escape(self._account.home), pattern)), reverse=True)
        return ":".join(dict.fromkeys(place for place in places if ":" not in place))

    def _daemon(self) -> int | None:
        """Process id of the account's daemon; None when it does not run."""
        try:
            pid = int(read_regular(os.path.join(self._home, "pm2.pid"), limit_bytes=32))
            owner = os.stat(f"/proc/{pid}").st_uid
        except (OSError, ValueError):
            return None
        return pid if owner == self._account.uid else None


def _name_and_state(entry: Any) -> tuple[str, str]:
    return str(entry.get("name")), str(entry.get("pm2_env", {}).get("status"))
