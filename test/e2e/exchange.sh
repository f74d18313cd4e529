#!/bin/bash
# quantum exchange as a program: ready line, orders by curl, kill -9, faults by the admin port, messages, ends.
#   exchange.sh QUANTUM
# Proves: the curl example of the help works as printed; what was answered before kill -9 is there after it, ids,
# orders, positions and balances alike; two do not share one state; faults do what their names say and no
# more; a taken port, a bad word and a bad file are told apart; Ctrl-C keeps the state.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq curl openssl
cd "$work"
state=$work/state
ready=$work/ready.json

serving() { [[ -s $ready ]]; }
serve() { # options: starts it; url, key, secret, admin and pid follow
    rm -f "$ready"
    "$quantum" exchange --port 0 --state "$state" --print-ready "$@" >"$ready" 2>"$work/log" &
    exchange=$!
    pids+=("$exchange")
    await 60 serving || { cat "$work/log" >&2; die "does not serve"; }
    url=$(jq -r .url "$ready") key=$(jq -r .api_key "$ready") secret=$(jq -r .api_secret "$ready")
    admin=$(jq -r '.admin_url // empty' "$ready")
}

# A signed call; the body goes to $work/body, the status to $http, the headers to $work/head.
call() { # method path [query]
    local query signature
    query="${3:+$3&}timestamp=$(date +%s%3N)"
    signature=$(printf %s "$query" | openssl dgst -sha256 -hmac "$secret" | sed 's/.* //')
    http=$(curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' --max-time 20 -X "$1" \
        -H "X-MBX-APIKEY: $key" "$url$2?$query&signature=$signature") || http=lost
}
get() { curl -sf --max-time 20 "$url$1"; }
holds() { # what jq-filter: on the last body
    jq -e "$2" "$work/body" >/dev/null || { head -c 600 "$work/body" >&2; die "$1: not '$2' (status $http)"; }
}
is() { # what status [jq-filter]
    [[ $http == "$2" ]] || { head -c 600 "$work/body" >&2; die "$1: status $http, not $2"; }
    [[ -z ${3:-} ]] || holds "$1" "$3"
}
fails() { # code pattern options...
    local want=$1 pattern=$2 got=0
    shift 2
    timeout 60 "$quantum" exchange "$@" >"$work/out" 2>&1 || got=$?
    ((got == want)) || { cat "$work/out" >&2; die "exchange $*: exit code $got, not $want"; }
    grep -Eq -e "$pattern" "$work/out" || { cat "$work/out" >&2; die "exchange $*: no '$pattern'"; }
}

# ---- words ----
fails 2 "'70000' is not a value for --port" --port 70000
fails 2 "'x' is not a value for --latency" --latency x
fails 2 "'maybe' is not a value for --limits" --limits maybe
fails 2 "'moon' is not a value for --source" --source moon
fails 2 "'tea' is not a kind" --faults tea=0.1
fails 2 "'2' is not a rate" --faults lost_ack=2
fails 2 "'extra' is not an option" extra
fails 1 "symbol 'NOSUCH' is not known" --port 0 --state "$work/s1" --symbols NOSUCH
fails 1 'no-such-file' --port 0 --state "$work/s1" --rules no-such-file
fails 1 'no-such-file' --port 0 --state "$work/s1" --accounts no-such-file
fails 1 'is not an address' --port 0 --state "$work/s1" --host no.such.host
fails 1 'no-such.pem' --port 0 --state "$work/s1" --tls=no-such.pem,no-such.pem
say "wrong words are told apart"

# ---- serving ----
serve
[[ $(wc -l <"$ready") == 1 && ! $admin ]] || die "ready is more than one line, or an admin port was opened unasked"
[[ $(get /fapi/v1/ping) == '{}' ]] || die "ping"
get /fapi/v1/exchangeInfo | jq -e '(.symbols | length) == 10 and .symbols[0].symbol == "BTCUSDT"' >/dev/null || die exchangeInfo
drift=$(($(get /fapi/v1/time | jq .serverTime) - $(date +%s%3N)))
((${drift#-} < 2000)) || die "its clock is $drift ms off"
get '/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=500' | jq -e 'length == 500' >/dev/null || die "no history"
call GET /fapi/v3/account
is account 200 '.totalWalletBalance | tonumber == 10000'
fails 1 "port ${url##*:} of 127.0.0.1 is taken" --port "${url##*:}" --state "$work/s2"
fails 1 'holds it|is held|in use|another' --port 0 --state "$state"
fails 1 'is running there' --port 0 --state "$state" --fresh
get /fapi/v1/ping >/dev/null || die "refused starts have hurt the running one"

# ---- the help's own words ----
"$quantum" exchange --help >"$work/help"
sed -n '/^curl/,/^$/p' "$work/help" | grep '^  ' >"$work/example.sh"
(($(wc -l <"$work/example.sh") >= 4)) || die "no curl example in the help"
bash -eu "$work/example.sh" >"$work/body" 2>"$work/err" || { cat "$work/err" >&2; die "the help's curl example failed"; }
http=200
holds "the help's example" '.status == "FILLED" and .executedQty == "0.010"'
call GET /fapi/v3/positionRisk 'symbol=BTCUSDT'
is position 200 'length == 1 and .[0].positionAmt == "0.010"'
call GET /fapi/v1/userTrades 'symbol=BTCUSDT'
is trades 200 'length >= 1 and (map(.qty | tonumber) | add) == 0.01'
call POST /fapi/v1/order 'symbol=BTCUSDT&side=BUY&type=STOP_MARKET&quantity=0.01&stopPrice=90000'
is 'a conditional order on the ordinary endpoint' 400 '.code == -4120'
signature=0000 http=$(curl -s -o "$work/body" -w '%{http_code}' -H "X-MBX-APIKEY: $key" "$url/fapi/v3/account?timestamp=$(date +%s%3N)&signature=00")
is 'a wrong signature' 400 '.code == -1022'
say "the example of the help trades as printed"

# ---- kill -9 ----
book() { # everything an account can ask, without what moves with the market by itself
    call GET /fapi/v1/openOrders && jq -S . "$work/body"
    call GET /fapi/v1/openAlgoOrders && jq -S . "$work/body"
    call GET /fapi/v1/allOrders 'symbol=BTCUSDT' && jq -S . "$work/body"
    call GET /fapi/v1/userTrades 'symbol=BTCUSDT' && jq -S . "$work/body"
    call GET /fapi/v1/income && jq -S . "$work/body"
    call GET /fapi/v3/positionRisk && jq -S 'map({symbol, positionAmt, entryPrice})' "$work/body"
    call GET /fapi/v3/balance && jq -S 'map({asset, balance})' "$work/body"
}
low=$(get '/fapi/v1/ticker/price?symbol=BTCUSDT' | jq -r '.price | tonumber * 0.97 | floor')
for round in 1 2 3 4 5; do
    for i in 1 2 3 4; do
        call POST /fapi/v1/order "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=$((low - i))&newClientOrderId=r$round-$i"
        is "order r$round-$i" 200 '.status == "NEW"'
        last=$(jq .orderId "$work/body")
    done
    call POST /fapi/v1/algoOrder "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice=$((low - 1000))&reduceOnly=true&clientAlgoId=a$round"
    is "algo a$round" 200 '.algoStatus == "NEW"'
    call DELETE /fapi/v1/order "symbol=BTCUSDT&origClientOrderId=r$round-2"
    is "cancel r$round-2" 200 '.status == "CANCELED"'
    call POST /fapi/v1/order 'symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.002'
    is "market $round" 200
    if ((round < 5)); then book >"$work/before"; fi # the fifth round is killed right behind its last answer
    kill -9 "$exchange"
    reap "$exchange"
    old_key=$key
    serve
    [[ $key == "$old_key" ]] || die "another key after a restart"
    book >"$work/after"
    if ((round < 5)); then same "round $round: what the account sees" "$work/before" "$work/after"; fi
done
call GET /fapi/v1/openOrders 'symbol=BTCUSDT'
is 'open orders' 200 'length == 15 and (map(.clientOrderId) | index("r5-4")) != null'
call POST /fapi/v1/order "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=$low&newClientOrderId=next"
is 'the next order' 200 ".orderId > $last"
call POST /fapi/v1/order "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=$low&newClientOrderId=next"
is 'the same id again' 400 '.code == -4116'
say "five times kill -9: nothing answered was lost"

# ---- Ctrl-C ----
book >"$work/before"
kill -INT "$exchange"
reap "$exchange"
((code == 0)) || { cat "$work/log" >&2; die "Ctrl-C: exit code $code"; }
if grep 'level=warn\|level=error' "$work/log" >&2; then die "something to complain about"; fi
fails 1 'another configuration' --port 0 --state "$state" --symbols 3
serve --admin-port 0 --limits off
book >"$work/after"
same "what the account sees after Ctrl-C" "$work/before" "$work/after"
curl -sf "$admin/health" | jq -e '.status == "ok" and .money_error == "0"' >/dev/null || die health
curl -sf "$admin/metrics" | grep -q '^exchange_request_answered_total{status="2xx"} [1-9]' || die metrics
say "Ctrl-C keeps the state"

# ---- faults, one by one ----
fire() { curl -sf -X POST "$admin/faults/fire?kind=$1" >/dev/null || die "cannot fire $1"; }
fired() { curl -sf "$admin/faults" | jq ".faults[] | select(.kind == \"$1\") | .fired"; }
order() { call POST /fapi/v1/order "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=$low&newClientOrderId=$1"; }
placed() { # id: 0 if the exchange has it
    call GET /fapi/v1/order "symbol=BTCUSDT&origClientOrderId=$1"
    [[ $http == 200 ]]
}
for kind in lost_ack reset_after; do
    fire $kind
    order f-$kind
    [[ $http == lost || $http == 000* ]] || die "$kind: answered with $http"
    placed f-$kind || die "$kind: the order is not there"
done
fire reset_before
order f-before
[[ $http == lost || $http == 000* ]] || die "reset_before: answered with $http"
placed f-before && die "reset_before: the order was executed"
fire unknown_done
order f-done
is unknown_done 503 '.msg | startswith("Unknown error")'
placed f-done || die "unknown_done: the order is not there"
fire unknown_not_done
order f-not-done
is unknown_not_done 503 '.msg | startswith("Unknown error")'
placed f-not-done && die "unknown_not_done: the order was executed"
fire unavailable
order f-unavailable
is unavailable 503
grep -q '^Service Unavailable' "$work/body" || die "unavailable: other words"
placed f-unavailable && die "unavailable: the order was executed"
fire clock_1021
order f-clock
is clock_1021 400 '.code == -1021'
placed f-clock && die "clock_1021: the order was executed"
from=$(now_ms)
fire late_ack
order f-late
is late_ack 200 '.status == "NEW"'
(($(now_ms) - from >= 290)) || die "late_ack: not late"
for kind in limit_429 ban_418; do
    fire $kind
    order f-$kind
    is $kind ${kind#*_} '.code == -1003'
    seconds=$(sed -n 's/^Retry-After: \([0-9]*\).*/\1/ip' "$work/head")
    ((seconds >= 1 && seconds <= 5)) || die "$kind: Retry-After $seconds"
    order f-$kind
    is "$kind, asked again" ${kind#*_}
    sleep $((seconds + 1))
    placed f-$kind && die "$kind: the order was executed"
    [[ $http == 400 ]] || die "$kind: not over after Retry-After"
done
curl -sf "$admin/faults" | jq -e '.disobeyed == 2' >/dev/null || die "calls in spite of Retry-After are not counted"
fire algo_hidden
call POST /fapi/v1/algoOrder "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice=$((low - 1000))&clientAlgoId=f-hidden"
is algo_hidden 200 '.algoId > 0'
call GET /fapi/v1/openAlgoOrders
is 'a hidden order in the list' 200 'length == 5 and (map(.clientAlgoId) | index("f-hidden")) == null'
call GET /fapi/v1/algoOrder 'clientAlgoId=f-hidden'
is 'a hidden order' 400 '.code == -2013'
seen() { call GET /fapi/v1/algoOrder 'clientAlgoId=f-hidden' && [[ $http == 200 ]]; }
await 10 seen || die "algo_hidden: hidden for ever"
fire conditional_switch
call POST /fapi/v1/order "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&stopPrice=$((low - 1000))&newClientOrderId=f-classic"
is 'conditional_switch, ordinary endpoint' 200
rules() { jq -S '[.symbols[].filters[] | select(.filterType == "PRICE_FILTER" or .filterType == "LOT_SIZE") | .tickSize // .stepSize]' "$1"; }
curl -sf "$url/fapi/v1/exchangeInfo" >"$work/info"
rules "$work/info" >"$work/before"
fire filter_change
curl -sf "$url/fapi/v1/exchangeInfo" >"$work/info"
rules "$work/info" >"$work/after"
(($(diff "$work/before" "$work/after" | grep -c '^>') == 1)) || die "filter_change: not one rule is another"
fire delisting
curl -sf "$url/fapi/v1/exchangeInfo" >"$work/body" && http=200
holds delisting '[.symbols[] | select(.status == "SETTLING")] | length == 1'
holds 'delisting beyond the floor' '[.symbols[:7][] | select(.status != "TRADING")] | length == 0'
fire maintenance
http=$(curl -s -o "$work/body" -w '%{http_code}' "$url/fapi/v1/ping")
is maintenance 503
over() { get /fapi/v1/ping >/dev/null; }
await 30 over || die "maintenance without an end"
[[ $(fired lost_ack) == 1 && $(fired maintenance) == 1 && $(fired stream_drop) == 0 ]] || die "faults are not counted"
for bad in 'kind=tea&rate=0.1' 'kind=lost_ack' 'kind=lost_ack&rate=2' 'kind=lost_ack&rate=0.1&seed=x' 'spec=lost_ack'; do
    [[ $(curl -s -o /dev/null -w '%{http_code}' -X POST "$admin/faults?$bad") == 400 ]] || die "admin took $bad"
done
curl -sf -X POST "$admin/faults?kind=lost_ack&rate=1&seed=3" | jq -e '.fault.rate == 1' >/dev/null || die "a rate at run time"
for i in 1 2 3; do
    order g-$i
    [[ $http == lost || $http == 000* ]] || die "rate 1: answered with $http"
done
curl -sf -X POST "$admin/faults?spec=none" | jq -e '[.faults[].rate] | add == 0' >/dev/null || die "faults off"
order g-4
is 'without faults' 200
curl -sf "$admin/health" | jq -e '.money_error == "0"' >/dev/null || die "money after faults"
say "each fault does what it says"

# ---- another life: its own accounts, latency, TLS ----
kill -TERM "$exchange"
reap "$exchange"
((code == 0)) || die "SIGTERM: exit code $code"
cat >accounts.json <<'J'
[{"name": "alice", "balance": "500", "api_key": "alice-key", "api_secret": "alice-word"},
 {"name": "bob", "balance": "70000", "api_key": "bob-key", "api_secret": "bob-word"}]
J
chmod 600 accounts.json
serve --fresh --accounts accounts.json --symbols BTCUSDT,ETHUSDT --latency 60:20 --tls --source pure
[[ $key == alice-key && $url == https://* ]] || die "accounts file or TLS"
compgen -G "$state/exchange-*" >/dev/null || die "--fresh threw the earlier exchange away"
export CURL_CA_BUNDLE
CURL_CA_BUNDLE=$(jq -r .ca_file "$ready")
from=$(now_ms)
call GET /fapi/v3/account
is "alice's account" 200 '.totalWalletBalance | tonumber == 500'
(($(now_ms) - from >= 60)) || die "no latency"
price=$(get '/fapi/v1/premiumIndex?symbol=ETHUSDT' | jq -r '.markPrice | tonumber | floor')
call POST /fapi/v1/order "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=$price"
is "alice bids" 200 '.status == "NEW"'
key=bob-key secret=bob-word
call POST /fapi/v1/order 'symbol=ETHUSDT&side=SELL&type=MARKET&quantity=0.5&newOrderRespType=RESULT'
is "bob hits her bid" 200 '.status == "FILLED"'
call GET /fapi/v3/positionRisk
is "bob's side" 200 '.[0].positionAmt | tonumber == -0.5'
key=alice-key secret=alice-word
call GET /fapi/v3/positionRisk
is "alice's side" 200 '.[0].positionAmt | tonumber == 0.5'
call GET /fapi/v1/userTrades 'symbol=ETHUSDT'
is "alice's fill" 200 'length == 1 and .[0].maker and (.[0].price | tonumber) == '"$price"
say "two accounts of a file, over TLS"
