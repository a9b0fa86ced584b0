# shellcheck shell=bash disable=SC2154,SC2016
# tills: "The tills' side" of INSTALL.md as it stands there, with the guide's own addresses: a token, TLS, two addresses.

in_box sh -c 'ip address add 192.168.10.1/24 dev lo; ip address add fd00:10::1/64 dev lo'

# A certificate of its own for the name $1, beside the guide.
certificate() {
    in_box sh -c "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=$1 \
        -addext subjectAltName=DNS:$1,IP:192.168.10.1,IP:127.0.0.1,IP:fd00:10::1 -keyout key.pem -out cert.pem 2>/dev/null"
}
# store_till CODE TOKEN ADDRESS
store_till() {
    in_box sh -c "curl --silent --max-time 10 --cacert /root/cert.pem --output /dev/null --write-out '%{http_code}' \
        --header 'Authorization: Bearer '$2 --header 'content-type: application/json' https://$3:7733/redeem \
        --data '{\"reward_code\":\"$1\",\"business_refrence\":\"m-1\",\"branch_id\":\"b-1\",\"date\":\"2026-11-20 10:00:00\",\"timestamp\":\"1\"}'"
}
# The commands of that section; the example that the editor would change is good as it is.
tills_guide() {
    awk '/^## /{ on = /The tills/ } on && /^```$/{ code = !code; next } on && code' INSTALL.md |
        sed '/^table inet/,/^}/d; s/^editor /true /'
}

certificate first.example
tills_guide >"$box/root/tills"
ok 'every command of the tills part of the guide succeeds' in_box sh -c 'cd /root && sh -eu tills >tills.log 2>&1'
token='$(cat /etc/redeemd/till-1.token)'
ok 'a till with its token is served over TLS' is "$(store_till tls-1 "$token" 192.168.10.1)" 200
ok 'on the other address too' is "$(store_till tls-2 "$token" 127.0.0.1)" 200
ok 'a till without it is not' is "$(store_till tls-3 nonsense 192.168.10.1)" 401
ok 'the check has nothing against it' in_box redeemd check
in_box sh -c 'echo "ListenStream=[fd00:10::1]:7733" >>/etc/systemd/system/redeemd.socket.d/listen.conf && systemctl daemon-reload'
ok 'a third address that the settings do not name is told by the check' has "$(in_box redeemd check 2>&1)" 'fd00:10::1'
in_box sh -c 'sed -i "s/^listen = .*/listen = [\"127.0.0.1:7733\", \"192.168.10.1:7733\", \"[fd00:10::1]:7733\"]/" /etc/redeemd/conf.d/listen.toml
    systemctl stop redeemd.service; systemctl restart redeemd.socket; systemctl start redeemd.service' 2>/dev/null
ok 'named in both, all three are served' is \
    "$(store_till tls-v4 "$token" 192.168.10.1) $(store_till tls-lo "$token" 127.0.0.1) $(store_till tls-v6 "$token" '[fd00:10::1]')" '200 200 200'
ok 'and the check is content' hasnt "$(in_box redeemd check 2>&1)" 'fd00:10::1'
certificate second.example
in_box sh -c 'cd /root && install -m 0640 -g redeemd cert.pem key.pem /etc/redeemd/tls/'
ok 'a renewed certificate takes a reload' in_box systemctl reload redeemd
ok 'and is served' within 5 sh -c "nsenter --target $box_pid --all -- sh -c 'openssl s_client -connect 192.168.10.1:7733 </dev/null 2>/dev/null' | grep -q second.example"
ok 'the till is served under it' is "$(store_till tls-4 "$token" 192.168.10.1)" 200
in_box sh -c 'cd /root && openssl genpkey -algorithm ed25519 -out /etc/redeemd/tls/key.pem 2>/dev/null'
ok 'a key of another certificate makes the reload fail' no in_box systemctl reload redeemd
ok 'and the old one stays in use' is "$(store_till tls-5 "$token" 192.168.10.1)" 200
ok 'the firewall rules of the guide are accepted' sh -c "awk '/^table inet/ { on = 1 } /^\`\`\`/ { on = 0 } on' INSTALL.md | nsenter --target $box_pid --net nft --check --file -"

in_box sh -c 'cat >/etc/systemd/system/redeemd.socket.d/stray.conf <<END
[Socket]
FileDescriptorName=tilsl
END
    systemctl daemon-reload; systemctl stop redeemd.service; systemctl restart redeemd.socket; systemctl start redeemd.service' 2>/dev/null
ok 'a socket that nobody serves is an error' is "$(unit ExecMainStatus) $(unit ActiveState)" '78 failed'
in_box sh -c 'rm -r /etc/systemd/system/redeemd.socket.d /etc/redeemd/conf.d/tills.toml /etc/redeemd/conf.d/tls.toml /etc/redeemd/conf.d/listen.toml
    systemctl daemon-reload; systemctl stop redeemd.service; systemctl restart redeemd.socket; systemctl start redeemd.service'
ok 'without all of it, it is as before' is "$(till no-tls-1)" '200 confirmed'
