#!/bin/bash
# Four voters in one run: two forests, two networks.
#   voters.sh QUANTUM
# Proves: a run to which no model was given trains all four and seats them, each tells what it is, and only the
# networks what only a network has; how often the four disagree is told; killed again and again, it ends with
# the same trades and the same report, so what the networks remember survives, and the journal replays; a seat
# left out is empty and makes another run; a model of a kind left out is refused; /health and the metrics show
# the four of a paper market and the time a row takes each.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3
say "TEST_SEED=$seed"

"$quantum" data synth --store "$work/store" --symbols 4 --bars 4500 --seed 5 >"$work/out" 2>&1 ||
    { cat "$work/out" >&2; die "data synth"; }
up=("$quantum" up --mode replay --no-api --no-baselines --json --data "$work/store" --from 2024-01-03T02:00:00Z)
run() { # what state options...
    local what=$1 state=$2
    shift 2
    "${up[@]}" --state "$state" "$@" >"$state.json" 2>"$work/err" || { cat "$work/err" >&2; die "$what"; }
}

# ---- four ----
begin=$(now_ms)
run "the first run" "$work/a"
say "trained four and replayed in $(($(now_ms) - begin)) ms"
jq -e '(.models | keys) == ["lightgbm", "nhits", "patchtst", "xgboost"]
    and ([.models.nhits, .models.patchtst] | all(.weights > 10000 and .mse_path > 0 and .mse_persistence > 0 and .mse_dlinear > 0))
    and ([.models.xgboost, .models.lightgbm] | all(.weights == null and .mse_path == null and .mse_dlinear == null))
    and ([.models[] | .rounds] | all(. > 0)) and ([.models[].params] | all(length > 0))
    and .disagreement.decisions > 1000 and .disagreement.p_distance > 0' "$work/a.json" >/dev/null ||
    { jq .models,.disagreement "$work/a.json" >&2; die "the report does not tell of four voters"; }
models=()
for model in "$work"/a/models/*; do models+=(--model "$model"); done
((${#models[@]} == 8)) || die "there are not four models: ${models[*]}"

# ---- killed ----
begin=$(now_ms)
run "with its models" "$work/b" "${models[@]}"
span=$(($(now_ms) - begin))
same "with its models: the report" "$work/a.json" "$work/b.json"
ledger "$work/b" >"$work/b.ledger"
killed=0
while ((killed < 6)); do
    rm -rf "$work/k"
    code=137
    while ((code == 137)); do
        start "$work/out" "${up[@]}" --state "$work/k" "${models[@]}"
        if ((killed < 6)); then
            sleep_ms $((5 + (RANDOM * 32768 + RANDOM) % (span + span / 8 + 10)))
            kill -9 "$started" 2>/dev/null || true
        fi
        reap "$started"
        ((code == 137)) && killed=$((killed + 1))
    done
    ((code == 0)) || { cat "$work/out" >&2; die "exit code $code after $killed kills"; }
    ledger "$work/k" >"$work/k.ledger"
    same "after $killed kills: the journal of trades" "$work/b.ledger" "$work/k.ledger"
    "$quantum" report --json --state "$work/k" >"$work/k.json"
    same "after $killed kills: the report" "$work/b.json" "$work/k.json"
done
# Stopped with a snapshot, several times: what the networks remember comes from there.
until [[ $(jq -r '.to // empty' "$work/s.json" 2>/dev/null) ]]; do
    "${up[@]}" --state "$work/s" --steps 333 "${models[@]}" >"$work/s.json" 2>"$work/err" || { cat "$work/err" >&2; die "in pieces"; }
done
same "in pieces: the report" "$work/b.json" "$work/s.json"
"$quantum" replay "$(run_dir "$work/s")" --verify >"$work/out" 2>&1 || { cat "$work/out" >&2; die "verify"; }
say "$killed kills, then in pieces of 333 bars: the same $(jq .trades "$work/b.json") trades; $(cat "$work/out")"

# ---- fewer ----
cp -r "$work/a" "$work/f"
run "two voters" "$work/f" --voters patchtst,xgboost
grep -q training "$work/err" && die "a model was trained again"
jq -e '(.models | keys) == ["patchtst", "xgboost"]' "$work/f.json" >/dev/null || { jq .models "$work/f.json" >&2; die "--voters"; }
(($(find "$work/f/runs" -mindepth 1 -maxdepth 1 | wc -l) == 2)) || die "other voters are not another run"
code=0
"${up[@]}" --state "$work/g" --voters lightgbm,nhits "${models[@]}" >"$work/out" 2>&1 || code=$?
((code == 3)) || { cat "$work/out" >&2; die "a model that --voters leaves out: exit code $code"; }
grep -q 'which --voters leaves out' "$work/out" || { cat "$work/out" >&2; die "the refusal does not say why"; }

# ---- seen from outside ----
port=$(free_port)
start "$work/log" "$quantum" up --state "$work/p" --port "$port" "${models[@]}"
ask() { curl -sf --max-time 5 "http://127.0.0.1:$port$1"; }
asked() { ask /health | jq -e '[.models[] | .votes > 100 and .predict_ns_p50 > 0 and .predict_ns_p99 >= .predict_ns_p50] | all' >/dev/null; }
await 120 asked || { cat "$work/log" >&2; ask /health >&2; die "not all four are asked"; }
ask /health | jq -e '.voters_loaded == 4 and (.models | [.nhits, .patchtst] | all(.weights > 10000 and .mse_path > 0 and .trained > 0))
    and (.models | [.xgboost, .lightgbm] | all(.weights == null and .mse_path == null)) and .disagreement.decisions > 100' >/dev/null ||
    { ask /health >&2; die "/health does not tell of four voters"; }
ask /metrics >"$work/out"
for kind in xgboost lightgbm nhits patchtst; do
    grep -q "^quantum_model_loaded{model=\"$kind\"} 1" "$work/out" || die "$kind is not in the metrics"
    grep -q "^quantum_model_predict_seconds{model=\"$kind\",quantile=\"0.99\"} [0-9]" "$work/out" || die "$kind: no time in the metrics"
done
say "nanoseconds a row, p50/p99: $(ask /health | jq -r '[.models | to_entries[] | "\(.key) \(.value.predict_ns_p50)/\(.value.predict_ns_p99)"] | join(", ")')"
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/log" >&2; die "exit code $code"; }
