#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chattr
short_description: Make files and directories immutable or append-only, and read the flag back
version_added: 1.0.0
description:
  - Sets or clears inode flags by C(ioctl), needs no C(chattr) program, and reads each flag back, since some file
    systems accept a flag and forget it.
  - Changes only the flags that are named. Symbolic links are not followed.
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
  path:
    description: Absolute path of a file or directory.
    type: path
    required: true
  attributes:
    description: The flags that are meant.
    type: list
    elements: str
    required: true
    choices:
      - append_only
      - immutable
  state:
    description: V(present) sets the flags, V(absent) clears them.
    type: str
    default: present
    choices:
      - present
      - absent
  recursive:
    description:
      - Also every file and directory below O(path).
      - A directory that is immutable still lets its files be written, so they need the flag too.
    type: bool
    default: false
seealso:
  - module: ansible.builtin.file
"""

EXAMPLES = r"""
- name: Let a log only grow
  cora.backup.chattr:
    path: /srv/app/AI_WORK_LOG.md
    attributes: append_only

- name: Make a whole directory writable again
  cora.backup.chattr:
    path: /var/backups/cora/20261124-033000-4f6dfed
    attributes: immutable
    state: absent
    recursive: true
"""

RETURN = r"""
path:
  description: What was asked for.
  returned: success
  type: str
changed_paths:
  description: The files and directories whose flags changed, at most 1000 of them.
  returned: success
  type: list
  elements: str
changed_count:
  description: How many there are.
  returned: success
  type: int
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, inode_flags
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.names import printable

FLAGS = {"append_only": inode_flags.APPEND_ONLY, "immutable": inode_flags.IMMUTABLE}
LISTED_AT_MOST = 1000


def paths_to_change(path: str, flags: int, *, present: bool, recursive: bool) -> list[str]:
    """The files and directories whose flags are not yet as they shall be."""
    paths = inode_flags.tree_paths(path) if recursive and os.path.isdir(path) else [path]
    wanted = flags if present else 0
    return [each for each in paths if inode_flags.path_flags(each) & flags != wanted]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "attributes": {"type": "list", "elements": "str", "required": True, "choices": sorted(FLAGS)},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "recursive": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    flags = sum(FLAGS[name] for name in set(params["attributes"]))
    present = params["state"] == "present"
    try:
        changing = paths_to_change(params["path"], flags, present=present, recursive=params["recursive"])
        if not module.check_mode:
            for path in changing:
                inode_flags.change_path_flags(path, add=flags if present else 0, remove=0 if present else flags)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    except OSError as error:
        module.fail_json(
            msg=f"The flags of {printable(str(error.filename))} cannot be read: {error.strerror}.", error="OSError"
        )
    listed = [printable(path) for path in changing[:LISTED_AT_MOST]]
    result = {
        "changed": bool(changing),
        "path": params["path"],
        "changed_paths": listed,
        "changed_count": len(changing),
    }
    if module._diff:
        before, after = ("absent", "present") if present else ("present", "absent")
        names = ", ".join(sorted(set(params["attributes"])))
        result["diff"] = {
            "before": "".join(f"{path}: {names} {before}\n" for path in listed),
            "after": "".join(f"{path}: {names} {after}\n" for path in listed),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
