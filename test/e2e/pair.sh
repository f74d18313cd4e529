# shellcheck shell=bash disable=SC2034,SC2154 # of the caller, for the caller
# One `quantum exchange` and one `quantum up` that trades on it, for the tests that hurt them. Source it after lib.sh.
# Set before: $dir (the pair's folder), $port, $api, $admin_port, $pair_seed, $symbols, $volatility.

ready=$dir/ready.json # address and keys: the same again after every restart
admin=http://127.0.0.1:$admin_port
mkdir -p "$dir"

# A process group of its own: Ctrl-C is for the test, which ends them in order.
exchange() { # faults
    start "$dir/exchange.out" setsid "$quantum" exchange --port "$port" --state "$dir/exchange" --seed "$pair_seed" --symbols "$symbols" \
        --history-days 2 --volatility "$volatility" --faults "$1" --admin-port "$admin_port" --print-ready
    exchange_pid=$started
}
exchange_serves() { grep -q '^{"url"' "$dir/exchange.out"; }

trader() {
    start "$dir/trader.out" setsid "$quantum" up --mode paper --venue-url "http://127.0.0.1:$port" --keys "$ready" --strategy random \
        --seed "$pair_seed" --state "$dir/trader" --port "$api" --quiet
    trader_pid=$started
}
trader_answers() { curl -sf -m 5 "http://127.0.0.1:$api/health/live" >/dev/null; }

pair_begins() { # faults
    exchange "$1"
    await 120 exchange_serves || { cat "$dir/exchange.out" >&2; die "the exchange did not start"; }
    grep -m1 '^{"url"' "$dir/exchange.out" >"$ready"
    chmod 600 "$ready"
    key=$(jq -r .api_key "$ready")
    secret=$(jq -r .api_secret "$ready")
    trader
    await 120 trader_answers || { cat "$dir/trader.out" >&2; die "the trader did not start"; }
}

faults_are() { curl -sf -m 10 -X POST "$admin/faults?spec=$1" >/dev/null; }

signed() { # method path [query]: an answer of the venue, asked again while it is not a proper one
    local method=$1 path=$2 query=${3:-} text signature got i
    for i in {1..40}; do
        text="${query:+$query&}recvWindow=60000&timestamp=$(now_ms)"
        signature=$(printf %s "$text" | openssl dgst -sha256 -hmac "$secret" -hex | sed 's/.*= //')
        # From an address of its own: asking weighs, and the trader needs what its address may ask.
        if got=$(curl -sf -m 10 --interface 127.0.0.2 -X "$method" -H "X-MBX-APIKEY: $key" \
            "http://127.0.0.1:$port$path?$text&signature=$signature"); then
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
    sleep_ms 1000
    venue_side | sort >"$dir/venue.side"
    trader_side 2>/dev/null | sort >"$dir/trader.side" || return 1
    cmp -s "$dir/venue.side" "$dir/trader.side"
}

# Everything the account ever sent, in two files: orders that were executed (symbol, name, time of the fill), and stops
# (symbol, name, time at which the venue had it).
sent() {
    local symbol
    signed GET /fapi/v1/income "limit=1000" >"$dir/income"
    if (($(jq length "$dir/income") < 1000)); then # nothing is executed without a commission
        jq -r '[.[].symbol | select(. != "")] | unique[]' "$dir/income" >"$dir/symbols"
    else
        curl -sf "http://127.0.0.1:$port/fapi/v1/exchangeInfo" | jq -r '.symbols[].symbol' >"$dir/symbols"
    fi
    while read -r symbol; do signed GET /fapi/v1/allOrders "symbol=$symbol&limit=1000"; done <"$dir/symbols" >"$dir/orders"
    while read -r symbol; do signed GET /fapi/v1/allAlgoOrders "symbol=$symbol&limit=1000"; done <"$dir/symbols" >"$dir/algo_orders"
    jq -r '.[] | select((.executedQty | tonumber) > 0) | "\(.symbol) \(.clientOrderId) \(.updateTime)"' "$dir/orders" >"$dir/executed"
    {
        jq -r '.[] | select(.type == "STOP_MARKET") | "\(.symbol) \(.clientOrderId) \(.time)"' "$dir/orders"
        jq -r '.[] | select(.orderType == "STOP_MARKET") | "\(.symbol) \(.clientAlgoId) \(.createTime)"' "$dir/algo_orders"
    } >"$dir/stops"
}
# An order of one name, or an entry of one wish by two names (what is in front of the leg's letter is the wish).
executed_twice() {
    cut -d ' ' -f 2 "$dir/executed" | sort | uniq -d
    cut -d ' ' -f 2 "$dir/executed" | sed -n 's/-e.*//p' | sort | uniq -d
}
