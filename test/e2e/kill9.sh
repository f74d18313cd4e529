#!/bin/bash
# Kill -9 at random moments loses nothing and doubles nothing.
#   kill9.sh QUANTUM [KILLS]      KILLS (default 12) of the momentum run; a third of them each of a
#                                 run with snapshots on its way and of an ensemble run
# TEST_SEED=N repeats the moments, as far as a machine repeats anything.
# Proves: whatever moments a run is killed at, its trades, fills, funding and equity points are in the
# end byte for byte those of a run that was left alone, and so is its report; the journal replays.
# Also that SIGINT and SIGTERM end a run with exit code 0, and that it goes on afterwards.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
kills=${2:-12}
need sqlite3
say "TEST_SEED=$seed"

up=("$quantum" up --mode replay --no-api --json)

compare() { # what expected-state state
    local what=$1 a=$2 b=$3
    ledger "$b" >"$work/ledger"
    same "$what: the journal of trades" "$a.ledger" "$work/ledger"
    "$quantum" report --json --state "$b" >"$work/report"
    same "$what: the report" "$a.report" "$work/report"
    "$quantum" replay "$(run_dir "$b")" --verify >"$work/verified" || die "$what: verify"
}

undisturbed() { # what state options...
    local what=$1 state=$2 begin
    shift 2
    begin=$(now_ms)
    "${up[@]}" --state "$state" "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "$what: the undisturbed run"; }
    took=$(($(now_ms) - begin))
    ledger "$state" >"$state.ledger"
    "$quantum" report --json --state "$state" >"$state.report"
    trades=$(grep -c '^trades' "$state.ledger" || true)
    ((trades > 20)) || die "$what: only $trades trades: nothing to lose"
    local doubled
    doubled=$(sqlite3 "$(run_dir "$state")/trades.sqlite" 'SELECT count(*) - count(DISTINCT intent_id) FROM trades')
    ((doubled == 0)) || die "$what: $doubled intents led to two trades"
}

# Kills until the number is reached, however many runs that takes; each must end as if left alone.
sweep() { # what kills undisturbed-state options...
    local what=$1 wanted=$2 reference=$3 killed=0 runs=0 state
    local span=$((took + took / 8 + 10))
    shift 3
    while ((killed < wanted)); do
        state=$work/killed
        rm -rf "$state"
        code=137
        while ((code == 137)); do
            start "$work/out" "${up[@]}" --state "$state" "$@"
            if ((killed < wanted)); then
                sleep_ms $((5 + (RANDOM * 32768 + RANDOM) % span))
                kill -9 "$started" 2>/dev/null || true
            fi
            reap "$started"
            ((code == 137)) && killed=$((killed + 1))
        done
        ((code == 0)) || { cat "$work/out" >&2; die "$what: exit code $code after $killed kills"; }
        compare "$what after $killed kills" "$reference" "$state"
        runs=$((runs + 1))
    done
    say "$what: $killed kills over $runs runs of $took ms: $trades trades each time, none lost, none doubled"
}

synth() { # store options...
    local store=$1
    shift
    "$quantum" data synth --store "$store" "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "data synth"; }
}
third=$(((kills + 2) / 3))

# Paced, so that a run lasts and its journal of trades is committed on the way; baselines at the end.
synth "$work/small" --symbols 8 --bars 20000 --seed 5
small=(--data "$work/small" --strategy momentum)
undisturbed "momentum" "$work/a" "${small[@]}" --speed 1500000
sweep "momentum" "$kills" "$work/a" "${small[@]}" --speed 1500000

# Ending on request: exit code 0, and the next start goes on.
for signal in INT TERM INT; do
    start "$work/out" "${up[@]}" --state "$work/stopped" "${small[@]}" --speed 300000
    sleep_ms $((300 + RANDOM % 300))
    kill -s "$signal" "$started"
    reap "$started"
    ((code == 0)) || { cat "$work/out" >&2; die "SIG$signal: exit code $code"; }
    grep -q 'stopped cleanly' "$work/out" || { cat "$work/out" >&2; die "SIG$signal: it did not say that it stopped"; }
done
"${up[@]}" --state "$work/stopped" "${small[@]}" >/dev/null 2>&1 || die "the run did not go on after its stops"
compare "after three stops" "$work/a" "$work/stopped"
say "SIGINT, SIGTERM, SIGINT: exit code 0 each time, then the same report as a run left alone"

# More than a million bars: a snapshot is taken on the way.
synth "$work/large" --symbols 40 --bars 40000 --seed 6
large=(--data "$work/large" --strategy momentum --no-baselines)
undisturbed "with snapshots" "$work/b" "${large[@]}"
sweep "with snapshots" "$third" "$work/b" "${large[@]}"
rm -rf "$work/large"

# The models' answers are on record: a resumed run must not ask again for what it knows.
synth "$work/learned" --symbols 8 --bars 9000 --seed 5
ensemble=(--data "$work/learned" --strategy ensemble --voters xgboost,lightgbm --no-baselines --from 2024-01-05)
undisturbed "training" "$work/c" "${ensemble[@]}"
for model in "$work"/c/models/*; do ensemble+=(--model "$model"); done
undisturbed "ensemble" "$work/d" "${ensemble[@]}"
same "ensemble: the run that trained its models" "$work/c.ledger" "$work/d.ledger"
sweep "ensemble" "$third" "$work/d" "${ensemble[@]}"
