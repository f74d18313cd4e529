#!/bin/bash
# The registry of models on the command line.
#   registry.sh QUANTUM
# Proves: voters trained here are kept, listed, shown by id, by hash and by file, promoted and rolled back; what is served
# is where the pointer says; wrong words are exit code 2, failures 1, refusals 3, each with a line that names the
# trouble; damage is found, a damaged model is not served; --json is JSON.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq sqlite3
state=$work/state
models=$state/models
cd "$work"

# A failing call: its code, and all it says up to the help.
refused() { # code pattern command...
    local want=$1 pattern=$2 got=0
    shift 2
    "$quantum" model "$@" --state "$state" >out 2>err </dev/null || got=$?
    ((got == want)) || { cat err >&2; die "model $*: exit code $got, not $want"; }
    head -n 1 err | grep -Eq -e "^model: $pattern" || { head -n 3 err >&2; die "model $*: not '$pattern'"; }
}
run() { "$quantum" model "$@" --state "$state" >out 2>err || { cat err >&2; die "model $*: exit code $?"; }; }
json() { # jq-filter command...
    local filter=$1
    shift
    run "$@" --json
    jq -e "$filter" out >/dev/null || { head -c 800 out >&2; die "model $*: not '$filter'"; }
}
pointer() { # kind: the file it names
    echo "$models/objects/$(<"$models/serving/$1")"
}

for command in add list show promote rollback; do
    "$quantum" model $command --help >out || die "$command --help"
    grep -q "^example: quantum model $command" out || die "$command --help has no example"
    got=0
    "$quantum" model $command --no-such-option >out 2>&1 || got=$?
    ((got == 2)) || die "$command --no-such-option: exit code $got"
done

# ---- nothing there ----

json '.models == []' list
refused 1 'no file 7: no model is registered yet' show 7
refused 1 'no model #7' promote 7
refused 1 'no xgboost serves' rollback xgboost

# ---- two of each kind ----

"$quantum" data synth --store store --symbols 6 --bars 3000 --seed 3 >/dev/null 2>&1
for kind in xgboost lightgbm; do
    for seed in 1 2; do
        "$quantum" train --kind $kind --store store --interval 1m --seed $seed --out $kind-$seed >/dev/null 2>&1 ||
            die "train $kind"
    done
done
json '.id == 1 and .kind == "xgboost" and .state == "candidate" and (.hash | length) == 16' add xgboost-1
json '.id == 2' add xgboost-2 --parent 1 --reason 'warm start'
json '.id == 3 and .kind == "lightgbm"' add lightgbm-1
json '.id == 4' add lightgbm-2
refused 1 'xgboost-1: is model #1 already' add xgboost-1
refused 1 'nowhere: .*No such file' add nowhere
refused 1 '--parent: no model #9' add lightgbm-1 --parent 9
printf '{"learner": 1}' >broken
refused 1 'broken: ' add broken
refused 2 'which file\?' add
json '.models | length == 4' list
json '.models | map(.id) == [3, 4]' list --kind lightgbm
json '.models[1].parent == .models[0].hash' list --kind xgboost
hash=$(jq -r '.models[0].hash' out)
second=$(jq -r '.models[1].hash' out)
cmp -s xgboost-1 "$models/objects/$hash.json" || die "the object is not the file"

# ---- shown by id, by hash, by file ----

for id in 1 '#1' "$hash" "${hash:0:6}"; do
    json '.entry.id == 1 and .file == "whole" and .card.model.kind == "xgboost" and .card.training.symbols == 6 and
        .card.validator == null and .card.labels.horizon_bars == 12 and .audit[0].event == "add"' show "$id"
done
run show 1
grep -q "^registered *#1 xgboost, candidate" out && grep -q "^training .*rows_train [0-9]" out || die "show: $(<out)"
run show --tree 0 1
grep -q 'leaf' out || die "show --tree of a registered model"
json '.format == "xgboost"' show xgboost-1
refused 1 'no file #9: no model #9' show '#9'
refused 1 "no file zz: |zz: No such file" show zz

# ---- seats ----

refused 2 "which model\?" promote
refused 2 "'2' is one too many" promote 1 2
refused 2 "'forest' is not a kind" rollback forest
refused 2 "'sleeping' is not a value for --only" list --only sleeping
refused 2 "'' is not a value for --reason" promote 1 --reason ''
json '.serving.id == 1 and .serving.state == "serving" and .before == null' promote 1
cmp -s xgboost-1 "$(pointer xgboost)" || die "the pointer does not lead to model 1"
refused 1 'model #1 serves already' promote 1
json '.serving.id == 2 and .before.id == 1 and .before.state == "retired"' promote "$second" --reason 'it knows more'
cmp -s xgboost-2 "$(pointer xgboost)" || die "the pointer does not lead to model 2"
json '.serving.id == 3' promote 3
refused 1 'lightgbm #3 has no predecessor' rollback lightgbm
json '.serving.id == 1 and .before.id == 2 and .before.state == "rolled_back"' rollback xgboost --reason 'it knew less'
cmp -s xgboost-1 "$(pointer xgboost)" || die "rolled back, the pointer does not lead to model 1"
json '.serving.id == 2' promote 2 # served once, it can be served again
json '.models | map(.id) == [2, 3]' list --only serving
json '.problems == []' list --verify
(($(wc -l <"$models/audit.log") == $(sqlite3 "$models/registry.sqlite" 'SELECT count(*) FROM audit'))) ||
    die "lines and rows of the audit differ"
grep -q 'event=roll_back from=serving to=rolled_back actor="cli" reason="it knew less"' "$models/audit.log" ||
    die "the audit: $(<"$models/audit.log")"
say "kept, promoted, rolled back"

# ---- damage ----

object=$models/objects/$hash.json
cp "$object" kept
printf 'x' | dd of="$object" bs=1 seek=100 conv=notrunc status=none
refused 1 "model #1: .*is not what its name says" list --verify
json '.file == "damaged"' show 1
refused 1 "model #1: .*is not what its name says" rollback xgboost
refused 1 "model #1: .*is not what its name says" promote 1
cmp -s xgboost-2 "$(pointer xgboost)" || die "a damaged model got the seat"
refused 1 'xgboost-1: is model #1 already' add xgboost-1 # which heals it
cmp -s kept "$object" || die "not healed"
json '.serving.id == 1' rollback xgboost
sqlite3 "$models/registry.sqlite" "UPDATE models SET state = 'rejected' WHERE id = 4"
refused 3 'model #4 is rejected: no install from there' promote 4
refused 1 'registry.sqlite: model #4 is rejected, its last audit row says candidate' list --verify
say "damage is told, and not served"
