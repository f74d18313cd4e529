#!/bin/bash
# adversary.sh for an hour: several pairs of `quantum exchange --faults all` and `quantum up` side by side, each side of each killed
# with -9 again and again, and one pair more that nobody kills, whose memory and file handles are watched.
#   adversary_hour.sh QUANTUM [--minutes 60] [--pairs 3] [--kills 200] [--exchange-kills 120] [--csv FILE]
#   adversary_hour.sh --sum FILE
# --kills: of traders, all pairs together. Half of all kills come within two seconds after a minute's close, when orders are made.
# Every ten minutes, and at the end, the faults end and both sides are compared; every difference counts, and the run goes on.
# --csv: one line a run is added, so that runs add up (--sum); a run that is interrupted (Ctrl-C) checks what it has and adds its
# line too; for one that was killed itself the next run with --csv adds the line, from its last check.
# TEST_SEED=N (the clock's seconds) repeats moments and faults, as far as a machine repeats anything. KEEP=1: what a failed run left stays.
# Some 2 % of a core a pair.
set -euo pipefail
columns=utc,commit,seed,ended,pairs,seconds,trader_kills,exchange_kills,checks,executed,doubled,disagreements,left_naked,ended_by_itself
columns+=,naked_p50_ms,naked_p99_ms,naked_max_ms,alive_p99_ms,alive_max_ms,trader_kb_first,trader_kb_last,exchange_kb_first,exchange_kb_last
columns+=,trader_fds_first,trader_fds_last,exchange_fds_first,exchange_fds_last,faults,trades,refusals,forbidden,not_replayed

if [[ ${1:-} == --sum ]]; then
    file=${2:?usage: $0 --sum FILE}
    [[ $(head -n 1 "$file") == "$columns" ]] || { echo "$file: its first line is not: $columns" >&2; exit 1; }
    awk -F , 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { runs++; for (name in at) sum[name] += $at[name]
          hours += $at["pairs"] * $at["seconds"] / 3600
          if ($at["naked_max_ms"] > naked) naked = $at["naked_max_ms"]
          if ($at["alive_max_ms"] > alive) alive = $at["alive_max_ms"]
          count = split($at["refusals"], codes, " ")
          for (i = 1; i <= count; i++) { split(codes[i], pair, ":"); refused[pair[1]] += pair[2] } }
        END { printf "runs %d, hours of a pair %.1f, kills of traders %d, of exchanges %d, faults %d\n", runs, hours, sum["trader_kills"],
                  sum["exchange_kills"], sum["faults"]
              printf "orders executed %d, trades closed %d, executed twice %d\n", sum["executed"], sum["trades"], sum["doubled"]
              printf "checks %d, disagreements %d, positions left naked %d, processes ended by themselves %d, journals that do not replay %d\n",
                  sum["checks"], sum["disagreements"], sum["left_naked"], sum["ended_by_itself"], sum["not_replayed"]
              printf "longest naked %d ms, while both sides lived %d ms\n", naked, alive
              printf "refused:"; for (code in refused) printf " %s %d", code, refused[code]
              printf "; of them -4006 and -4045: %d\n", sum["forbidden"] }' "$file"
    exit
fi

# shellcheck source=test/e2e/lib.sh
TEST_SEED=${TEST_SEED:-$(date +%s)} source "$(dirname "$0")/lib.sh" "$@"
shift
minutes=60 pairs=3 trader_kills_all=200 exchange_kills_all=120 csv=
while (($# > 0)); do
    case $1 in
    --minutes) minutes=$2 ;;
    --pairs) pairs=$2 ;;
    --kills) trader_kills_all=$2 ;;
    --exchange-kills) exchange_kills_all=$2 ;;
    --csv) csv=$(realpath "$2") ;;
    *) die "what is $1?" ;;
    esac
    shift 2
done
need curl jq openssl sqlite3 awk setsid
here=$(dirname "$0")
symbols=${SYMBOLS:-60}
volatility=${VOLATILITY:-1}

quantile() { # q, sorted numbers on stdin
    awk -v q="$1" '{ v[NR] = $1 } END { if (NR) { i = int(q * NR + 0.999999); print v[i < 1 ? 1 : i] } }'
}

# ---- one pair: everything until `combine` runs in a process of its own ----

clock() { now=$((${EPOCHREALTIME/[.,]/} / 1000)); } # as now_ms, without a process
nap() { # milliseconds, below a second; nobody ever writes there
    local time
    printf -v time '0.%03d' "$1"
    read -rt "$time" -u "$silence" _ || true
}
note() { echo "$(date -u +%T) pair $pair: $*" | tee -a "$dir/notes" >&2; }

# Moments of so many kills between two times, one to a slot, sorted, in an array.
moments() { # array count from to
    local k slot moment drawn=()
    local -n sorted=$1
    for ((k = 0; k < $2; k++)); do
        slot=$((($4 - $3) / $2))
        moment=$(($3 + k * slot + (RANDOM * 32768 + RANDOM) % (slot + 1)))
        if ((RANDOM % 2)); then moment=$(((moment + 30000) / 60000 * 60000 + RANDOM % 2000)); fi
        if ((moment < $3)); then moment=$3; fi
        if ((moment > $4 - 2000)); then moment=$(($4 - 2000)); fi
        drawn+=("$moment")
    done
    # shellcheck disable=SC2034 # it is the caller's
    mapfile -t sorted < <(((${#drawn[@]} > 0)) && printf '%s\n' "${drawn[@]}" | sort -n)
}

# Counters of the exchange begin at 0 with each of its lives.
gather() {
    local got
    got=$(curl -sf -m 2 "$admin/metrics" | awk '/^exchange_fault_fired_total/ { n += $2 } END { print n + 0 }') || got=0
    ((faults += got > faults_before ? got - faults_before : 0)) || true
    faults_before=$got
}

kill_trader() {
    kill -9 "$trader_pid" 2>/dev/null || true
    reap "$trader_pid"
    if ((trader_down == 0)); then trader_down=$now; fi
    cat "$dir/trader.out" >>"$dir/trader.log"
    trader
    ((trader_kills += 1))
}
kill_exchange() {
    gather
    clock
    kill -9 "$exchange_pid" 2>/dev/null || true
    reap "$exchange_pid"
    if ((exchange_down == 0)); then exchange_down=$now; fi
    ((exchange_kills += 1))
    faults_before=0
    exchange "all:$((pair_seed + exchange_kills))"
}

# Notices who is back, and who went without having been killed.
look() {
    if ((exchange_down > 0)) && exchange_serves; then
        echo "$exchange_down $now exchange" >>"$dir/down"
        exchange_down=0
    fi
    if ((trader_down > 0 && exchange_down == 0)) && trader_answers; then
        clock
        echo "$trader_down $now trader" >>"$dir/down"
        trader_down=0
    fi
    if ! kill -0 "$trader_pid" 2>/dev/null; then
        reap "$trader_pid"
        note "the trader ended by itself with $code: $(tail -n 3 "$dir/trader.out")"
        cp "$dir/trader.out" "$dir/trader.ended.$now"
        ((ended += 1))
        trader_down=$now
        trader
    fi
    if ! kill -0 "$exchange_pid" 2>/dev/null; then
        reap "$exchange_pid"
        note "the exchange ended by itself with $code: $(tail -n 3 "$dir/exchange.out")"
        cp "$dir/exchange.out" "$dir/exchange.ended.$now"
        ((ended += 1))
        exchange_down=$now
        faults_before=0
        exchange "all:$pair_seed"
    fi
}

sample() { # time, and of each process: resident KiB, of them its own, open files
    local pid line=$now
    for pid in "$trader_pid" "$exchange_pid"; do
        line+=" $(awk '/^(Rss|Anonymous):/ { printf "%s ", $2 }' "/proc/$pid/smaps_rollup")$(find "/proc/$pid/fd" -type l | wc -l)"
    done
    echo "$line" >>"$dir/memory"
}

storm() { # until
    local kills_t kills_e next_sample=0 next_reset=0 pause
    clock
    moments kills_t $((trader_kills_due - trader_kills)) "$now" "$1"
    moments kills_e $((exchange_kills_due - exchange_kills)) "$now" "$1"
    while clock && ((now < $1)) && [[ ! -e $work/stop ]] && kill -0 "$main" 2>/dev/null; do
        if ((${#kills_t[@]} > 0 && kills_t[0] <= now)); then
            kill_trader
            kills_t=("${kills_t[@]:1}")
        fi
        if ((${#kills_e[@]} > 0 && kills_e[0] <= now)); then
            kill_exchange
            kills_e=("${kills_e[@]:1}")
        fi
        look
        if ((pair == 0 && now >= next_sample)); then
            sample
            next_sample=$((now + 10000))
        fi
        # More than ten stops in an hour, or failures on end, bar entries for long, as they should: not what is tried here.
        if ((trader_down == 0 && now >= next_reset)); then
            curl -sf -m 2 -X POST -H 'Content-Type: application/json' -d '{"by":"adversary"}' "http://127.0.0.1:$api/api/breaker/reset" \
                >/dev/null || true
            next_reset=$((now + 30000))
        fi
        pause=200
        if ((${#kills_t[@]} > 0 && kills_t[0] - now < pause)); then pause=$((kills_t[0] - now)); fi
        if ((${#kills_e[@]} > 0 && kills_e[0] - now < pause)); then pause=$((kills_e[0] - now)); fi
        if ((pause > 0)); then nap "$pause"; fi
    done
}

# Of each entry that was executed: milliseconds until the venue had its stop, and whether somebody was dead meanwhile.
# An entry without any stop was closed before: it is in the file with "-".
naked_times() {
    awk -v down="$dir/down" '
        BEGIN { while ((getline line < down) > 0) { split(line, f, " "); from[++n] = f[1]; to[n] = f[2] } }
        NR == FNR { name = $2; if (sub(/-s.*/, "", name) && (!(name in stop) || $3 < stop[name])) stop[name] = $3; next }
        $2 ~ /-e/ {
            name = $2; sub(/-e.*/, "", name)
            if (!(name in stop)) { print "-", $0; next }
            ms = stop[name] - $3; if (ms < 0) ms = 0
            who = "alive"
            for (i = 1; i <= n; i++) if (from[i] <= stop[name] && to[i] >= $3) who = "dead"
            print ms, who, $0 }' "$dir/stops" "$dir/executed" >"$dir/naked"
}

# Positions at the venue without a stop there.
naked_now() {
    awk '$1 == "position" { held[$2] = 1 } $1 == "order" && $3 ~ /-s/ { safe[$2] = 1 }
        END { for (s in held) if (!(s in safe)) n++; print n + 0 }' "$dir/venue.side"
}

figures() { # what the pair has shown so far, as JSON
    local report
    clock
    report=$("$quantum" report --json --state "$dir/trader" 2>/dev/null) || report='{}'
    jq -n --argjson pair "$pair" --argjson seconds $(((now - begin) / 1000)) --argjson tk "$trader_kills" --argjson ek "$exchange_kills" \
        --argjson checks "$checks" --argjson dis "$disagreements" --argjson left "$left_naked" --argjson ended "$ended" \
        --argjson faults "$faults" --argjson executed "$(wc -l <"$dir/executed")" --argjson doubled "$(executed_twice | wc -l)" \
        --argjson not_replayed "$not_replayed" --argjson report "$report" \
        '{$pair, $seconds, trader_kills: $tk, exchange_kills: $ek, $checks, disagreements: $dis, left_naked: $left, ended_by_itself: $ended,
          $faults, $executed, $doubled, $not_replayed, trades: ($report.trades // 0), refusals: ($report.venue_rejects // {}),
          protected_ms: $report.time_to_protected_ms, histogram: $report.time_to_protected_histogram, identity_error_e8: $report.identity_error_e8}' \
        >"$dir/figures.new"
    mv "$dir/figures.new" "$dir/figures"
}

calm() { ((exchange_down == 0 && trader_down == 0)); }
calmed() { clock && look && calm; }
check() { # the faults end: do both say the same?
    local since left
    await 120 calmed || note "not both are back after two minutes"
    gather
    faults_are none || note "the admin port does not answer"
    clock
    since=$now
    ((checks += 1))
    if await 180 agree; then
        clock
        note "check $checks: both say the same after $((now - since)) ms, $(grep -c ^position "$dir/venue.side" || true) positions"
    else
        ((disagreements += 1))
        note "check $checks: venue (<) and trader (>) do not agree: $(diff "$dir/venue.side" "$dir/trader.side" | grep '^[<>]' | head -n 20)"
        cp "$dir/venue.side" "$dir/venue.side.$checks"
        cp "$dir/trader.side" "$dir/trader.side.$checks"
        cp "$dir/trader.out" "$dir/trader.out.$checks"
    fi
    if ! curl -sf -m 5 "$admin/health" | jq -e '.money_error == "0"' >/dev/null; then
        ((disagreements += 1))
        note "check $checks: the books of the exchange do not balance"
    fi
    left=$(naked_now)
    if ((left > 0)); then note "check $checks: $left positions without a stop: $(<"$dir/venue.side")"; fi
    ((left_naked += left)) || true
    sent
    naked_times
    figures
}

run_pair() {
    local phase phases share
    trap 'kill -9 "${pids[@]}" 2>/dev/null || true' EXIT
    pids=()
    exec {silence}<> <(:)
    dir=$work/$pair
    pair_seed=$((seed + 1000 * pair))
    RANDOM=$((pair_seed % 32768))
    # shellcheck source=test/e2e/pair.sh
    source "$here/pair.sh"
    trader_kills=0 exchange_kills=0 checks=0 disagreements=0 left_naked=0 ended=0 faults=0 faults_before=0 not_replayed=0
    trader_down=0 exchange_down=0
    : >"$dir/down"
    pair_begins "all:$pair_seed"
    clock
    begin=$now
    phases=$(((minutes + 5) / 10))
    ((phases > 0)) || phases=1
    for ((phase = 1; phase <= phases; phase++)); do
        share=$((pair == 0 ? 0 : 1)) # nobody kills pair 0
        trader_kills_due=$((share * (trader_kills_all * phase + phases * pairs - 1) / (phases * pairs)))
        exchange_kills_due=$((share * (exchange_kills_all * phase + phases * pairs - 1) / (phases * pairs)))
        storm $((begin + minutes * 60000 * phase / phases))
        check
        if [[ -e $work/stop ]] || ! kill -0 "$main" 2>/dev/null; then break; fi
        if ((phase < phases)); then faults_are "all:$((pair_seed + phase))" || note "the admin port does not answer"; fi
    done
    curl -sf -m 5 "http://127.0.0.1:$api/metrics" >"$dir/metrics" || true
    kill -INT "$trader_pid"
    reap "$trader_pid"
    ((code == 0)) || { note "asked to end, the trader ended with $code" && ((ended += 1)); }
    if ! "$quantum" replay "$(run_dir "$dir/trader")" --verify >"$dir/verified" 2>&1; then
        note "the trader's journal does not replay: $(tail -n 3 "$dir/verified")"
        not_replayed=1
    fi
    figures
    touch "$dir/done"
}

# ---- all pairs together ----

# Median of a column of the quiet pair's samples in the first and in the last fifth of the time after the warm-up.
flat() { # column folder
    awk -v column="$1" '{ t[NR] = $1; v[NR] = $column }
        function median(a, b,   i, n, x, y) {
            for (i = 1; i <= NR; i++) if (t[i] >= a && t[i] <= b) {
                x = v[i]; n++; for (y = n; y > 1 && s[y - 1] > x; y--) s[y] = s[y - 1]; s[y] = x }
            return n ? s[int((n + 1) / 2)] : 0 }
        END { if (NR == 0) { print "0,0"; exit }
              warm = (t[NR] - t[1]) / 4; if (warm > 600000) warm = 600000
              a = t[1] + warm; fifth = (t[NR] - a) / 5
              print median(a, a + fifth) "," median(t[NR] - fifth, t[NR]) }' "$2/0/memory" 2>/dev/null || echo 0,0
}

combine() { # folder, how it ended: the line of the run
    local folder=$1 kills alive
    jq -s . "$folder"/[0-9]*/figures >"$folder/all"
    sort -n <(cat "$folder"/[0-9]*/naked | grep -v '^-') >"$folder/naked"
    grep alive "$folder/naked" >"$folder/alive" || true
    jq -r '[([.[].executed] | add), ([.[].doubled] | add), ([.[].disagreements] | add), ([.[].left_naked] | add), ([.[].ended_by_itself] | add)] | join(",")' \
        "$folder/all" >"$folder/sums"
    kills=$(jq -r '[length, ([.[].seconds] | max), ([.[].trader_kills] | add), ([.[].exchange_kills] | add), ([.[].checks] | add)] | join(",")' "$folder/all")
    alive=$(quantile 0.99 <"$folder/alive"),$(quantile 1 <"$folder/alive")
    printf '%s,%s,%s,%s,%s,%s,%s,%s,' "$(<"$folder/begun")" "$2" "$kills" "$(<"$folder/sums")" "$(quantile 0.5 <"$folder/naked")" \
        "$(quantile 0.99 <"$folder/naked")" "$(quantile 1 <"$folder/naked")" "$alive"
    printf '%s,%s,%s,%s,' "$(flat 2 "$folder")" "$(flat 5 "$folder")" "$(flat 4 "$folder")" "$(flat 7 "$folder")"
    jq -r '[.[].refusals | to_entries[]] as $r
        | [([.[].faults] | add), ([.[].trades] | add),
           ($r | group_by(.key) | map("\(.[0].key):\(map(.value) | add)") | join(" ")),
           ($r | map(select(.key == "-4006" or .key == "-4045") | .value) | add // 0), ([.[].not_replayed] | add)] | join(",")' "$folder/all"
}
add_line() { # folder ended
    line=$(combine "$1" "$2")
    echo "$line" >"$1/line"
    [[ -n $csv ]] || return 0
    [[ -s $csv ]] || echo "$columns" >"$csv"
    echo "$line" >>"$csv"
}

# Runs that were killed themselves: their last checks count.
if [[ $csv ]]; then
    for left in "${TMPDIR:-/tmp}/quantum-$name"-*; do
        [[ -s $left/begun && -s $left/main && ! -e $left/line ]] || continue
        if ! kill -0 "$(<"$left/main")" 2>/dev/null && compgen -G "$left/[0-9]*/figures" >/dev/null; then
            add_line "$left" killed
            say "added an earlier run: $line"
            rm -rf "$left"
        fi
    done
fi

commit=$("$quantum" --version | sed -n 's/.*(\(.*\)).*/\1/p')
main=$$
echo "$main" >"$work/main"
echo "$(date -u +%FT%TZ),$commit,$seed" >"$work/begun"
say "TEST_SEED=$seed, in $work"
ports=()
while ((${#ports[@]} < 3 * (pairs + 1))); do
    new=$(free_port)
    [[ " ${ports[*]} " == *" $new "* ]] || ports+=("$new")
done
how=finished
# shellcheck disable=SC2064 # now
trap "touch '$work/stop'; how=interrupted" INT TERM HUP
children=()
for ((pair = 0; pair <= pairs; pair++)); do
    port=${ports[3 * pair]} api=${ports[3 * pair + 1]} admin_port=${ports[3 * pair + 2]}
    run_pair &
    children+=($!)
done
for child in "${children[@]}"; do
    while kill -0 "$child" 2>/dev/null; do wait "$child" 2>/dev/null || true; done # a signal ends a wait, not the pair
done
for ((pair = 0; pair <= pairs; pair++)); do [[ -e $work/$pair/done ]] || how=failed; done
add_line "$work" "$how"
paste -d ' ' <(tr , '\n' <<<"$columns") <(tr , '\n' <"$work/line")
jq -c '.[] | {pair, protected_ms, histogram, identity_error_e8}' "$work/all"
say "time from a fill to its stop, as /metrics has it at the end, all pairs"
cat "$work"/[0-9]*/metrics 2>/dev/null | awk '/^quantum_(time_to_protected_seconds_|protection_interrupted_total)/ {
    if (!($1 in sum)) order[++n] = $1; sum[$1] += $2 } END { for (i = 1; i <= n; i++) print order[i], sum[order[i]] }'
say "the longest without a stop at the venue: ms, who was dead meanwhile, symbol, order, time of its fill"
tail -n 10 "$work/naked"
cat "$work"/[0-9]*/naked | grep '^-' || true # closed before they had one

# What must hold.
verdict=$(awk -F , -v columns="$columns" '
    function grown(what) { return $at[what "_last"] > $at[what "_first"] }
    { n = split(columns, names, ","); for (i = 1; i <= n; i++) at[names[i]] = i
      split("doubled disagreements left_naked ended_by_itself forbidden not_replayed", zero, " ")
      for (i in zero) if ($at[zero[i]] != 0) printf "%s: %s; ", zero[i], $at[zero[i]]
      if ($at["executed"] == 0) printf "nothing was traded: nothing was proved; "
      if ($at["seconds"] >= 1800) {
          if ($at["trader_kb_last"] > 1.01 * $at["trader_kb_first"]) printf "the trader grows; "
          if ($at["exchange_kb_last"] > 1.01 * $at["exchange_kb_first"]) printf "the exchange grows; "
          if (grown("trader_fds") || grown("exchange_fds")) printf "file handles grow; " } }' "$work/line")
[[ -z $verdict ]] || die "$verdict"
[[ $how == finished ]] || die "$how"
