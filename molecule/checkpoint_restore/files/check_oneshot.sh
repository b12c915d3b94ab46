#!/bin/bash
# The plain archive of tools/save.sh is sealed, and unpacks to the project.
set -eu -o pipefail
cd /srv/checkpoint_restore
archive=$(echo vault/progress/*/*/*/*-oneshot.tar.gz)
lsattr "$archive" | grep -q '^....i'
rm -rf by-hand && mkdir by-hand && tar -xpzf "$archive" -C by-hand
diff -r --no-dereference -x .git -x node_modules -x shop.db -x 'shop.db-*' project by-hand
[ "$(sqlite3 by-hand/shop.db 'SELECT count(*) FROM orders')" = 3 ]
