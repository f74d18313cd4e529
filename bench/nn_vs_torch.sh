#!/bin/bash
# Our networks next to PyTorch's, figure by figure, in one session: the two alternate, ROUNDS times, each with one thread
# and with two; medians of each, its best number of threads against the other's best.
#   bench/nn_vs_torch.sh QUANTUM [ROUNDS] [FIGURE…]      e.g.  bench/nn_vs_torch.sh build/release/quantum 3 patchtst_train
# PyTorch: Debian's python3-torch. With two threads it gets OpenBLAS's OpenMP build if that is installed: the default one
# and torch's own threads fight over the cores.
set -euo pipefail
quantum=${1:?usage: bench/nn_vs_torch.sh QUANTUM [ROUNDS] [FIGURE…]}
rounds=${2:-3}
shift $(($# < 2 ? $# : 2))
figures=("${@:-patchtst_train patchtst_row nn_batch100 nhits_train nhits_row}")
read -ra figures <<<"${figures[*]}"
here=$(cd "$(dirname "$0")" && pwd)
openmp=$(ls /usr/lib/*/openblas-openmp/libblas.so.3 2>/dev/null | head -1 || true)
table=$(mktemp)
trap 'rm -f "$table"' EXIT

ours() { # FIGURE THREADS: "ours THREADS NAME VALUE UNIT"
    "$quantum" bench "$1" --threads "$2" --json |
        sed -nE 's/.*"name":"([^"]*)","value":([^,]*),"unit":"([^"]*)".*/\1 \2 \3/p' |
        sed "s/^/ours $2 /"
}
torch() { # FIGURE THREADS
    local script what
    case $1 in
    patchtst_train) script=torch_patchtst.py what="train train_large" ;;
    patchtst_row) script=torch_patchtst.py what=row ;;
    nn_batch100) script=torch_patchtst.py what=batch ;;
    nhits_train) script=torch_nhits.py what=train ;;
    nhits_row) script=torch_nhits.py what=row ;;
    *) echo "no figure $1" >&2 && return 1 ;;
    esac
    local preload=
    if [ "$2" -gt 1 ]; then preload=$openmp; fi
    # shellcheck disable=SC2086 # several words on purpose
    LD_PRELOAD=$preload /usr/bin/python3 "$here/$script" "$2" $what | sed "s/^/torch $2 /"
}

for ((round = 0; round < rounds; round++)); do
    for figure in "${figures[@]}"; do
        for threads in 1 2; do
            if [[ $figure != *_row || $threads = 1 ]]; then
                ours "$figure" $threads
                torch "$figure" $threads
            fi
        done
    done
done >"$table"

/usr/bin/python3 - "$table" <<'PYTHON'
import statistics, sys
seen = {}  # figure -> (who, threads, kind of call) -> values
units = {}
for line in open(sys.argv[1]):
    who, threads, name, value, unit = line.split()[:5]
    head, _, kind = name.rpartition(".")
    if kind not in ("eager", "script"):
        head, kind = name, ""
    units[head] = unit
    seen.setdefault(head, {}).setdefault((who, int(threads), kind), []).append(float(value))
print(f"{'figure':30} {'unit':>4} {'ours 1':>11} {'ours 2':>11} {'torch 1':>11} {'torch 2':>11} {'ratio':>7}")
for name, rows in seen.items():
    rate = units[name] == "1/s"
    best = max if rate else min

    def middle(who, threads):  # PyTorch's eager or scripted call, whichever is better
        return best((statistics.median(v) for k, v in rows.items() if k[:2] == (who, threads)), default=None)

    cells = [middle(who, threads) for who in ("ours", "torch") for threads in (1, 2)]
    us, them = (best((v for v in pair if v is not None), default=None) for pair in (cells[:2], cells[2:]))
    ratio = f"{us / them if rate else them / us:7.2f}" if us and them else "      -"
    print(f"{name:30} {units[name]:>4} " + " ".join("          -" if v is None else f"{v:11.1f}" for v in cells), ratio)
PYTHON
