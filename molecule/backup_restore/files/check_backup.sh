#!/bin/bash
# Judges the newest backup in VAULT with other people's tools: check_backup.sh VAULT
set -eu -o pipefail
shopt -s nullglob
vault=$1
backups=("$vault"/20??????-??????-*)
[ "${#backups[@]}" = 1 ] || { echo "not one backup but ${#backups[@]} in $vault: ${backups[*]}"; exit 1; }
backup=${backups[0]}
cd "$backup"

say() { echo "== $*"; }

say "everything is there"
ls MANIFEST.txt SHA256SUMS.txt REPORT.json LARGE_FILES.txt INDEX.jsonl.gz critical/AI_WORK_LOG.md git/unpushed.bundle cora-full.tar.gz
ls db/data/busy.db db/data/quiet.db
python3 -m json.tool REPORT.json > /dev/null
zcat INDEX.jsonl.gz | sed -n 1p | python3 -m json.tool > /dev/null

say "sha256sum accepts every file, and no file is missing from its list"
sha256sum --check --quiet --strict SHA256SUMS.txt
diff <(find . -type f ! -name SHA256SUMS.txt | sed 's,^\./,,' | LC_ALL=C sort) \
    <(sed -E 's/^\\?[0-9a-f]{64} [ *](\.\/)?//' SHA256SUMS.txt | LC_ALL=C sort)

say "tar alone gives the project back"
tree=$(/molecule/backup_restore/files/untar.sh cora-full.tar.gz)
/molecule/shared/files/same_tree.sh /srv/copy "$tree" data service.log node_modules src/pipe
[ ! -e "$tree/node_modules/left-pad" ] && [ ! -e "$tree/.git/config" ] && [ ! -e "$tree/data/busy.db-wal" ]
/molecule/backup_restore/files/check_databases.sh "$tree/data"

say "the log was kept by its newest end"
size=$(stat -c %s "$tree/service.log")
[ "$size" -gt 500000 ] && [ "$size" -le 1000000 ]
tail -c "$size" /srv/copy/service.log | cmp - "$tree/service.log"

say "the commits and the stash that no remote has"
rm -rf /srv/cloned && git clone -q /srv/remote.git /srv/cloned
git -C /srv/cloned fetch -q "$backup/git/unpushed.bundle" 'refs/*:refs/saved/*'
while read -r commit; do git -C /srv/cloned cat-file -e "$commit^{commit}"; done < /srv/git-heads.txt
git -C /srv/cloned log --all --oneline | cat

say "large files are named"
grep -F large.bin LARGE_FILES.txt | grep -F "$(sha256sum < /srv/copy/large.bin | cut -d' ' -f1)"

say "root cannot take it away"
/molecule/shared/files/attack.sh "$vault"
