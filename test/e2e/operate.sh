#!/bin/bash
# A running system is told things: stop, panic, resume, limits; over restarts.
#   operate.sh QUANTUM
# Proves: `quantum stop` is in force within a second, entries end and exits go on, and kill -9 does not undo it; `quantum
# panic` leaves no position and no order; `quantum resume` lets entries come again; a lowered limit holds at once; what is
# wrong is refused by name; where nothing runs the commands say so; the journal of all of it replays to the same state.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3
state=$work/state
port=$(free_port)
url=http://127.0.0.1:$port

begin() { start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$state" --port "$port" --no-baselines; }
ask() { curl -sf --max-time 5 "$url$1"; }
risk() { ask /api/risk >"$work/risk" 2>/dev/null && jq -e "$1" "$work/risk" >/dev/null; }
is_up() { risk .running; }
alive() { kill -0 "$started" 2>/dev/null || { cat "$work/log" >&2; die "it ended by itself"; }; }
command() { # expected-code path body
    local got
    got=$(curl -s -o "$work/out" -w '%{http_code}' -H 'Content-Type: application/json' -d "$3" "$url$2")
    [[ $got == "$1" ]] || { cat "$work/out" >&2; die "$2 $3: $got, not $1"; }
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
await 60 is_up || { cat "$work/log" >&2; die "it does not come up"; }
await 60 risk '.positions > 0' || { cat "$work/log" "$work/risk" >&2; die "no position was opened"; }

# Stop, found by --state.
before=$(now_ms)
"$quantum" stop --state "$state" --by e2e >"$work/out" || { cat "$work/out" >&2; die "quantum stop"; }
took=$(($(now_ms) - before))
risk .emergency_stop || die "not stopped: $(<"$work/risk")"
say "stop in force after $took ms"
((took < 3000)) || die "stop took $took ms"
positions=$(jq .positions "$work/risk")
alive
kill -9 "$started"
reap "$started"
begin
await 30 is_up || { cat "$work/log" >&2; die "it does not come up after kill -9"; }
risk .emergency_stop || die "kill -9 undid the stop"
fewer() { risk ".positions < $positions or .positions == 0"; }
await 60 fewer || die "exits do not go on under a stop: $(<"$work/risk")"
more_positions() { risk ".positions > $positions"; }
! await 3 more_positions || die "a position was opened under a stop"

# Resume, then panic.
"$quantum" resume --port "$port" --by e2e >"$work/out" || { cat "$work/out" >&2; die "quantum resume"; }
risk '.emergency_stop | not' || die "not resumed"
await 60 risk '.positions > 0' || die "no position was opened after resume: $(<"$work/risk")"
"$quantum" panic --state "$state" --by e2e --json >"$work/out" 2>&1 || { cat "$work/out" >&2; die "quantum panic"; }
jq -e '.positions == 0 and .live_orders == 0 and .emergency_stop' "$work/out" >/dev/null || { cat "$work/out" >&2; die "panic: not flat"; }
ask /api/positions | jq -e '.data == []' >/dev/null || die "a position after panic"
ask /api/orders | jq -e '.data == []' >/dev/null || die "an order after panic"
await 10 risk '.running' && risk '.positions == 0' || die "it opened something after panic"
say "panic: flat"

# Limits.
command 202 /api/policy '{"key":"positions_max","value":2,"by":"e2e"}'
await 1 risk '.limits.positions_max == 2' || die "a limit is not in force after a second: $(<"$work/risk")"
command 202 /api/policy '{"key":"positions_max","value":500,"by":"e2e"}'
await 1 risk '.limits.positions_max == 50' || die "the ceiling does not hold"
command 202 /api/policy '{"key":"positions_max","value":2,"by":"e2e"}'
command 422 /api/policy '{"key":"positions_maximum","value":2}'
command 422 /api/policy '{"key":"positions_max","value":-2}'
command 404 /api/breaker/reset '{"symbol":"NOSUCHUSDT"}'
command 202 /api/breaker/reset '{"by":"e2e"}'
got=$(curl -s -o /dev/null -w '%{http_code}' -H 'Origin: http://evil.example' -d '{"value":1}' "$url/api/emergency_stop")
[[ $got == 403 ]] || die "a page of another origin is answered with $got"
"$quantum" resume --state "$state" >"$work/out" || die "quantum resume"
await 60 risk '.positions > 0' || die "no position under the limit"
over() { risk '.positions > 2'; }
! await 3 over || die "more positions than the limit"

kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/log" >&2; die "exit code $code"; }
"$quantum" replay "$(run_dir "$state")" --verify >"$work/out" 2>&1 || { cat "$work/out" >&2; die "verify"; }
say "$(cat "$work/out")"
