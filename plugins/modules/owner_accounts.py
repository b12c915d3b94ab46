#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: owner_accounts
short_description: Have the accounts that a backup's files belong to
version_added: 1.0.0
description:
  - A restore gives files to numbers. On a new machine the accounts of these numbers are missing. This makes the users
    and groups from 1000 on, with the numbers and names that they had, locked for logins by password.
  - There is a warning for each account of a package, and for each number that somebody else has.
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
  id:
    description: The backup. V(latest), an id, or the beginning of exactly one.
    type: str
    default: latest
  project:
    description: V(latest) means the newest backup of this project.
    type: path
"""

EXAMPLES = r"""
- name: Have the accounts before the files come
  cora.backup.owner_accounts:
    id: latest
"""

RETURN = r"""
created:
  description: The users and groups that were made.
  returned: success
  type: list
  elements: str
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.catalog import resolve_id
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.owners import have_accounts
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "default": "latest"},
            "project": {"type": "path"},
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    params = module.params
    vault = argspec.vault_of(params)
    try:
        backup_id = resolve_id(vault, params["id"], params["project"])
        result = have_accounts(Vault(vault).path_of(backup_id), check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    result["notes"] = list(result["warnings"])
    names = ", ".join(result["created"])
    argspec.finish(module, result, [f"Accounts made: {names}." if names else "All accounts are there."])


if __name__ == "__main__":
    main()
