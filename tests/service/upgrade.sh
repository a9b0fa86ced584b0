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
ok 'it asked nothing about the changed settings file' has "$(in_box cat /etc/redeemd/redeemd.toml)" 'credential = "retm"'
ok 'the service was restarted' test "$(unit MainPID)" != "$before"
ok 'every pending redemption is still there' is "$(status .counts.pending)" "$((pending + traffic))"
