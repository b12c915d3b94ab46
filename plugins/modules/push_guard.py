#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: push_guard
short_description: Guard git push of a repository against large files
version_added: 1.0.0
description:
  - Puts the hook C(pre-push) of cora where Git looks for hooks, and what it needs to know into the configuration of the
    repository. A hook that is there already is kept and runs after it.
  - A directory of hooks that C(core.hooksPath) names is left as it is; the repository is given one of its own whose
    hooks hand over to it.
  - As root it works with the rights of the owner of the work tree.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  project:
    description: A directory in the work tree; also of a submodule or a linked work tree.
    type: path
    required: true
  state:
    description: V(absent) takes the hook away and puts back what was there before.
    type: str
    default: present
    choices:
      - present
      - absent
  hook:
    description: The text of the hook, as the role P(cora.backup.git_hooks#role) brings it. Required for V(present).
    type: str
  limit_bytes:
    description: Files over this size are reported and backed up before they are pushed. V(0) means no limit.
    type: int
    default: 52428800
  hard_limit_bytes:
    description: Files over this size always stop a push, because the host refuses them. V(0) means no limit.
    type: int
    default: 104857600
  over_limit:
    description: What happens to a push with files over O(limit_bytes), after the backup.
    type: str
    default: warn
    choices:
      - warn
      - stop
  command:
    description: Full path of cora.
    type: path
    default: /usr/local/bin/cora
  backup_arguments:
    description:
      - The arguments with which O(command) makes a backup.
      - Default is C(backup now --project) and O(project).
    type: list
    elements: str
seealso:
  - module: cora.backup.snapshot
"""

EXAMPLES = r"""
- name: Stop pushes with files over 20 MiB
  cora.backup.push_guard:
    project: /srv/app
    hook: "{{ lookup('ansible.builtin.file', 'pre-push', rstrip=false) }}"
    limit_bytes: 20971520
    over_limit: stop

- name: Take the hook away
  cora.backup.push_guard:
    project: /srv/app
    state: absent
"""

RETURN = r"""
changes:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
hook:
  description: Where the hook is.
  returned: when O(state=present)
  type: str
chained:
  description: The hook that runs after it; null where there is none.
  returned: when O(state=present)
  type: str
owner:
  description: Account that owns the work tree; empty where it has no name.
  returned: success
  type: str
command_note:
  description: Why others must not be allowed to run O(command) as root; empty where they may.
  returned: when O(state=present)
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.names import printable
from ansible_collections.cora.backup.plugins.module_utils.push_guard_install import (
    OVER_LIMIT_CHOICES,
    GuardSettings,
    install_guard,
    remove_guard,
)
from ansible_collections.cora.backup.plugins.module_utils.settings import MEBIBYTE


def guard_settings(params: dict[str, Any]) -> GuardSettings:
    """The engine's request."""
    arguments = params["backup_arguments"]
    if arguments is None:
        arguments = ["backup", "now", "--project", params["project"]]
    return GuardSettings(
        project=params["project"],
        hook=params["hook"],
        limit_bytes=params["limit_bytes"],
        hard_limit_bytes=params["hard_limit_bytes"],
        over_limit=params["over_limit"],
        command=params["command"],
        arguments=tuple(arguments),
    )


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "path", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "hook": {"type": "str"},
            "limit_bytes": {"type": "int", "default": 50 * MEBIBYTE},
            "hard_limit_bytes": {"type": "int", "default": 100 * MEBIBYTE},
            "over_limit": {"type": "str", "default": "warn", "choices": list(OVER_LIMIT_CHOICES)},
            "command": {"type": "path", "default": "/usr/local/bin/cora"},
            "backup_arguments": {"type": "list", "elements": "str"},
        },
        required_if=[("state", "present", ["hook"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["state"] == "present":
            result = install_guard(guard_settings(params), check=module.check_mode)
        else:
            result = remove_guard(params["project"], check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    for name in ("hook", "chained"):
        if result.get(name) is not None:
            result[name] = printable(result[name])
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in result["changes"])}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
