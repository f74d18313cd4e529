# shellcheck shell=bash
# What the end-to-end tests share. Source it after `set -euo pipefail`; $1 is the quantum binary.
# A scratch folder in $work, gone at the end together with every process started by `start`.

quantum=${1:?usage: $0 QUANTUM}
[[ -x $quantum ]] || { echo "no program $quantum" >&2; exit 1; }
quantum=$(realpath "$quantum")
name=$(basename "$0" .sh)
seed=${TEST_SEED:-20260802}
RANDOM=$((seed % 32768))
work=$(mktemp -d "${TMPDIR:-/tmp}/quantum-$name-XXXXXX")
pids=()

finish() {
    local code=$? pid
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if ((code != 0 && code != 77)) && [[ ${KEEP:-} ]]; then
        echo "$name: kept $work" >&2
    else
        rm -rf "$work"
    fi
}
trap finish EXIT
unset QUANTUM_STATE
export XDG_DATA_HOME=$work/xdg

say() { echo "$name: $*"; }
die() {
    echo "$name: FAILED: $*" >&2
    exit 1
}
need() { # program...: a missing one is a failure, never a skip
    local program
    for program in "$@"; do command -v "$program" >/dev/null || die "$program is not installed"; done
}

# Runs in the background; its process id is in $started.
start() { # output-file command...
    local out=$1
    shift
    "$@" >"$out" 2>&1 &
    started=$!
    pids+=("$started")
}

# Exit code of a background process, in $code. No message about how it ended. Its number may be somebody else's from now on.
reap() { # pid
    local i
    code=0
    wait "$1" 2>/dev/null || code=$?
    for i in "${!pids[@]}"; do
        if ((pids[i] == $1)); then unset "pids[i]"; fi
    done
}

# What a process has used of the processors, all threads: unlike the time that passed, no matter of who else runs.
cpu_ms() { # pid
    local stat
    stat=$(<"/proc/$1/stat")
    read -ra stat <<<"${stat##*) }"
    echo $(((stat[11] + stat[12]) * 1000 / $(getconf CLK_TCK)))
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
sleep_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# Polls a command until it succeeds; gives up after so many seconds.
await() { # seconds command...
    local end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < end)) || return 1
        sleep 0.05
    done
}

free_port() { # nobody listens there now
    local port
    for _ in {1..50}; do
        # Below those the system gives to outgoing connections; not by the seed, which other tests share.
        port=$((10000 + SRANDOM % 22000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "no free port"
}

run_dir() { # state: folder of its newest run
    echo "$1/runs/$(<"$1/current")"
}

# Everything the journal of trades says about money, as text.
ledger() { # state
    local table
    for table in trades fills funding equity; do
        sqlite3 "$(run_dir "$1")/trades.sqlite" "SELECT '$table', * FROM $table ORDER BY 2, 3, 4"
    done
}

same() { # what expected-file file
    cmp -s "$2" "$3" && return
    diff "$2" "$3" | head -n 5 >&2 || true
    die "$1 differs"
}
