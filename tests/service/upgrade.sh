# shellcheck shell=bash disable=SC2154,SC2016
# upgrade: with redemptions pending and tills at work.

line refuse
till upgrade-1 >/dev/null
till upgrade-2 >/dev/null
pending=$(status .counts.pending)
before=$(unit MainPID)
in_box mv /root/newer /root/newer.deb
ok 'no till is refused during an upgrade' under_traffic upgrade 0 in_box apt-get install -y /root/newer.deb
ok 'the newer version is installed' has "$(in_box dpkg-query --show --showformat='${Version}' redeemd)" '+newer'
ok 'it asked nothing about the settings' has "$(in_box cat /etc/redeemd/conf.d/provider.toml)" 'credential = "retm"'
ok 'the service was restarted' test "$(unit MainPID)" != "$before"
ok 'every pending redemption is still there' is "$(status .counts.pending)" "$((pending + traffic))"

in_box systemctl stop redeemd.socket redeemd.service
ok 'an upgrade of a stopped service succeeds' in_box apt-get install -y --reinstall /root/newer.deb
ok 'and starts nothing' is "$(unit ActiveState) $(unit ActiveState redeemd.socket)" 'inactive inactive'
in_box systemctl start redeemd
ok 'started by hand it goes on' within 10 is_status .counts.pending "$((pending + traffic))"
