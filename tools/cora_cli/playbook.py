# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a playbook through ansible-runner, and getting the result of its module back."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ROOT
from .context import Context
from .errors import FAILED, INTERRUPTED, TERMINATED, CommandError
from .interrupts import Interrupts
from .progress import Progress
from .run_directory import keep_run_directory, make_run_directory, remove_run_directory
from .variables import Value, literal_yaml

#: What of a module's result is Ansible's business.
_INTERNAL = ("invocation", "summary", "exception", "failed", "deprecations")
#: What Ansible adds to every result that has a path.
_PATH_FACTS = ("uid", "gid", "owner", "group", "mode", "state", "size", "secontext")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE)
_SECRET_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_PATH_NAME = re.compile(r"_(FILE|PATH|DIR)$", re.IGNORECASE)


@dataclass
class _Heard:
    """What the events of a run said.

    :param action: full name of the module whose result is wanted
    """

    action: str
    verbose: bool
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    texts: list[str] = field(default_factory=list)

    def event(self, event: Mapping[str, Any]) -> bool:
        data = event.get("event_data", {})
        kind = event.get("event")
        if kind == "runner_on_ok" and self.action in (data.get("resolved_action"), data.get("task_action")):
            self.result = data["res"]
        elif kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            self.failure = self.failure or data["res"]
        text = event.get("stdout") or ""
        if text:
            self.texts.append(text)
            if self.verbose:
                print(text, file=sys.stderr, flush=True)
        return True


def run_playbook(context: Context, name: str, action: str, variables: Mapping[str, Value]) -> dict[str, Any]:
    """Run C(playbooks/<name>.yml) on this machine.

    :param action: full name of the module whose result is wanted
    :param variables: taken literally; they win over C(-e)
    :returns: the result of that module
    :raises CommandError: when it failed
    """
    directory = make_run_directory()
    heard = _Heard(action, bool(context.verbose))
    succeeded = False
    try:
        progress_file = directory / "progress.jsonl"
        progress_file.touch()
        own = {"cora_hosts": "localhost", "cora_progress_file": str(progress_file), **variables}
        if "cora_hosts" in context.extra_vars:
            del own["cora_hosts"]
        with Interrupts() as interrupts, Progress(progress_file, quiet=context.output.as_json):
            status = _run(context, directory, name, own, heard, interrupts)
            interrupts.wait()
        if interrupts.signal is not None and (status != 0 or heard.result is None):
            raise _interrupted(interrupts)
        if status != 0 or heard.result is None:
            raise _failed(heard, status, directory)
        succeeded = True
    finally:
        (remove_run_directory if succeeded or not directory.exists() else keep_run_directory)(directory)
    return _own_part(heard.result)


def _own_part(result: Mapping[str, Any]) -> dict[str, Any]:
    """A module's result without what Ansible adds; its warnings are there even when there are none."""
    own = {name: value for name, value in result.items() if name not in _INTERNAL and not name.startswith("_ansible")}
    if "path" in own:
        own = {name: value for name, value in own.items() if name not in _PATH_FACTS}
    own["warnings"] = [str(warning) for warning in own.get("warnings", ())]
    return own


def _run(
    context: Context, directory: Path, name: str, own: Mapping[str, Value], heard: _Heard, interrupts: Interrupts
) -> int:
    import ansible_runner.interface

    words = []
    if context.extra_vars:
        words += ["-e", f"@{_write_given(directory, context.extra_vars)}"]
    words += ["-e", f"@{_write_own(directory, own)}"]
    if context.verbose > 1:
        words.append("-" + "v" * (context.verbose - 1))
    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(directory),
        project_dir=str(ROOT),
        ident="run",
        playbook=str(ROOT / "playbooks" / f"{name}.yml"),
        inventory=str(ROOT / "inventory"),
        cmdline=shlex.join(words),
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": _path_with_ansible()},
        settings={"suppress_ansible_output": True, "pexpect_timeout": 1},
        quiet=True,
        event_handler=heard.event,
        cancel_callback=interrupts.must_kill,
    )
    runner.config.env = {key: value for key, value in runner.config.env.items() if not _is_secret(key, value)}
    if interrupts.signal is not None:
        return FAILED
    runner.run()
    return int(runner.rc)


def _path_with_ansible() -> str:
    # the command runs in an environment of its own, which the person has not activated
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _is_secret(name: str, value: str) -> bool:
    # ansible-runner writes the environment into its artifacts
    return (bool(_SECRET_NAME.search(name)) and not _PATH_NAME.search(name)) or bool(_SECRET_URL.search(value))


def _write_given(directory: Path, variables: Mapping[str, Any]) -> Path:
    import json

    return _write(directory / "env" / "given.json", json.dumps(variables, default=str))


def _write_own(directory: Path, variables: Mapping[str, Value]) -> Path:
    return _write(directory / "env" / "own.yml", literal_yaml(variables))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _interrupted(interrupts: Interrupts) -> CommandError:
    code = INTERRUPTED if interrupts.signal == signal.SIGINT else TERMINATED
    message = "Killed. The next run puts away what this one had begun." if interrupts.killed else "Interrupted."
    return CommandError(message, error="Interrupted", code=code)


def _failed(heard: _Heard, status: int, directory: Path) -> CommandError:
    log = str(directory)
    if heard.failure is None:
        message = _last_words(heard.texts) or f"ansible-playbook ended with {status}."
        return CommandError(
            f"{message}\nThe log of the run: {log}", error="PlaybookError", details={"log": log}, code=FAILED
        )
    failure = heard.failure
    error = str(failure.get("error") or "PlaybookError")
    details = {
        key: value
        for key, value in failure.items()
        if key not in (*_INTERNAL, "msg", "error", "changed") and not key.startswith("_ansible")
    }
    message = _tidy(str(failure.get("msg") or failure.get("stderr") or "A task failed."))
    if "error" not in failure:
        message += f"\nThe log of the run: {log}"
    return CommandError(message, error=error, details={**details, "log": log})


def _tidy(message: str) -> str:
    return re.sub(r"^(Task failed: |Action failed: )+", "", message)


def _last_words(texts: list[str]) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts))
    found = re.search(r"^(?:\[?ERROR\]?!?:?)\s*(.+)", plain, re.MULTILINE)
    return found.group(1) if found else ""
