# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a playbook, through ansible-runner or without, and getting the result of its module back."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import ROOT
from .context import Context
from .errors import DONE, FAILED, INTERRUPTED, TERMINATED, CommandError
from .events import Events
from .interrupts import Interrupts
from .module_process import run_module
from .plain_playbook import ModuleCall
from .plain_run import without_ansible
from .progress import Progress
from .run_directory import keep_run_directory, make_run_directory, remove_run_directory
from .run_environment import added_variables, inventory_of_run, without_secrets
from .unknown_settings import warn_of_unknown_settings
from .variables import Value, literal_yaml


def run_playbook(context: Context, name: str, action: str, variables: Mapping[str, Value]) -> dict[str, Any]:
    """Run C(playbooks/<name>.yml) on this machine.

    :param action: full name of the module whose result is wanted
    :param variables: taken literally; they win over C(-e)
    :returns: the result of that module
    :raises CommandError: when it failed
    """
    warn_of_unknown_settings(context)
    directory = make_run_directory()
    put_away = keep_run_directory
    try:
        result = _run(context, directory, name, Events(action, bool(context.verbose)), variables)
        put_away = remove_run_directory
    finally:
        put_away(directory)
    return result


def _run(
    context: Context, directory: Path, name: str, events: Events, variables: Mapping[str, Value]
) -> dict[str, Any]:
    progress_file = directory / "progress.jsonl"
    progress_file.touch()
    own: dict[str, Value] = {**variables, "cora_progress_file": str(progress_file)}
    if "cora_hosts" not in context.extra_vars:
        own["cora_hosts"] = "localhost"  # the command is about this machine, whatever else the inventory knows
    written = literal_yaml(own)
    call = without_ansible(context, ROOT / "playbooks" / f"{name}.yml", own)
    with Interrupts() as interrupts, Progress(progress_file, quiet=context.output.as_json):
        if call is None:
            status = _run_ansible(context, directory, name, written, events, interrupts)
        else:
            status = _run_module(call, directory, events, interrupts)
        interrupts.wait()
    # whoever stops Ansible just after its module has done the work is told of that
    if events.result is not None and (status == DONE or interrupts.signal is not None):
        return events.own_result()
    raise events.error(status, directory) if interrupts.signal is None else _interrupted(interrupts)


def _run_module(call: ModuleCall, directory: Path, events: Events, interrupts: Interrupts) -> int:
    environment = without_secrets({**os.environ, **added_variables(directory)})
    try:
        result = run_module(call, directory, environment, interrupts)
    except CommandError:
        if interrupts.signal is None:
            raise
        return FAILED  # it left no result because it was told to stop
    failed = bool(result.get("failed"))
    events.hear_result(f"cora.backup.{call.module}", result, failed=failed)
    return FAILED if failed else DONE


def _run_ansible(context: Context, directory: Path, name: str, own: str, events: Events, interrupts: Interrupts) -> int:
    import ansible_runner.interface

    given = {**context.inventory.installed, **context.extra_vars}
    words = ["-e", f"@{_write(directory / 'env/given.json', json.dumps(given, default=str))}"]
    words += ["-e", f"@{_write(directory / 'env/own.yml', own)}"]
    if context.verbose > 1:
        words.append("-" + "v" * (context.verbose - 1))
    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(directory),
        project_dir=str(ROOT),
        ident="run",
        playbook=str(ROOT / "playbooks" / f"{name}.yml"),
        inventory=str(inventory_of_run(directory)),
        cmdline=shlex.join(words),
        envvars=added_variables(directory),
        settings={"suppress_ansible_output": True, "pexpect_timeout": 1},
        quiet=True,
        event_handler=events.hear,
        cancel_callback=interrupts.must_kill,
    )
    runner.config.env = without_secrets(runner.config.env)
    if interrupts.signal is not None:
        return FAILED
    close_ended_terminals_at_once()
    runner.run()
    return FAILED if runner.rc is None else int(runner.rc)  # None: it was stopped before it had begun


def close_ended_terminals_at_once() -> None:
    """Spare each run the tenth of a second in which a closed terminal waits for the news that its process has ended.

    ansible-runner closes it when it has that news.
    """
    from ptyprocess import PtyProcess

    PtyProcess.delayafterclose = property(
        lambda terminal: 0.0 if terminal.terminated else 0.1,
        lambda _terminal, _seconds: None,  # each sets its own
    )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _interrupted(interrupts: Interrupts) -> CommandError:
    code = INTERRUPTED if interrupts.signal == signal.SIGINT else TERMINATED
    message = "Killed. The next run puts away what this one had begun." if interrupts.killed else "Interrupted."
    return CommandError(message, error="Interrupted", code=code)
