#!/bin/bash
# A running system is told things: stop, panic, resume, limits; over restarts.
#   operate.sh QUANTUM
# Proves: after `quantum stop` nothing is opened and exits go on, and kill -9 does not undo it; `quantum panic` leaves no
# position and no order; `quantum resume` lets entries come again; a lowered limit holds; what is wrong is refused by name;
# what is said twice under one id is done once, over a restart too; where nothing runs the commands say so; the journal of
# all of it replays to the same state. Nothing here is late on a slow machine: what may be opened when is held against the
# market's time.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3
state=$work/state
port=$(free_port)
url=http://127.0.0.1:$port
patience=120

begin() { start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$state" --port "$port" --no-baselines; }
ask() { curl -sf --max-time 30 "$url$1"; }
risk() { ask /api/risk >"$work/risk" 2>/dev/null && jq -e "$1" "$work/risk" >/dev/null; }
is_up() { risk .running; }
alive() { kill -0 "$started" 2>/dev/null || { cat "$work/log" >&2; die "it ended by itself"; }; }
send() { # expected-code path body
    local got
    got=$(curl -s --max-time 30 -o "$work/out" -w '%{http_code}' -H 'Content-Type: application/json' -d "$3" "$url$2")
    [[ $got == "$1" ]] || { cat "$work/out" >&2; die "$2 $3: $got, not $1"; }
}
# The system obeys; what it is like then goes to $work/out.
tell() { # verb arguments...
    "$quantum" "$@" --by e2e --timeout $patience --json >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; die "quantum $*"; }
}

# Nothing runs yet.
for verb in stop panic resume; do
    code=0
    "$quantum" "$verb" --port "$port" >"$work/out" 2>&1 || code=$?
    ((code == 1)) || die "quantum $verb with nothing running: exit code $code"
    grep -q "nothing runs on 127.0.0.1:$port" "$work/out" || { cat "$work/out" >&2; die "quantum $verb does not say that nothing runs"; }
    "$quantum" "$verb" --help | grep -q '^usage: quantum' || die "quantum $verb --help"
    code=0
    "$quantum" "$verb" --no-such >"$work/out" 2>&1 || code=$?
    ((code == 2)) || die "quantum $verb --no-such: exit code $code"
done

begin
await $patience is_up || { cat "$work/log" >&2; die "it does not come up"; }
await $patience risk '.positions > 0' || { cat "$work/log" "$work/risk" >&2; die "no position was opened"; }

# Stop, found by --state. What the venue had by then may be filled within the minute; nothing is opened later.
before=$(now_ms)
tell stop --state "$state"
say "stop in force after $(($(now_ms) - before)) ms"
jq -e .emergency_stop "$work/out" >/dev/null || die "not stopped: $(<"$work/out")"
stopped=$(jq .market_time "$work/out")
alive
kill -9 "$started"
reap "$started"
begin
await $patience is_up || { cat "$work/log" >&2; die "it does not come up after kill -9"; }
await 30 risk .emergency_stop || die "kill -9 undid the stop" # it may be shown before its journal is gone over
await $patience risk '.positions == 0' || die "exits do not go on under a stop: $(<"$work/risk")"
await $patience risk ".market_time > $stopped + 3600 * 1000" || die "the market stands still"
risk '.positions == 0 and .emergency_stop' || die "a position was opened under a stop: $(<"$work/risk")"

# Resume, then panic.
tell resume --port "$port"
jq -e '.emergency_stop | not' "$work/out" >/dev/null || die "not resumed"
resumed=$(jq .market_time "$work/out")
await $patience risk '.positions > 0' || die "no position was opened after resume: $(<"$work/risk")"
tell panic --state "$state"
jq -e '.positions == 0 and .live_orders == 0 and .emergency_stop' "$work/out" >/dev/null || { cat "$work/out" >&2; die "panic: not flat"; }
ask /api/positions | jq -e '.data == []' >/dev/null || die "a position after panic"
ask /api/orders | jq -e '.data == []' >/dev/null || die "an order after panic"
flat=$(jq .market_time "$work/out")
await $patience risk ".market_time > $flat + 1800 * 1000" || die "the market stands still"
risk '.running and .positions == 0' || die "it opened something after panic"
say "panic: flat"

# Limits, in force at once and not above their ceilings; one id is one command.
send 202 /api/policy '{"key":"positions_max","value":2,"by":"e2e","id":"e2e-1"}'
await $patience risk '.limits.positions_max == 2' || die "a limit is not in force: $(<"$work/risk")"
send 202 /api/policy '{"key":"positions_max","value":500,"by":"e2e"}'
await $patience risk '.limits.positions_max == 50' || die "the ceiling does not hold"
send 202 /api/policy '{"key":"positions_max","value":3,"by":"e2e"}'
await $patience risk '.limits.positions_max == 3' || die "a limit is not in force: $(<"$work/risk")"
send 422 /api/policy '{"key":"positions_maximum","value":2}'
send 422 /api/policy '{"key":"positions_max","value":-2}'
send 404 /api/breaker/reset '{"symbol":"NOSUCHUSDT"}'
send 202 /api/breaker/reset '{"by":"e2e"}'
got=$(curl -s -o /dev/null -w '%{http_code}' -H 'Origin: http://evil.example' -d '{"value":1}' "$url/api/emergency_stop")
[[ $got == 403 ]] || die "a page of another origin is answered with $got"
alive
kill -9 "$started"
reap "$started"
begin
await $patience is_up || { cat "$work/log" >&2; die "it does not come up after kill -9"; }
send 202 /api/policy '{"key":"positions_max","value":2,"by":"e2e","id":"e2e-1"}'
number=$(jq .number "$work/out")
await $patience risk ".commands_taken >= $number" || die "a command is not taken: $(<"$work/risk")"
risk '.limits.positions_max == 3' || die "one id was obeyed twice: $(<"$work/risk")"
tell resume --state "$state"
cp "$work/out" "$work/resumed"
await $patience risk '.positions > 0' || die "no position under the limit"
opened=$(jq .market_time "$work/risk")
over() { risk '.positions > 3'; }
until risk ".market_time > $opened + 1800 * 1000"; do
    ! over || die "more positions than the limit: $(<"$work/risk")"
    alive
    sleep 0.05
done

kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/log" >&2; die "exit code $code"; }
resumed_again=$(jq .market_time "$work/resumed")
late=$(sqlite3 "$(run_dir "$state")/trades.sqlite" "SELECT count(*) FROM trades WHERE
    entry_ts_ns > ($stopped + 60000) * 1000000 AND entry_ts_ns < ($resumed - 60000) * 1000000 OR
    entry_ts_ns > ($flat + 60000) * 1000000 AND entry_ts_ns < ($resumed_again - 60000) * 1000000")
[[ $late == 0 ]] || die "$late trades were opened under a stop"
"$quantum" replay "$(run_dir "$state")" --verify >"$work/out" 2>&1 || { cat "$work/out" >&2; die "verify"; }
say "$(cat "$work/out")"
