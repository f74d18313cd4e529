#!/bin/bash
# The forecasting protocol on the command line, on small made-up series.
#   forecast.sh QUANTUM
# Proves: a run killed, one interrupted, one undisturbed and one with two threads end in the same bits; eval repeats what train
# reports; predict goes on from the last row or says why not; wrong input is one line with the place, the right exit code and no folder.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq zstd awk cmp
cd "$work"

forecast() { "$quantum" forecast "$@" 2>err || { cat err >&2; die "forecast $*"; }; }

# A failing call: its code, and a piece of the first line of what it says.
refused() { # code text command...
    local want=$1 text=$2 got=0
    shift 2
    "$quantum" forecast "$@" >out 2>err </dev/null || got=$?
    ((got == want)) || { cat err >&2; die "forecast $*: exit code $got, not $want"; }
    [[ $(head -n 1 err) == "forecast: "*"$text"* ]] || { head -n 1 err >&2; die "forecast $*: not '$text'"; }
}

for command in train eval predict; do
    "$quantum" forecast $command --help >out || die "$command --help"
    grep -q "^example: quantum forecast $command" out || die "$command --help has no example"
    got=0
    "$quantum" forecast $command --no-such-option >out 2>&1 || got=$?
    ((got == 2)) || die "$command --no-such-option: exit code $got"
done

# Waves with noise: three channels by the hour.
awk -v seed="$seed" 'BEGIN { srand(seed); print "date,a,b,c"
    for (i = 0; i < 1200; i++)
        printf "2020-%02d-%02d %02d:00:00,%.6f,%.6f,%.6f\n", int(i / 672) + 1, int(i % 672 / 24) + 1, i % 24,
            sin(i * 0.26) + rand() / 4, 100 + 20 * cos(i * 0.13) + 5 * rand(), i / 100 + rand()
    }' >waves.csv
zstd -q waves.csv -o waves.csv.zst
gzip -k waves.csv

# ---- the same bits, whatever happens on the way ----

declare -A params=([patchtst]="patch_len=8,stride=4,d_model=8,n_heads=2,d_ff=16"
    [nhits]="n_theta_hidden=64x64:64x64:64x64,dropout_prob_theta=0.1" [dlinear]="kernel_size=13")
resumed=0 stopped=0
for model in patchtst nhits dlinear; do
    train=(train --model "$model" --csv waves.csv.zst --input 48 --horizon 12 --split 0.7,0.1,0.2 --params "${params[$model]}"
        --seed 5 --batch 32 --epochs 6 --valid-every 8 --patience 0)
    forecast "${train[@]}" --out "$model" --json >report.json
    [[ $(wc -l <report.json) == 1 ]] || die "$model: --json is not one line"
    jq -e '.windows == {"train": 781, "valid": 109, "test": 229} and .epochs == 6 and .parameters > 0 and .seconds > 0
        and ([.model, .params, .split] | all(type == "string"))' report.json >/dev/null || die "$model: report $(<report.json)"
    jq -e '.scores.repeat_last.test.mse > 0 and .scores.repeat_last.test.mae > 0' report.json >/dev/null || die "$model: no last value"
    if [[ $model != dlinear ]]; then
        jq -e '.scores.dlinear.test.mse > 0 and .scores.dlinear.valid.mae > 0' report.json >/dev/null || die "$model: no DLinear"
    fi
    for file in model.safetensors history.json report.json report.txt losses.svg windows.svg; do
        [[ -s $model/$file ]] || die "$model: no $file"
    done
    [[ ! -e $model/checkpoint && ! -e $model/running.json ]] || die "$model: something is left over"

    # Killed as soon as there is a checkpoint (it may be too late: then it had ended), then interrupted, then to the end.
    start killed.log "$quantum" forecast "${train[@]}" --out "$model-cut" --no-baseline
    await 60 test -e "$model-cut/checkpoint" -o -e "$model-cut/report.json" || { cat killed.log >&2; die "$model: no checkpoint"; }
    kill -9 "$started" 2>/dev/null || true
    reap "$started"
    start stopped.log "$quantum" forecast "${train[@]}" --out "$model-cut" --no-baseline --resume
    await 60 test -s stopped.log || die "$model: nothing is said while it trains"
    kill -INT "$started" 2>/dev/null || true
    reap "$started"
    if ((code != 0)); then # it may have ended before
        ((code == 1)) && grep -q "kept in $model-cut: the same command with --resume goes on" stopped.log ||
            { cat stopped.log >&2; die "$model: exit code $code when interrupted"; }
        stopped=$((stopped + 1))
    fi
    forecast "${train[@]}" --out "$model-cut" --no-baseline --resume --threads 2 --json >again.json
    for file in model.safetensors history.json losses.svg windows.svg; do
        cmp -s "$model/$file" "$model-cut/$file" || die "$model: $file of a run cut off is another one"
    done
    jq -e --slurpfile r report.json '.scores.model == $r[0].scores.model' again.json >/dev/null ||
        die "$model: gone on with: $(<again.json)"

    if jq -e .resumed again.json >/dev/null; then resumed=$((resumed + 1)); fi

    # Finished: the report again; nothing is overwritten unasked.
    cp "$model/report.json" before.json
    forecast "${train[@]}" --out "$model" --resume --json >again.json
    same "$model: report shown again" report.json again.json
    same "$model: report kept" before.json "$model/report.json"
    refused 1 "holds a run that is finished" "${train[@]}" --out "$model"
    refused 1 "other data or options" "${train[@]}" --out "$model" --resume --lr 0.5

    # eval says what train said, whatever packs the file.
    for part in valid test; do
        forecast eval --run "$model" --csv waves.csv.gz --part $part --json >eval.json
        jq -e --slurpfile r report.json --arg p $part '.score == $r[0].scores.model[$p]
            and .repeat_last == $r[0].scores.repeat_last[$p] and .same_data' eval.json >/dev/null ||
            die "$model: eval of $part says $(<eval.json), train $(<report.json)"
    done
    forecast eval --model-file "$model/model.safetensors" --csv waves.csv --part train --threads 2 --json >eval.json
    jq -e '.windows == 781' eval.json >/dev/null || die "$model: eval of train says $(<eval.json)"

    # What comes next.
    forecast predict --run "$model" --csv waves.csv --output next.csv
    [[ $(wc -l <next.csv) == 13 && $(head -n 1 next.csv) == date,a,b,c ]] || die "$model: $(head -n 2 next.csv)"
    awk -F, 'NR > 1 && !($2 > -5 && $2 < 5 && $3 > 50 && $3 < 150) { exit 1 }' next.csv || die "$model: $(<next.csv)"
    forecast predict --run "$model" --csv waves.csv.zst | cmp -s - next.csv || die "$model: another forecast from the packed file"
    awk -F, -v OFS=, 'NR == 1180 { $3 = "nan" } 1' waves.csv >holed.csv
    refused 1 "no forecast: holed.csv: line 1180 (row 1178), column 'b': no value" predict --run "$model" --csv holed.csv --output none.csv
    awk -F, -v OFS=, 'NR == 1201 { $4 = "inf" } 1' waves.csv >holed.csv
    refused 1 "no forecast: holed.csv: line 1201 (row 1199), column 'c': an infinite value" predict --run "$model" --csv holed.csv --output none.csv
    head -n 48 waves.csv >short.csv
    refused 1 "no forecast: short.csv has 47 rows, the network reads 48" predict --run "$model" --csv short.csv --output none.csv
    [[ ! -e none.csv ]] || die "$model: a file in spite of no forecast"
    head -n 49 waves.csv | forecast predict --run "$model" --csv - >next.csv
    [[ $(wc -l <next.csv) == 13 ]] || die "$model: no forecast from a pipe"
done
((resumed && stopped)) || die "none of the runs was cut off in its middle: $resumed gone on with, $stopped interrupted"
say "three networks: same bits when killed, interrupted or on two threads; eval and predict agree with train"

# One column: the others may hold anything.
awk -F, -v OFS=, 'NR == 5 { $2 = "nan" } 1' waves.csv >holed.csv
forecast train --model dlinear --csv holed.csv --target b --input 24 --horizon 6 --split 0.7,0.1,0.2 --epochs 1 --json >report.json
jq -e '.channels == 1 and .run == "forecast-dlinear-holed-24-6-s1"' report.json >/dev/null || die "one column: $(<report.json)"
[[ -d forecast-dlinear-holed-24-6-s1 ]] || die "no folder under its own name"
# By dates: an hour apart and enough rows is ETT's split; these are too few.
refused 1 "1200 rows; this split needs 14400" train --model dlinear --csv waves.csv --out none

# ---- wrong input: the code, the place, no folder ----

train=(train --model patchtst --csv waves.csv --split 0.7,0.1,0.2 --input 48 --horizon 12 --out none)
refused 2 "--model is missing" train --csv waves.csv
refused 2 "'lstm' is not a value for --model" train --model lstm --csv waves.csv
refused 2 "--csv is missing" train --model nhits
refused 2 "'0' is not a value for --horizon" "${train[@]}" --horizon 0
refused 2 "'0' is not a value for --input" "${train[@]}" --input 0
refused 2 "'0.7,0.2' is not a value for --split" "${train[@]}" --split 0.7,0.2
refused 2 "'often' is not a value for --schedule" "${train[@]}" --schedule often
refused 2 "'huber:x' is not a value for --loss" "${train[@]}" --loss huber:x
refused 2 "'0' is not a value for --lr" "${train[@]}" --lr 0
refused 2 "--resume and --restart exclude each other" "${train[@]}" --resume --restart
refused 2 "'extra' is not an option" "${train[@]}" extra
refused 2 "--params: patchtst has no option 'd_modle'" "${train[@]}" --params d_modle=16
refused 2 "--params: d_model: 'x' is not a number" "${train[@]}" --params d_model=x
refused 2 "--params: 'pred_len' follows from --horizon" "${train[@]}" --params pred_len=24
refused 1 "nothing.csv" train --model nhits --csv nothing.csv --out none
refused 1 "no column 'd': there are date, a, b, c" "${train[@]}" --target d
refused 1 "the part 'valid'" "${train[@]}" --horizon 200
sed '700s/,[^,]*$/,oops/' waves.csv >broken.csv
refused 1 "broken.csv: line 700, column 3 (c): 'oops' is not a number" "${train[@]}" --csv broken.csv
awk -F, -v OFS=, 'NR == 77 { $4 = "" } 1' waves.csv >holed.csv
refused 1 "holed.csv: line 77 (row 75), column 'c': no value" "${train[@]}" --csv holed.csv
: >empty.csv
refused 1 "empty.csv: is empty" "${train[@]}" --csv empty.csv
refused 1 "patch" "${train[@]}" --input 12 --params patch_len=16
refused 1 "d_model" "${train[@]}" --params d_model=0
refused 2 "one of --run and --model-file is needed" eval --csv waves.csv
refused 1 "model.safetensors" eval --run none --csv waves.csv
refused 2 "'last' is not a value for --part" eval --run dlinear --csv waves.csv --part last
cut -d, -f1-3 waves.csv >fewer.csv
refused 1 "no column 'c': there are date, a, b" eval --run dlinear --csv fewer.csv
head -c 100 dlinear/model.safetensors >cut.safetensors
refused 1 "cut.safetensors" eval --model-file cut.safetensors --csv waves.csv
[[ ! -e none ]] || die "a folder in spite of wrong input"
say "wrong input is named"
