#!/bin/bash
# same_state.sh STATE TREE [NAME...]: TREE is what the project was when work.sh copied it, NAMEs left out.
set -eu
state=/srv/checkpoint_restore/$1
tree=$2
shift 2
# A database's side files are of the program that has it open; a copied one may differ in its bytes, not in its rows.
/molecule/shared/files/same_tree.sh "$state" "$tree" shop.db shop.db-wal shop.db-shm "$@"
rows() { sqlite3 "file:$1/shop.db?immutable=1" 'PRAGMA integrity_check; SELECT id FROM orders'; } # leaves no trace in the directory
diff <(rows "$state") <(rows "$tree")
