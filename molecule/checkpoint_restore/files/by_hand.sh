#!/bin/bash
# by_hand.sh NUMBER STATE: restores that checkpoint (1 is the oldest) with a shell and tar, as docs/restore-by-hand.md says,
# and compares.
set -eu -o pipefail
VAULT=/srv/checkpoint_restore/vault
CHECKPOINT=$(find "$VAULT/progress" -mindepth 4 -maxdepth 4 | LC_ALL=C sort | sed -n "$1p")
BASE=$(sed -n 's/^ *"base": "\(.*\)",*$/\1/p' "$CHECKPOINT/REPORT.json")
NEW=/srv/checkpoint_restore/by-hand
rm -rf "$NEW" && mkdir "$NEW"
tar --acls --xattrs --xattrs-include='*' --numeric-owner -xpzf "$VAULT/$BASE/cora-full.tar.gz" -C "$NEW"
(cd "$NEW" && while IFS= read -r NAME; do
  case $NAME in \\*) NAME=$(printf '%b.' "${NAME#?}") && NAME=${NAME%.} ;; esac
  rm -rf -- "./$NAME"
done) < "$CHECKPOINT/deleted.txt"
tar --acls --xattrs --xattrs-include='*' --numeric-owner -xpzf "$CHECKPOINT/changes.tar.gz" -C "$NEW"
/molecule/checkpoint_restore/files/same_state.sh "$2" "$NEW" node_modules
