# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that the command runs itself: its result, and that there is always either one or a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cora_cli import interrupts, module_process, playbook
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
    assert run("print('{\"changed\": true}')\nsys.exit(3)") == {"changed": True, "failed": True, "warnings": []}
    assert run("raise ValueError('seven')")["msg"] == "Module failed: seven"


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
