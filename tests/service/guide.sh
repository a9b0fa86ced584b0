# shellcheck shell=bash disable=SC2154,SC2016
# guide: the first section of INSTALL.md as a new user runs it, with the sandbox in the provider's place.

in_box sh -c 'mkdir -p /opt/provider && dpkg-deb --extract /root/redeemd.deb /opt/provider && umask 077 && echo first-token >/root/provider.token'
in_box systemd-run --quiet --unit=provider /opt/provider/usr/bin/redeemd sandbox --listen 127.0.0.1:7799 \
    --control 127.0.0.1:7798 --token-file /root/provider.token
ok 'the sandbox runs' within 10 line up

# The commands, with the only two values that are each user's own.
awk '/^## /{ on = /From a bare box/ } on && /^```sh$/{ code = 1; next } /^```$/{ code = 0 } on && code' INSTALL.md |
    sed 's|https://SERVICE.retm.sa/redeem|http://127.0.0.1:7799/redeem|; s|PUT-YOUR-TOKEN-HERE|first-token|' >"$box/root/guide"
rm -f "$box/root/newer.deb"
cp "$rig/newer.deb" "$box/root/newer"
mv "$box/root/redeemd.deb" "$box/root/redeemd_guide.deb"
guide_began=$SECONDS
ok 'every command of the guide succeeds' in_box sh -c 'cd /root && sh -eu guide >guide.log 2>&1'
guide=$(cat "$box/root/guide.log")
ok 'the first redemption is confirmed by the provider' has "$(tr '[:upper:]' '[:lower:]' <<<"$guide")" 'redeemd-state: confirmed'
ok 'the guide takes less than five minutes' test $((SECONDS - guide_began)) -lt 300
ok 'redeemd status shows the books' has "$guide" '1 accepted = 0 pending + 1 confirmed'
ok 'systemctl status shows the lane in plain words' within 30 status_text 'retm up; 0 pending, 1 confirmed'
ok 'the provider got it once, under a key' is \
    "$(provider http://127.0.0.1:7798/sandbox/requests | jq -r '[.[] | .idempotency_key] | length')" 1
