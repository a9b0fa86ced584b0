# shellcheck shell=bash disable=SC2154,SC2016
# remove: and purge, with redemptions pending and without.

pending=$(status .counts.pending)
in_box systemctl stop redeemd.socket redeemd.service
ok 'a stopped one is removed' in_box sh -c 'apt-get remove -y redeemd >/root/remove.log 2>&1'
ok 'and its books were read without it' has "$(cat "$box/root/remove.log")" "not yet sent: $pending"
ok 'installed again it stays stopped' in_box sh -c 'apt-get install -y /root/newer.deb >/dev/null 2>&1 && ! systemctl is-active --quiet redeemd'
in_box systemctl start redeemd
ok 'remove succeeds' in_box sh -c 'apt-get remove -y redeemd >/root/remove.log 2>&1'
ok 'it says what stays unsent' has "$(cat "$box/root/remove.log")" "not yet sent: $pending"
ok 'the redemptions stay' test -s "$box/var/lib/redeemd/redeemd.db"
ok 'nothing listens any more' is "$(till removed)" '000 '
ok 'purge refuses' no in_box sh -c 'apt-get purge -y redeemd >/root/purge.log 2>&1'
ok 'and says why and how' has "$(cat "$box/root/purge.log")" "provider does not know: $pending"
ok 'nothing was deleted' test -s "$box/var/lib/redeemd/redeemd.db" -a -d "$box/etc/redeemd/conf.d"

line up
ok 'installed again it starts' in_box sh -c 'apt-get install -y /root/newer.deb >/dev/null 2>&1 && systemctl is-active --quiet redeemd'
ok 'with the settings that it had' has "$(in_box cat /etc/redeemd/conf.d/provider.toml)" 'credential = "retm"'
ok 'and sends what was pending' within 30 is_status .counts.pending 0
ok 'the books balance' is "$(status '.counts | .accepted == .pending + .confirmed + .declined + .parked + .voided')" true
ok 'every redemption was taken once, but for the one that the backup put in doubt' is \
    "$(status '.counts | "\(.declined) \(.voided) \(.parked)"')" '0 0 1'
ok 'with nothing pending purge succeeds' in_box sh -c 'apt-get purge -y redeemd >/root/purge.log 2>&1'
ok 'it says what it deletes' has "$(cat "$box/root/purge.log")" 'deleting /var/lib/redeemd'
ok 'nothing is left' is "$(in_box sh -c 'ls -d /var/lib/redeemd /etc/redeemd /run/redeemd /lib/systemd/system/redeemd* /etc/systemd/system/*/redeemd*.s* 2>/dev/null')" ''

in_box sh -c 'rm -rf /etc/systemd/system/redeemd.service.d; systemctl daemon-reload'
ok 'installed anew it does not start before it is set up' no in_box sh -c 'apt-get install -y /root/redeemd_guide.deb >/dev/null 2>&1 && systemctl start redeemd'
line refuse
in_box sh -c 'install -m 0640 -g redeemd /root/provider.token /etc/redeemd/retm.token
    printf "[[provider]]\nname = \"retm\"\nredeem_url = \"http://127.0.0.1:7799/redeem\"\n" >/etc/redeemd/conf.d/provider.toml
    printf "[[provider]]\nname = \"second\"\nredeem_url = \"http://127.0.0.1:7799/redeem\"\ntoken_file = \"/etc/redeemd/retm.token\"\nbusinesses = [\"m-2\"]\n" >/etc/redeemd/conf.d/second.toml'
ok 'set up, it starts' in_box systemctl start redeemd
ok 'and takes what it cannot send yet' is "$(till forgotten)" '200 pending'
ok 'with two providers purge refuses again' no in_box sh -c 'apt-get purge -y redeemd >/root/purge.log 2>&1'
ok 'told so, purge gives up what is pending' in_box sh -c 'REDEEMD_PURGE_PENDING=1 apt-get purge -y redeemd >/root/purge.log 2>&1'
ok 'nothing of it is left' no in_box sh -c 'ls -d /var/lib/redeemd /etc/redeemd 2>/dev/null'
