#!/bin/bash
# What a newcomer sees: `quantum up` and nothing else, but for the networks, whose training takes longer (voters.sh).
#   paper.sh QUANTUM
# Proves: within a minute of the processor's time after the first start both boosters are trained and vote, and
# positions are opened and closed by the ordinary path with a confirmed stop, and /health, the page and the signal endpoint
# answer; Ctrl-C ends with exit code 0; a restart, also after kill -9, goes on where it was: every
# trade seen before is there, unchanged, and the market's clock never goes back.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3
state=$work/state
port=$(free_port)
url=http://127.0.0.1:$port
patience=300 # seconds, of a machine that has other things to do

begin() { start "$work/log" "$quantum" up --voters xgboost,lightgbm --state "$state" --port "$port"; }
# The body on standard output; fails unless the answer is 200.
ask() { curl -sf --max-time 30 "$url$1"; }
healthy() { ask /health >"$work/health" && jq -e '.models_loaded >= 1 and .ready' "$work/health" >/dev/null; }
trades() { ask /api/trades | jq '.data | length' 2>/dev/null || echo 0; }
more_than() { (($(trades) > $1)); }
alive() { kill -0 "$started" 2>/dev/null || { cat "$work/log" >&2; die "it ended by itself"; }; }

opened=$(now_ms)
begin
await $patience healthy || { cat "$work/log" >&2; die "not healthy, or no model"; }
await $patience more_than 0 || { cat "$work/log" >&2; die "no position was opened and closed"; }
took=$(($(now_ms) - opened))
used=$(cpu_ms "$started")
((used < 60000)) || die "the first trade closed after $used ms of the processor's time"
say "first trade closed $((took / 1000)).$((took % 1000 / 100)) s after the very first start, training included, with $((used / 1000)).$((used % 1000 / 100)) s of the processor's time"
alive
ask /api/trades | jq -e '.synthetic and (.data[0] | .strategy == "ensemble" and .time_to_protected_ms >= 0
    and (.exit_reason == "take_profit" or .exit_reason == "stop_loss" or .exit_reason == "time_stop"))' >/dev/null ||
    { ask /api/trades >&2; die "the first trade is none of the ordinary path"; }
jq -e '[.models.xgboost, .models.lightgbm] | all(.state == "loaded" and .vote_state == "present" and (.params | length) > 0)' \
    "$work/health" >/dev/null || { cat "$work/health" >&2; die "a model does not vote"; }
ask /health | jq -e '.disagreement | .decisions > 0 and .differ <= .decisions and .p_distance > 0' >/dev/null ||
    { ask /health >&2; die "how far the voters are apart is not told"; }
if ! ask / >"$work/out" || ! grep -qi '<html' "$work/out"; then die "no page"; fi
if ! ask /metrics >"$work/out" || ! grep -q '^# TYPE' "$work/out"; then die "no metrics"; fi
answer=$(curl -sf --max-time 30 -H 'Content-Type: application/json' -d '{"symbol":"SYN01USDT"}' "$url/api/ai/signal") ||
    die "no signal for SYN01USDT"
jq -e '(.action | IN("BUY", "SELL", "HOLD")) and .confidence >= 0 and .confidence <= 1' <<<"$answer" >/dev/null ||
    die "not a signal: $answer"
got=$(curl -s -o "$work/out" -w '%{http_code}' -d '{"symbol":"NOSUCHUSDT"}' -H 'Content-Type: application/json' "$url/api/ai/signal")
[[ $got == 404 ]] || die "an unknown symbol is answered with $got"
"$quantum" status --port "$port" >"$work/out" || { cat "$work/out" >&2; die "quantum status"; }
"$quantum" report --json --state "$state" | jq -e '.identity_error_e8 == 0 and .synthetic' >/dev/null ||
    die "the report while it runs"

journal=$(run_dir "$state")/trades.sqlite
kept() { # checks that what was on record stands, then puts the present on record
    sqlite3 "$journal" 'SELECT * FROM trades ORDER BY trade_id' >"$work/now"
    if [[ -f $work/before ]]; then
        head -n "$(wc -l <"$work/before")" "$work/now" >"$work/head"
        same "a trade from before the restart" "$work/before" "$work/head"
    fi
    mv "$work/now" "$work/before"
}
market_time() { ask /api/state | jq '.market_time'; }

for signal in INT KILL TERM; do
    market=$(market_time)
    kill -s "$signal" "$started"
    reap "$started"
    if [[ $signal == KILL ]]; then
        ((code == 137)) || die "SIGKILL: exit code $code"
    else
        ((code == 0)) || { cat "$work/log" >&2; die "SIG$signal: exit code $code"; }
        "$quantum" report --json --state "$state" | jq -e '.identity_error_e8 == 0 and .baselines.random_entry' >/dev/null ||
            die "the report after SIG$signal"
    fi
    kept
    count=$(wc -l <"$work/before")
    begin
    await $patience healthy || { cat "$work/log" >&2; die "not healthy after SIG$signal"; }
    ! grep -q 'training ' "$work/log" || die "a model was trained again after SIG$signal"
    later() { (($(market_time) >= market)); }
    await $patience later || die "the market's clock went back: $(market_time) after $market"
    await $patience more_than "$count" || { cat "$work/log" >&2; die "no trade after SIG$signal: it does not go on"; }
    alive
    kept
    say "SIG$signal at $count trades: goes on, nothing lost"
done
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/log" >&2; die "exit code $code"; }
kept
[[ $(sqlite3 "$journal" 'SELECT count(*) - count(DISTINCT intent_id) FROM trades') == 0 ]] || die "an intent was traded twice"
# It retrains, in a thread that ends when it ends, and was killed meanwhile: executed again from its first record it
# comes to the same.
"$quantum" replay "$(run_dir "$state")" --verify --json >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "verify"; }
jq -e '.verified and .first_record == 1 and .records > 1000' "$work/out" >/dev/null || { cat "$work/out" >&2; die "verify"; }
say "$(cat "$work/out")"
