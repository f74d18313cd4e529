#!/bin/bash
# The same decisions from every compiler and optimisation.
#   fingerprint.sh BUILD…      build folders, each with a program `quantum`
# Proves: over one tape momentum and the ensemble, with one pair of model files (trained by the first
# build), give the same fingerprint and the same report, byte for byte, from each build; so does the
# paper market, which a build makes up by itself; and each build trains the same two model files, byte
# for byte.
set -euo pipefail
(($# >= 2)) || { echo "usage: $0 BUILD BUILD…" >&2; exit 2; }
builds=("$@")
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "${builds[0]}/quantum"
need jq

"$quantum" data synth --store "$work/store" --symbols 8 --bars 9000 --seed 11 >"$work/out" 2>&1
"$quantum" up --mode replay --strategy ensemble --voters xgboost,lightgbm --data "$work/store" --from 2024-01-05 --state "$work/train" \
    --no-api --quiet --json >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "training"; }
models=()
for model in "$work"/train/models/*; do models+=(--model "$model"); done
((${#models[@]} == 4)) || die "there are not two models: ${models[*]}"

run() { # build name options...
    local program=$1/quantum state=$work/state what=$2
    shift 2
    rm -rf "$state"
    "$program" up --no-api --quiet --no-baselines --state "$state" "$@" >"$work/out" 2>"$work/err" ||
        { cat "$work/err" >&2; die "$program: $what"; }
    "$program" report --json --state "$state" >"$work/$what"
    if [[ -f $work/$what.first ]]; then
        same "$program: $what" "$work/$what.first" "$work/$what"
    else
        mv "$work/$what" "$work/$what.first"
        (($(jq .trades "$work/$what.first") > 50)) || die "$what: too few trades to tell anything"
    fi
}

for build in "${builds[@]}"; do
    [[ -x $build/quantum ]] || die "no program $build/quantum"
    run "$build" momentum --mode replay --strategy momentum --data "$work/store"
    run "$build" ensemble --mode replay --strategy ensemble --data "$work/store" --from 2024-01-05 "${models[@]}"
    run "$build" paper --mode paper --strategy sma_cross --speed max --steps 7000 --seed 3
done
for build in "${builds[@]:1}"; do
    rm -rf "$work/again"
    "$build/quantum" up --mode replay --strategy ensemble --voters xgboost,lightgbm --data "$work/store" --from 2024-01-05 --state "$work/again" \
        --no-api --quiet --json >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "$build: training"; }
    for model in "$work"/train/models/*; do
        same "$build: the trained $(basename "$model")" "$model" "$work/again/models/$(basename "$model")"
    done
done
for what in momentum ensemble paper; do
    say "$what: $(jq -r '"\(.fingerprint), \(.trades) trades"' "$work/$what.first") from ${#builds[@]} builds"
done
