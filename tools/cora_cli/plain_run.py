# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run needs Ansible at all, or is one module on this machine with settings that are plain."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import IS_INSTALLED, ROOT
from .context import Context
from .plain_playbook import ModuleCall, module_call
from .run_directory import VARIABLE as RUNS_OF_TIMERS

_OTHER_VARIABLE = re.compile(rb"^[\"']?(?!cora_)\w", re.MULTILINE)
_SECTION = re.compile(rb"^\s*\[(?!defaults\])", re.MULTILINE)
_THIS_MACHINE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
#: Groups and hosts whose variables count for this machine.
_OURS = ("all", "ungrouped", "localhost")


def without_ansible(context: Context, playbook: Path, own: Mapping[str, Any]) -> ModuleCall | None:
    """What the playbook comes to where nothing of Ansible's has a say in it; None where something may.

    Timers run ansible-runner, whose logs they keep; nobody waits for them. C(-v) shows what Ansible prints.

    :param own: variables of the command
    """
    if context.verbose or os.environ.get(RUNS_OF_TIMERS) or any(name.startswith("ANSIBLE_") for name in os.environ):
        return None
    if any(name.startswith("ansible_") or name == "cora_hosts" for name in context.extra_vars):
        return None
    if not IS_INSTALLED and not (_is_plain_inventory(ROOT / "inventory") and _is_plain_config(ROOT / "ansible.cfg")):
        return None
    if any((playbook.parent / name).exists() for name in ("group_vars", "host_vars")):
        return None
    return module_call(playbook, {**context.inventory.values, **context.extra_vars}, own)


def _is_plain_config(path: Path) -> bool:
    """No section but the one that says where things are; that of C(become), above all."""
    return not _SECTION.search(path.read_bytes())


def _is_plain_inventory(directory: Path) -> bool:
    """One list of hosts, and for this machine no variables but our settings."""
    tops = sorted(directory.iterdir())
    if any(path.name not in ("group_vars", "host_vars", "hosts.yml") for path in tops):
        return False
    of_hosts = [path for top in tops if top.is_dir() for path in top.iterdir()]
    ours = [path for path in of_hosts if path.stem in _OURS]
    files = [path for one in ours for path in (one.iterdir() if one.is_dir() else [one])]
    return all(map(_is_plain_file, files)) and _is_plain_host(directory / "hosts.yml")


def _is_plain_file(path: Path) -> bool:
    # what is of another kind, such as JSON or a directory, the command itself does not read
    return path.suffix in (".yml", ".yaml") and path.is_file() and not _OTHER_VARIABLE.search(path.read_bytes())


def _is_plain_host(path: Path) -> bool:
    import yaml

    try:
        found = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        top = found["all"]
        return set(found) == {"all"} and set(top) <= {"hosts", "children"} and _is_only_there(top)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return False


def _is_only_there(top: Mapping[str, Any]) -> bool:
    return top["hosts"]["localhost"] == _THIS_MACHINE and "localhost" not in str(top.get("children", ""))
