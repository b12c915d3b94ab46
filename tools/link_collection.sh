#!/usr/bin/env bash
# Make the links through which Ansible, pytest and mypy find this checkout as the collection cora.backup.
# Run it after adding a playbook; tests/unit/test_layout.py fails until you do.
set -euo pipefail

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
collection=playbooks/collections/ansible_collections/cora/backup
cd -- "$root"
mkdir -p "$collection/playbooks"

for name in galaxy.yml meta plugins roles; do
  # roles/ and plugins/ come with their first content: Git keeps no empty directory, and a link to nothing helps nobody.
  if [[ -e $name ]]; then
    ln -sfn "../../../../../$name" "$collection/$name"
  fi
done

find "$collection/playbooks" -xtype l -delete
for playbook in playbooks/*.yml; do
  if [[ -e $playbook ]]; then
    ln -sfn "../../../../../${playbook#playbooks/}" "$collection/$playbook"
  fi
done

ln -sfn plugins/modules library
