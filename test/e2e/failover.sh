#!/bin/bash
# quantum up --standby and quantum drill failover: a run has one owner.
#   failover.sh QUANTUM
# Proves: a second process on a run is refused and touches nothing; a standby says that it is one, on a port of its own, and
# answers nothing else; an owner that is killed is followed, with the same positions and trades; one that hangs is ended
# first; their stops stand at the venue all the while, the venue holds what the run holds, and an old owner that comes back
# refuses.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq
patience=240
# Processes that drills have started are ours to end.
finish_all() {
    local file
    for file in "$work"/*.pid; do
        if [[ -s $file ]]; then kill -9 "$(<"$file")" 2>/dev/null || true; fi
    done
    finish
}
trap finish_all EXIT

ask() { curl -sf --max-time 30 "http://127.0.0.1:$port$1" 2>/dev/null; }
holds() { (($(ask /api/positions | jq '[.data[] | select(.protected)] | length' || echo 0) > 0)); }
drill() { # expected-code words...
    local want=$1 got=0
    shift
    "$quantum" drill "$@" --timeout $patience >"$work/out" 2>"$work/err" || got=$?
    ((got == want)) || { cat "$work/out" "$work/err" "$work"/*/drill-failover.log >&2; die "quantum drill $*: exit code $got, not $want"; }
}
# Everything in a folder that is no log of the running owner's own doing: names, sizes, contents.
shown() { (cd "$1" && find . -type f ! -name 'trades.sqlite-*' | LC_ALL=C sort); }

"$quantum" up --standby --fresh --state "$work/none" 2>"$work/err" && die "--standby --fresh is taken" || (($? == 2))
"$quantum" up --standby --mode replay --state "$work/none" 2>"$work/err" && die "a standby of a replay" || (($? == 2))
drill 2 failover --port 1
drill 2 panic --hang

# The exchange inside: nobody trades while nothing is asked for.
port=$(free_port)
words=(up --strategy momentum --synth-pattern 4 --port "$port" --no-baselines --state "$work/paper")
start "$work/log" "$quantum" "${words[@]}"
await $patience holds || { cat "$work/log" >&2; die "nothing is held"; }
ask /health | jq -e '.lease | .role == "owner" and .epoch == 1 and .state == "running" and .age_ms < 5000 and .standby_pid == null' >/dev/null ||
    { ask /health | jq .lease >&2; die "the owner does not say so"; }

# A second one, with --fresh too, is refused before it touches anything.
run=$(run_dir "$work/paper")
for extra in "" --fresh; do
    shown "$work/paper" >"$work/before"
    inode=$(stat -c %i "$run" "$run"/journal/lock "$run"/lease "$run"/run.txt)
    code=0
    "$quantum" "${words[@]}" $extra >"$work/out" 2>"$work/err" || code=$?
    ((code == 3)) || { cat "$work/err" >&2; die "a second process: exit code $code, not 3"; }
    grep -q "process $started owns this run" "$work/err" || { cat "$work/err" >&2; die "it does not say who owns the run"; }
    shown "$work/paper" | same "files after a second process" "$work/before" -
    [[ $(stat -c %i "$run" "$run"/journal/lock "$run"/lease "$run"/run.txt) == "$inode" ]] || die "a second process replaced a file"
done
ask /health | jq -e ".pid == $started and .lease.epoch == 1" >/dev/null || die "the owner has changed"

# A standby of our own: it says so where it may, and ends when it is told to.
own=$(free_port)
owner=$started
start "$work/standby" "$quantum" "${words[@]}" --standby --standby-port "$own"
says() { curl -s --max-time 30 "http://127.0.0.1:$own$1"; }
await $patience says /health/live >/dev/null || { cat "$work/standby" >&2; die "the standby does not come up"; }
says /health | jq -e ".status == \"STANDBY\" and (.ready | not) and .lease.role == \"standby\" and .lease.owner_pid == $owner" >/dev/null ||
    { says /health >&2; die "the standby does not say that it is one"; }
[[ $(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$own/health/ready") == 503 ]] || die "a standby that is ready"
says /api/positions | jq -e '.status == 503 and (.error | startswith("standby: process"))' >/dev/null || die "a standby tells positions"
curl -s -H 'Content-Type: application/json' -d '{"value":1,"by":"me"}' "http://127.0.0.1:$own/api/emergency_stop" |
    jq -e '.status == 503' >/dev/null || die "a standby takes commands"
says /metrics | grep -q '^quantum_lease_owned 0$' || die "metrics of the standby"
seen() { ask /metrics | grep -q '^quantum_lease_standby 1$'; }
await $patience seen || die "the owner does not know of its standby"
"$quantum" status --port "$port" | grep -q "^owner of the run: process $owner (number 1), .*; process $started stands by$" ||
    { "$quantum" status --port "$port" >&2; die "quantum status does not tell of the two"; }
kill "$started"
reap "$started"
((code == 0)) || die "a standby that is told to end: exit code $code"
unseen() { ask /metrics | grep -q '^quantum_lease_standby 0$'; }
await $patience unseen || die "a standby that has gone is still told"

await $patience holds || die "nothing is held any more"
drill 0 failover --state "$work/paper" --json
jq .pid "$work/out" >"$work/paper.pid"
jq -e '.passed and .how == "kill" and .positions + .trades > 0 and .lost + .doubled + .changed == 0 and .old_refuses and .epoch == 2 and
    .naked == null' "$work/out" >/dev/null || { cat "$work/out" >&2; die "failover"; }
say "failover: $(<"$work/out")"
kill -9 "$(<"$work/paper.pid")"

# An exchange of its own process.
venue=$(free_port)
start "$work/exchange.out" "$quantum" exchange --port "$venue" --state "$work/exchange" --seed 3 --symbols 200 --history-days 2 \
    --volatility 3 --print-ready
await $patience grep -q '^{"url"' "$work/exchange.out" || { cat "$work/exchange.out" >&2; die "the exchange did not start"; }
grep -m1 '^{"url"' "$work/exchange.out" >"$work/ready.json"
port=$(free_port)
start "$work/log" "$quantum" up --mode paper --venue-url "http://127.0.0.1:$venue" --keys "$work/ready.json" --strategy random \
    --state "$work/trader" --port "$port" --lease-seconds 4 --quiet
await $patience holds || { cat "$work/log" >&2; die "nothing is held"; }
for how in kill hang; do
    await $patience holds || die "nothing is held any more"
    drill 0 failover --state "$work/trader" --json $([[ $how == kill ]] || echo --hang)
    jq .pid "$work/out" >"$work/trader.pid"
    jq -e ".passed and .how == \"$how\" and .positions > 0 and .lost + .doubled + .changed == 0 and .naked + .differing == 0 and
        .venue_looks > 0 and .old_refuses" "$work/out" >/dev/null || { cat "$work/out" >&2; die "failover, $how"; }
    say "failover, $how: $(<"$work/out")"
done
jq -e '.owned_ms >= 3500 and .epoch == 3' "$work/out" >/dev/null || { cat "$work/out" >&2; die "a hanging owner was ended too early"; }
