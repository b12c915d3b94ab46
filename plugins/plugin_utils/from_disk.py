# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all action plugins here are: the module as always, but unpacked where the host is the controller itself.

Ansible sends a host a module packed together with all that it imports. Here that is a hundred files, which are parsed
to be packed, and compiled by the host each time. Where module and collection are on one machine and run by one Python,
C(run_from_disk.py) is sent instead, which imports the module from where it lies, as Python has compiled it before.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

import ansible
from ansible import constants
from ansible.plugins.action.normal import ActionModule as NormalAction

_RUNNER = Path(__file__).with_name("run_from_disk.py")
#: Links resolved: what is exchanged while a module runs is a link, as that of an installation to its version.
_COLLECTION = Path(__file__).resolve().parents[2]
#: Where the Ansible that runs here is imported from; the module is to have the same.
_ANSIBLE = Path(ansible.__file__).parents[1]
#: By this comment Ansible knows a module that is sent as it is, and its arguments in a file beside it.
_FIRST_LINES = "#!/usr/bin/python\n# WANT_JSON\n"


class ActionModule(NormalAction):
    """Decides which of the two ways a task goes."""

    _shared_loader_obj: Any

    def run(self, tmp: None = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the module; its result is the same on both ways."""
        with ExitStack() as until_it_ran:
            if self._is_this_machine_and_python(task_vars or {}):
                directory = until_it_ran.enter_context(TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP))
                runner = write_runner(Path(directory), self._task.action.rpartition(".")[2])
                self._shared_loader_obj = _Loaders(self._shared_loader_obj, runner)
            result: dict[str, Any] = super().run(tmp, task_vars)
        return result

    def _is_this_machine_and_python(self, task_vars: Mapping[str, Any]) -> bool:
        return (
            self._connection.transport == "local"
            and not (self._task.become or self._play_context.become or self._connection.become)
            and not (self._task.async_val or self._task.delegate_to)
            # who has it on wants no file written, and this way would write the arguments into one
            and not self._is_pipelining_enabled("new")
            and self._templar.template(task_vars.get("ansible_python_interpreter")) == sys.executable
            and _is_json(self._task.args)
        )


def write_runner(directory: Path, module: str) -> Path:
    """Write what Ansible is to send as this module; returns its path.

    :param module: its name, without that of the collection
    """
    path = directory / f"{module}.py"
    runner = _RUNNER.read_text(encoding="utf-8")
    call = f"run({str(_COLLECTION)!a}, {module!a}, {str(_ANSIBLE)!a})"
    path.write_text(f"{_FIRST_LINES}{runner}\n\n{call}\n", encoding="utf-8")
    return path


def _is_json(arguments: Mapping[str, Any]) -> bool:
    """False where they hold what only packing knows how to send: a value that the vault encrypts."""
    try:
        json.dumps(arguments)
    except TypeError:
        return False
    return True


class _Loaders:
    """Ansible's loaders of plugins, of which that of modules finds another file.

    A version of Ansible that asks for modules in another way finds the module itself, and packs it.
    """

    def __init__(self, loaders: Any, module_path: Path) -> None:
        self._loaders = loaders
        self.module_loader = _ModuleLoader(loaders.module_loader, module_path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaders, name)


class _ModuleLoader:
    def __init__(self, loader: Any, module_path: Path) -> None:
        self._loader = loader
        self._module_path = module_path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def find_plugin_with_context(self, *args: Any, **kwargs: Any) -> Any:
        context = copy.copy(self._loader.find_plugin_with_context(*args, **kwargs))
        if context.plugin_resolved_path:
            context.plugin_resolved_path = str(self._module_path)
        return context
