#!/bin/bash
# quantum up where nobody answers: a run that has begun may hold something there, so it goes on asking and is told where it stands as soon as
# somebody answers; a first start says so and ends; Ctrl-C ends either at once.
#   dead_venue.sh QUANTUM
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need curl jq openssl setsid

dir=$work
port=$(free_port)
api=$(free_port)
admin_port=$(free_port)
pair_seed=$seed
symbols=3
volatility=1
# shellcheck source=test/e2e/pair.sh
source "$(dirname "$0")/pair.sh"

pair_begins none
await 60 agree || die "both sides do not say the same"
kill -9 "$trader_pid" "$exchange_pid"
reap "$trader_pid"
reap "$exchange_pid"

# A first start: whatever is wrong with the address, nothing of it is anywhere.
start "$work/first.out" "$quantum" up --mode paper --venue-url "http://127.0.0.1:$port" --keys "$ready" --state "$work/first" --no-api --quiet
first=$started

# Told to end while it asks.
trader
sleep_ms 3000
kill -INT "$trader_pid"
reap "$trader_pid"
((code == 0)) || { cat "$dir/trader.out" >&2; die "ended by Ctrl-C: exit code $code"; }
if grep -q "does not tell the time" "$dir/trader.out"; then die "Ctrl-C waited for the end of its patience"; fi

trader
asks_again() { grep -q "the venue is asked again in 5 s" "$dir/trader.out"; }
await 180 asks_again || { cat "$dir/trader.out" >&2; die "it does not say that it goes on"; }
kill -0 "$trader_pid" || die "the trader ended by itself"
reap "$first"
((code == 1)) || { cat "$work/first.out" >&2; die "a first start ended with $code"; }
grep -q "the venue does not tell the time" "$work/first.out" || { cat "$work/first.out" >&2; die "a first start does not say why it ends"; }

exchange none
await 120 exchange_serves || { cat "$dir/exchange.out" >&2; die "the exchange did not start again"; }
await 180 agree || { cat "$dir/trader.out" >&2; die "both sides do not say the same"; }
kill -INT "$trader_pid"
reap "$trader_pid"
((code == 0)) || die "ended by Ctrl-C: exit code $code"
say "it went on when somebody answered"
