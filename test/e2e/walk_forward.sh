#!/bin/bash
# quantum walk-forward as a user meets it.
#   walk_forward.sh QUANTUM [KILLS] [MOMENTS]      KILLS (default 4), MOMENTS of the leakage check (3)
# TEST_SEED=N repeats the moments. LEAK_CSV=DIR (files NAME.csv.zst), LEAK_FROM, LEAK_TO, LEAK_SYMBOLS, LEAK_VOTERS, LEAK_WINDOW: the
# leakage check on hours of one's own.
# Proves: whatever moments a run is killed at, its log of decisions, its trades and its report are in the end byte for byte
# those of a run that was left alone; Ctrl-C ends it with exit code 0 and the same command goes on; the bars behind a
# moment taken out of the store change no decision before it, through every layer of the program; trials are
# counted once; the report is JSON, Markdown and a page that needs nothing from elsewhere.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
kills=${2:-4}
moments=${3:-3}
need jq sqlite3 zstd
say "TEST_SEED=$seed"

"$quantum" data synth --symbols 5 --bars 2400 --interval 1h --pattern 3 --store "$work/store" >"$work/out" 2>&1 ||
    die "the store"
from=2024-03-11 to=2024-04-05
voters="xgboost,lightgbm"
walk=("$quantum" walk-forward --data "$work/store" --from "$from" --to "$to" --voters "$voters"
    --retrain-every 10d --window 60d --draws 200)
log_of() { echo "$(run_dir "$1")/decisions.walk"; }

# ---- wrong input ----
expect() { # code pattern command...
    local want=$1 pattern=$2 got=0
    shift 2
    "$@" >"$work/out" 2>&1 || got=$?
    ((got == want)) || { cat "$work/out" >&2; die "exit code $got, not $want: $*"; }
    grep -Eq -- "$pattern" "$work/out" || { cat "$work/out" >&2; die "no '$pattern': $*"; }
}
state=$work/wrong
expect 2 '--from is missing' "$quantum" walk-forward
expect 2 "'soon' is not a value for --from" "$quantum" walk-forward --from soon
expect 2 "'0d' is not a value for --window" "$quantum" walk-forward --from $from --window 0d
expect 2 "'a.txt' is not a value for --report" "$quantum" walk-forward --from $from --report a.txt
expect 2 'exclude each other' "$quantum" walk-forward --from $from --resume --fresh
expect 2 'is not an option' "$quantum" walk-forward --from $from now
expect 2 'no voter|is not a value' "$quantum" walk-forward --from $from --voters abacus
expect 1 'no bars|none|No such' "$quantum" walk-forward --data "$work/nowhere" --from $from --state "$state"
expect 2 '--to is not after --from' "$quantum" walk-forward --data "$work/store" --from $from --to 2024-03-01 --state "$state"
expect 1 'no bars before' "$quantum" walk-forward --data "$work/store" --from 2023-12-01 --to $to --state "$state"
expect 1 'no run of these options' "${walk[@]}" --resume --state "$state"
say "wrong input is named"

# ---- left alone ----
began=$(now_ms)
"${walk[@]}" --json --state "$work/alone" --report "$work/a.html" --report "$work/a.md" >"$work/alone.json" 2>"$work/err" ||
    { cat "$work/err" >&2; die "the undisturbed run"; }
took=$(($(now_ms) - began))
jq -e '.decisions > 2000 and .closes_missing == 0 and .outcomes > 2000 and .subjects.xgboost.all.rows > 2000
    and .subjects.nhits.all.rows == 0 and .subjects.nhits.all.auc_side == null
    and .subjects.ensemble.all.auc_side > 0.5 and (.interval_coverage.share | . > 0.8 and . <= 1)
    and .retraining.rounds >= 2 and .retraining.failed == 0 and (.retraining.changes | length) > 4
    and .deflated_sharpe.trials > 5 and .overfitting.choices > 0 and .run.trades > 20
    and .variants.run.trades == .run.trades and (.variants | has("momentum", "random_entry", "buy_and_hold", "rule:pool_all"))
    and (.capacity.levels | length) == 3 and (.months | length) == 2' "$work/alone.json" >/dev/null ||
    die "the report is not what the run was"
[[ $(grep -c '<svg' "$work/a.html") -ge 3 ]] || die "pictures are missing"
! grep -Eq '(src|href)="http' "$work/a.html" || die "the page needs the net"
grep -q '^## How much of it may be chance' "$work/a.md" || die "no Markdown"
cp "$(log_of "$work/alone")" "$work/alone.log"
ledger "$work/alone" >"$work/alone.ledger"
trials=$(jq .deflated_sharpe.trials "$work/alone.json")
lines=$(wc -l <"$work/alone/trials.jsonl")
"${walk[@]}" --json --resume --quiet --state "$work/alone" >"$work/again.json" 2>"$work/err" || die "a run that is over, again"
strip() { jq -S 'del(.command, .wall_seconds)' "$1"; }
strip "$work/alone.json" >"$work/alone.stripped"
strip "$work/again.json" >"$work/stripped"
same "the report of a run that is over, made again" "$work/alone.stripped" "$work/stripped"
(($(jq .deflated_sharpe.trials "$work/again.json") == trials)) || die "trials counted twice"
(($(wc -l <"$work/alone/trials.jsonl") == lines)) || die "the file of trials grew"
say "left alone: $took ms, $trials trials"

# ---- killed ----
compare() { # what state json
    same "$1: decisions" "$work/alone.log" "$(log_of "$2")"
    ledger "$2" >"$work/ledger"
    same "$1: the journal of trades" "$work/alone.ledger" "$work/ledger"
    strip "$3" >"$work/stripped"
    same "$1: the report" "$work/alone.stripped" "$work/stripped"
}
killed=0
while ((killed < kills)); do
    state=$work/killed
    rm -rf "$state"
    code=137
    while ((code == 137)); do
        start "$work/err" "${walk[@]}" --report "$work/killed.json" --quiet --state "$state"
        if ((killed < kills)); then
            sleep_ms $((5 + (RANDOM * 32768 + RANDOM) % (took + 10)))
            kill -9 "$started" 2>/dev/null || true
        fi
        reap "$started"
        ((code == 137)) && killed=$((killed + 1))
    done
    ((code == 0)) || { cat "$work/err" >&2; die "exit code $code after $killed kills"; }
    compare "after $killed kills" "$state" "$work/killed.json"
done
say "killed $killed times, nothing lost, nothing doubled"

# ---- Ctrl-C ----
state=$work/stopped
start "$work/err" "${walk[@]}" --quiet --state "$state"
await 120 test -e "$state/current"
await 120 test -e "$(run_dir "$state")/decisions.walk"
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/err" >&2; die "Ctrl-C: exit code $code"; }
"${walk[@]}" --resume --quiet --report "$work/stopped.json" --state "$state" >"$work/out" 2>"$work/err" ||
    { cat "$work/err" >&2; die "after Ctrl-C"; }
compare "after Ctrl-C" "$state" "$work/stopped.json"
say "stopped and gone on"

# ---- leakage: the store ends earlier ----
bars_until() { # store t: the same market, as it was known then
    if [[ ${LEAK_CSV:-} ]]; then
        local file csv=$work/csv
        rm -rf "$csv"
        while read -r file; do
            mkdir -p "$csv/$(dirname "$file")"
            zstd -dcq "$LEAK_CSV/$file" | awk -F, -v t="$2" 'NR == 1 || $1 + 3600000 <= t * 1000' >"$csv/${file%.zst}"
        done < <(cd "$LEAK_CSV" && find . -name '*.csv.zst')
        "$quantum" data import --market um --interval 1h --store "$1" "$csv" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "the store"; }
    else
        "$quantum" data synth --symbols 5 --bars $((($2 - $(date -ud 2024-01-01 +%s)) / 3600)) --interval 1h --pattern 3 \
            --store "$1" >"$work/out" 2>&1 || die "the store"
    fi
}
leak=("$quantum" walk-forward --from "${LEAK_FROM:-$from}" --to "${LEAK_TO:-$to}" --voters "${LEAK_VOTERS:-$voters}"
    --retrain-every 10d --window "${LEAK_WINDOW:-60d}" --draws 200 --interval 1h --quiet ${LEAK_SYMBOLS:+--symbols "$LEAK_SYMBOLS"})
if [[ ${LEAK_CSV:-} ]]; then
    bars_until "$work/whole" 9999999999
    "${leak[@]}" --data "$work/whole" --state "$work/wholestate" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "the whole store"; }
    cp "$(log_of "$work/wholestate")" "$work/alone.log"
fi
begin=$(date -ud "${LEAK_FROM:-$from}" +%s)
hours=$((($(date -ud "${LEAK_TO:-$to}" +%s) - begin) / 3600))
for ((i = 0; i < moments; i++)); do
    t=$((begin + 3600 * (24 + (RANDOM * 32768 + RANDOM) % (hours - 25))))
    rm -rf "$work/cut" "$work/cutstate"
    bars_until "$work/cut" "$t"
    "${leak[@]}" --data "$work/cut" --state "$work/cutstate" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; die "cut at $t"; }
    cut=$(log_of "$work/cutstate")
    # A tape that ends is flat one bar before, and what is decided at its last close knows that: that close apart.
    symbols=$(od -An -tu4 -j32 -N4 "$cut")
    same_bytes=$(($(stat -c %s "$cut") - 48 - 24 - 160 * symbols))
    ((same_bytes > 20 * (24 + 160 * symbols))) || die "cut at $t: hardly any decision"
    cmp -n "$same_bytes" -i 48 "$work/alone.log" "$cut" || die "bars behind $(date -ud "@$t" '+%F %H:%M') taken away: other decisions before it"
done
say "$moments moments, nothing looks ahead"
