# shellcheck shell=bash disable=SC2154,SC2016
# backup: "Backup" of INSTALL.md, and the copy put back.

line refuse
till backup-1 >/dev/null
ok 'both units stop' in_box systemctl stop redeemd.socket redeemd.service
ok 'and stay stopped with a till knocking' is "$(till knocking) $(unit ActiveState)" '000  inactive'
in_box sh -c 'mkdir -p /backup && cp -a /var/lib/redeemd /backup/redeemd && systemctl start redeemd.service'
line up
within 30 is_status .counts.pending 0
in_box sh -c 'systemctl stop redeemd.socket redeemd.service && rm -r /var/lib/redeemd && cp -a /backup/redeemd /var/lib/redeemd'
ok 'it starts on the copy' in_box systemctl start redeemd.service
ok 'and says that it is one' has "$(in_box journalctl --unit=redeemd --since=-10s --output=cat)" 'the database is a copy or was restored'
ok 'the books of the copy balance' within 30 is_status '.counts | .accepted == .pending + .confirmed + .declined + .parked + .voided' true
