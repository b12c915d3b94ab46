# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that the command runs itself: its result, and that there is always either one or a sentence."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cora_cli import ROOT, interrupts, module_process, playbook
from cora_cli.context import Context
from cora_cli.errors import FAILED, INTERRUPTED, CommandError
from cora_cli.events import Events
from cora_cli.interrupts import Interrupts
from cora_cli.module_process import run_module
from cora_cli.output import Output
from cora_cli.plain_playbook import ModuleCall

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a module that consists of these statements."""
    modules = tmp_path / "collection/plugins/modules"
    modules.mkdir(parents=True)
    (tmp_path / "collection/playbooks").mkdir()
    shutil.copytree(ROOT / "plugins/plugin_utils", tmp_path / "collection/plugins/plugin_utils")
    monkeypatch.setattr(module_process, "ROOT", tmp_path / "collection")

    def run_it(body: str, *, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        text = "import json, os, signal, sys\ndef main():\n"
        (modules / "made_up.py").write_text(text + "".join(f"    {line}\n" for line in body.splitlines()))
        call = ModuleCall("made_up", arguments, check_mode)
        directory = tmp_path / "run"
        directory.mkdir(exist_ok=True)
        with Interrupts() as interrupts:
            return run_module(call, directory, {**os.environ, "ONLY_HERE": "1"}, interrupts)

    return run_it


def test_arguments_go_in_and_a_result_comes_out(run: Run) -> None:
    result = run(
        "print(json.dumps({'given': json.load(sys.stdin)['ANSIBLE_MODULE_ARGS'], 'argv': sys.argv,\n"
        "  'there': os.environ['ONLY_HERE'], 'session': os.getsid(0) == os.getpid(), 'umask': os.umask(0)}))",
        check_mode=True,
        path="/a\udcff b",
    )
    assert result["given"] == {"path": "/a\udcff b", "_ansible_check_mode": True}
    assert (result["argv"], result["there"], result["session"]) == (["-c"], "1", True)


def test_the_directory_of_the_person_is_not_imported_from(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('somebody else')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run("print(json.dumps({'changed': False}))") == {"changed": False, "warnings": []}


def test_what_is_printed_before_the_result_is_no_part_of_it(run: Run) -> None:
    assert run("print('{broken')\nprint('\\n{\"changed\": true}')\nprint('bye')") == {
        "changed": True,
        "warnings": [],
    }


def test_a_failure_is_a_result(run: Run) -> None:
    assert run('print(\'{"failed": true, "msg": "no"}\')\nsys.exit(1)') == {"failed": True, "msg": "no", "warnings": []}
    assert run("raise ValueError('seven')")["msg"] == "Module failed: seven"


@pytest.mark.parametrize(
    "ending", ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGTERM)", "raise KeyboardInterrupt", "os._exit(120)"]
)
def test_a_result_counts_however_the_process_ended_after_it(ending: str, run: Run) -> None:
    """Its work was done: "interrupted" would be a lie."""
    assert run(f"print('{{\"changed\": true}}', flush=True)\n{ending}") == {"changed": True, "warnings": []}


def test_a_log_of_a_failure_does_not_say_what_was_asked(run: Run, tmp_path: Path) -> None:
    run('print(\'{"failed": true, "msg": "no", "invocation": {"module_args": {"x": "hunter2"}}}\')')
    kept = (tmp_path / "run/stdout").read_text()
    assert "no" in kept and "hunter2" not in kept


def test_a_successful_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    run("print('{}')")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_directory_that_is_gone_loses_no_result(run: Run, tmp_path: Path) -> None:
    """A restore moved it away."""
    assert run(f"os.rmdir({str(tmp_path / 'run')!r})\nprint('{{\"changed\": true}}')")["changed"]
    assert run(f"os.rmdir({str(tmp_path / 'run')!r})\nprint('{{\"failed\": true}}')")["failed"]


def test_what_a_module_starts_may_outlive_it(run: Run, tmp_path: Path) -> None:
    """A service that keeps its output open is not waited for."""
    result = run("import subprocess\nprint(json.dumps({'pid': subprocess.Popen(['sleep', '300']).pid}))")
    os.kill(result["pid"], signal.SIGKILL)


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9"),
        ("sys.exit('out of luck')", "ended with 1 and left no result.\nout of luck"),
        ("print('{\"half\": ')", "ended with 0"),
        ("pass", "ended with 0"),
    ],
)
def test_no_result_is_a_sentence(body: str, how: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=how) as caught:
        run(body)
    assert caught.value.details == {"log": str(tmp_path / "run")}


def test_a_signal_from_before_there_was_a_process_stops_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the news it would wait for its five minutes."""
    asked = Interrupts.must_kill

    def as_if_before(self: Interrupts) -> bool:
        self.signal = 2
        return asked(self)

    monkeypatch.setattr(Interrupts, "must_kill", as_if_before)
    with pytest.raises(CommandError, match="left no result"):
        run("signal.sigtimedwait([], 300)")


# --- stopped at a moment when it is done, or not begun


class StoppedPlaybook:
    """Stands in for a run of Ansible that a signal met; a SIGINT has come when it ends.

    :param result: of its module, where that was done by then
    """

    def __init__(self, result: dict[str, Any] | None) -> None:
        self._result = result

    def run(
        self, _context: Context, _directory: Path, _name: str, _own: str, events: Events, signals: Interrupts
    ) -> int:
        signals.signal = 2
        if self._result is not None:
            events.hear_result("cora.backup.snapshot", self._result, failed=False)
        return FAILED


def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, result: dict[str, Any] | None) -> dict[str, Any]:
    monkeypatch.setenv("CORA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(playbook, "_run_ansible", StoppedPlaybook(result).run)
    variables = {"cora_project": "/srv/app", "cora_vault": "/vault"}
    return playbook.run_playbook(Context(Output(as_json=True)), "backup", "cora.backup.snapshot", variables)


def test_who_stops_a_run_that_has_done_its_work_is_told_of_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert stopped(monkeypatch, tmp_path, {"id": "20261124-033000-4f6dfed"})["id"] == "20261124-033000-4f6dfed"
    assert list((tmp_path / "runs").iterdir()) == []


def test_who_stops_a_run_before_that_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Interrupted") as caught:
        stopped(monkeypatch, tmp_path, None)
    assert caught.value.code == INTERRUPTED


def test_the_second_of_two_signals_from_before_there_was_a_process_kills_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_if_before(self: Interrupts) -> bool:
        self.signal, self.killed = signal.SIGINT, True
        return True

    monkeypatch.setattr(Interrupts, "must_kill", as_if_before)
    with pytest.raises(CommandError, match="killed by signal 9"):
        run("signal.sigtimedwait([], 300)")


def test_whoever_lost_the_terminal_still_passes_the_signal_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    waiting = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with Interrupts() as signals:
        monkeypatch.setattr(sys, "stderr", Gone())
        os.kill(os.getpid(), signal.SIGHUP)
        assert waiting.wait(timeout=60) == -signal.SIGINT
        assert signals.signal == signal.SIGHUP


def test_a_process_that_ends_while_it_is_told_to_stop_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was for ever: a process that has ended has no time at which it was started, then and later."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(interrupts, "_descendants", lambda _process: [ended.pid])
    with Interrupts() as signals:
        signals.signal = signal.SIGINT
        assert not signals.must_kill()
        waiting = threading.Thread(target=signals.wait, daemon=True)
        waiting.start()
        waiting.join(timeout=20)
        assert not waiting.is_alive()
