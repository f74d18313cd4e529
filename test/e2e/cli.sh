#!/bin/bash
# The command line: help, usage errors, refusals, and messages a person can act on.
#   cli.sh QUANTUM
# Proves: every command explains itself with an example and exit code 0; a wrong word is exit code 2,
# a failure 1, a refusal for safety 3, each with a line that names the trouble; --json is JSON.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq
state=$work/state

# Exit code and words of one call; standard output and error together.
expect() { # code pattern command...
    local want=$1 pattern=$2 got=0
    shift 2
    "$quantum" "$@" >"$work/out" 2>&1 </dev/null || got=$?
    ((got == want)) || { head -n 20 "$work/out" >&2; die "quantum $*: exit code $got, not $want"; }
    grep -Eq -e "$pattern" "$work/out" || { head -n 20 "$work/out" >&2; die "quantum $*: no '$pattern' in it"; }
}
json() { # jq-filter command...: succeeds, and the filter holds on what it prints
    local filter=$1
    shift
    "$quantum" "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "quantum $*: failed"; }
    jq -e "$filter" "$work/out" >/dev/null || { head -c 600 "$work/out" >&2; die "quantum $*: not '$filter'"; }
}

# Help.
expect 0 '^usage: quantum COMMAND' --help
expect 0 '^quantum [0-9]+\.[0-9]+' --version
expect 2 '^usage: quantum COMMAND'
mapfile -t commands < <("$quantum" --help | sed -n 's/^  \([a-z-]\{2,\}\)  .*/\1/p')
((${#commands[@]} >= 9)) || die "only ${#commands[@]} commands in the help"
for command in "${commands[@]}"; do
    expect 0 "^(example:|  )\s*quantum $command" "$command" --help
    expect 0 "^usage: quantum $command" "$command" --help
    expect 2 . "$command" --no-such-option
done
for command in import list check show synth; do
    expect 0 "^example: quantum data $command" data "$command" --help
    expect 2 . data "$command" --no-such-option
done
say "${#commands[@]} commands explain themselves"

# Usage.
expect 2 "no command 'tarde'" tarde
expect 2 "'extra' is not an option" up extra
expect 2 "'nonsense' is not a value for --mode" up --mode nonsense
expect 2 "'-1' is not a value for --seed" up --seed -1
expect 2 "'1e9x' is not a value for --speed" up --speed 1e9x
expect 2 "'lightgbm,oracle' is not a value for --voters" up --voters lightgbm,oracle
expect 2 "'nhits,nhits' is not a value for --voters" up --voters nhits,nhits
expect 2 "'' is not a value for --voters" up --voters ''
expect 2 "'mean' is not a value for --ensemble-rule" up --ensemble-rule mean
for weights in '' 1,1,1 1,1,1,1,1 1,1,0,1 1,1,-1,1 1,1,nan,1 1,1,inf,1 1,1,x,1 '1,1,1,1 ' reported; do
    expect 2 "'$weights' is not a value for --ensemble-weights" up --ensemble-weights "$weights"
    expect 2 "'$weights' is not a value for --ensemble-weights" walk-forward --from 2024-01-01 --ensemble-weights "$weights"
done
expect 2 "'yes' is not a value for --strategy-confidence" backtest --strategy-confidence yes
expect 2 "'maybe' is not a value for --exit-brain" backtest --exit-brain maybe
expect 2 "'maybe' is not a value for --exit-brain" walk-forward --from 2024-01-01 --exit-brain maybe
expect 2 "'70000' is not a value for --port" up --port 70000
expect 2 "'2024-13-01' is not a value for --from" backtest --from 2024-13-01
expect 2 "'martingale' is not a value for --strategy" up --strategy martingale
expect 2 'the mode is replay' backtest --mode paper
expect 2 . bench no_such_figure

# Refused for safety.
expect 3 'nothing was started' up --mode live --state "$state"
expect 2 'a venue needs keys' up --mode testnet --state "$state"
# Live is asked for three times, and a URL must fit its mode.
echo '{"mode":"live","api_key":"a","api_secret":"b"}' >"$work/live.json"
echo '{"api_key":"a","api_secret":"b"}' >"$work/keys.json"
chmod 600 "$work/keys.json"
chmod 644 "$work/live.json"
export QUANTUM_LIVE=yes
expect 3 'can be read by others' up --mode live --keys "$work/live.json" --state "$state"
chmod 600 "$work/live.json"
expect 3 'does not say "mode": "live"' up --mode live --keys "$work/keys.json" --state "$state"
expect 3 'is a demo venue' up --mode live --keys "$work/live.json" --venue-url https://demo-fapi.binance.com --state "$state"
expect 3 'must be https' up --mode live --keys "$work/live.json" --venue-url http://127.0.0.1:1 --state "$state"
unset QUANTUM_LIVE
expect 3 'QUANTUM_LIVE=yes' up --mode live --keys "$work/live.json" --state "$state"
expect 3 'the mode is testnet' up --mode testnet --keys "$work/keys.json" --venue-url https://fapi.binance.com --state "$state"
expect 3 'venue of the outside world' up --venue-url https://fapi.binance.com --keys "$work/keys.json" --state "$state"
expect 3 'not an http' up --venue-url 127.0.0.1:1 --keys "$work/keys.json" --state "$state"
echo '{"api_key":"a"' >"$work/broken.json"
expect 1 'broken.json: line 1' up --venue-url http://127.0.0.1:1 --keys "$work/broken.json" --state "$state"
expect 1 'does not tell the time' doctor --venue-url http://127.0.0.1:1 --keys "$work/keys.json"
[[ ! -e $state/runs ]] || die "a refused mode left a run behind"

# Nothing there.
expect 1 "nothing has run under $state yet" report --state "$state"
expect 1 "candle store $state/store is empty.*quantum data import" up --mode replay --no-api --state "$state"
mkdir "$work/empty"
expect 1 "$work/empty holds no candles" backtest --data "$work/empty" --state "$state"
expect 1 "--data $work/nowhere: No such file" backtest --data "$work/nowhere" --state "$state"
expect 1 . replay "$work/nowhere" --verify
expect 1 . report --run "$work/nowhere"

# Something there.
"$quantum" data synth --store "$work/store" --symbols 3 --bars 3000 --seed 2 >"$work/out" 2>&1
options=(--data "$work/store" --strategy momentum --state "$state")
expect 1 'symbol SYN99USDT is not in the store' backtest "${options[@]}" --symbols SYN01USDT,SYN99USDT
expect 1 'no such interval|no bars|has no|not in the store' backtest "${options[@]}" --interval 1h
expect 1 '2031' backtest "${options[@]}" --from 2031-01-01
expect 2 '--to is not after --from' backtest "${options[@]}" --from 2024-01-02 --to 2024-01-01
expect 1 'no bars before|no such file|No such file' backtest --data "$work/store" --state "$state" --model "$work/nowhere.json"
json '.trades >= 0 and .symbols == 2 and (.fingerprint | length) == 16' backtest "${options[@]}" --json --symbols SYN01USDT,SYN03USDT
json '.symbols == 2' report --state "$state" --json
json '.symbols == 3 and .baselines.buy_and_hold and .baselines.random_entry' backtest "${options[@]}" --json
json '.verified == true and .records > 0' replay "$(run_dir "$state")" --verify --json
json '.series | length > 0' data list --store "$work/store" --json
expect 0 'SYNTHETIC' report --state "$state"
expect 0 '^# ' events
if ! QUANTUM_STATE=$state "$quantum" report --json | jq -e '.symbols == 3' >/dev/null; then
    die "\$QUANTUM_STATE is not heeded"
fi

# A name too long for a folder, a place that cannot be written.
expect 1 'too long' report --state "/$(printf 'x%.0s' {1..5000})"
touch "$work/file"
expect 1 "$work/file" up --mode paper --no-api --state "$work/file/state"

# A port somebody else has.
port=$(free_port)
start "$work/first" "$quantum" up --mode paper --strategy momentum --state "$work/one" --port "$port"
await 30 grep -q "http://127.0.0.1:$port/" "$work/first" || { cat "$work/first" >&2; die "the first does not listen"; }
expect 1 "$port.*--port" up --mode paper --strategy momentum --state "$work/two" --port "$port"
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/first" >&2; die "the first ended with $code"; }
# One run, one writer. (A file of its own: the one before already has the word that is waited for.)
start "$work/again" "$quantum" up --mode paper --strategy momentum --state "$work/one" --no-api
await 30 grep -q 'equity' "$work/again" || { cat "$work/again" >&2; die "the first does not trade"; }
expect 3 'owns this run.*--standby' up --mode paper --strategy momentum --state "$work/one" --no-api
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/again" >&2; die "the first ended with $code"; }
say "usage 2, failure 1, refusal 3, each with its reason; JSON parses"
