# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module as Ansible runs it on this machine: a process of its own, arguments in, one JSON document out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import ROOT
from .errors import CommandError
from .interrupts import Interrupts
from .plain_playbook import ModuleCall

_DIRECTORY = ROOT / "plugins" / "plugin_utils"
_LAUNCH = """\
import sys
sys.path[0] = sys.argv.pop(1)
from run_from_disk import run
run(sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1))"""


def run_module(
    call: ModuleCall, directory: Path, environment: Mapping[str, str], interrupts: Interrupts
) -> dict[str, Any]:
    """Run it to its end.

    :param directory: of the run; what the module prints is kept there
    :returns: its result, be it a failure
    :raises CommandError: when there is none
    """
    given = directory / "env" / "arguments.json"
    given.parent.mkdir(mode=0o700, exist_ok=True)
    given.write_text(json.dumps({**call.arguments, "_ansible_check_mode": call.check_mode}), encoding="utf-8")
    printed, said = directory / "stdout", directory / "stderr"
    with printed.open("wb") as stdout, said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-E", "-c", _LAUNCH, _DIRECTORY, ROOT, call.module, _site_of_ansible(), given],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            env=dict(environment),
            start_new_session=True,  # a terminal's Ctrl-C comes by way of the command
        )
    interrupts.must_kill()  # a signal that came before there was a process
    status = process.wait()
    return _result(printed, said, status)


def _site_of_ansible() -> Path:
    found = find_spec("ansible")
    if found is None or found.origin is None:
        raise CommandError("ansible-core is not installed in this Python environment.", error="PlaybookError")
    return Path(found.origin).parents[1]


def _text_of(warning: Any) -> str:
    """A warning as Ansible shows it; from 2.19 on modules wrap their texts."""
    return str(warning["event"]["msg"] if isinstance(warning, dict) else warning)


def _result(printed: Path, said: Path, status: int) -> dict[str, Any]:
    for line in reversed(printed.read_text(encoding="utf-8", errors="replace").splitlines()):
        if line.startswith("{"):
            try:
                result = json.loads(line)
            except ValueError:
                continue
            result["warnings"] = [_text_of(warning) for warning in result.get("warnings", ())]
            return result if status == 0 else {**result, "failed": True}
    last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    how = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
    raise CommandError(
        "\n".join([f"The module {how} and left no result.", *last, f"What it printed: {printed.parent}"]),
        error="PlaybookError",
        details={"log": str(printed.parent)},
    )
