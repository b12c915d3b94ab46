#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rotate
short_description: Move the beginning of large logs into sealed archives
version_added: 1.0.0
description:
  - Takes the beginning of each large log into a compressed, immutable archive in the vault, and then has the file
    system cut just that off (C(fallocate), on ext4 and XFS). What programs append meanwhile stays.
  - On other file systems a file is only rotated while no process has it open.
  - The archives, in order, and then the file are byte for byte what was written. A run that is killed loses nothing.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
attributes:
  check_mode:
    support: full
    details:
      - Names the files and changes nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  project:
    description: Absolute path of the project. Either this or O(search_from) is needed.
    type: path
  search_from:
    description:
      - Take the top of the Git work tree around this directory.
      - Where there is none, the project around it of which the vault has a backup.
    type: path
  files:
    description:
      - Patterns (C(gitignore) syntax, relative to the project) of files that are only ever appended to.
      - Left out, C(*.log) and what C(logrotate) makes of it uncompressed.
    type: list
    elements: str
  exclude:
    description: Patterns of what is passed over. Left out, as of M(cora.backup.snapshot).
    type: list
    elements: str
  rotate_bytes:
    description: Files of at least this size are rotated. Left out, 100 MiB.
    type: int
  lock_wait_seconds:
    description:
      - How long to wait when another run holds the vault.
      - V(0) fails at once and says who holds it.
    type: float
    default: 0
requirements:
  - pathspec (Python package)
"""

EXAMPLES = r"""
- name: Rotate logs of a project over 200 MiB
  cora.backup.rotate:
    project: /srv/app
    rotate_bytes: 209715200
"""

RETURN = r"""
project:
  description: Whose files.
  returned: success
  type: str
rotated:
  description: What was rotated, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Relative to the project.
      type: str
    archive:
      description: Where its beginning is now; null in check mode.
      type: str
    bytes:
      description: How much went there; in check mode the size of the file.
      type: int
    sha256:
      description: Of that, uncompressed.
      type: str
problems:
  description: Files that could not be rotated, and why.
  returned: success
  type: list
  elements: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from importlib.util import find_spec

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_rotate
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.guard_summary import rotate_summary
from ansible_collections.cora.backup.plugins.module_utils.rotate import rotate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=argspec_rotate.rotate_spec(),
        required_one_of=[("project", "search_from")],
        mutually_exclusive=[("project", "search_from")],
        supports_check_mode=True,
    )
    if find_spec("pathspec") is None:
        module.fail_json(msg=missing_required_lib("pathspec"), error="ImportError")
    argspec.stop_on_signals()
    try:
        result = rotate(argspec_rotate.rotate_settings(module.params), check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    summary = rotate_summary(result, check=module.check_mode)
    if result["problems"]:
        argspec.fail(module, result, summary, "VaultError")
    argspec.finish(module, result, summary)


if __name__ == "__main__":
    main()
