#!/bin/bash
# Makes /srv/checkpoint_restore/project: a repository, a database in WAL mode, names and links of many kinds, and enough of
# it that a change is small. What an earlier run left is removed.
set -eu
top=/srv/checkpoint_restore
if [ -d "$top" ]; then chattr -R -f -ia "$top" || :; fi
rm -rf "$top"
mkdir -p "$top/project/src" "$top/project/names" "$top/project/node_modules/x"
cd "$top/project"
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org

git init -q -b main .
printf 'node_modules/\n*.db*\n.env\n' > .gitignore
for number in $(seq 200); do seq "$number" 300 > "src/file$number.txt"; done
echo 'what was done' > AI_WORK_LOG.md
git add . && git commit -qm first
echo SECRET=1 > .env && chmod 0600 .env
echo excluded > node_modules/x/index.js
head -c 2000000 /dev/urandom > large.bin
sqlite3 shop.db 'PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)' > /dev/null
echo 1 > $'names/not-utf8-\xff'
echo 2 > $'names/new\nline'
echo 3 > names/goes
echo 4 > names/-rf
mkdir -p names/going/deep && echo 5 > names/going/deep/file
ln -s names link
echo linked > hard-a && ln hard-a names/hard-b
