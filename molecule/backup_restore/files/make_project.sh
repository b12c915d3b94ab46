#!/bin/bash
# Makes /srv/project, with all that a backup can get wrong, a service that keeps writing into its database,
# and /srv/copy, what `cp` makes of it.
set -eu
project=/srv/project
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org

# What an earlier run left: a vault gives nothing away by itself.
systemctl stop cora-writer 2> /dev/null || :
for vault in /var/backups/cora /srv/vault-without-isal; do
    if [ -d "$vault" ]; then chattr -R -f -ia "$vault" || :; fi
done
rm -rf /var/backups/cora /srv/vault-without-isal /srv/project /srv/project.old-* /srv/copy /srv/remote.git

mkdir -p "$project"
cd "$project"

# A repository whose last commits, side branch and stash are nowhere else.
git init -q -b main .
git init -q --bare -b main /srv/remote.git
git remote add origin /srv/remote.git
printf 'node_modules/\ndata/\n*.log\n' > .gitignore
echo 'print("hello")' > app.py
git add . && git commit -qm 'pushed' && git push -q origin main
echo 'print("more")' >> app.py && git commit -qam 'not pushed'
git branch side && git tag never-pushed
echo 'print("stashed")' >> app.py && git stash -q
echo dirty > uncommitted.txt
echo "what was done" > AI_WORK_LOG.md
git rev-parse main never-pushed 'stash@{0}' > /srv/git-heads.txt

# Some hundreds of files, and one over the size limit.
for directory in $(seq 1 12); do
    mkdir -p "src/module$directory"
    for file in $(seq 1 30); do echo "content $directory/$file" > "src/module$directory/file$file.py"; done
done
head -c 3000000 /dev/urandom > large.bin
mkdir -p node_modules/left-pad && echo 'excluded' > node_modules/left-pad/index.js

# Names.
mkdir -p names/empty "names/with blank"
echo 1 > $'names/not-utf8-\xff\xfe'
echo 2 > $'names/new\nline'
echo 3 > names/-rf
echo 4 > 'names/with blank/quote"and'"'"'apostrophe'
deep=names
for _ in 1 2 3 4 5 6; do deep=$deep/$(printf 'd%.0s' $(seq 60)); done
mkdir -p "$deep" && echo 5 > "$deep/far-away.txt"

# Links, attributes, modes, owners, times, holes.
ln -s app.py relative-link
ln -s /etc/hostname absolute-link
ln -s nowhere dangling-link
ln -s src/module1 directory-link
echo linked > hard-a && ln hard-a hard-b && ln hard-a src/hard-c
setfattr -n user.cora -v 'a value' app.py
setfattr -n user.binary -v 0x00ff10 src/module1
setfacl -m u:daemon:rw uncommitted.txt
setfacl -d -m g:daemon:rx src/module2
chmod 0600 large.bin && chmod 0751 src/module3 && chmod 2775 src/module4 && chmod 0444 src/module5/file1.py
chown daemon:games src/module6 && chown -h daemon:daemon relative-link
truncate -s 20M sparse.img && printf 'data' | dd of=sparse.img bs=1 seek=10000000 conv=notrunc status=none
touch -d '2001-02-03 04:05:06.123456789' src/module7/file7.py
touch -h -d '2002-03-04 05:06:07.987654321' dangling-link
mkfifo src/pipe

# A log over its cap, a quiet database in rollback mode, a busy one in WAL mode, a broken one.
seq -f 'log line %010.0f' 1 150000 > service.log
mkdir data
sqlite3 data/quiet.db 'PRAGMA user_version = 42; PRAGMA application_id = 4711; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
    WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 2000) INSERT INTO t SELECT v, hex(v) FROM n;
    DELETE FROM t WHERE id % 3 = 0;'
cp data/quiet.db data/no-suffix
head -c 5000 data/quiet.db > data/broken.db && head -c 3000 /dev/urandom >> data/broken.db

cp /molecule/backup_restore/files/cora-writer.service /etc/systemd/system/
systemctl daemon-reload
systemctl start cora-writer
for _ in $(seq 50); do
    [ "$(sqlite3 data/busy.db 'SELECT count(*) FROM t' 2> /dev/null || echo 0)" -gt 20 ] && break
    sleep 0.1
done

# The copy that restored trees are compared with. The busy database changes on its own and is checked by its content.
mkdir /srv/copy && cp -a "$project/." /srv/copy/ && rm -f /srv/copy/data/busy.db*
sqlite3 data/busy.db 'SELECT count(*) FROM t' > /srv/rows-before
