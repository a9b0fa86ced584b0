# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_redeemd_global_optspecs
    string join \n config= json h/help V/version
end

function __fish_redeemd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_redeemd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_redeemd_using_subcommand
    set -l cmd (__fish_redeemd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c redeemd -n "__fish_redeemd_needs_command" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_needs_command" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_needs_command" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_needs_command" -s V -l version -d 'Print version'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "run" -d 'Run the gateway in the foreground'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "check" -d 'Check the settings and print every problem'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "status" -d 'Show the books, the storage and every lane'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "list" -d 'List redemptions'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "show" -d 'Show one redemption with everything that was done to it'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "retry" -d 'Send declined or parked redemptions again'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "void" -d 'Close pending or parked redemptions for good'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "handled" -d 'Note that a person has seen to redemptions that were refused, parked or lost'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "flush" -d 'Try a lane (or all) at once instead of waiting'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "hold" -d 'Hold a lane (or all): nothing is sent until it is released'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "release" -d 'Let a held lane (or all) go on'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "trust" -d 'Switch off and on that rewards are given without the provider\'s answer'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "report" -d 'What became of the rewards given on trust, the exceptions, the rates of declines and the refusals'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "backup" -d 'Copy the database of the running gateway, whole codes included, to a file'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "export" -d 'Write the pending and parked redemptions of this gateway, whole codes included, to a file'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "import" -d 'Take over the redemptions that another gateway exported'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "hash-password" -d 'Make the hash of a password that standard input gives, for `[[admin.user]]`'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "make-certificate" -d 'Make a key and a certificate of the gateway\'s own, and print its fingerprint as a browser shows it'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "names" -d 'Print the names of the running gateway\'s lanes or tills: for the shells\' completions'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "sandbox" -d 'Be a provider to test against: the contract, and every fault on demand'
complete -c redeemd -n "__fish_redeemd_needs_command" -f -a "rehearse" -d 'Play an outage against a sandbox provider with these settings; ends with the books'
complete -c redeemd -n "__fish_redeemd_using_subcommand run" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand run" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand run" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand check" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand check" -l strict -d 'Take warnings for faults too, and exit with 1'
complete -c redeemd -n "__fish_redeemd_using_subcommand check" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand check" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -l watch -d 'Show it again every two seconds, until interrupted'
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -l ages -d 'How old what is pending is, by lane'
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -l check -d 'Say only what needs a person, and exit with 1 if something does'
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand status" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l state -d 'Only this state' -r -f -a "pending\t''
confirmed\t''
declined\t''
parked\t''
voided\t''"
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l lane -d 'Only this lane' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l after -d 'Only after this sequence number' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l limit -d 'At most so many, 1 to 1000 [default: 100]' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l code -d 'Only this code, whole: `-` reads it from standard input, so that no process list shows it' -r -f -a "-\t''"
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l code-ending -d 'Only codes that end so' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l till -d 'Only this till' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l business -d 'Only this business' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l branch -d 'Only this branch' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l since -d 'Only what was accepted from this time on: 2026-11-01 or 2026-11-01T10:00:00Z, in UTC' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l until -d 'Only what was accepted up to this time: a day counts to its end' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l columns -d 'These columns, in this order' -r -f -a "id\t'The redemption\'s id'
seq\t'Its place in the order of acceptance'
state\t'Where it stands'
lane\t'The provider\'s name'
till\t'The till'
business\t'The merchant'
branch\t'The branch'
code\t'The code\'s end'
date\t'The till\'s own time'
accepted\t'When it was accepted'
settled\t'When it was settled'
tries\t'How often it was sent'
marks\t'What is special about it'
said\t'What the provider said'
note\t'What was noted'"
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l all -d 'All of them, page after page'
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l newest -d 'The newest first'
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redeemd -n "__fish_redeemd_using_subcommand show" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand show" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand show" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand retry" -l lane -d 'The lane of the declines to take back' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand retry" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand retry" -l held -d 'Take back the equal declines for which the lane is held'
complete -c redeemd -n "__fish_redeemd_using_subcommand retry" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand retry" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand void" -l note -d 'Why, in a few words; kept with the redemption' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand void" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand void" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand void" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand handled" -l note -d 'What was done, in a few words; kept with the redemption' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand handled" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand handled" -l free -d 'Its code may be used again'
complete -c redeemd -n "__fish_redeemd_using_subcommand handled" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand handled" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand flush" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand flush" -l wait -d 'Wait until nothing is pending any more; 1 when nothing was answered for a minute'
complete -c redeemd -n "__fish_redeemd_using_subcommand flush" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand flush" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand hold" -l note -d 'Why, in a few words; kept with the hold' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand hold" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand hold" -l trust -d 'Tills are trusted meanwhile, under the offline limits'
complete -c redeemd -n "__fish_redeemd_using_subcommand hold" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand hold" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand release" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand release" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand release" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and not __fish_seen_subcommand_from off on" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and not __fish_seen_subcommand_from off on" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and not __fish_seen_subcommand_from off on" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and not __fish_seen_subcommand_from off on" -f -a "off" -d 'Give nothing without the provider\'s answer'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and not __fish_seen_subcommand_from off on" -f -a "on" -d 'Give on trust again'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off" -l note -d 'Why, in a few words; kept with it and shown first' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off" -l for -d 'For so long, such as 30m or 2h; without it until it is on again' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from on" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from on" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from on" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l lane -d 'Only this lane' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l from -d 'Only from this day on, by when the gateway accepted: the store\'s own days' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l to -d 'Only up to this day, by when the gateway accepted: the store\'s own days' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l csv -d 'Print comma-separated values'
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand report" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand backup" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand backup" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand backup" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand export" -l state-dir -d 'Read this state directory, whose daemon does not run' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand export" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand export" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand export" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand import" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand import" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand import" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand hash-password" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand hash-password" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand hash-password" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand make-certificate" -l cert-file -d 'The certificate\'s file, new' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand make-certificate" -l key-file -d 'The key\'s file, new' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand make-certificate" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand make-certificate" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand make-certificate" -s h -l help -d 'Print help'
complete -c redeemd -n "__fish_redeemd_using_subcommand names" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand names" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand names" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l listen -d 'Where gateways or tills connect; port 0 picks one and prints it' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l control -d 'A listener of its own for the control API, so that the line can be cut' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l redeem-path -d 'The path of Redeem' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l check-path -d 'The path of Check Reward' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l token-path -d 'The path of the OAuth token endpoint' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l webhook-path -d 'The path where error webhooks are received' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l rule -d 'A fault: field=value,field=value or a JSON object; the first that fires decides' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l rules-file -d 'Rules from a JSON file, after those of --rule; - is standard input' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l seed -d 'Makes the rules\' shares hit the same requests again; default: random, and printed' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l delay -d 'Waits before every answer' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l reusable -d 'Codes that are never used up, a pattern with *' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l check-data -d 'What a check tells of a good code: a JSON object whose members win over the sandbox\'s own' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l token-file -d 'The file of the bearer token that requests must carry; without any token all are served' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l token -d 'The bearer token itself, for tests: other users of this machine can see it' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l oauth -d 'The OAuth client that gets tokens, for tests: other users of this machine can see it' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l oauth-expires -d 'How long an access token is good' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l oauth-refresh -d 'The refresh token that is good at start; each is good once' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l oauth-code -d 'The authorization code that is good once' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l tls -d 'Serves TLS with such a certificate' -r -f -a "good\t'Valid, for this host, by the authority of --ca-out'
expired\t'It ended in 2001'
not-yet-valid\t'It begins in 3000'
self-signed\t'By nobody but itself'
wrong-host\t'Valid, but for wrong-host.invalid'"
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l tls-name -d 'A further host name in the certificate, beside localhost and the address' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l ca-out -d 'Where the authority\'s certificate is written, for a client\'s `ca_file`' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l records -d 'How many requests are kept for GET /sandbox/requests' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l honour-keys -d 'Answers a repeated Idempotency-Key with its first answer (the contract has no such key)'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l strict -d 'Refuses an order with a field that the contract does not have'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l http1 -d 'HTTP/1.1 alone'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l http2 -d 'HTTP/2 alone (without --tls: with prior knowledge)'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l no-record -d 'Keeps no requests'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l quiet -d 'Prints nothing after the addresses'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redeemd -n "__fish_redeemd_using_subcommand rehearse" -l count -d 'How many redemptions come while the line is cut' -r
complete -c redeemd -n "__fish_redeemd_using_subcommand rehearse" -l config -d 'The settings file [default: /etc/redeemd/redeemd.toml]' -r -F
complete -c redeemd -n "__fish_redeemd_using_subcommand rehearse" -l keep -d 'Keeps the rehearsal\'s folder; one that failed is kept anyway'
complete -c redeemd -n "__fish_redeemd_using_subcommand rehearse" -l json -d 'Print data as JSON, one object a line'
complete -c redeemd -n "__fish_redeemd_using_subcommand rehearse" -s h -l help -d 'Print help'

# The running gateway knows the names of lanes and tills; one that does not answer at once has none.
complete -c redeemd -l lane -x -a '(redeemd names lanes 2>/dev/null)'
complete -c redeemd -l till -x -a '(redeemd names tills 2>/dev/null)'
complete -c redeemd -n "__fish_redeemd_using_subcommand flush; or __fish_redeemd_using_subcommand hold; or __fish_redeemd_using_subcommand release" -x -a '(redeemd names lanes 2>/dev/null)'
