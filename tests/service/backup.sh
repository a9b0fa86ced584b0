# shellcheck shell=bash disable=SC2154,SC2016
# backup: "Backup" of INSTALL.md, and the copy put back as it says there.

line refuse
till backup-1 >/dev/null
in_box mkdir -p /backup
awk '/^## /{ on = /Backup/ } on && /^```$/{ code = !code; next } on && code' INSTALL.md >"$box/root/backup"
ok 'the command of the guide copies the state of the running gateway' in_box sh -eu /root/backup
ok 'for its owner alone' is "$(in_box stat --format=%a /backup/redeemd.db)" 600
line up
ok 'what the copy calls pending is sent' within 30 is_status .counts.pending 0
ok 'both units stop' in_box systemctl stop redeemd.socket redeemd.service
ok 'and stay stopped with a till knocking' is "$(till knocking) $(unit ActiveState)" '000  inactive'
in_box sh -c 'find /var/lib/redeemd -mindepth 1 -delete &&
    install -o redeemd -g redeemd -m 0600 /backup/redeemd.db /var/lib/redeemd/redeemd.db'
ok 'it starts on the copy' in_box systemctl start redeemd.service
ok 'and says that it is one' has "$(in_box journalctl --unit=redeemd --since=-10s --output=cat)" 'the database is a copy or was restored'
ok 'what it had sent since the copy is a person'"'"'s to decide, and not declined' within 30 is_status '.counts | "\(.pending) \(.declined) \(.parked) \(.voided)"' '0 0 1 0'
