#!/bin/bash
# Models of trees on the command line: what two real libraries predicted, to the last digit.
#   model.sh QUANTUM
# Proves: of every reference case (XGBoost JSON and UBJSON, LightGBM text) raw margins and leaves come out as
# the libraries wrote them, transformed values within 2e-7, contributions sum to the margin; iteration ranges, columns by
# name, compressed and piped files; conversions predict the same; training, then predicting; wrong input
# is refused with the place and leaves no file behind.
# The reference files lie in $QUANTUM_REFERENCE/refdata; without it: skipped.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq zstd awk
if [[ -z ${QUANTUM_REFERENCE:-} ]]; then
    echo "$name: QUANTUM_REFERENCE is not set: nothing to compare with" >&2
    exit 77
fi
reference=$QUANTUM_REFERENCE/refdata
[[ -s $reference/MANIFEST.json ]] || die "no reference cases in $reference"
cd "$work"

predict() { "$quantum" model predict "$@" 2>err || { cat err >&2; die "predict $*"; }; }

# A failing call: its code, and all it says up to the help.
refused() { # code text command...
    local want=$1 text=$2 got=0
    shift 2
    "$quantum" model "$@" >out 2>err </dev/null || got=$?
    ((got == want)) || { cat err >&2; die "model $*: exit code $got, not $want"; }
    [[ $(head -n 1 err) == "model: $text" ]] || { head -n 1 err >&2; die "model $*: not '$text'"; }
}

for command in train predict show importance check convert; do
    "$quantum" model $command --help >out || die "$command --help"
    grep -q "^example: quantum model $command" out || die "$command --help has no example"
    got=0
    "$quantum" model $command --no-such-option >out 2>&1 || got=$?
    ((got == 2)) || die "$command --no-such-option: exit code $got"
done

# Two files of numbers, value by value: |a - b| <= bound * max(1, |a|), nan equals nan.
near() { # what bound file file
    paste -d, "$3" "$4" | awk -F, -v bound="$2" '
        { n = NF / 2
          for (i = 1; i <= n; i++) {
              d = $i - $(i + n); if (d < 0) d = -d
              size = $i < 0 ? -$i : $i; if (size < 1) size = 1
              if ($i != $(i + n) && !(d <= bound * size)) { print NR ": " $i " " $(i + n); bad = 1; exit }
          } }
        END { exit bad }' >where || die "$1 differs in line $(<where)"
}

# ---- every case ----

cases=0
for model in "$reference"/*.{json,ubj,txt}.gz; do
    file=${model##*/}
    case=${file%%.*}
    input=$reference/$case.input.csv.gz
    outputs=$("$quantum" model show --json "$model" | jq .outputs)
    gzip -dc "$reference/$case.pred.csv.gz" >pred.csv
    cut -d, -f"1-$outputs" pred.csv >raw.want
    cut -d, -f"$((outputs + 1))-" pred.csv >value.want
    [[ $(wc -l <raw.want) == 1000 ]] || die "$case has no 1000 rows"
    predict --model "$model" --input "$input" --raw --output raw
    same "$file, margins" raw.want raw
    predict --model "$model" --input "$input" --output value
    near "$file, values" 2e-7 value.want value
    if [[ -s $reference/$case.leaf.csv.gz ]]; then
        predict --model "$model" --input "$input" --leaf --output leaf
        same "$file, leaves" <(gzip -dc "$reference/$case.leaf.csv.gz") leaf
    fi
    "$quantum" model check --rows 100 --json "$model" >check.json || die "$file: check"
    jq -e '.ok and (.kernels | length >= 2)' check.json >/dev/null || die "$file: check says $(<check.json)"
    if [[ $case == *lintree* ]]; then
        refused 1 "--contrib: a model with linear leaves has no contributions" \
            predict --model "$model" --input "$input" --contrib --output none
    else
        jq -e '.contribution_sum_error < 1e-9' check.json >/dev/null || die "$file: contributions do not sum"
        # Column by column over a row: XGBoost's margins are floats, so its sums are only as near.
        gzip -dc "$input" | sed -n 1,200p >some.csv
        predict --model "$model" --input some.csv --contrib |
            awk -F, -v k="$outputs" '{ n = NF / k; for (c = 0; c < k; c++) { s = 0
                for (i = 1; i <= n; i++) s += $(c * n + i); printf "%s%.17g", c ? "," : "", s } print "" }' >sums
        near "$file, sums of contributions" "$([[ $case == xgb* ]] && echo 2e-6 || echo 1e-9)" <(head -n 200 raw.want) sums
    fi
    cases=$((cases + 1))
done
((cases >= 30)) || die "only $cases reference models"
say "$cases reference models: margins and leaves to the digit"

# ---- the ways in and out ----

case=lgb_multi3_nan_small
model=$reference/$case.txt.gz
gzip -dc "$reference/$case.input.csv.gz" >input.csv
gzip -dc "$reference/$case.pred.csv.gz" | cut -d, -f1-3 >raw.want
gzip -dc "$model" | zstd -q >model.zst
predict --model model.zst --input - --raw --output raw.gz <input.csv
same "pipe, zstd in, gzip out" raw.want <(gzip -dc raw.gz)
zstd -q input.csv -o input.zst
predict --model "$model" --input input.zst --raw --output raw.zst
same "zstd in and out" raw.want <(zstd -dc raw.zst)
predict --model "$model" --input input.csv --raw --output /dev/stdout >raw
same "a device as output" raw.want raw

# Columns in another order, with others between, by name; tabs; Windows line ends.
names=$("$quantum" model show --json "$model" | jq -r '.names | join(",")')
{ echo "time,$names"; sed 's/^/7,/' input.csv; } |
    awk -F, -v OFS='\t' '{ for (i = NF; i > 0; i--) printf "%s%s", $i, (i > 1 ? OFS : "\r\n") }' >named.tsv
predict --model "$model" --input named.tsv --by-name --raw --output raw
same "columns by name" raw.want raw
{ echo "time,$names"; sed 's/^/7,/; s/nan//g' input.csv; } >named.csv
predict --model "$model" --input named.csv --ignore time --raw --output raw
same "a column left out" raw.want raw
predict --model "$model" --input named.csv --ignore 0 --header yes --raw --output raw
same "a column left out by number" raw.want raw

# LibSVM: absent reads 0, the label is skipped.
printf '1 0:0.5 3:-1\n0 19:2 # note\n' >rows.svm
printf '0.5,0,0,-1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2\n' >rows.csv
predict --model "$model" --input rows.svm --output a
predict --model "$model" --input rows.csv --output b
same "LibSVM" a b
[[ $(wc -l <a) == 2 ]] || die "LibSVM: not two rows"

# Iterations: the first and the rest make up all, but for the base that both have.
case=lgb_reg_dense_small
model=$reference/$case.txt.gz
input=$reference/$case.input.csv.gz
gzip -dc "$reference/$case.pred.csv.gz" | cut -d, -f1 >raw.want
predict --model "$model" --input "$input" --raw --iterations :7 --output first
predict --model "$model" --input "$input" --raw --iterations 7: --output rest
paste -d, first rest | awk -F, '{ printf "%.17g\n", $1 + $2 }' >sum
near "iterations" 1e-12 raw.want sum
predict --model "$model" --input "$input" --raw --iterations 0:20 --output all
same "all iterations" raw.want all
predict --model "$model" --input "$input" --leaf --iterations 3:5 --output leaf
same "leaves of two iterations" <(gzip -dc "$reference/$case.leaf.csv.gz" | cut -d, -f4,5) leaf

# ---- looking and converting ----

model=$reference/xgb_binary_nan_small.json.gz
input=$reference/xgb_binary_nan_small.input.csv.gz
gzip -dc "$reference/xgb_binary_nan_small.pred.csv.gz" | cut -d, -f1 >raw.want
for to in m.ubj m.json m.json.zst m.ubj.gz; do
    "$quantum" model convert "$model" "$to" >/dev/null || die "convert to $to"
    predict --model "$to" --input "$input" --raw --output raw
    same "$to" raw.want raw
done
"$quantum" model convert "$model" m.txt >out || die "convert to LightGBM"
predict --model m.txt --input "$input" --raw --output raw
near "XGBoost as LightGBM" 1e-5 raw.want raw
for case in lgb_binary_cat_small lgb_multi3_dense_medium lgb_binary_lintree_small; do
    "$quantum" model convert "$reference/$case.txt.gz" copy.txt >/dev/null || die "convert $case"
    sed -n '1,/^end of trees/p' copy.txt >got.txt
    gzip -dc "$reference/$case.txt.gz" | sed -n '1,/^end of trees/p' >want.txt
    same "$case written again" want.txt got.txt
done
"$quantum" model importance --json "$model" | jq -e '(map(.splits) | add) > 100 and .[0].gain >= .[1].gain' >/dev/null ||
    die "importance"
"$quantum" model show --tree 0 "$model" >out && grep -q 'leaf ' out || die "show --tree"
say "conversions, columns, pipes"

# ---- training ----

awk 'BEGIN { srand(7); print "y,a,b,noise,w,q"
    for (i = 0; i < 3000; i++) { a = rand(); b = rand(); n = rand()
        printf "%d,%.6f,%.6f,%.6f,%g,%d\n", (a > 0.5) != (b > 0.3), a, b, n, 1 + i % 2, i / 30 } }' >train.csv
{ head -n 1 train.csv; tail -n 600 train.csv; } >valid.csv
gzip -k valid.csv
declare -A params=([lightgbm]="objective=binary,num_iterations=40,num_leaves=8"
    [xgboost]="objective=binary:logistic,num_boost_round=40,max_depth=4")
declare -A suffix=([lightgbm]=txt [xgboost]=json)
for kind in lightgbm xgboost; do
    out=$kind.${suffix[$kind]}
    "$quantum" model train --kind $kind --data train.csv --valid valid.csv.gz --label y --ignore q --weight w \
        --params "${params[$kind]}" --out "$out" --json >summary.json || die "train $kind"
    jq -e '.rows == 3000 and .rows_valid == 600 and .columns == 3 and .rounds == 40 and .trees == 40 and .metric_valid < 0.2' \
        summary.json >/dev/null || die "train $kind: $(<summary.json)"
    "$quantum" model train --kind $kind --data train.csv --valid valid.csv.gz --label 0 --ignore q --weight 4 \
        --params "${params[$kind]}" --threads 2 --out "again.$out" >/dev/null || die "train $kind again"
    same "$kind with two threads" "$out" "again.$out"
    "$quantum" model check --rows 100 "$out" >/dev/null || die "check $out"
    predict --model "$out" --input valid.csv --by-name --output p
    wrong=$(paste -d, p <(tail -n +2 valid.csv) | awk -F, '($1 > 0.5) != $2 { n++ } END { print n + 0 }')
    ((wrong < 12)) || die "$kind: $wrong of 600 rows it has seen are wrong"
    "$quantum" model importance --json "$out" | jq -e '.[0].name == "a" or .[0].name == "b"' >/dev/null ||
        die "$kind: the noise matters most"
done
"$quantum" model train --kind lightgbm --data train.csv --label y --query q --ignore w \
    --params objective=lambdarank,num_iterations=5 --out rank.txt >/dev/null || die "train ranks"
"$quantum" model show --json rank.txt | jq -e '.objective == "lambdarank"' >/dev/null || die "ranks: not lambdarank"
say "trained models predict"

# ---- refusals ----

rm -f none
model=$reference/lgb_reg_dense_small.txt.gz
two='1,2'
for _ in {3..20}; do two+=,0; done
refused 2 "--input is missing" predict --model "$model"
refused 2 "--raw, --leaf and --contrib exclude each other" predict --model "$model" --input x --raw --leaf
refused 2 "'maybe' is not a value for --header" predict --model "$model" --input x --header maybe
refused 2 "'extra' is not an option" predict --model "$model" --input x extra
refused 1 "nowhere.txt: No such file or directory" predict --model nowhere.txt --input x --output none
refused 1 "nowhere.csv: No such file or directory" predict --model "$model" --input nowhere.csv --output none
printf '%s\n' "$two" "${two/2/2x}" >bad.csv
refused 1 "bad.csv: line 2, column 1: '2x' is not a number" predict --model "$model" --input bad.csv --output none
printf '%s\n' "$two" "$two" "$two,1" >bad.csv
refused 1 "bad.csv: line 3 has 21 fields, not 20" predict --model "$model" --input bad.csv --output none
printf '1,2\n' >bad.csv
refused 1 "bad.csv has 2 columns, the model wants 20: --ignore leaves some out, --by-name takes those it names" \
    predict --model "$model" --input bad.csv --output none
: >bad.csv
refused 1 "bad.csv: is empty" predict --model "$model" --input bad.csv --output none
gzip -c input.csv >whole.gz
head -c 5000 whole.gz >cut.gz
refused 1 "cut.gz: damaged gzip near byte 5000: the file ends too early" \
    predict --model "$reference/lgb_multi3_nan_small.txt.gz" --input cut.gz --output none
refused 1 "--iterations 5:21: the model has the iterations 0:20" \
    predict --model "$model" --input "$input" --iterations 5:21 --output none
refused 1 "--by-name: the header does not name 'Column_0'" \
    predict --model "$model" --input train.csv --by-name --output none
[[ ! -e none && -z $(compgen -G 'none*') ]] || die "a refused prediction left a file"

train() { refused "$1" "$2" train --kind lightgbm --out none "${@:3}"; }
train 2 "--data is missing" --label y
refused 2 "'forest' is not a value for --kind" train --kind forest --data train.csv --label y --out none
train 1 "train.csv: --label is missing: which column is to be learned?" --data train.csv
train 1 "train.csv: --label: no column 'z': there are y, a, b, noise, w, q" --data train.csv --label z
train 1 "train.csv: --weight: column 'y' has another part already" --data train.csv --label y --weight y
{ cat train.csv; sed -n 2p train.csv; } >back.csv
train 1 "back.csv: rows of query 0 do not stand together" --data back.csv --label y --query q
printf '1\n' >group
train 1 "train.csv: group: 1 rows in all, the data have 3000" --data train.csv --label y --group group
cut -d, -f1-3 valid.csv >short.csv
train 1 "short.csv: 2 columns to learn from, 5 in --data" --data train.csv --label y --valid short.csv
sed '1s/noise/other/' valid.csv >other.csv
train 1 "other.csv: column 2 is 'other', in --data 'noise': --by-name takes them by name" --data train.csv --label y --valid other.csv
"$quantum" model train --kind lightgbm --data train.csv --label y --params num_leafs=5 --out none >out 2>err && die "num_leafs is a parameter"
grep -q "^model: .*num_leafs" err || die "bad parameter: $(<err)"
"$quantum" model train --kind xgboost --data train.csv --label y --params max_dept=5 --out none >out 2>err && die "max_dept is a parameter"
grep -q "^model: .*max_dept" err || die "bad parameter: $(<err)"
for file in train.csv valid.csv.gz; do
    "$quantum" model train --kind lightgbm --data $file --label y --memory-max 10K --out none >out 2>err && die "$file trains in 10K"
    grep -Eq "^model: .*need (up to )?[0-9]+ MiB of memory.*; 0 MiB may be taken$" err || die "memory: $(<err)"
done
[[ ! -e none ]] || die "a refused training left a model"
printf 'tree\nversion=v4\n' >broken.txt
"$quantum" model check broken.txt >out 2>err && die "a broken model passes"
grep -q "^model: broken.txt: " err || die "broken model: $(<err)"
say "wrong input is refused where it stands"
