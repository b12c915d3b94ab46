#!/bin/bash
# check_databases.sh DIRECTORY: the databases in it are sound, and hold what the project's held when the backup was made.
set -eu
data=$1
for name in quiet.db no-suffix busy.db; do
    [ "$(sqlite3 "$data/$name" 'PRAGMA integrity_check')" = ok ]
done
for name in quiet.db no-suffix; do
    diff <(sqlite3 "/srv/copy/data/$name" .dump) <(sqlite3 "$data/$name" .dump)
    [ "$(sqlite3 "$data/$name" 'PRAGMA user_version; PRAGMA application_id' | paste -sd,)" = 42,4711 ]
done
cmp /srv/copy/data/broken.db "$data/broken.db"

# Every row that was committed before the backup began is there, none is half there, none is missing in between.
read -r before < /srv/rows-before
read -r rows last wrong < <(sqlite3 -separator ' ' "$data/busy.db" \
    "SELECT count(*), max(n), sum(body != 'row ' || n) FROM t")
echo "busy.db: $before rows before the backup, $rows in $data"
[ "$rows" -ge "$before" ] && [ "$rows" = "$last" ] && [ "$wrong" = 0 ]
if [ "${2:-}" != running ]; then
    read -r after < /srv/rows-after
    [ "$rows" -le "$after" ]
fi
