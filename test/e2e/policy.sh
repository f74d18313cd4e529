#!/bin/bash
# Commands over a real broker: quantum:stream:policy.command.
#   policy.sh QUANTUM
# Proves: what somebody adds to the stream with the broker's own client is in force in the running system, once per trace id,
# over a kill -9 too; what is no command is a dead letter with the reason; what has changed is told on policy.updated.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need redis-server redis-cli curl jq
socket=$work/redis.sock
state=$work/state
port=$(free_port)
patience=120

answers() { [[ $(redis-cli -s "$socket" PING 2>/dev/null) == PONG ]]; }
cli() { redis-cli -s "$socket" "$@"; }
start "$work/redis.log" redis-server --port 0 --unixsocket "$socket" --dir "$work" --save '' --daemonize no
await $patience answers || { tail "$work/redis.log" >&2; die "redis-server does not answer"; }

begin() {
    start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$state" --port "$port" --no-baselines \
        --bus "redis+unix:$socket"
    await $patience risk .running || { cat "$work/log" >&2; die "it does not come up"; }
}
risk() { curl -sf --max-time 30 "http://127.0.0.1:$port/api/risk" >"$work/risk" 2>/dev/null && jq -e "$1" "$work/risk" >/dev/null; }
add() { # trace-id payload
    cli XADD quantum:stream:policy.command '*' event_type policy.command payload "$2" trace_id "$1" \
        timestamp 2026-01-01T00:00:00.000000000Z source ops schema 1 >/dev/null
}
dead() { (($(cli XLEN quantum:dlq:policy.command) == $1)); }
told() { (($(cli XLEN quantum:stream:policy.updated) >= $1)); }

begin
began=$(now_ms)
add ops-1 '{"key":"positions_max","value":4,"by":"ops"}'
await $patience risk '.limits.positions_max == 4' || die "not in force: $(<"$work/risk")"
say "in force after $(($(now_ms) - began)) ms"
await $patience told 1 || die "policy.updated does not tell"
kill -9 "$started"
reap "$started"
# While nobody runs: the first again, another, one that is none.
add ops-1 '{"key":"positions_max","value":9,"by":"ops"}'
add ops-2 '{"key":"positions_maximum","value":5}'
add ops-3 '{"key":"trading:emergency_stop","value":true,"by":"ops"}'
begin
await $patience risk .emergency_stop || die "a stop given while it was away is not in force"
risk '.limits.positions_max == 4' || die "one trace id was obeyed twice: $(<"$work/risk")"
await $patience dead 1 || die "not one dead letter: $(cli XLEN quantum:dlq:policy.command)"
cli --raw XRANGE quantum:dlq:policy.command - + | grep -q "there is no policy 'positions_maximum'" || die "the dead letter does not say why"
kill -INT "$started"
reap "$started"
((code == 0)) || { cat "$work/log" >&2; die "exit code $code"; }
[[ $(cli XPENDING quantum:stream:policy.command quantum:group:risk:policy.command | head -n 1) == 0 ]] || die "a command was not acknowledged"
"$quantum" replay "$(run_dir "$state")" --verify >"$work/out" 2>&1 || { cat "$work/out" >&2; die "verify"; }
