#!/bin/bash
# quantum sim as a user meets it.
#   sim.sh QUANTUM [SEEDS] [HOURS]     seeds a kind of fault (4), simulated hours each (1)
# TEST_SEED=N: the first seed.
# Proves: the same seed is the same run, alone or beside others; under each kind of fault alone nothing of the invariants
# is violated, nor under all of them by the seeds that once were; a planted bug of each kind is found within 20 seeds; figures are one
# line of JSON, last; wrong input is named.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
seeds=${2:-4}
hours=${3:-1}
first=${TEST_SEED:-1}
need jq
say "TEST_SEED=$first"

# ---- wrong input ----
expect() { # code pattern command...
    local want=$1 pattern=$2 got=0
    shift 2
    "$@" >"$work/out" 2>&1 || got=$?
    ((got == want)) || { cat "$work/out" >&2; die "exit code $got, not $want: $*"; }
    grep -Eq -- "$pattern" "$work/out" || { cat "$work/out" >&2; die "no '$pattern': $*"; }
}
expect 2 "'none' is not a value for --hours|hours" "$quantum" sim --hours none
expect 2 'symbols' "$quantum" sim --symbols 0
expect 2 'canary' "$quantum" sim --canary parrot
expect 1 "'wind' is not a kind" "$quantum" sim --hours 0.1 --faults wind=0.5
expect 2 'of --swarm' "$quantum" sim --csv "$work/x.csv"
expect 0 'usage: quantum sim' "$quantum" sim --help

# ---- the same seed is the same run ----
"$quantum" sim --seed 7 --hours 0.5 --faults all --json >"$work/a" 2>/dev/null || true
"$quantum" sim --seed 7 --hours 0.5 --faults all --json >"$work/b" 2>/dev/null || true
[[ $(jq -r .trace_hash "$work/a") == "$(jq -r .trace_hash "$work/b")" ]] || die "one seed, two runs"
"$quantum" sim --seed 8 --hours 0.5 --faults all --json >"$work/b" 2>/dev/null || true
[[ $(jq -r .trace_hash "$work/a") != "$(jq -r .trace_hash "$work/b")" ]] || die "two seeds, one run"
say "repeatable"

# ---- each kind alone ----
kinds=(none human_leverage=0.002 filter_change=0.004 delisting=0.001,process_crash=0.001
    human_close=0.001,human_open=0.001,human_cancel=0.0005 process_crash=0.003 power_loss=0.002
    net_request_lost=0.02,net_reply_lost=0.02,net_request_late=0.01,net_reply_late=0.01
    lost_ack=0.05,unknown_done=0.05,unknown_not_done=0.05
    stream_drop=0.01,stream_swap=0.01,stream_double=0.01,user_silent=0.005
    conditional_switch=0.005,maintenance=0.003 clock_step=0.004,clock_drift=0.004)
for faults in "${kinds[@]}"; do
    "$quantum" sim --seed "$first" --swarm "$seeds" --hours "$hours" --faults "$faults" --no-shrink --json >"$work/out" \
        2>"$work/err" || { grep -v '^ts=' "$work/err" >&2; die "under $faults"; }
    tail -n 1 "$work/out" | jq -e --argjson n "$seeds" '.seeds == $n and .violations == 0 and .events > 1000 and .hours > 0
        and .ratio > 0 and .coverage > 0 and .time_to_protected_ms.p99 > 0 and (.trace_hash | length) == 16' >/dev/null ||
        { cat "$work/out" >&2; die "figures under $faults"; }
done
say "${#kinds[@]} kinds of faults, $seeds seeds of $hours h each"

# ---- everything at once: the seeds that have shown something (docs/simulation.md), as a swarm draws their faults ----
for seed in 110053 120029 130234 150008 160064 170163 180255 180381 180382 300562; do
    "$quantum" sim --seed $seed --swarm 1 --hours 10 --faults all --no-shrink --json >"$work/out" 2>"$work/err" ||
        { grep -v '^ts=' "$work/err" >&2; die "seed $seed"; }
done
say "seeds that violated once"

# ---- planted bugs ----
for canary in double_order naked lost_fill loosened_stop; do
    code=0
    "$quantum" sim --seed "$first" --swarm 20 --hours 1 --canary $canary --no-shrink >"$work/out" 2>&1 || code=$?
    ((code == 1)) || { cat "$work/out" >&2; die "a planted $canary is not seen (exit code $code)"; }
    grep -q invariant "$work/out" || die "$canary: no invariant is named"
done
say "every planted bug is seen"

# ---- Ctrl-C ----
start "$work/out" "$quantum" sim --seed 1 --hours 5000
await 20 pgrep -P $$ -f 'sim --seed 1' >/dev/null
sleep_ms 500
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/out" >&2; die "Ctrl-C: exit code $code"; }
say "stopped"
