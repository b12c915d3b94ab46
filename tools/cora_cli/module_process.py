# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module as Ansible runs it on this machine: a process of its own, arguments in, one JSON document out.

Arguments and output are files in memory: a full disk loses no result, nor does a restore that moves the directory of
the run away, and what the module starts may outlive it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from . import ROOT
from .errors import CommandError
from .interrupts import Interrupts
from .plain_playbook import ModuleCall

_LAUNCH = """\
import sys
sys.path[0] = sys.argv.pop(1)
from run_from_disk import run
run(sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1))"""


def run_module(
    call: ModuleCall, directory: Path, environment: Mapping[str, str], interrupts: Interrupts
) -> dict[str, Any]:
    """Run it to its end.

    :param directory: of the run; what the module printed is kept there, unless all went well
    :returns: its result, be it a failure
    :raises CommandError: when there is none
    """
    with closing(_in_memory()) as given, closing(_in_memory()) as printed, closing(_in_memory()) as said:
        given.write(json.dumps({**call.arguments, "_ansible_check_mode": call.check_mode}).encode())
        given.flush()
        status = _run(call.module, given, printed, said, environment, interrupts)
        result = _result(_content(printed))
        if result is None or result.get("failed"):
            _keep(directory / "stdout", _content(printed) if result is None else _told(result))
            _keep(directory / "stderr", _content(said))
        if result is None:
            raise _no_result(status, _content(said), directory)
    return result


def _run(
    module: str,
    given: BinaryIO,
    printed: BinaryIO,
    said: BinaryIO,
    environment: Mapping[str, str],
    interrupts: Interrupts,
) -> int:
    directory, site, given_path = ROOT / "plugins/plugin_utils", _site_of_ansible(), f"/proc/self/fd/{given.fileno()}"
    process = subprocess.Popen(
        [sys.executable, "-E", *_without_bytecode(), "-c", _LAUNCH, directory, ROOT, module, site, given_path],
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=said,
        pass_fds=(given.fileno(),),
        cwd=ROOT / "playbooks",  # as Ansible: what a relative path means must not depend on who runs the module
        env=dict(environment),
        start_new_session=True,  # a terminal's Ctrl-C comes by way of the command
    )
    try:
        if interrupts.must_kill():  # signals that came before there was a process
            process.kill()
        return process.wait()
    except BaseException:
        # nobody is left to say how it ends, so it has to end; not by force, in the middle of something
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def _in_memory() -> BinaryIO:
    return os.fdopen(os.memfd_create("cora"), "w+b")


def _content(file: BinaryIO) -> bytes:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _without_bytecode() -> list[str]:
    """Root leaves no files in a checkout that is somebody else's."""
    unwanted = sys.dont_write_bytecode or os.stat(ROOT).st_uid != os.geteuid()
    return ["-B"] if unwanted else []


def _site_of_ansible() -> Path:
    found = find_spec("ansible")
    if found is None or found.origin is None:
        raise CommandError("ansible-core is not installed in this Python environment.", error="PlaybookError")
    return Path(found.origin).parents[1]


def _result(printed: bytes) -> dict[str, Any] | None:
    """The last document that was printed. It counts however the process ended after it: its work was done then."""
    for line in reversed(printed.split(b"\n")):
        if line.startswith(b"{"):
            with suppress(ValueError):
                result: dict[str, Any] = json.loads(line)
                result["warnings"] = [_text_of(warning) for warning in result.get("warnings", ())]
                return result
    return None


def _text_of(warning: Any) -> str:
    """A warning as Ansible shows it; from 2.19 on modules wrap their texts."""
    return str(warning["event"]["msg"] if isinstance(warning, dict) else warning)


def _told(result: Mapping[str, Any]) -> bytes:
    """A result for the log, without the arguments, which may hold what is nobody's business."""
    return json.dumps({name: value for name, value in result.items() if name != "invocation"}, indent=2).encode()


def _keep(path: Path, content: bytes) -> None:
    with suppress(OSError):  # the message says what matters
        path.write_bytes(content)


def _no_result(status: int, said: bytes, directory: Path) -> CommandError:
    how = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
    text = "\n".join([f"The module {how} and left no result.", *last, f"What it printed: {directory}"])
    return CommandError(text, error="PlaybookError", details={"log": str(directory)})
