# shellcheck shell=bash disable=SC2154,SC2016
# install: what the package puts in place, and what it leaves to the engineer.

# The guide's first command is this one too; here it is looked at.
ok 'apt installs the package' in_box sh -c 'cd /root && apt-get install -y ./redeemd.deb >/root/apt.log 2>&1'
ok 'it says what to do next' has "$(cat "$box/root/apt.log")" 'systemctl start redeemd'
ok 'and where the guide is' has "$(cat "$box/root/apt.log")" '/usr/share/doc/redeemd/guide.md'
ok 'the service is enabled' is "$(in_box systemctl is-enabled redeemd.service redeemd.socket | sort -u)" enabled
ok 'nothing runs before the engineer starts it' is "$(unit ActiveState) $(unit ActiveState redeemd.socket)" 'inactive inactive'
ok 'its user cannot log in' has "$(in_box getent passwd redeemd)" nologin
check=$(in_box redeemd check 2>&1)
ok 'the shipped settings are refused until the provider is named' has "$check" 'put in the service id'
ok 'the check looks as the service user and says so' has "$check" 'looked at as the user redeemd'
ok 'the units verify clean' is "$(in_box systemd-analyze verify --man=no redeemd.service redeemd.socket 2>&1 | grep redeemd)" ''
ok 'the exposure is at most 1.6' in_box sh -c 'systemd-analyze security --threshold=16 --no-pager redeemd.service >/dev/null'
ok 'the box comes back after a reboot, unconfigured' box_reboot
ok 'the service does not serve the example provider' is "$(unit ExecMainStatus) $(unit ActiveState)" '78 failed'
ok 'and no till is told that its redemption was taken' is "$(till unconfigured | cut -c 1-3)" 000
ok 'nothing was written' no test -e "$box/var/lib/redeemd/redeemd.db"
ok 'purge without a state deletes without asking' in_box sh -c 'apt-get purge -y redeemd >/dev/null 2>&1 && ! test -e /etc/redeemd'
