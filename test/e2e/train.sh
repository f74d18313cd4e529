#!/bin/bash
# quantum train: four voters, and the page that shows what they know.
#   train.sh QUANTUM
# Proves: without a word on kinds all four are trained, into files that are named; the page is well-formed, fetches nothing, shows
# the four, their pool and the baselines; its figures are those of --json, and those the model files tell; the same run gives the same
# page; a name of a symbol cannot break out; wrong options are refused with their reason before anything is trained; an
# interrupt leaves whole model files, no page, and nothing half-written; labels shuffled end without skill on the page, too.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq awk
cd "$work"

"$quantum" data synth --store store --symbols 4 --bars 3000 --pattern 1 --seed 21 >out 2>&1 || { cat out >&2; die "data synth"; }
train=("$quantum" train --store store --interval 1m --epochs 1)

# Tags balance, attributes have quotes, & begins an entity: what any XML reader asks of it.
well_formed() { # file
    awk 'BEGIN { RS = "<" }
        NR == 1 { if ($0 ~ /[^ \n]/) bad("text before the document"); next }
        NR == 2 { if ($0 !~ /^!DOCTYPE html>/) bad("no doctype"); next }
        {
            end = index($0, ">")
            if (!end) bad("a tag without end")
            tag = substr($0, 1, end - 1)
            rest = substr($0, end + 1)
            gsub(/&(amp|lt|gt|quot|apos);/, "", rest)
            gsub(/="[^"]*"/, "", tag)
            if (rest ~ /&/) bad("a lone &")
            if (tag ~ /["&=]/) bad("an attribute in <" tag ">")
            split(tag, words, /[ \n\/]/)
            if (tag ~ /^\//) {
                if (!depth || open[depth--] != substr(tag, 2)) bad("</" substr(tag, 2) "> closes nothing")
            } else if (tag !~ /\/$/) open[++depth] = words[1]
        }
        function bad(what) { print "tag " NR ": " what; failed = 1; exit 1 }
        END { if (!failed && depth) { print "not closed: " open[depth]; exit 1 } }' "$1"
}
printf '<!DOCTYPE html>\n<a><b x="1"/>&amp;</a>\n' >good.html
well_formed good.html || die "the checker takes nothing"
for broken in '<a><b></a>' '<a>&</a>' '<a x=1></a>' '<a>' '</a>'; do
    printf '<!DOCTYPE html>\n%s\n' "$broken" >bad.html
    well_formed bad.html >/dev/null && die "the checker takes $broken"
done

# ---- four, and the page ----
begin=$(now_ms)
"${train[@]}" --out-dir models --json >json 2>err || { cat err >&2; die "training four"; }
say "four trained and measured in $(($(now_ms) - begin)) ms, the page has $(stat -c %s models/train-1m.html) bytes"
page=models/train-1m.html
[[ $(ls models) == $'lightgbm-1m.txt\nnhits-1m.safetensors\npatchtst-1m.safetensors\ntrain-1m.html\nxgboost-1m.json' ]] || { ls models >&2; die "files"; }
jq -e '[.models[].kind] == ["xgboost", "lightgbm", "nhits", "patchtst"]
    and ([.models[] | (.logloss_test - .scores.logloss) | fabs < 1e-9] | all)
    and ([.models[] | .scores.rows == .test.rows and .trading.equity[0] == 1 and (.curve.valid | length) > 0] | all)
    and ([.models[] | .scores.confidence | .distinct > 100 and .max > .min and (.histogram | length) == 20] | all)
    and ([.models[] | .trading | (.equity | length) == (.random.low | length) and .random.shifts > 100 and .random.p > 0] | all)
    and ([.models[].importance.by] == ["gain", "gain", "permutation", "permutation"])
    and .momentum.trading.trades >= 0 and .buy_and_hold.trading.long_share == 1 and .cost_side == 0.0007
    and (.pool_all // .pool_served | .common.logloss > 0 and .trading.random.shifts > 100)' json >/dev/null ||
    { jq 'del(.seconds, .models[].trading, .models[].curve)' json >&2; die "--json"; }
well_formed "$page" || die "the page is not well-formed"
grep -qE 'src=|href=|@import|url\(|<script>' "$page" && die "the page fetches or runs something"
for kind in xgboost lightgbm nhits patchtst; do
    grep -q "<section id=\"$kind\">" "$page" || die "the page does not show $kind"
    cells=$(jq -r --arg k $kind '.models[] | select(.kind == $k) | [.logloss_test, .logloss_prior, .skill_t, .side_t] | @tsv' json)
    # shellcheck disable=SC2086
    grep -qF "$(printf '<tr data-model="%s"><td>%.5f</td><td>%.5f</td><td>%.2f</td><td>%.2f</td>' $kind $cells)" "$page" ||
        die "$kind: the page's figures are not those of --json ($cells)"
    cells=$(jq -r --arg k $kind '.models[] | select(.kind == $k) | .trading | [100 * .return, .sharpe] | @tsv' json)
    # shellcheck disable=SC2086
    grep -A1 -F "<tr data-trading=\"$kind\">" "$page" | grep -qF "$(printf '<td>%+.2f</td><td>%.2f</td>' $cells)" ||
        die "$kind: what it earned on the page is not that of --json ($cells)"
done
grep -q 'data-trading="momentum"' "$page" && grep -q 'data-trading="buy_and_hold"' "$page" && grep -q '<section id="pool_' "$page" ||
    die "the page lacks a baseline or the pool"
sed -n 's|.*<script type="application/json" id="figures">\(.*\)</script>|\1|p' "$page" >kept
[[ $(jq -S . kept) == "$(jq -S . json)" ]] || die "the figures kept in the page are not those of --json"
"$quantum" model check models/xgboost-1m.json >out 2>&1 || { cat out >&2; die "the file is no model"; }

# ---- the same again; some; one ----
cp -r models before
"${train[@]}" --out-dir models --json >json2 2>err || { cat err >&2; die "training again"; }
same "the same run: figures" json json2
for file in before/*; do same "the same run: $(basename "$file")" "$file" "models/$(basename "$file")"; done
"${train[@]}" --kind lightgbm,xgboost --out-dir two --report two.html >text 2>err || { cat err >&2; die "training two"; }
[[ $(ls two) == $'lightgbm-1m.txt\nxgboost-1m.json' && -s two.html ]] || { ls two >&2; die "--kind a,b --report"; }
well_formed two.html || die "the page of two is not well-formed"
grep -q '^report two.html$' text && grep -q '^side by side' text || { cat text >&2; die "the text"; }
same "one kind beside others: the model" before/xgboost-1m.json two/xgboost-1m.json
"${train[@]}" --kind xgboost --out one.json --no-report --json >json 2>err || { cat err >&2; die "--no-report"; }
[[ ! -e one.json.html ]] || die "--no-report writes a page"
jq -e '(.models | length) == 1 and .models[0].scores == null and .common == null' json >/dev/null || die "--no-report measures"
"${train[@]}" --kind xgboost --out one.json --shuffle-labels >text 2>err || { cat err >&2; die "--shuffle-labels"; }
grep -q '<td class="no">no</td>' one.json.html && ! grep -q '<td class="yes">' one.json.html || die "shuffled labels may vote on the page"

# ---- refused ----
refused() { # code words options...
    local want=$1 words=$2
    shift 2
    code=0
    "${train[@]}" "$@" >out 2>err || code=$?
    ((code == want)) || { cat err >&2; die "$*: exit code $code, not $want"; }
    grep -qF -- "$words" err || { cat err >&2; die "$*: does not say '$words'"; }
    grep -q 'stage' err && die "$*: trained before it refused"
    return 0
}
rm -rf no
refused 2 "'forest' is not a value for --kind" --kind forest
refused 2 "'xgboost,xgboost' is not a value for --kind" --kind xgboost,xgboost
refused 2 "'' is not a value for --kind" --kind ''
refused 2 "--out is one kind's file" --out no/model.json
refused 2 "--out and --out-dir exclude each other" --kind nhits --out a --out-dir no
refused 2 "--warm-start is one network's" --warm-start models/nhits-1m.safetensors
refused 2 "--report and --no-report exclude each other" --report no/a.html --no-report
refused 2 "--from is not before --to" --from 2024-02-01 --to 2024-01-01
refused 2 "unexpected 'models'" models
refused 1 "no/sub" --kind xgboost --out no/sub/model.json
refused 1 "no/sub" --out-dir made --report no/sub/page.html
refused 1 "made is a folder" --kind xgboost --out made
[[ ! -e no ]] || die "a refusal made a folder"

# ---- interrupted ----
"$quantum" data synth --store wide --symbols 6 --bars 9000 --pattern 1 --seed 3 >out 2>&1 || { cat out >&2; die "data synth"; }
trained() { [[ -e cut/xgboost-1m.json ]] && grep -q 'nhits: stage train' err; }
start err "$quantum" train --store wide --interval 1m --kind xgboost,nhits --out-dir cut
await 120 trained || { cat err >&2; die "it does not come to the network"; }
kill -INT "$started"
reap "$started"
((code == 1)) || { cat err >&2; die "interrupted: exit code $code"; }
grep -q 'xgboost is trained: cut/xgboost-1m.json' err || { cat err >&2; die "it does not say what is there"; }
[[ $(ls -A cut) == xgboost-1m.json ]] || { ls -A cut >&2; die "interrupted: something half-written"; }
"$quantum" model check cut/xgboost-1m.json >out 2>&1 || { cat out >&2; die "the file of before the interrupt is broken"; }
say "four voters, one page, figures as in --json; refusals; an interrupt leaves whole files"
