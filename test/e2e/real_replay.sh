#!/bin/bash
# Nine months of real hourly candles of the USD-M perpetuals, with funding and the venue's own rules.
#   real_replay.sh QUANTUM     reads $QUANTUM_REFERENCE/data; skipped (77) where that is not set
# Proves: two runs give the same report byte for byte; the books balance to the last 1e-8; no position
# was ever without a confirmed stop; the venue refused nothing for a wrong price, size or leverage;
# the ensemble of both boosters, trained on what lay before, does the same and says how often they
# disagree; a model that has seen the window is refused.
set -euo pipefail
if [[ -z ${QUANTUM_REFERENCE:-} ]]; then
    echo "real_replay: skipped: QUANTUM_REFERENCE is not set (the folder that has data/klines/um-1h)"
    exit 77
fi
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq
data=$QUANTUM_REFERENCE/data
store=$work/store
"$quantum" data import --store "$store" "$data/klines/um-1h" "$data/funding" "$data/mark" "$data/reference" >"$work/out" 2>&1 ||
    { tail -n 30 "$work/out" >&2; die "data import"; }

# What must hold of any run on real bars. Codes: bad precision, price filters, size filters, leverage,
# notional, which only a client that does not know the contract's rules meets.
honest='.symbols >= 40 and (.synthetic | not) and .identity_error_e8 == 0
    and .unprotected_positions == 0 and .unprotected_at_end == 0
    and ([.venue_rejects | keys[] | select(IN("-1111", "-4001", "-4002", "-4003", "-4004", "-4005", "-4006",
        "-4013", "-4014", "-4016", "-4023", "-4024", "-4164"))] | length == 0)
    and .baselines.buy_and_hold and .baselines.random_entry and .to == "2025-01-01T00:00:00Z"'

run() { # what state options...: report in STATE.json
    local what=$1 state=$2
    shift 2
    "$quantum" up --mode replay --data "$store" --interval 1h --from 2024-04-01 --to 2025-01-01 --state "$state" \
        --no-api --json "$@" >"$state.json" 2>"$work/err" || { cat "$work/err" >&2; die "$what"; }
    jq -e "$honest" "$state.json" >/dev/null || { jq . "$state.json" >&2; die "$what: not as it must be"; }
}
tell() { # what state
    jq -r --arg what "$1" '"\($what): \(.symbols) symbols, \(.bars) bars, \(.trades) trades, net \(.wallet_change_e8 / 1e8) USDT; "
        + "time to protected p50 \(.time_to_protected_ms.p50) p99 \(.time_to_protected_ms.p99) max \(.time_to_protected_ms.max) ms; "
        + "rejects \(.venue_rejects | tostring); fingerprint \(.fingerprint)"' "$2.json" | while read -r line; do say "$line"; done
}

run "momentum" "$work/a" --strategy momentum
run "momentum again" "$work/b" --strategy momentum
jq -e '.trades > 100' "$work/a.json" >/dev/null || die "momentum: $(jq .trades "$work/a.json") trades"
same "momentum: the report" "$work/a.json" "$work/b.json"
tell "momentum, twice" "$work/a"
"$quantum" replay "$(run_dir "$work/a")" --verify >"$work/out" 2>&1 || { cat "$work/out" >&2; die "verify"; }
say "$(cat "$work/out")"

run "ensemble" "$work/c" --strategy ensemble --voters xgboost,lightgbm
jq -e '.model_window != "none"' "$work/c.json" >/dev/null || die "the ensemble ran without a model"
# Whether it trades is the model's to say, not this test's: without skill it may not, with skill it does.
jq -e '([.models[].state] | all(. == "no_skill")) == (.trades == 0) and (.models | keys) == ["lightgbm", "xgboost"]
    and .disagreement.decisions > 100000 and .disagreement.differ_share > 0 and .disagreement.differ_share < 1' "$work/c.json" >/dev/null ||
    { jq . "$work/c.json" >&2; die "the ensemble trades without skill, or does not with it"; }
say "models: $(jq -r .model_window "$work/c.json")"
say "they disagree: $(jq -c .disagreement "$work/c.json")"
models=()
for model in "$work"/c/models/*; do models+=(--model "$model"); done
run "ensemble, with its models" "$work/d" --strategy ensemble "${models[@]}"
same "ensemble: the report" "$work/c.json" "$work/d.json"
tell "ensemble, twice" "$work/c"

code=0
"$quantum" up --mode replay --data "$store" --interval 1h --strategy ensemble --from 2024-03-01 --to 2025-01-01 --no-api \
    --state "$work/e" "${models[@]}" >"$work/out" 2>&1 || code=$?
((code == 3)) || { cat "$work/out" >&2; die "a model that has seen the window: exit code $code"; }
grep -q 'has seen bars up to 2024-0[34]' "$work/out" || { cat "$work/out" >&2; die "the refusal does not say why"; }
say "a model that has seen the window is refused"
