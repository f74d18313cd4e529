#!/bin/bash
# quantum drill: on a run of its own exchange, and on quantum exchange over its API.
#   drill.sh QUANTUM
# Proves: a kill -9 and a restart lose, double and change nothing, with the words the run was started with (but for --fresh);
# a panic leaves nothing, at the venue too, and entries come again; a stop cancelled behind the run's back is there again; what
# is no paper run is refused, and so is what cannot be drilled. (A standby that takes over: failover.sh.)
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq
patience=240
port=$(free_port)
# The runs that drills have started are ours to end.
finish_all() {
    local file
    for file in "$work"/*.pid; do
        if [[ -s $file ]]; then kill -9 "$(<"$file")" 2>/dev/null || true; fi
    done
    finish
}
trap finish_all EXIT

positions() { curl -sf --max-time 30 "http://127.0.0.1:$port/api/positions" 2>/dev/null | jq '[.data[] | select(.protected)] | length' || echo 0; }
holds() { (($(positions) > 0)); }
drill() { # expected-code words...
    local want=$1 got=0
    shift
    "$quantum" drill "$@" --timeout $patience >"$work/out" 2>"$work/err" || got=$?
    ((got == want)) || { tail -n 20 "$work/log"; cat "$work/out" "$work/err"; die "quantum drill $*: exit code $got, not $want"; } >&2
}
now_runs() { jq .pid "$work/out" >"$work/$1.pid"; }

drill 2
drill 2 fire
drill 2 panic --no-such
drill 2 naked --port "$port"
drill 1 panic --port "$port"
grep -q "nothing runs on 127.0.0.1:$port" "$work/err" || die "it does not say that nothing runs"
"$quantum" drill --help | grep -q '^usage: quantum drill' || die "no help"

# The exchange inside. Started with --fresh: a restart must not begin anew.
start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$work/paper" --port "$port" --no-baselines --fresh
await $patience holds || { cat "$work/log" >&2; die "nothing is held"; }
drill 0 restart --state "$work/paper" --json
now_runs paper
jq -e '.passed and .positions + .trades > 0 and .lost + .doubled + .changed == 0 and .protected_ms >= 0' "$work/out" >/dev/null ||
    { cat "$work/out" >&2; die "restart"; }
say "restart: $(<"$work/out")"
await $patience holds || die "nothing is held any more"
drill 0 panic --state "$work/paper" --json
jq -e '.passed and .resumed and .at_venue == null' "$work/out" >/dev/null || { cat "$work/out" >&2; die "panic"; }
say "panic: $(<"$work/out")"
await $patience holds || die "nothing is held after a panic: it did not resume"
drill 3 naked --state "$work/paper"
kill -9 "$(<"$work/paper.pid")"

# What is no paper run.
"$quantum" data synth --store "$work/store" --symbols 4 --bars 12000 --seed 9 >"$work/out" 2>&1
port=$(free_port)
start "$work/log" "$quantum" up --mode replay --strategy momentum --data "$work/store" --state "$work/replay" --port "$port" --no-baselines \
    --speed 6000
up() { curl -sf --max-time 30 "http://127.0.0.1:$port/api/risk" 2>/dev/null | jq -e .running >/dev/null; }
await $patience up || { cat "$work/log" >&2; die "the replay does not come up"; }
for verb in panic restart naked; do
    drill 3 "$verb" --state "$work/replay"
    grep -q 'only paper is drilled' "$work/err" || die "$verb of a replay is not refused by name"
done
kill -9 "$started"
reap "$started"

# An exchange of its own process.
venue=$(free_port)
start "$work/exchange.out" "$quantum" exchange --port "$venue" --state "$work/exchange" --seed 3 --symbols 200 --history-days 2 \
    --volatility 3 --print-ready
await $patience grep -q '^{"url"' "$work/exchange.out" || { cat "$work/exchange.out" >&2; die "the exchange did not start"; }
grep -m1 '^{"url"' "$work/exchange.out" >"$work/ready.json"
port=$(free_port)
start "$work/log" "$quantum" up --mode paper --venue-url "http://127.0.0.1:$venue" --keys "$work/ready.json" --strategy random \
    --state "$work/trader" --port "$port" --quiet
await $patience holds || { cat "$work/log" >&2; die "nothing is held"; }
drill 0 naked --state "$work/trader" --json
jq -e '.passed and .protected_ms <= 3000' "$work/out" >/dev/null || { cat "$work/out" >&2; die "naked"; }
say "naked: $(<"$work/out")"
await $patience holds || { cat "$work/log" >&2; die "nothing is held any more"; }
drill 0 restart --state "$work/trader" --json
now_runs trader
jq -e '.passed and .positions > 0' "$work/out" >/dev/null || { cat "$work/out" >&2; die "restart"; }
say "restart: $(<"$work/out")"
drill 0 panic --state "$work/trader" --json
jq -e '.passed and .at_venue == 0' "$work/out" >/dev/null || { cat "$work/out" >&2; die "panic"; }
say "panic: $(<"$work/out")"
