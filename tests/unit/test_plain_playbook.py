# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs need no Ansible, and that the module then gets what Ansible would have given it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cora_cli import ROOT, plain_run
from cora_cli.context import Context
from cora_cli.output import Output
from cora_cli.plain_playbook import ModuleCall, module_call

PLAYBOOKS = ROOT / "playbooks"
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
#: What the command starts, with the variables it gives of itself, and the module it comes to.
PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "backup": ("snapshot", {}),
    "save": ("checkpoint", {}),
    "prune": ("prune", {"dry_run": True}),
    "restore": ("restore", {"id": "20261124-033000-4f6dfed", "scenario": "files", "files": ["a b", "{{ c }}"]}),
    "undo": ("restore_undo", {}),
    "rotate": ("rotate", {"dry_run": False}),
    "protect": ("protect", {"state": "absent"}),
    "backup_auto": ("checkpoint", {}),
    "offsite_prune": ("spaces_prune", {"dry_run": True}),
    "offsite_setup": ("spaces_setup", {"dry_run": False}),
}
#: The engine answers for these in the command's own process; the playbooks are for fleets.
NOT_STARTED_BY_THE_COMMAND = {"list", "offsite_list"}
HOSTS = (ROOT / "inventory/hosts.yml").read_text()
OWN = {"cora_project": "/srv/app", "cora_vault": "/vault", "cora_hosts": "localhost"}
#: A value of every kind, and names that nothing has set.
SETTINGS = {
    "cora_exclude": ["node_modules/", "*.log"],
    "cora_critical": [],
    "cora_log_cap_bytes": 12345,
    "cora_paranoid": True,
    "cora_seal": "best_effort",
    "cora_lock_wait_seconds": "7",
    "cora_services": [{"kind": "systemd", "name": "app.service"}],
    "cora_offsite_env_file": "",
    "cora_offsite_prefix": "stage",
    "cora_unknown": "x",
}


def as_ansible_has_it(playbook: Path, variables: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The arguments that Ansible gives the module of a playbook: it runs one that prints them."""
    stand_in = directory / "ansible_collections/cora/backup"
    (stand_in / "plugins/modules").mkdir(parents=True)
    (stand_in / "galaxy.yml").write_text("namespace: cora\nname: backup\nversion: 1.0.0\n")
    module = (
        "#!/usr/bin/python\n# WANT_JSON\nimport json, sys\n"
        "given = json.load(open(sys.argv[1]))\n"
        "check = given['_ansible_check_mode']\n"
        "given = {name: value for name, value in given.items() if not name.startswith('_ansible_')}\n"
        "print(json.dumps({'summary': [], 'paragraph': '', 'given': given, 'check': check}))\n"
    )
    for name in {module for module, _own in PLAIN.values()}:
        (stand_in / "plugins/modules" / f"{name}.py").write_text(module)
    shutil.copy(playbook, directory)
    (directory / "variables.json").write_text(json.dumps(variables))
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", ROOT / "inventory", playbook.name, "-e", "@variables.json"],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PWD": str(directory),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(directory),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (part for part in done.stdout.split("localhost | ") if '"given"' in part)
    answer: dict[str, Any] = json.loads(line.partition("=>")[2])
    return answer


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("project", [{"cora_project": "/srv/app"}, {}], ids=["project", "search"])
def test_the_module_gets_what_ansible_would_have_given_it(
    name: str, project: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, more = PLAIN[name]
    monkeypatch.setenv("PWD", str(tmp_path))
    own = {"cora_vault": "/vault", "cora_hosts": "localhost", **project, **more, "files": more.get("files", [])}
    call = module_call(PLAYBOOKS / f"{name}.yml", SETTINGS, own)
    assert call is not None
    literal = json.loads(json.dumps(own).replace("{{ c }}", "{{ '{{' }} c {{ '}}' }}"))
    expected = as_ansible_has_it(PLAYBOOKS / f"{name}.yml", {**SETTINGS, **literal}, tmp_path)
    assert call == ModuleCall(module, expected["given"], expected["check"])


def test_every_playbook_of_which_it_is_so_is_known_here() -> None:
    """The test above is to be about all that the command starts."""
    own = {**OWN, "id": "latest", "scenario": "plan", "files": []}
    plain = {path.stem for path in PLAYBOOKS.glob("*.yml") if module_call(path, {}, own) is not None}
    assert plain == PLAIN.keys() | NOT_STARTED_BY_THE_COMMAND


@pytest.mark.parametrize(
    "value",
    [
        None,
        "{{ other }}",
        "a {% if b %}c{% endif %}",
        "{# d #}",
        "[1]",
        "{}",
        " [2]",
        ["{{ one }}"],
        {"a": "{{ b }}"},
        object(),
    ],
    ids=str,
)
def test_a_setting_that_is_a_template_is_for_ansible(value: object) -> None:
    assert module_call(PLAYBOOKS / "backup.yml", {"cora_exclude": value}, OWN) is None
    assert module_call(PLAYBOOKS / "backup.yml", {"cora_of_another": value}, OWN) is not None
    assert module_call(PLAYBOOKS / "backup.yml", {"cora_vault": value}, OWN) is not None, "the command's own wins"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  tasks:\n", "  become: true\n  tasks:\n"),
        ("{{ cora_result.summary }}", "{{ lookup('pipe', 'touch /x') }}"),
        ("  tasks:\n", "  pre_tasks: []\n  tasks:\n"),
        ("gather_facts: false", "gather_facts: true"),
        ("  gather_facts: false\n", ""),
        ("hosts: ", "hosts: web # "),
        ("  tasks:\n", "  tasks:\n    - name: First\n      ansible.builtin.command: sync\n"),
        ("is defined or", "is defined and"),
        ("      register:", "      become: true\n      register:"),
        ("      register:", "      when: false\n      register:"),
        ("default(omit)", "default('x' ~ 1)"),
        ("cora.backup.snapshot", "ansible.builtin.command"),
        ("- name: Back up", "- ansible.builtin.import_playbook: save.yml\n- name: Back up"),
        ("---", "--- ["),
    ],
    ids=str,
)
def test_a_playbook_that_says_anything_else_is_for_ansible(old: str, new: str, tmp_path: Path) -> None:
    text = (PLAYBOOKS / "backup.yml").read_text()
    assert old in text
    (tmp_path / "backup.yml").write_text(text.replace(old, new, 1))
    assert module_call(tmp_path / "backup.yml", {}, OWN) is None


def test_without_what_it_needs_ansible_says_so() -> None:
    assert module_call(PLAYBOOKS / "restore.yml", {}, OWN) is None


@pytest.mark.parametrize("name", ["ansible_forks", "inventory_hostname", "group_names"])
def test_what_ansible_alone_knows_is_for_ansible(name: str, tmp_path: Path) -> None:
    text = (PLAYBOOKS / "backup.yml").read_text()
    (tmp_path / "backup.yml").write_text(text.replace("{{ cora_seal |", f"{{{{ {name} |"))
    assert module_call(tmp_path / "backup.yml", {}, OWN) is None


@pytest.mark.parametrize("name", ["install", "uninstall", "disaster", "offsite_sync", "status"])
def test_playbooks_that_do_more_are_for_ansible(name: str) -> None:
    assert module_call(PLAYBOOKS / f"{name}.yml", {}, OWN) is None


# --- where the run takes place


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, as far as it has a say in how a run goes."""
    for name in ("inventory", "playbooks"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    monkeypatch.setattr(plain_run, "ROOT", tmp_path)
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")] + ["CORA_RUNS"]:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def is_plain(checkout: Path, **of_call: Any) -> bool:
    context = Context(output=Output(as_json=False), **of_call)
    return plain_run.without_ansible(context, checkout / "playbooks/backup.yml", OWN) is not None


def test_a_checkout_as_it_comes_needs_no_ansible(checkout: Path) -> None:
    assert is_plain(checkout)
    assert is_plain(checkout, extra_vars={"cora_seal": "best_effort"})


@pytest.mark.parametrize("name", ["ansible.cfg", "inventory", "inventory/hosts.yml"])
def test_what_is_missing_is_for_ansible(name: str, checkout: Path) -> None:
    os.rename(checkout / name, checkout / "elsewhere")
    assert not is_plain(checkout)


@pytest.mark.parametrize(
    "text", ["  cora_seal: best_effort\n", "{'cora_seal': best_effort}", "--- {cora_seal: best_effort}"]
)
def test_settings_are_read_as_yaml_and_not_by_their_looks(text: str, checkout: Path) -> None:
    (checkout / "inventory/group_vars/all.yml").write_text(text)
    call = plain_run.without_ansible(Context(Output(as_json=False)), checkout / "playbooks/backup.yml", OWN)
    assert call is not None and call.arguments["seal"] == "best_effort"


def test_no_settings_are_no_reason(checkout: Path) -> None:
    for text in ("", "---\n", "# nothing\n"):
        (checkout / "inventory/group_vars/all.yml").write_text(text)
        assert is_plain(checkout)
    (checkout / "inventory/group_vars/all.yml").unlink()
    assert is_plain(checkout)


def test_other_hosts_in_the_inventory_change_nothing(checkout: Path) -> None:
    hosts = checkout / "inventory/hosts.yml"
    hosts.write_text(
        hosts.read_text()
        + "    web1:\n      ansible_become: true\n  children:\n    web:\n      hosts:\n        web1:\n"
    )
    (checkout / "inventory/group_vars/web.yml").write_text("ansible_user: deploy\n")
    (checkout / "inventory/group_vars/all.yml").write_text("cora_seal: best_effort\n# ansible_become: true\n")
    assert is_plain(checkout)


@pytest.mark.parametrize(
    "of_call",
    [{"verbose": 1}, *({"extra_vars": {name: "x"}} for name in ("cora_hosts", "ansible_become", "omit", "foo"))],
    ids=str,
)
def test_what_was_asked_of_ansible_is_for_ansible(of_call: dict[str, Any], checkout: Path) -> None:
    assert not is_plain(checkout, **of_call)


@pytest.mark.parametrize("name", ["CORA_RUNS", "ANSIBLE_BECOME", "ANSIBLE_CONFIG"])
def test_timers_and_settings_in_the_environment_are_for_ansible(
    name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/somewhere")
    assert not is_plain(checkout)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ansible.cfg", "[defaults]\n[privilege_escalation]\nbecome = true\n"),
        ("inventory/more.ini", "localhost ansible_become=true\n"),
        ("inventory/host_vars/localhost.yml", "ansible_become: true\n"),
        ("inventory/host_vars/localhost/a.yml", '"ansible_become": true\n'),
        ("inventory/group_vars/ungrouped.yml", "scenario: full\n"),
        ("inventory/group_vars/all/a.json", "{}"),
        ("inventory/group_vars/all/deeper/a.yml", "cora_seal: required\n"),
        ("playbooks/group_vars/all.yml", "cora_seal: best_effort\n"),
        ("inventory/hosts.yml", "all: {hosts: {localhost: {ansible_connection: ssh}}}\n"),
        ("inventory/hosts.yml", f"{HOSTS}    web1:\n      x: 2001-99-99\n"),
        ("inventory/hosts.yml", f"{HOSTS}    localhos[t:t]:\n"),
        ("inventory/group_vars/all.yml", "  cora_keep_daily: 365\n  ansible_become: true\n"),
        ("inventory/group_vars/all.yml", '{"cora_keep_daily": 365, "ansible_become": true}\n'),
        ("inventory/group_vars/all.yml", "? ansible_become\n: true\n"),
        ("inventory/group_vars/all.yml", "<<: {ansible_become: true}\n"),
        ("inventory/group_vars/all.yml", "\ufeffansible_become: true\n"),
        ("inventory/group_vars/all.yml", "cora_seal: required\ransible_become: true\r"),
        ("inventory/group_vars/all.yml", "- cora_seal\n"),
        ("inventory/group_vars/all.yml", "cora_seal: !vault x\n"),
        ("inventory/group_vars/all.yml", "cora_seal: [\n"),
        ("inventory/group_vars/all.yaml", "cora_keep_daily: 7\n"),
        ("inventory/group_vars/all", "cora_keep_daily: 7\n"),
        ("inventory/group_vars/ungrouped.yml", "cora_keep_daily: 365\n"),
        ("inventory/host_vars/localhost", "cora_keep_daily: 365\n"),
        ("ansible.cfg", "[defaults]\nlog_path = /var/log/ansible.log\n"),
        ("ansible.cfg", "[DEFAULT]\nbecome = true\n"),
        ("ansible.cfg", "log_path = x\n"),
        ("playbooks/callback_plugins/mine.py", ""),
        ("inventory/hosts.yml", "all: [\n"),
        ("inventory/hosts.yml", "all:\n  hosts:\n    web1:\n"),
    ],
    ids=str,
)
def test_whatever_else_is_set_is_for_ansible(path: str, text: str, checkout: Path) -> None:
    target = checkout / path
    if "group_vars/all/" in path:
        (checkout / "inventory/group_vars/all.yml").unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    assert not is_plain(checkout)


@pytest.mark.parametrize(
    "more",
    ["  vars:\n    ansible_become: true\n", "  children:\n    web:\n      hosts:\n        localhost:\n"],
    ids=["variables of all", "a group"],
)
def test_more_about_this_machine_is_for_ansible(more: str, checkout: Path) -> None:
    hosts = checkout / "inventory/hosts.yml"
    hosts.write_text(hosts.read_text() + more)
    assert not is_plain(checkout)
