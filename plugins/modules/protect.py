#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: protect
short_description: Let the critical files of a project only be added to
version_added: 1.0.0
description:
  - Sets the append-only flag (C(chattr +a)) of the critical files of a project, or clears it.
  - What is written to such a file stays. It cannot be emptied, overwritten, removed or renamed, by root neither.
  - It cannot be replaced either. Most editors, C(sed -i) and log rotation do that, and are refused. C(git checkout)
    says so, switches the branch, and leaves the file as it is; C(git pull) may stop half-way. Take the protection off
    for a moment of editing, and put it back.
  - SQLite databases are never protected, because they are written in the middle.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
attributes:
  check_mode:
    support: full
    details:
      - Looks and changes nothing; RV(ok) says whether all is protected, for monitoring.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) sets the flag.
      - V(absent) clears it.
    type: str
    choices:
      - present
      - absent
    default: present
  project:
    description: Absolute path of the project. Either this or O(search_from) is needed.
    type: path
  search_from:
    description:
      - Take the top of the Git work tree around this directory.
      - Where there is none, the project around it of which the vault has a backup.
    type: path
  critical:
    description:
      - Patterns (C(gitignore) syntax, relative to the project) of the files to protect.
      - Left out, Markdown files at the top, work logs, C(.env) files, and pm2 and compose files at the top.
    type: list
    elements: str
  exclude:
    description: Patterns of what is passed over. Left out, as of M(cora.backup.snapshot).
    type: list
    elements: str
requirements:
  - pathspec (Python package)
seealso:
  - module: cora.backup.chattr
"""

EXAMPLES = r"""
- name: Protect work logs and configuration
  cora.backup.protect:
    project: /srv/app

- name: Fail when something is not protected, or gone
  cora.backup.protect:
    project: /srv/app
  check_mode: true
  register: guard
  failed_when: guard is failed or not guard.ok
"""

RETURN = r"""
project:
  description: Whose files.
  returned: success
  type: str
protected:
  description: Critical files that can only be added to.
  returned: success
  type: list
  elements: str
unprotected:
  description: Critical files that anybody who may write them can change.
  returned: success
  type: list
  elements: str
missing:
  description: Critical files of the newest backup that are not in the project any more.
  returned: success
  type: list
  elements: str
problems:
  description: Files whose flag could not be changed or read, and why.
  returned: success
  type: list
  elements: str
ok:
  description: Whether nothing is missing, there is no problem, and with O(state=present) everything is protected.
  returned: success
  type: bool
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from importlib.util import find_spec

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.guard_summary import protect_summary
from ansible_collections.cora.backup.plugins.module_utils.protect import protect


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=argspec.protect_spec(),
        required_one_of=[("project", "search_from")],
        mutually_exclusive=[("project", "search_from")],
        supports_check_mode=True,
    )
    if find_spec("pathspec") is None:
        module.fail_json(msg=missing_required_lib("pathspec"), error="ImportError")
    argspec.stop_on_signals()
    wanted = module.params["state"] == "present"
    try:
        result = protect(argspec.protect_settings(module.params), on=wanted, check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    summary = protect_summary(result, on=wanted, check=module.check_mode)
    if result["problems"] and not module.check_mode:
        argspec.fail(module, result, summary, "SealError")
    argspec.finish(module, result, summary)


if __name__ == "__main__":
    main()
