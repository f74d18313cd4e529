#!/bin/bash
# A run on a venue that learns while it trades: `quantum up --venue-url … --retrain-every 2m` against `quantum exchange`.
#   venue_learns.sh QUANTUM
# Proves: without first models it asks the venue for older candles, trains when its time has come while it goes on,
# and judges what came of it; killed in the middle of a training it begins it again, or says that it is lost; its candles have no hole;
# what is on record is executed again from the first record, without the venue. Takes about nine minutes, for a minute of
# the market is a minute: label long.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq
port=$(free_port)
start "$work/exchange.out" "$quantum" exchange --port "$port" --state "$work/exchange" --symbols 6 --history-days 2 \
    --seed "$seed" --print-ready
await 60 grep -q '^{"url"' "$work/exchange.out" || { cat "$work/exchange.out" >&2; die "the exchange did not start"; }
grep -m1 '^{"url"' "$work/exchange.out" >"$work/ready.json"
chmod 600 "$work/ready.json"

trader() {
    start "$work/up.$1" "$quantum" up --mode paper --venue-url "http://127.0.0.1:$port" --keys "$work/ready.json" \
        --voters xgboost,lightgbm --retrain-every 2m --state "$work/trader" --no-api --quiet
}
said() { grep -q "role=$2 msg=\"$3\"" "$work/up.$1"; }

trader 1
await 60 said 1 candles "older candles were asked for" || { cat "$work/up.1" >&2; die "no older candles"; }
await 300 said 1 retrain training || { cat "$work/up.1" >&2; die "no training was begun"; }
sleep_ms 2000      # it is on record
kill -9 "$started" # results are looked at with the next minute: this one's are lost
reap "$started"
trader 2
# Where the record ends with its beginning it is begun again, else told as failed: never as if it had not been.
again() { said 2 retrain training || grep -q 'msg="failed".*reason=restart' "$work/up.2"; }
await 200 again || { cat "$work/up.2" >&2; die "a training that was lost is not told"; }
await 400 said 2 retrain trained || { cat "$work/up.2" >&2; die "nothing was trained"; }
grep -qE 'msg="(rejected|shadow)"' "$work/up.2" || die "nobody judged what was trained"
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/up.2" >&2; die "exit code $code"; }

dir=$(run_dir "$work/trader")
"$quantum" data check --store "$dir/store" --json >"$work/check" || { cat "$work/check" >&2; die "its candles"; }
"$quantum" data check --store "$dir/store" | grep -E '^um ' >"$work/series"
(($(wc -l <"$work/series") == 6)) || { cat "$work/series" >&2; die "candles of six contracts"; }
awk '$4 < 1000 || $(NF - 2) != 0 || $(NF - 1) != 0 || $NF != 0 { bad = 1 } END { exit bad }' "$work/series" ||
    { cat "$work/series" >&2; die "too few candles, or holes"; }
kill -9 "${pids[0]}" # the exchange: nobody is asked
"$quantum" replay "$dir" --verify --json >"$work/verified" 2>"$work/err" || { cat "$work/err" >&2; die "verify"; }
jq -e '.verified and .first_record == 1 and .records > 1000' "$work/verified" >/dev/null ||
    { cat "$work/verified" >&2; die "verify"; }
say "$(grep -cE 'msg="trained"' "$work/up.2") trained; $(cat "$work/verified")"
