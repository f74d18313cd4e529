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

port=$(free_port)
api=$(free_port)
ready=$work/ready.json
exchange_kills=0
trader_kills=0

exchange() {
    start "$work/exchange.out" "$quantum" exchange --port "$port" --state "$work/exchange" --seed "$seed" \
        --symbols "$symbols" --history-days 2 --volatility "${VOLATILITY:-3}" --faults "$1" --admin-port 0 --print-ready
    exchange_pid=$started
    await 120 grep -q '^{"url"' "$work/exchange.out" || { cat "$work/exchange.out" >&2; die "the exchange did not start"; }
    grep -m1 '^{"url"' "$work/exchange.out" >"$ready"
    chmod 600 "$ready"
    admin=$(jq -r .admin_url "$ready")
}

trader() {
    start "$work/trader.out" "$quantum" up --mode paper --venue-url "http://127.0.0.1:$port" --keys "$ready" \
        --strategy random --state "$work/trader" --port "$api" --quiet
    trader_pid=$started
}

answers() { curl -sf -m 5 "http://127.0.0.1:$api/health/live" >/dev/null; }

key=
signed() { # method path [query]: an answer of the venue, asked again while it is not a proper one
    local method=$1 path=$2 query=${3:-} text signature got i
    for i in {1..40}; do
        text="${query:+$query&}recvWindow=60000&timestamp=$(now_ms)"
        signature=$(printf %s "$text" | openssl dgst -sha256 -hmac "$(jq -r .api_secret "$ready")" -hex | sed 's/.*= //')
        key=$(jq -r .api_key "$ready")
        if got=$(curl -sf -m 10 -X "$method" -H "X-MBX-APIKEY: $key" "http://127.0.0.1:$port$path?$text&signature=$signature"); then
            printf %s "$got"
            return
        fi
        sleep_ms 250
    done
    die "the venue does not answer $path"
}

# What each side believes, as sorted lines.
venue_side() {
    signed GET /fapi/v3/positionRisk | jq -r '.[] | select((.positionAmt | tonumber) != 0) | "position \(.symbol) \(.positionAmt | tonumber)"'
    signed GET /fapi/v1/openOrders | jq -r '.[] | "order \(.symbol) \(.clientOrderId)"'
    signed GET /fapi/v1/openAlgoOrders | jq -r '.[] | "order \(.symbol) \(.clientAlgoId)"'
    signed GET /fapi/v3/balance | jq -r '.[] | select(.asset == "USDT") | "wallet \(.balance | tonumber)"'
}
trader_side() {
    local positions orders state
    positions=$(curl -sf -m 5 "http://127.0.0.1:$api/api/positions") || return 1
    orders=$(curl -sf -m 5 "http://127.0.0.1:$api/api/orders") || return 1
    state=$(curl -sf -m 5 "http://127.0.0.1:$api/api/state") || return 1
    jq -r '.data[] | "position \(.symbol) \(.qty | tonumber)"' <<<"$positions"
    jq -r '.data[] | "order \(.symbol) \(.client_order_id)"' <<<"$orders"
    jq -r '"wallet \([.. | objects | .wallet? // empty][0] | tonumber)"' <<<"$state"
}
agree() {
    sleep_ms 5000 # asking weighs, and the trader behind the same address needs what is left
    venue_side | sort >"$work/venue.side"
    trader_side 2>/dev/null | sort >"$work/trader.side" || return 1
    cmp -s "$work/venue.side" "$work/trader.side"
}

exchange "all:$seed"
trader
await 120 answers || { cat "$work/trader.out" >&2; die "the trader did not start"; }

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
        exchange_kills=$((exchange_kills + 1))
    fi
done
while (($(now_ms) < begin + seconds * 1000)); do sleep_ms 200; done

# Decisions are made once a minute: a short storm goes on until one has led to a fill.
traded() { curl -sf -m 5 "http://127.0.0.1:$api/metrics" | grep -qE '^order_fills_total [1-9]'; }
await 240 traded || die "nothing was traded: nothing was proved"

# The storm is over: whatever was lost is found again, and both say the same.
curl -sf -X POST "$admin/faults?spec=none" >/dev/null || die "the admin port does not answer"
settled=$(now_ms)
await 120 agree || {
    diff "$work/venue.side" "$work/trader.side" >&2 || true
    tail -20 "$work/trader.out" >&2
    die "venue (<) and trader (>) do not agree"
}
settled=$(($(now_ms) - settled))

# Each client order id at most once, over everything the account ever sent.
curl -sf "http://127.0.0.1:$port/fapi/v1/exchangeInfo" | jq -r '.symbols[].symbol' >"$work/symbols"
while read -r symbol; do
    signed GET /fapi/v1/allOrders "symbol=$symbol&limit=1000" |
        jq -r '.[] | select((.executedQty | tonumber) > 0) | .clientOrderId'
done <"$work/symbols" >"$work/executed"
doubled=$(sort "$work/executed" | uniq -d)
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
