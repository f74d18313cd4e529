#!/bin/bash
# Reports that nobody asks for: one of every fiftieth closed trade, with a status report beside it.
#   reports.sh QUANTUM           a paper run, killed and begun again; its page; over Redis the word of it
#   reports.sh QUANTUM venue     a run on an exchange over sockets, until its fiftieth trade (minutes)
# Proves: the files come by themselves, whole, once each over kill -9; they say what the books say of the first fifty; the page
# lists and serves them; each LIVE mark has its check and moment; `quantum report --acceptance --out` writes the same on request.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq sqlite3 redis-server redis-cli
patience=240

has() { compgen -G "$1" >/dev/null; }
whole() { [[ $(tail -n 1 "$1") == '</html>' ]]; }
part() { grep -q "$2" "$1" || { cat "$1" >&2; die "no '$2' in $1"; }; }
# What the books say of the first N: won, to compare with the page's own words.
won() { sqlite3 "$1/trades.sqlite" "SELECT count(*) FROM (SELECT * FROM trades ORDER BY trade_id LIMIT $2) WHERE net_pnl_e8 > 0"; }

if [[ ${2:-} == venue ]]; then
    dir=$work/pair port=$(free_port) api=$(free_port) admin_port=$(free_port) pair_seed=$seed symbols=${SYMBOLS:-240}
    volatility=${VOLATILITY:-0.2}
    # shellcheck source=test/e2e/pair.sh
    source "$(dirname "$0")/pair.sh"
    pair_begins none
    # Ten positions at once: whenever most slots are taken everything is closed by hand, or fifty trades take an
    # hour; a calm market, for more than ten stops an hour end entries.
    held() { curl -sf -m 5 "http://127.0.0.1:$api/api/positions" | jq '.data | length' || echo 0; }
    cycle() {
        has "$dir/trader/runs/*/reports/trades-000050.html" && return
        if (($(held) >= 7)); then
            "$quantum" panic --state "$dir/trader" >>"$dir/hand.log" 2>&1 || { cat "$dir/hand.log" >&2; die "panic"; }
            "$quantum" resume --state "$dir/trader" >>"$dir/hand.log" 2>&1 || { cat "$dir/hand.log" >&2; die "resume"; }
        fi
        sleep 1
        return 1
    }
    await 1500 cycle || die "no fiftieth trade within 25 min"
    run=$(run_dir "$dir/trader")
    report=$run/reports/trades-000050.html
    whole "$report" || die "half a report"
    part "$report" "50, of which $(won "$run" 50) won"
    whole "$run/reports/status-000050.html" || die "half a status report"
    part "$run/reports/status-000050.html" '<td>trade_journal</td><td>LIVE</td>'
    say "on a venue: $(won "$run" 50) of 50 won"
    exit 0
fi

port=$(free_port)
redis_port=$(free_port)
start "$work/redis.log" redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work"
broker_answers() { [[ $(redis-cli -p "$redis_port" PING 2>/dev/null) == PONG ]]; }
await 20 broker_answers || die "redis does not answer"
begin() {
    start "$work/log" "$quantum" up --strategy momentum --synth-pattern 4 --state "$work/paper" --port "$port" --no-baselines \
        --speed 60000 --bus "redis://127.0.0.1:$redis_port"
}
begin
await $patience has "$work/paper/runs/*/reports/trades-000050.html" || { cat "$work/log" >&2; die "no report of fifty"; }
run=$(run_dir "$work/paper")
first=$run/reports/trades-000050.html
whole "$first" || die "half a report"
whole "$run/reports/status-000050.html" || die "half a status report"
part "$first" "50, of which $(won "$run" 50) won"
part "$first" 'Wilson'
part "$first" 'SYNTHETIC'
part "$run/reports/status-000050.html" 'Test 4'
part "$work/log" 'role=report msg="written" trades=50 '

# The page tells it, and gives the file as it is.
curl -sf "http://127.0.0.1:$port/api/reports" >"$work/list"
jq -e '.data[-1] | .trades == 50 and .report == "/reports/trades-000050.html" and .status == "/reports/status-000050.html"' \
    "$work/list" >/dev/null || { cat "$work/list" >&2; die "the list"; }
curl -sf "http://127.0.0.1:$port/reports/trades-000050.html" | cmp - "$first" || die "another file is served"

# On the bus, under its own name.
told() { redis-cli -p "$redis_port" XRANGE quantum:stream:report.written - + | grep -q "report-$1"; }
await 30 told 50 || die "the bus was not told"

# As a page, on request, from the running system. A mark is LIVE only with its moment beside it.
"$quantum" report --acceptance --state "$work/paper" --out "$work/status.html"
"$quantum" report --acceptance --state "$work/paper" --out "$work/status.md"
"$quantum" report --state "$work/paper" --out "$work/report.md"
whole "$work/status.html" || die "half a page"
part "$work/status.md" '^| feed | LIVE | 20..-..-..T..:..:..Z |'
part "$work/status.md" '^| trade\\_journal | LIVE | 20..-'
if grep '| LIVE |' "$work/status.md" | grep -qvE '\| 20[0-9-]+T[0-9:]+Z \|'; then die "a mark without its moment"; fi
part "$work/report.md" '^| win rate | '
if "$quantum" report --state "$work/paper" --out "$work/report.txt" 2>/dev/null; then die "a page of no known kind"; fi

# Killed, and begun again: the first stays the file it was, the next comes.
before=$(stat -c '%i %Y' "$first")
kill -9 "$started"
reap "$started"
begin
await $patience has "$run/reports/trades-000100.html" || { cat "$work/log" >&2; die "no report of a hundred"; }
[[ $(stat -c '%i %Y' "$first") == "$before" ]] || die "the first was written twice"
part "$run/reports/trades-000100.html" "100, of which $(won "$run" 100) won"
await 30 told 100 || die "the bus was not told of the second"
if has "$run/reports/*.tmp"; then die "something is left beside"; fi
say "$(won "$run" 50) of 50, $(won "$run" 100) of 100 won"
