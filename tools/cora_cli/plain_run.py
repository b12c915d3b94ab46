# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run needs Ansible at all, or is one module on this machine with settings that are plain.

What is read here is read as strictly as can be: whatever is not just as it comes with the collection, settings aside,
may mean something to Ansible, and then Ansible runs.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import IS_INSTALLED, ROOT
from .context import Context
from .plain_playbook import KNOWN_VARIABLES, ModuleCall, OnlyAnsibleKnowsError, load_yaml, module_call, must
from .run_directory import VARIABLE as RUNS_OF_TIMERS

_CONFIG = {"defaults": {"inventory", "internal_poll_interval", "collections_path"}}
_THIS_MACHINE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
#: Groups and hosts whose variables count for this machine.
_OURS = ("all", "ungrouped", "localhost")
_SETTINGS = "all.yml"


def without_ansible(context: Context, playbook: Path, own: Mapping[str, Any]) -> ModuleCall | None:
    """What the playbook comes to where nothing of Ansible's has a say in it; None where something may.

    Timers run ansible-runner, whose logs they keep; nobody waits for them. C(-v) shows what Ansible prints.

    :param own: variables of the command
    """
    asked_for = bool(context.verbose or os.environ.get(RUNS_OF_TIMERS))
    if asked_for or any(name.startswith("ANSIBLE_") for name in os.environ):
        return None
    try:
        must(all(_is_known(name) for name in context.extra_vars))
        must(all(path.suffix == ".yml" or path.name == "collections" for path in playbook.parent.iterdir()))
        settings = {} if IS_INSTALLED else _settings_of_checkout()
        return module_call(playbook, {**settings, **context.inventory.installed, **context.extra_vars}, own)
    except (OnlyAnsibleKnowsError, OSError, ValueError, RecursionError):
        return None


def _is_known(variable: str) -> bool:
    return variable in KNOWN_VARIABLES or (variable.startswith("cora_") and variable != "cora_hosts")


def _settings_of_checkout() -> dict[str, Any]:
    _check_config(ROOT / "ansible.cfg")
    inventory = ROOT / "inventory"
    names = {path.name for path in inventory.iterdir()}
    must(names <= {"group_vars", "host_vars", "hosts.yml"})
    _check_hosts(load_yaml(inventory / "hosts.yml"))
    for top in names & {"group_vars", "host_vars"}:
        ours = {path.name for path in (inventory / top).iterdir() if path.name.partition(".")[0] in _OURS}
        must(ours <= ({_SETTINGS} if top == "group_vars" else set()))
    path = inventory / "group_vars" / _SETTINGS
    settings = (load_yaml(path) or {}) if path.exists() else {}
    must(isinstance(settings, dict) and all(isinstance(name, str) and name.startswith("cora_") for name in settings))
    return dict(settings)


def _check_config(path: Path) -> None:
    """No more in it than where things are: not C(become), above all."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except configparser.Error as error:
        raise OnlyAnsibleKnowsError from error
    must(not parser.defaults())
    must(all(set(parser[section]) <= _CONFIG.get(section, set()) for section in parser.sections()))


def _check_hosts(found: Any) -> None:
    """This machine in no group, with no variables but those that it has in the inventory as it comes."""
    must(isinstance(found, dict) and set(found) == {"all"} and isinstance(found["all"], dict))
    top = found["all"]
    must(set(top) <= {"hosts", "children"} and isinstance(top.get("hosts"), dict))
    must(top["hosts"].get("localhost") == _THIS_MACHINE)
    others = [name for name in top["hosts"] if name != "localhost"]
    # a range of names may come to this one
    must(not any("localhost" in name or "[" in name for name in (*others, *_words(top.get("children")))))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from _words(one)
    elif value is not None:
        yield str(value)
