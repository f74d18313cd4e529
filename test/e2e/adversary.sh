#!/bin/bash
# `quantum up` against `quantum exchange` with every fault on, each side killed again and again: in the end both sides
# have the same orders, conditional orders, positions and balance, and no client order id was executed twice.
#   adversary.sh QUANTUM [SECONDS [KILLS]]     how long the faults last (45), kills of each side meanwhile (2)
# TEST_SEED=N repeats faults and moments, as far as a machine repeats anything. RESULT=FILE: one line of figures is added.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
seconds=${2:-45}
kills=${3:-2}
symbols=${SYMBOLS:-200} # many and wild, so that something is traded within a minute
need curl jq openssl sqlite3
say "TEST_SEED=$seed"

dir=$work
port=$(free_port)
api=$(free_port)
admin_port=$(free_port)
pair_seed=$seed
volatility=${VOLATILITY:-3}
exchange_kills=0
trader_kills=0
# shellcheck source=test/e2e/pair.sh
source "$(dirname "$0")/pair.sh"

pair_begins "all:$seed"

# Kills spread over the time, the side and the moment by the seed.
begin=$(now_ms)
for ((k = 0; k < 2 * kills; k++)); do
    part=$((seconds * 1000 / (2 * kills)))
    until_ms=$((begin + k * part + part / 4 + (RANDOM * 32768 + RANDOM) % (part / 2)))
    while (($(now_ms) < until_ms)); do
        sleep_ms 100
        kill -0 "$trader_pid" 2>/dev/null || { tail -5 "$work/trader.out" >&2; die "the trader ended by itself"; }
        kill -0 "$exchange_pid" 2>/dev/null || { tail -5 "$work/exchange.out" >&2; die "the exchange ended by itself"; }
    done
    if ((k % 2 == 0)); then
        kill -9 "$trader_pid"
        reap "$trader_pid"
        trader
        trader_kills=$((trader_kills + 1))
    else
        kill -9 "$exchange_pid"
        reap "$exchange_pid"
        exchange "all:$((seed + k))"
        await 120 exchange_serves || { cat "$work/exchange.out" >&2; die "the exchange did not start again"; }
        exchange_kills=$((exchange_kills + 1))
    fi
done
while (($(now_ms) < begin + seconds * 1000)); do sleep_ms 200; done

# Decisions are made once a minute: a short storm goes on until one has led to a fill.
traded() { curl -sf -m 5 "http://127.0.0.1:$api/metrics" | grep -qE '^order_fills_total [1-9]'; }
await 240 traded || die "nothing was traded: nothing was proved"

# The storm is over: whatever was lost is found again, and both say the same.
faults_are none || die "the admin port does not answer"
settled=$(now_ms)
await 120 agree || {
    diff "$work/venue.side" "$work/trader.side" >&2 || true
    tail -20 "$work/trader.out" >&2
    die "venue (<) and trader (>) do not agree"
}
settled=$(($(now_ms) - settled))

# Each client order id at most once, over everything the account ever sent.
sent
doubled=$(executed_twice)
[[ -z $doubled ]] || die "executed twice: $doubled"

kill -INT "$trader_pid"
reap "$trader_pid"
((code == 0)) || { cat "$work/trader.out" >&2; die "the trader ended with $code"; }
"$quantum" replay "$(run_dir "$work/trader")" --verify >"$work/verified" || die "the trader's journal does not replay"
figures=$("$quantum" report --json --state "$work/trader")
trades=$(jq -r '.trades' <<<"$figures")
line="seed=$seed seconds=$seconds trader_kills=$trader_kills exchange_kills=$exchange_kills executed=$(wc -l <"$work/executed") trades=$trades settled_ms=$settled $(jq -r '"protected_ms_p50=\(.time_to_protected_ms.p50) p99=\(.time_to_protected_ms.p99) max=\(.time_to_protected_ms.max) unprotected=\(.unprotected_positions)"' <<<"$figures")"
say "$line"
[[ -z ${RESULT:-} ]] || echo "$line" >>"$RESULT"
(($(wc -l <"$work/executed") > 0)) || die "nothing was traded: nothing was proved"
