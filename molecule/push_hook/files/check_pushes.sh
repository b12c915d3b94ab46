#!/bin/sh
# Real pushes to a real bare repository; judged by git, sha256sum and lsattr.
set -eu
here=/srv/push_hook
fail() { echo "FAILED: $*" >&2; cat "$here/seen/said" >&2; exit 1; }
deploy() { runuser -u deploy -- sh -c "cd $here/project && $1"; }
push() { deploy "git $1 push hub main" > "$here/seen/said" 2>&1; }
said() { grep -q -- "$1" "$here/seen/said" || fail "did not say: $1"; }
silent() { ! grep -q cora "$here/seen/said" || fail "said something"; }
backups() { find "$here/vault" -mindepth 1 -maxdepth 1 -name '20*' 2> /dev/null | wc -l; }
tip() { git --git-dir="$here/$1" -c safe.directory='*' rev-parse main; }
pushed() { [ "$(tip remote.git)" = "$(tip project/.git)" ] || fail 'it was not pushed'; }
file() { deploy "{ date +%N; head -c $2 /dev/zero; } > '$1' && git add -A && git commit -q -m '$3'"; }

file small.txt 1000 'small'
push '' || fail 'a small push'
silent
pushed
grep -q "^hub $here/remote.git" "$here/seen/chained" || fail 'the chained hook did not run'
grep -q '^refs/heads/main ' "$here/seen/chained" || fail 'the chained hook got no input'
[ "$(backups)" = 0 ] || fail 'a backup for nothing'

file 'night dump.sql' 60000000 'nightly dump'
push '' || fail 'a large file'
pushed
said 'night dump.sql  (57.2 MiB)'
said 'brought by .* nightly dump'
said "/night dump.sql"
said 'git lfs migrate'
said 'git filter-repo'
said 'git commit --amend'
said 'The backup is made.'
[ "$(backups)" = 1 ] || fail 'not one backup'
backup=$(echo "$here"/vault/20*)
(cd "$backup" && sha256sum --check --quiet --strict SHA256SUMS.txt)
lsattr -d "$backup" | grep -q '^....i' || fail 'the backup is not sealed'
[ "$(stat -c %U "$backup")" = root ] || fail 'the backup is not of root'

file disk.img 110000000 'a disk'
deploy 'git rm -q disk.img && git commit -q -m "without the disk"'
before=$(tip remote.git)
push '' && fail 'a file over the hard limit went through'
said 'the host refuses it'
said 'removed by'
said 'Push stopped'
[ "$(tip remote.git)" = "$before" ] || fail 'something was pushed'
[ "$(backups)" = 2 ] || fail 'not two backups'
push '' && fail 'the second try went through'
[ "$(backups)" = 2 ] || fail 'a backup for every try'
deploy 'git reset -q --hard HEAD~2'

file stop.bin 55000000 'not wanted'
push '-c cora.pushOverLimit=stop' && fail 'it did not stop'
said 'Push stopped, as set'
touch "$here/seen/refuse"
push '' && fail 'the chained hook does not count'
rm "$here/seen/refuse"
push '' || fail 'after that'
pushed

# The directory is not root's: Git wants to be told.
made=$(backups)
file root.bin 55000000 'pushed by root'
printf '[safe]\n\tdirectory = *\n' > "$here/seen/gitconfig"
(cd "$here/project" && GIT_CONFIG_GLOBAL="$here/seen/gitconfig" git push hub main) > "$here/seen/said" 2>&1 || fail 'as root'
[ "$(backups)" = $((made + 1)) ] || fail 'root made no backup'
chown -R deploy: "$here/remote.git" "$here/project"

# Without a rule: it says so, and the push goes on.
runuser -u stranger -- sh -eu << 'END' > "$here/seen/said" 2>&1 || fail 'a stranger'
cd ~
rm -rf work work.git
git init -q --bare work.git
git init -q -b main work
cd work
cp /srv/push_hook/project/.git/hooks/pre-push .git/hooks/pre-push
git config cora.pushArgument backup
git config cora.pushCommand /usr/local/bin/cora
head -c 55000000 /dev/zero > big.bin
git add -A
git commit -q -m big
git push ~/work.git main
END
said 'you are not root, and no sudo rule lets you'
said 'brought by'
[ "$(backups)" = $((made + 1)) ] || fail 'a stranger made a backup'

# cora is broken: the push goes on.
mv /opt/cora/current /opt/cora/away
file broken.bin 55000000 'cora is broken'
push '' || fail 'with a broken cora'
mv /opt/cora/away /opt/cora/current
said 'No backup was made'
said 'cora could not say which commits'
said 'broken.bin'
