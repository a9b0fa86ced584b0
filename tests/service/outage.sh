# shellcheck shell=bash disable=SC2154,SC2016
# outage: the provider is cut off, and comes back.

line refuse
ok 'while the provider is cut off tills are served' is "$(till cut-1)" '200 pending'
ok 'status names the cause' within 5 is_status '.lanes[0].cause' connect
ok 'the same code at another time is refused' is "$(till cut-1 && in_box curl -s -o /dev/null -w '%{http_code}' -H 'content-type: application/json' \
    --data '{"reward_code":"cut-1","business_refrence":"m-1","branch_id":"b-2","date":"2026-11-20 10:05:00","timestamp":"2"}' http://127.0.0.1:7733/redeem)" \
    "$(printf '200 pending\n400')"
ok 'systemctl status shows the cause' within 30 status_text 'retm down (connect); 1 pending'
