#!/bin/bash
# Where there is nothing to learn, nothing is learned and nothing is traded.
#   flat_labels.sh QUANTUM
# Proves, of each booster: trained on shuffled labels, a market that does have a pattern ends without
# skill and without a vote; trained on a market without a pattern, a model has no skill, says so, and the ensemble makes
# not one trade in replay nor on paper. And, so that this proves something: the same program on the
# same bars with their own labels does find skill.
set -euo pipefail
# shellcheck source=test/e2e/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
need jq

synth() { # store options...
    local store=$1
    shift
    "$quantum" data synth --store "$store" --symbols 8 --bars 6000 "$@" >"$work/out" 2>&1 ||
        { cat "$work/out" >&2; die "data synth"; }
}
train() { # what store filter options...
    local what=$1 store=$2 filter=$3
    shift 3
    "$quantum" train --kind "$kind" --store "$store" --interval 1m --out "$work/model.json" --json "$@" >"$work/report" 2>"$work/err" ||
        { cat "$work/err" >&2; die "training on $what"; }
    jq -e ".models[0] | $filter" "$work/report" >/dev/null || { jq . "$work/report" >&2; die "training on $what: not '$filter'"; }
    say "$kind, $what: $(jq -r '.models[0].verdict' "$work/report")"
}

synth "$work/patterned" --pattern 1 --seed 21
synth "$work/flat" --pattern 0 --seed 22
for kind in xgboost lightgbm; do
    train "a planted pattern" "$work/patterned" '.has_skill and .votes and (.shuffled | not)'
    train "its labels shuffled" "$work/patterned" '.shuffled and (.has_skill | not) and (.votes | not)' --shuffle-labels
    train "no pattern" "$work/flat" '(.has_skill | not) and (.votes | not) and (.shuffled | not)'
done

silent() { # what log report
    grep -qi 'no skill' "$2" || { cat "$2" >&2; die "$1: it does not say that the model has no skill"; }
    jq -e '.trades == 0 and .intents == 0 and .orders == 0 and .wallet_change_e8 == 0 and ([.models[].state] == ["no_skill", "no_skill"])' \
        "$3" >/dev/null || { cat "$3" >&2; die "$1: it trades without skill"; }
}
"$quantum" up --mode replay --voters xgboost,lightgbm --data "$work/flat" --state "$work/a" --from 2024-01-03T12:00:00Z --no-api --json >"$work/report" 2>"$work/log" ||
    { cat "$work/log" >&2; die "replay without a pattern"; }
silent "replay without a pattern" "$work/log" "$work/report"
(($(jq .bars "$work/report") > 10000)) || die "too few bars to tell anything"
"$quantum" up --mode paper --voters xgboost,lightgbm --synth-pattern 0 --speed max --steps 6000 --state "$work/b" --no-api >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "paper without a pattern"; }
"$quantum" report --json --state "$work/b" >"$work/report"
silent "paper without a pattern" "$work/log" "$work/report"
say "no pattern, no skill, no trade: in replay and on paper"
