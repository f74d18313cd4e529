/* The report of a walk-forward: how good the answers were, what they earned, and how much of that may be chance.
 *
 * Three forms of one struct: JSON (one object), Markdown (docs/results), an HTML page with pictures. Every figure is
 * explained in docs/walk-forward.md. NaN means "no answer": null, n/a, a dash. */
#ifndef WALK_REPORT_H
#define WALK_REPORT_H

#include <stdio.h>

#include "base/json.h"
#include "chart/text.h"
#include "walk/bootstrap.h"
#include "walk/capacity.h"
#include "walk/deflated.h"
#include "walk/money.h"
#include "walk/outcome.h"
#include "walk/paper.h"
#include "walk/pbo.h"
#include "walk/trials.h"

enum {
    WALK_MONTHS_MAX = 120,
    WALK_VARIANTS_MAX = 16,
    WALK_STATES = VOTE_EXCLUDED + 1,
    WALK_TEXT_SIZE = 512,
    WALK_WORDS_SIZE = 160
};

struct walk_subject_report {
    uint64_t states[WALK_STATES]; /* decisions by what became of its vote (of a model) */
    struct walk_measures all;     /* every answer */
    struct walk_measures voted;   /* answers that counted; none of pool_all */
    struct walk_rule_totals rule; /* under the plain rule */
};

/* One way of trading the same bars. */
struct walk_variant {
    char name[24];
    char what[WALK_WORDS_SIZE];
    uint64_t trades;
    double total_return, win_rate, win_low, win_high, max_drawdown, exposure;
    struct sharpe sharpe;          /* of daily returns, Lo's interval */
    struct walk_bootstrap blocks;  /* the same by the stationary bootstrap */
    struct walk_deflated deflated; /* after all trials counted */
    struct walk_days days;
};

struct walk_month {
    int64_t from_ns;
    struct {
        uint64_t rows;
        double ic, auc_side, gain; /* means over its closes */
    } of[WALK_SUBJECT_COUNT];
    struct walk_coverage coverage;
    double weights[MODEL_COUNT]; /* mean over decisions with a voter */
    double net;                  /* of the run, sum of its daily returns */
};

/* A line of the audit of models. */
struct walk_change {
    int64_t ts_ns;
    enum model_kind kind;
    uint64_t hash;
    char event[16], from[16], to[16], reason[WALK_WORDS_SIZE], figures[WALK_WORDS_SIZE];
};

struct walk_seat {
    uint64_t trained, no_skill, shadows, promoted, rejected, demoted, rolled_back;
};

struct walk_report {
    /* The caller's. */
    char command[WALK_TEXT_SIZE], data[WALK_TEXT_SIZE], training[WALK_TEXT_SIZE];
    int64_t from_ns, to_ns, interval_ns, window_ns, retrain_ns;
    uint64_t seed, fingerprint;
    uint32_t symbols, horizon;
    double cost_side, alpha; /* alpha: share of misses the interval aims at */
    double wall_seconds;     /* NaN: not measured */
    struct {
        uint64_t rounds, succeeded, failed, missed;
    } retrain;
    struct walk_change *changes; /* (change_count) oldest first; owned by the report */
    size_t change_count;

    /* Made. */
    uint64_t closes, decisions, outcomes,
        closes_missing; /* missing: behind the first, bars ended, nothing logged */
    struct walk_seat seats[MODEL_COUNT];
    struct walk_subject_report subjects[WALK_SUBJECT_COUNT];
    struct walk_coverage coverage;
    uint32_t month_count, variant_count;
    struct walk_month months[WALK_MONTHS_MAX];
    struct walk_variant variants[WALK_VARIANTS_MAX]; /* the run first */
    struct report run;
    struct walk_moments moments;
    struct walk_deflated deflated;
    struct walk_trial_totals trials;
    struct walk_pbo pbo;
    struct walk_dice dice;
    struct walk_capacity capacity;
    double turnover; /* a year, in starting equities */
};

struct walk_inputs {
    const struct walk_decisions *decisions;
    const struct learn_series
        *series; /* (decisions->symbol_count): bars with those before the window */
    const struct label_spec *labels;
    const struct promotion_config *rule;
    const char *run_db; /* trades.sqlite */
    struct {
        const char *name, *what, *db; /* db: its trades.sqlite */
    } baselines[4];                   /* runs of the same session */
    uint32_t baseline_count;
    const char *trials_path;
    const struct walk_trial
        *trials; /* what this run adds, models and itself; the rules are added here */
    size_t trial_count;
    uint64_t run_id;
    uint32_t draws; /* of bootstrap and dice: 2,000 */
};
/* r: the caller's half filled, the rest zero. Also counts the trials. Whatever the outcome, free with walk_report_free. */
enum status walk_report_make(struct walk_report *r, const struct walk_inputs *in, struct err *err);
void walk_report_free(struct walk_report *r);

void walk_report_json(struct json_writer *w, const struct walk_report *r);
void walk_report_markdown(struct text *out, const struct walk_report *r);
/* ST_NO_MEMORY. The page names nothing outside itself. */
enum status walk_report_page(struct text *out, const struct walk_report *r, struct err *err);

#endif
