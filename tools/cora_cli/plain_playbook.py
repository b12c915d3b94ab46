# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that only hand settings to one module: what they hand over can be told without Ansible and its second.

The playbook is read each time, so that what stands in it is what happens. Whatever is not understood, be it a task that
somebody added or a setting that is a template, is left to Ansible.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MISSING = object()
_PLAY: Mapping[str, tuple[object, ...]] = {
    "hosts": ("{{ cora_hosts | default(groups['all'] | default('localhost', true)) }}",),
    "gather_facts": (False,),
    "strategy": (_MISSING, "ansible.builtin.free"),
}
#: Asserted for plays on many hosts, or about variables that the command itself has made.
_HOLDS_HERE = (
    "cora_project is defined or ansible_connection | default('') == 'local'",
    "ansible_play_hosts_all | length == 1 or cora_hosts is defined",
    "ansible_play_hosts_all | length == 1 or cora_hosts is defined or scenario | default('plan') == 'plan'",
    "id | default('') | string | length > 0",
    "scenario | default('plan') in ['plan', 'files', 'critical', 'full']",
    "(files | default([]) | length > 0) == (scenario | default('plan') == 'files')",
)
#: What playbooks ask for beside our settings, and nothing of Ansible's own.
KNOWN_VARIABLES = frozenset(("id", "scenario", "files", "state", "verify", "project", "quick", "dry_run"))
_SAY_WHAT_WAS_DONE = ({"msg": "{{ cora_result.summary }}"}, {"msg": "{{ cora_result.paragraph }}"})
_CHECK_MODE = "{{ ansible_check_mode or dry_run | default(false) | bool }}"
_DIRECTORY = "{{ lookup('env', 'PWD') if ansible_connection | default('') == 'local' else omit }}"
_DIRECTORY_OF_NO_PROJECT = "{{ omit if cora_project is defined else lookup('env', 'PWD') }}"
_VARIABLE = re.compile(
    r"\{\{ (?P<name>\w+)(?: \| default\((?P<default>omit|'\w*'|\[\])(?P<or_empty>, true)?\))? \}\}", re.ASCII
)
_DEFAULTS: Mapping[str, Any] = {"omit": _MISSING, "[]": []}
_TEMPLATE = re.compile(r"\{[{%#]|\A\s*[\[{]")


@dataclass(frozen=True)
class ModuleCall:
    """A module of this collection, and what it is given.

    :param module: its name there
    """

    module: str
    arguments: Mapping[str, Any]
    check_mode: bool


class OnlyAnsibleKnowsError(Exception):
    """Something is not plain."""


def must(holds: bool) -> None:
    """Go on where this holds.

    :raises OnlyAnsibleKnowsError: where it does not
    """
    if not holds:
        raise OnlyAnsibleKnowsError


def load_yaml(path: Path) -> Any:
    """A YAML file without tags.

    :raises OnlyAnsibleKnowsError: when it is none
    """
    import yaml

    try:
        return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OnlyAnsibleKnowsError from error


def module_call(playbook: Path, settings: Mapping[str, Any], own: Mapping[str, Any]) -> ModuleCall | None:
    """What a playbook does on this machine; None where only Ansible can tell.

    :param settings: what the inventory or C(-e) sets; may hold templates
    :param own: variables of the command itself, which are literal and win
    """
    try:
        return _Reader(settings, own).call(load_yaml(playbook))
    except OnlyAnsibleKnowsError:
        return None


class _Reader:
    def __init__(self, settings: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self._settings = settings
        self._own = own

    def call(self, plays: Any) -> ModuleCall:
        must(isinstance(plays, list) and len(plays) == 1 and isinstance(plays[0], dict))
        play = plays[0]
        must(set(play) <= {"name", "tasks", *_PLAY} and isinstance(play.get("tasks"), list))
        must(all(play.get(word, _MISSING) in allowed for word, allowed in _PLAY.items()))
        tasks = [task for task in play["tasks"] if not _is_nothing_here(task)]
        must(len(tasks) == 1)
        return self._task(tasks[0])

    def _task(self, task: Mapping[str, Any]) -> ModuleCall:
        actions = task.keys() - {"name", "register", "check_mode"}
        must(len(actions) == 1 and task.get("check_mode", _CHECK_MODE) == _CHECK_MODE)
        collection, _dot, module = str(action := actions.pop()).rpartition(".")
        must(collection == "cora.backup" and isinstance(task[action], dict))
        check_mode = "check_mode" in task and self._value("dry_run", False)
        must(isinstance(check_mode, bool))
        return ModuleCall(module, self._arguments(task[action]), check_mode)

    def _arguments(self, words: Mapping[str, Any]) -> dict[str, Any]:
        resolved = {name: self._resolved(word) for name, word in words.items()}
        return {name: value for name, value in resolved.items() if value is not _MISSING}

    def _resolved(self, word: Any) -> Any:
        """What Ansible makes of an argument as it stands in the playbook; _MISSING where it leaves it out."""
        if isinstance(word, dict):
            return self._arguments(word)
        if word == _DIRECTORY_OF_NO_PROJECT and self._value("cora_project", _MISSING) is not _MISSING:
            return _MISSING
        if word in (_DIRECTORY, _DIRECTORY_OF_NO_PROJECT):
            return os.environ.get("PWD", "")
        if isinstance(word, str) and (variable := _VARIABLE.fullmatch(word)):
            return self._variable(variable)
        must(_is_plain(word))
        return word

    def _variable(self, words: re.Match[str]) -> Any:
        value = self._value(words["name"], _MISSING)
        if value is _MISSING or (words["or_empty"] and not value):
            must(words["default"] is not None)
            return (
                _MISSING if words["default"] == "omit" else [] if words["default"] == "[]" else words["default"][1:-1]
            )
        return value

    def _value(self, name: str, missing: Any) -> Any:
        must(name.startswith("cora_") or name in KNOWN_VARIABLES)
        if name in self._own:
            return self._own[name]
        value = self._settings.get(name, missing)
        must(value is missing or _is_plain(value))
        return value


def _is_nothing_here(task: Any) -> bool:
    """Whether a task neither changes nor refuses anything, since this is the machine the command runs on."""
    must(isinstance(task, dict))
    if set(task) == {"name", "ansible.builtin.assert"}:
        asserted = task["ansible.builtin.assert"].get("that")
        return all(one in _HOLDS_HERE for one in (asserted if isinstance(asserted, list) else [asserted]))
    return set(task) == {"name", "ansible.builtin.debug"} and task["ansible.builtin.debug"] in _SAY_WHAT_WAS_DONE


def _is_plain(value: object) -> bool:
    """Whether Ansible hands over just this: no template, no text that it reads as a list, nothing with a tag; and not
    null, of which its versions make different things.
    """
    if isinstance(value, str):
        return not _TEMPLATE.search(value)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(key) and _is_plain(one) for key, one in value.items())
    return isinstance(value, (bool, int, float))
