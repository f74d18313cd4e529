#!/bin/bash
# The accuracy table of docs/forecast.md: every row trained, measured and printed.
#   bench/forecast_accuracy.sh QUANTUM DATA FOLDER [ROW…]     e.g.  bench/forecast_accuracy.sh build/release/quantum data/forecasting runs
# DATA holds ETTh1, ETTh2, ETTm2 (.csv) and exchange_rate (.txt), plain or compressed. Finished rows are not trained again, one that was cut off
# goes on where it was: some two hours on one core in all. ROW: names as the first column of the table has them; all without.
set -euo pipefail
quantum=${1:?usage: bench/forecast_accuracy.sh QUANTUM DATA FOLDER [ROW…]}
data=${2:?DATA}
folder=${3:?FOLDER}
shift 3
mkdir -p "$folder"

patchtst=(--model patchtst --input 336 --schedule onecycle)
nhits=(--model nhits --schedule onecycle --params
    "impl=neuralforecast,mlp_units=256x256,n_pool_kernel_size=2:2:1,n_freq_downsample=4:2:1,dropout_prob_theta=0.5,scaler_type=standard")
rows=()
row() { rows+=("$*"); } # NAME FILE options…
for seed in 1 2 3; do
    row "patchtst-ETTh1-96-s$seed" ETTh1 "${patchtst[@]}" --horizon 96 --epochs 10 --lr 1e-3 --seed $seed
    row "nhits-ETTh1-96-s$seed" ETTh1 "${nhits[@]}" --horizon 96 --steps 600 --lr 1e-3 --seed $seed
done
for horizon in 192 336 720; do
    row "patchtst-ETTh1-$horizon" ETTh1 "${patchtst[@]}" --horizon $horizon --epochs 10 --lr 1e-3
done
row patchtst-ETTh2-96 ETTh2 "${patchtst[@]}" --horizon 96 --epochs 10 --lr 1e-3
for horizon in 192 336 720; do
    row "patchtst-ETTh2-$horizon" ETTh2 "${patchtst[@]}" --horizon $horizon --epochs 10 --lr 2e-4
done
row patchtst-ETTm2-96 ETTm2 "${patchtst[@]}" --horizon 96 --epochs 4 --lr 1e-3
row nhits-ETTh1-336 ETTh1 "${nhits[@]}" --input 720 --horizon 336 --steps 600 --lr 1e-3
row nhits-ETTh2-96 ETTh2 "${nhits[@]}" --horizon 96 --steps 600 --lr 1e-3
row nhits-ETTh2-336 ETTh2 "${nhits[@]}" --input 336 --horizon 336 --steps 600 --lr 3e-4
row nhits-ETTm2-96 ETTm2 "${nhits[@]}" --horizon 96 --steps 600 --lr 1e-3
row nhits-ETTm2-336 ETTm2 "${nhits[@]}" --input 720 --horizon 336 --steps 600 --lr 1e-3
row nhits-exchange-96 exchange_rate "${nhits[@]}" --horizon 96 --steps 600 --lr 1e-3 --split 0.7,0.1,0.2
for set in ETTh1-96 ETTh1-192 ETTh1-336 ETTh1-720 ETTh2-96 ETTh2-192 ETTh2-336 ETTh2-720 ETTm2-96 ETTm2-336; do
    row "dlinear-$set" "${set%-*}" --model dlinear --horizon "${set#*-}"
done
row dlinear-exchange-96 exchange_rate --model dlinear --horizon 96 --split 0.7,0.1,0.2

file_of() {
    local found
    found=$(compgen -G "$data/$1.csv*" || compgen -G "$data/$1.txt*" || true)
    found=${found%%$'\n'*}
    [[ -n $found ]] || { echo "no $1 in $data" >&2 && return 1; }
    echo "$found"
}

for line in "${rows[@]}"; do
    read -ra words <<<"$line"
    name=${words[0]}
    if (($# > 0)) && [[ " $* " != *" $name "* ]]; then continue; fi
    file=$(file_of "${words[1]}")
    "$quantum" forecast train --csv "$file" --out "$folder/$name" --no-baseline --resume "${words[@]:2}" >"$folder/$name.log"
    sed -nE "s/.*\"windows\":\{[^}]*\"test\":([0-9]+)\}.*\"seconds\":([0-9.]+).*\"model\":\{\"valid\":\{\"mse\":([0-9.]+),\"mae\":([0-9.]+)\},\"test\":\{\"mse\":([0-9.]+),\"mae\":([0-9.]+)\}\},\"repeat_last\":.*\"test\":\{\"mse\":([0-9.]+),\"mae\":([0-9.]+)\}.*/\1 \2 \3 \4 \5 \6 \7 \8/p" \
        "$folder/$name/report.json" | LC_ALL=C awk -v n="$name" '{printf "%-22s %6d windows  test MSE %.4f MAE %.4f  validation %.4f %.4f  last value %.3f %.3f  %4.0f s\n", n, $1, $5, $6, $3, $4, $7, $8, $2}'
done
