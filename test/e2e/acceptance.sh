#!/bin/bash
# quantum report --acceptance: rows 55, 57 and 63, from a running system and from its folder.
#   acceptance.sh QUANTUM
# Proves: what is printed is what the system says at that moment; a row is shown only where there is enough to show it, and
# says why where there is not; a win rate has its sample and interval, and comes from the books.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3
port=$(free_port)
patience=120
report() { "$quantum" report --acceptance --json --state "$work/$1" --port "$port" >"$work/out" || die "report of $1"; }
is() { jq -e "$1" "$work/out" >/dev/null || { cat "$work/out" >&2; die "not '$1'"; }; }

start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$work/paper" --port "$port" --no-baselines
entered() {
    curl -sf --max-time 30 "http://127.0.0.1:$port/health" 2>/dev/null | jq -e '.metrics | .trades_total + .positions_open >= 6' >/dev/null
}
await $patience entered || { cat "$work/log" >&2; die "nothing is traded"; }
report paper
is '.["55"] | .state == "shown" and (.signals | length) == 3 and (.entries | length) == 6 and .confidence > 0 and .confidence_half > 0
    and .orders >= .fills / 4 and .intents > 0'
is '.["63"] | .state == "shown" and (.components | length) == 12 and all(.components[]; .mark != "LIVE" and (.evidence | length) > 0)'
is '.["57"] | .trades >= 50 or (.state == "not yet" and .win_rate == null and (.why | length) > 0)'
"$quantum" report --acceptance --state "$work/paper" >"$work/text"
for part in 'Row 55: tests 1 to 4: shown' 'Test 1, health' 'Test 2, signals' 'Test 3, flow' 'Test 4, execution' 'Row 57' 'Row 63' 'SYNTHETIC'; do
    grep -q "$part" "$work/text" || { cat "$work/text" >&2; die "no '$part'"; }
done
kill -9 "$started"
reap "$started"
report paper
is '(.["55"] | .state == "not yet" and (.why | contains("nothing runs"))) and .["63"].state == "not yet"'

"$quantum" data synth --store "$work/store" --symbols 6 --bars 12000 --seed 9 >"$work/log" 2>&1
"$quantum" up --mode replay --strategy momentum --data "$work/store" --no-api --no-baselines --state "$work/replay" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "the replay"; }
report replay
books=$(sqlite3 "$(run_dir "$work/replay")/trades.sqlite" 'SELECT count(*) FROM trades')
won=$(sqlite3 "$(run_dir "$work/replay")/trades.sqlite" 'SELECT count(*) FROM trades WHERE net_pnl_e8 > 0')
is ".[\"57\"] | .state == \"shown\" and .trades == $books and ((.win_rate - $won / $books) | fabs) < 1e-9
    and .win_rate_low < .win_rate and .win_rate < .win_rate_high and .expectancy_low < .expectancy_high and .identity_error_e8 == 0"
say "$books trades, $won won: $(jq -c '.["57"] | [.win_rate, .win_rate_low, .win_rate_high]' "$work/out")"
