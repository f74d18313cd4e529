#!/bin/bash
# The event bus on a real redis-server that dies in the middle.
#   redis.sh QUANTUM
# Proves: a run whose intents travel through Redis Streams decides and earns exactly what one on the
# embedded bus does, although the broker is killed with -9 on the way and comes back on its files,
# and so is quantum itself once; every intent led to at most one entry order; an intent that somebody
# else puts into the stream is not traded, nor does it stop the run.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need redis-server redis-cli sqlite3 jq
say "TEST_SEED=$seed"
socket=$work/redis.sock

broker_up() {
    start "$work/redis.log" redis-server --port 0 --unixsocket "$socket" --dir "$work" \
        --appendonly yes --appendfsync always --save '' --daemonize no
    broker=$started
    await 20 broker_answers || { tail "$work/redis.log" >&2; die "redis-server does not answer"; }
}
broker_answers() { [[ $(redis-cli -s "$socket" PING 2>/dev/null) == PONG ]]; }
cli() { redis-cli -s "$socket" "$@"; }
length() { cli XLEN quantum:stream:trade.intent 2>/dev/null || echo 0; }
longer_than() { (($(length) > $1)); }

"$quantum" data synth --store "$work/store" --symbols 8 --bars 12000 --seed 9 >"$work/out" 2>&1
options=(up --mode replay --strategy momentum --data "$work/store" --no-api --no-baselines --json)
"$quantum" "${options[@]}" --state "$work/embedded" >"$work/embedded.json" 2>"$work/out" ||
    { cat "$work/out" >&2; die "the run on the embedded bus"; }
intents=$(jq .intents "$work/embedded.json")
((intents > 100)) || die "only $intents intents"

broker_up
# 720000 market seconds in some four: long enough for the broker to die while it is needed.
run=("$quantum" "${options[@]}" --state "$work/redis" --bus "redis+unix:$socket" --speed 180000)
start "$work/run.log" "${run[@]}"
run_pid=$started

for share in 4 2; do
    await 30 longer_than $((intents / share)) || { cat "$work/run.log" >&2; die "no intents arrive"; }
    kill -0 "$run_pid" 2>/dev/null || die "the run was over before the broker was killed"
    before=$(length)
    if ((share == 4)); then
        # Somebody else's entries: one of our shape, one of none.
        payload=$(cli --raw XRANGE quantum:stream:trade.intent - + COUNT 1 | sed -n '/^{/{p;q}')
        [[ $payload ]] || die "an entry carries no JSON payload"
        foreign=$(jq -c '.intent_id = "00000000deadbeef"' <<<"$payload")
        cli XADD quantum:stream:trade.intent '*' event_type trade.intent payload "$foreign" \
            trace_id 00000000deadbeef timestamp 2024-01-01T00:00:00.000000000Z source stranger schema 2 >/dev/null
        cli XADD quantum:stream:trade.intent '*' nonsense 1 >/dev/null
    fi
    kill -9 "$broker"
    reap "$broker"
    say "broker killed at $before of $intents intents"
    broker_up
done

# And quantum itself: what it had published and not acknowledged is handed out again.
await 30 longer_than $((intents * 3 / 4)) || { cat "$work/run.log" >&2; die "no intents arrive after the broker came back"; }
kill -0 "$run_pid" 2>/dev/null || die "the run was over before it was killed"
kill -9 "$run_pid"
reap "$run_pid"
say "quantum killed at $(length) of $intents intents"
"${run[@]}" >"$work/redis.json" 2>>"$work/run.log" || { cat "$work/run.log" >&2; die "the run on Redis"; }

"$quantum" report --json --state "$work/embedded" >"$work/a"
"$quantum" report --json --state "$work/redis" >"$work/b"
same "the report" "$work/a" "$work/b"
ledger "$work/embedded" >"$work/a"
ledger "$work/redis" >"$work/b"
same "the journal of trades" "$work/a" "$work/b"
"$quantum" replay "$(run_dir "$work/redis")" --verify >"$work/out" || die "verify"

got=$(length)
((got >= intents)) || die "the stream holds $got entries, $intents intents were made"
cli --raw XRANGE quantum:stream:trade.intent - + | grep -A1 '^trace_id$' | grep -Ev '^(trace_id|--|00000000deadbeef)$' >"$work/identities"
entries=$(wc -l <"$work/identities")
unique=$(sort -u "$work/identities" | wc -l)
((unique == intents)) || die "$unique identities in the stream, $intents intents were made"
# At least once: what was under way when a connection broke is there twice, and no more than that.
((entries <= intents + 64)) || die "$entries entries for $intents intents"
doubled=$(sqlite3 "$(run_dir "$work/redis")/trades.sqlite" 'SELECT count(*) - count(DISTINCT intent_id) FROM trades')
((doubled == 0)) || die "$doubled intents were traded twice"
stranger=$(sqlite3 "$(run_dir "$work/redis")/trades.sqlite" "SELECT count(*) FROM trades WHERE intent_id = $((0xdeadbeef))")
((stranger == 0)) || die "a stranger's intent was traded"
grep -q 'not of this run' "$work/run.log" || { cat "$work/run.log" >&2; die "the stranger's intent was not told"; }
[[ $(cli XLEN quantum:dlq:trade.intent) -ge 1 ]] || die "the malformed entry is no dead letter"
[[ $(cli XPENDING quantum:stream:trade.intent quantum:group:executor:trade.intent | head -n 1) == 0 ]] ||
    die "entries are still pending: $(cli XPENDING quantum:stream:trade.intent quantum:group:executor:trade.intent)"
say "$intents intents, $entries entries in the stream; fingerprint $(jq -r .fingerprint "$work/redis.json"): as on the embedded bus"
