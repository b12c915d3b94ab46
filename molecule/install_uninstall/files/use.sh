#!/bin/bash
# What a person does with the installed command.
set -euo pipefail
project=/srv/install_uninstall/project vault=/srv/install_uninstall/vault
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

cd /
says() { # TEXT COMMAND...: the command succeeds and says the text; grep -q in a pipe would break it off
  local text=$1
  shift
  grep -q -- "$text" <<< "$("$@" 2>&1)"
}
says '^cora 1' cora version || fail "version"
cd /home/shop
says '^cora 1' sudo -u shop cora version || fail "version for who is not root"
cd /

# The settings of the host count, wherever one stands; backup.env wins over them, -e over both.
says "Restore it with: cora restore" cora backup now || fail "backup now"
[ "$(cora list --json | grep -c "\"id\":")" = 1 ] || fail "list"
(cd "$vault"/2* && sha256sum --check --quiet SHA256SUMS.txt) || fail "the backup is not where the settings say"
echo 'CORA_VAULT=/srv/install_uninstall/other' >> /etc/cora/backup.env
says install_uninstall/other cora list || fail "backup.env"
says "$(date -u +%Y%m)" cora list --vault "$vault" || fail "--vault"
sed -i '/^CORA_VAULT/d' /etc/cora/backup.env
rm -rf /srv/install_uninstall/other

# The critical files were protected; nobody is surprised by it.
if echo 'gone' 2> /dev/null > "$project/WORK_LOG.md"; then fail "the work log is not protected"; fi
says '^All is well' cora status || fail "status: $(cora status)"
cora protect --check > /dev/null || fail "protect --check"
says 'put the protection back' cora protect --off || fail "protect --off"
if cora protect --check > /dev/null; then fail "protect --check of open files"; fi
if says 'can be overwritten: .*WORK_LOG.md' cora status; then :; else fail "status does not name what is open"; fi
echo 'gone' > "$project/WORK_LOG.md"
cora restore latest --file WORK_LOG.md > /dev/null
grep -qx 'done so far' "$project/WORK_LOG.md" || fail "restore"

# Completion, as bash does it.
complete_words() { # WORD...
  bash -c '. /etc/bash_completion.d/cora; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cora; echo "${COMPREPLY[*]}"' \
    bash "$@"
}
[ "$(complete_words cora rest)" = restore ] || fail "completion of verbs"
[ "$(complete_words cora restore latest --cr)" = --critical ] || fail "completion of options"
[ "$(complete_words cora backup ve)" = verify ] || fail "completion of verbs of two words"

# Modes.
[ "$(stat -c '%a %U' /etc/cora/backup.env)" = '600 root' ] || fail "mode of backup.env"
[ "$(stat -c '%a %U' /etc/cora/settings.yml)" = '644 root' ] || fail "mode of settings.yml"
[ -z "$(find /opt/cora /etc/cora /usr/local/bin/cora -perm /022 ! -type l)" ] || fail "others can write to the program"

# Rotation.
logrotate -d /etc/logrotate.d/cora-backup 2>&1 | grep -qi error && fail "logrotate"
echo 'a line' >> /var/log/cora-backup.log
logrotate --force /etc/logrotate.d/cora-backup
grep -q 'a line' /var/log/cora-backup.log.1 || fail "rotation"
[ "$(stat -c '%a %s' /var/log/cora-backup.log)" = '640 0' ] || fail "the log after rotation"

# Agents: one block, and what was there before.
[ "$(grep -c 'BEGIN: cora' "$project/AGENTS.md")" = 1 ] || fail "block in AGENTS.md"
grep -q 'Be kind' "$project/AGENTS.md" || fail "AGENTS.md lost what it had"
[ "$(stat -c %U "$project/AGENTS.md")" = shop ] || fail "AGENTS.md changed its owner"

# The installed collection installs itself: from there nothing is new, and nothing changes.
before=$(find /opt/cora/releases /etc /usr/local/bin -name __pycache__ -prune -o -type f -printf '%p %T@\n' | sort)
cora install > /dev/null || fail "install by the installed command"
after=$(find /opt/cora/releases /etc /usr/local/bin -name __pycache__ -prune -o -type f -printf '%p %T@\n' | sort)
[ "$before" = "$after" ] || fail "it changed: $(diff <(echo "$before") <(echo "$after"))"
