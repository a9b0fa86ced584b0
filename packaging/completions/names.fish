
# The running gateway knows the names of lanes and tills; one that does not answer at once has none.
complete -c redeemd -l lane -x -a '(redeemd names lanes 2>/dev/null)'
complete -c redeemd -l till -x -a '(redeemd names tills 2>/dev/null)'
complete -c redeemd -n "__fish_redeemd_using_subcommand flush; or __fish_redeemd_using_subcommand hold; or __fish_redeemd_using_subcommand release" -x -a '(redeemd names lanes 2>/dev/null)'
complete -c redeemd -n "__fish_redeemd_using_subcommand trust; and __fish_seen_subcommand_from off on" -x -a '(redeemd names lanes 2>/dev/null)'
