#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: project_history
short_description: Give a restored project its Git repository again
version_added: 1.0.0
description:
  - Backups leave C(.git) out and keep what no remote has in C(git/unpushed.bundle). This makes C(.git) in a project
    that was restored - from its remote, from that bundle, or from both.
  - The branch of then stands on the commit of then. Branches, tags and stashes of the bundle are there again. No file
    of the project is changed, so what had not been committed shows up in C(git status).
  - A C(.git) that is there is never touched.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  project:
    description: The project; it has been restored.
    type: path
    required: true
  id:
    description: The backup that it was restored from. V(latest), an id, or the beginning of exactly one.
    type: str
    default: latest
  url:
    description:
      - The Git remote. Where it cannot be reached, there is a warning, and the bundle must do.
      - It may hold a user and a token (C(https://user:token@...)), so it is never shown. The token is not kept.
    type: str
seealso:
  - module: cora.backup.restore
"""

EXAMPLES = r"""
- name: Clone the history under the restored files
  cora.backup.project_history:
    project: /srv/app
    url: git@github.com:example/app.git
"""

RETURN = r"""
state:
  description: V(present) when there was one, V(rebuilt), or V(none) when none could be made.
  returned: success
  type: str
from:
  description: Where the commits came from.
  returned: success
  type: list
  elements: str
  sample: [remote, bundle]
branch:
  description: The branch that is checked out; empty without one.
  returned: when a commit is checked out
  type: str
commit:
  description: The commit that is checked out.
  returned: when a commit is checked out
  type: str
stashes:
  description: How many stashes came back.
  returned: success
  type: int
notes:
  description: What a person should look at; the same as the warnings.
  returned: success
  type: list
  elements: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.catalog import resolve_id
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.git_rebuild import rebuild_history


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "path", "required": True},
            "id": {"type": "str", "default": "latest"},
            "url": {"type": "str", "no_log": True},
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    argspec.stop_on_signals()
    params = module.params
    vault = argspec.vault_of(params)
    try:
        result = rebuild_history(
            vault=vault,
            backup_id=resolve_id(vault, params["id"], params["project"]),
            project=params["project"],
            url=params["url"],
            check=module.check_mode,
        )
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    result["notes"] = list(result["warnings"])
    argspec.finish(module, result, _summary(result))


def _summary(result: dict[str, Any]) -> list[str]:
    if result["state"] == "present":
        return ["Git: .git is there."]
    if result["state"] == "none":
        return ["Git: no .git was made."]
    where = result.get("branch") or "no branch"
    stashes = f", {result['stashes']} stashes" if result["stashes"] else ""
    return [f"Git: {where} at {result.get('commit', 'no commit')[:12]}, from {' and '.join(result['from'])}{stashes}."]


if __name__ == "__main__":
    main()
