#!/bin/bash
# As root and as the owner: whatever is tried, the critical files keep what was written in them.
set -eu
cd /srv/protect/project
fail() { echo "FAILED: $*" >&2; exit 1; }
critical=(AI_WORK_LOG.md .env)
before=$(sha256sum "${critical[@]}")
for file in "${critical[@]}"; do
    lsattr "$file" | cut -d' ' -f1 | grep -q a || fail "$file is not append-only"
done
lsattr shop.db | cut -d' ' -f1 | grep -q a && fail 'the database is append-only'
lsattr -d ../vault | cut -d' ' -f1 | grep -q a || fail 'the vault is not append-only'

refuse() { # COMMAND...: as root, and, where the shop could do it, as the shop
    if "$@" > /dev/null 2>&1; then fail "this was possible: $*"; fi
    if sudo -u shop "$@" > /dev/null 2>&1; then fail "this was possible for the owner: $*"; fi
}
for file in "${critical[@]}"; do
    refuse rm -f "$file"
    refuse mv "$file" gone
    refuse mv notes.txt "$file"
    refuse cp notes.txt "$file"
    refuse truncate --size 0 "$file"
    refuse sh -c "echo x > '$file'"
    refuse dd if=/dev/zero of="$file" count=1 conv=notrunc
    refuse sed -i 's/./x/' "$file"
    refuse ln -f notes.txt "$file"
    refuse python3 -c "open('$file', 'r+').write('x')"
    refuse python3 -c "import os; open('new', 'w').write('x'); os.replace('new', '$file')"
    rm -f new
    # vi ends well or not, as it pleases; what counts is the file
    vi -es -c '%s/^/x/' -c 'wq!' "$file" > /dev/null 2>&1 || :
    find . -name '*~' -delete
done
# Git says "unable to unlink", switches the branch, and leaves the file.
[ "$(sudo -u shop git checkout other 2>&1 | grep -c 'unable to unlink')" = 1 ] || fail 'git checkout did not even try'
sudo -u shop git checkout -qf main > /dev/null 2>&1 || :
refuse git -c safe.directory='*' merge -q other
sudo -u shop git reset -q --hard other > /dev/null 2>&1 || :
sudo -u shop git clean -fdxq > /dev/null 2>&1 || :
sudo -u shop git symbolic-ref HEAD refs/heads/main
sudo -u shop git reset -q
cp -a .git ../git
rm -rf /srv/protect/project 2> /dev/null && fail 'rm -rf took the project'
mv ../git .git
[ "$(sha256sum "${critical[@]}")" = "$before" ] || fail 'a critical file changed'
[ ! -e notes.txt ] || fail 'rm -rf did not even try'

sudo -u shop sh -c "echo 'more was done' >> AI_WORK_LOG.md" || fail 'nothing can be added'
tail -n 1 AI_WORK_LOG.md | grep -qx 'more was done' || fail 'it was not added'
