# shellcheck shell=bash disable=SC2154,SC2016
# state: a state directory that cannot be written, or that somebody else holds, and can be used again, without a hand
# laid on redeemd.

is_exit() { [ "$(unit ExecMainStatus)" = "$1" ]; }
line refuse
till state-1 >/dev/null
pending=$(status .counts.pending)
in_box sh -c 'systemctl stop redeemd.socket redeemd.service && cp -a /var/lib/redeemd /root/state &&
    mount -t tmpfs -o mode=700 state /var/lib/redeemd && chown redeemd: /var/lib/redeemd &&
    cp -a /root/state/. /var/lib/redeemd/ && mount -o remount,ro /var/lib/redeemd'
in_box systemctl start --no-block redeemd.service redeemd.socket
ok 'a start on a read-only state directory fails with its own code' within 20 is_exit 73
# Tills knock all the while: so many starts in a row must not end the socket.
knocks() {
    local end=$((SECONDS + $1))
    while [ $SECONDS -lt $end ]; do in_box curl --silent --max-time 1 --output /dev/null http://127.0.0.1:7733/redeem; done
}
knocks 20
ok 'the socket lives while tills knock' is "$(unit ActiveState redeemd.socket) $(unit Result redeemd.socket)" 'active success'
ok 'it is tried again and again' test "$(unit NRestarts)" -ge 1
in_box mount -o remount,rw /var/lib/redeemd
ok 'writable again, it serves without a hand laid on' within 20 is_status .ready true
ok 'and nothing is lost' test "$(status .counts.pending)" -ge "$pending"
ok 'tills are served' is "$(till state-2)" '200 pending'
line up
ok 'everything is delivered' within 30 is_status .counts.pending 0
ok 'and nothing was declined, parked or voided on the way' is_status '.counts | .declined + .parked + .voided' 0
# Somebody else holds the lock, as another daemon on this state directory would.
in_box sh -c 'systemctl stop redeemd.socket redeemd.service &&
    systemd-run --quiet --unit=holder flock /var/lib/redeemd/lock sleep infinity'
within 10 no in_box flock --nonblock /var/lib/redeemd/lock true
in_box systemctl start --no-block redeemd.service redeemd.socket
ok 'a start beside another daemon fails with its own code' within 20 is_exit 75
knocks 5
ok 'it is tried again and again' test "$(unit NRestarts)" -ge 1
ok 'the socket lives while tills knock' is "$(unit ActiveState redeemd.socket) $(unit Result redeemd.socket)" 'active success'
in_box systemctl stop holder
ok 'when the other has ended, it serves without a hand laid on' within 20 is_status .ready true
ok 'and nothing is lost' is "$(status '.counts | .pending, .declined + .parked + .voided' | xargs)" '0 0'
# The state goes back with all that happened to it: whoever goes on with an older copy finds its codes used.
in_box sh -c 'systemctl stop redeemd.socket redeemd.service && rm -r /root/state && cp -a /var/lib/redeemd /root/state &&
    umount /var/lib/redeemd && find /var/lib/redeemd -mindepth 1 -delete && cp -a /root/state/. /var/lib/redeemd/ &&
    systemctl start redeemd'
ok 'it starts where it was before' within 20 is_status .ready true
