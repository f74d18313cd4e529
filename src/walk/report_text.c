/* The report as Markdown: what docs/results keeps. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/tstamp.h"
#include "walk/report.h"

enum { CHANGES_SHOWN = 400 };

/* "n/a" where there is no answer. */
static void figure(struct text *t, const char *format, double value) {
    if (isfinite(value))
        text_add(t, format, value);
    else
        text_add(t, "n/a");
}

/* "1.2 … 3.4". */
static void range(struct text *t, const char *format, double low, double high) {
    figure(t, format, low);
    text_add(t, " … ");
    figure(t, format, high);
}

static void cells(struct text *t, const char *format, const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        text_add(t, " | ");
        figure(t, format, values[i]);
    }
}

static const char *day(char out[TSTAMP_TEXT_SIZE], int64_t ns) {
    tstamp_format(out, ns);
    out[10] = 0;
    return out;
}

/* ---- head ---- */

static void write_head(struct text *t, const struct walk_report *r) {
    char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE], interval[16];
    text_add(t, "# Walk-forward, %s to %s\n\n", day(a, r->from_ns), day(b, r->to_ns));
    text_add(t, "    %s\n\n", r->command);
    text_add(t, "| | |\n|---|---|\n");
    text_add(t, "| data | %s |\n", r->data);
    text_add(t,
             "| window | %s to %s, %u symbols, bars of %s, %" PRIu64 " closes, %" PRIu64
             " decisions, %" PRIu64 " with a known outcome |\n",
             a, b, r->symbols, tstamp_interval_format(interval, r->interval_ns), r->closes,
             r->decisions, r->outcomes);
    text_add(t, "| training | %s |\n", r->training);
    text_add(t,
             "| retraining | every %g days on the trailing %g days; %" PRIu64 " rounds, %" PRIu64
             " failed, %" PRIu64 " missed |\n",
             (double)r->retrain_ns / (double)NS_PER_DAY, (double)r->window_ns / (double)NS_PER_DAY,
             r->retrain.rounds, r->retrain.failed, r->retrain.missed);
    text_add(t, "| trials counted | %" PRIu64 " (", r->trials.count);
    for (int k = 0; k < WALK_TRIAL_KINDS; k++)
        text_add(t, "%s%" PRIu64 " %s", k ? ", " : "", r->trials.by_kind[k],
                 walk_trial_kind_text((enum walk_trial_kind)k));
    text_add(t, ") |\n| seed, fingerprint | %" PRIu64 ", `%016" PRIx64 "` |\n", r->seed,
             r->fingerprint);
    text_add(t, "| took | ");
    figure(t, "%.0f s", r->wall_seconds);
    text_add(t, " |\n");
    if (r->closes_missing)
        text_add(t, "\n**%" PRIu64 " closes of the window have no decisions on record.**\n",
                 r->closes_missing);
}

/* ---- money ---- */

static void write_variants(struct text *t, const struct walk_report *r) {
    text_add(t, "\n## What it earned, net of costs\n\n"
                "| | trades | return | Sharpe | 95 %% (blocks) | 95 %% (Lo) | deflated | drawdown "
                "| win rate |\n"
                "|---|---|---|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < r->variant_count; i++) {
        const struct walk_variant *v = &r->variants[i];
        text_add(t, "| %s | %" PRIu64 " | ", v->name, v->trades);
        figure(t, "%+.2f %%", 100 * v->total_return);
        text_add(t, " | ");
        figure(t, "%.2f", v->sharpe.value);
        text_add(t, " | ");
        range(t, "%.2f", v->blocks.low, v->blocks.high);
        text_add(t, " | ");
        range(t, "%.2f", v->sharpe.low, v->sharpe.high);
        text_add(t, " | ");
        figure(t, "%.3f", v->deflated.probability);
        text_add(t, " (");
        figure(t, "%.3f", v->deflated.chance);
        text_add(t, ") | ");
        figure(t, "%.1f %%", 100 * v->max_drawdown);
        text_add(t, " | ");
        figure(t, "%.1f %%", 100 * v->win_rate);
        text_add(t, " |\n");
    }
    text_add(t, "\n");
    for (uint32_t i = 0; i < r->variant_count; i++)
        if (strncmp(r->variants[i].name, "rule:", 5) != 0)
            text_add(t, "* %s: %s\n", r->variants[i].name, r->variants[i].what);
    text_add(t, "* deflated: P(true ratio > 0) after all trials counted, their ratios varying as "
                "they do (in brackets: as by chance alone)\n");
    text_add(t,
             "* rule:…: the model's expected return under the plain costed rule, on paper, at "
             "%.2f %% a side\n",
             100 * r->cost_side);
}

static void write_chance(struct text *t, const struct walk_report *r) {
    const struct walk_variant *v = &r->variants[0];
    text_add(t, "\n## How much of it may be chance\n\n| | |\n|---|---|\n");
    text_add(t, "| trades, won | %" PRIu64 ", ", r->run.trades);
    figure(t, "%.1f %%", 100 * r->run.win_rate);
    text_add(t, " (Wilson ");
    range(t, "%.1f %%", 100 * r->run.win_rate_low, 100 * r->run.win_rate_high);
    text_add(t, ") |\n| Sharpe, stationary bootstrap | ");
    figure(t, "%.2f", v->blocks.value);
    text_add(t, " (");
    range(t, "%.2f", v->blocks.low, v->blocks.high);
    text_add(t, "), mean block ");
    figure(t, "%.1f days", v->blocks.block);
    text_add(t, ", at or below 0 in ");
    figure(t, "%.1f %%", 100 * v->blocks.not_positive);
    text_add(t, " of %u draws |\n| deflated Sharpe: P(true ratio > 0 after %" PRIu64 " trials) | ",
             v->blocks.draws, r->deflated.trials);
    figure(t, "%.4f", r->deflated.probability);
    text_add(t, " (ratios varying by chance alone: ");
    figure(t, "%.4f", r->deflated.chance);
    text_add(t, "; had it been the only one: ");
    figure(t, "%.4f", r->deflated.single);
    text_add(t, ") |\n| daily ratio; the best to expect of so many without any skill | ");
    figure(t, "%.4f", r->moments.sharpe);
    text_add(t, "; ");
    figure(t, "%.4f", r->deflated.expected_max);
    text_add(t, " |\n| probability of overfitting (%u variants, %" PRIu64 " choices) | ",
             r->pbo.variants, r->pbo.choices);
    figure(t, "%.3f", r->pbo.pbo);
    text_add(t, " |\n| the same exposure at random moments, symbols and sides | own ");
    figure(t, "%+.2f %%", 100 * r->dice.own);
    text_add(t, ", dice ");
    figure(t, "%+.2f %%", 100 * r->dice.mean);
    text_add(t, " (");
    range(t, "%+.2f %%", 100 * r->dice.low, 100 * r->dice.high);
    text_add(t, "), p = ");
    figure(t, "%.4f", r->dice.at_least_own);
    text_add(t, " |\n| turnover a year, in starting equities | ");
    figure(t, "%.1f", r->turnover);
    text_add(t, " |\n");
    for (int i = 0; i < WALK_CAPACITY_LEVELS; i++) {
        text_add(t, "| capacity at %g bps of impact | ", walk_capacity_bps[i]);
        figure(t, "%.0f USDT", r->capacity.capital[i]);
        if (r->capacity.orders)
            text_add(t, ", %.4f %% of a day's volume an order",
                     100 * r->capacity.participation_at[i]);
        text_add(t, " |\n");
    }
}

/* ---- answers ---- */

static void measures_row(struct text *t, const char *name, const struct walk_measures *m) {
    text_add(t, "| %s | %" PRIu64, name, m->rows);
    cells(t, "%.4f", (const double[]){m->auc_side, m->auc[LABEL_BUY], m->auc[LABEL_SELL]}, 3);
    cells(t, "%.4f", (const double[]){m->log_loss, m->log_loss_constant}, 2);
    cells(t, "%.1f", &m->gain.t, 1);
    cells(t, "%.4f", (const double[]){m->brier, m->brier_constant}, 2);
    cells(t, "%.2f %%", (const double[]){100 * m->ece, 100 * m->ece_chance}, 2);
    cells(t, "%.4f", &m->ic.value, 1);
    cells(t, "%.1f", &m->ic.t, 1);
    cells(t, "%.1f %%", (const double[]){100 * m->hit.value, 100 * m->hit_side.value}, 2);
    text_add(t, " |\n");
}

static void write_answers(struct text *t, const struct walk_report *r) {
    text_add(t, "\n## How good the answers were\n\n"
                "| | rows | AUC side | AUC BUY | AUC SELL | log-loss | constant | t | Brier | "
                "constant | ECE | chance | IC | t | hit | hit, barrier |\n"
                "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint32_t k = 0; k < WALK_SUBJECT_COUNT; k++) {
        const struct walk_subject_report *s = &r->subjects[k];
        const char *name = walk_subject_text((enum walk_subject)k);
        char voted[40];
        measures_row(t, name, &s->all);
        snprintf(voted, sizeof voted, "%s, %s", name,
                 k < MODEL_COUNT ? "where it voted" : "with a voter");
        if (s->voted.rows && s->voted.rows < s->all.rows) measures_row(t, voted, &s->voted);
    }
    text_add(t, "\n* pool_all: all answers, equal weights, as the files calibrate them\n"
                "* ensemble: what the engine said, learned weights, calibrated in service; where "
                "nobody might vote, of all who answered\n");
    text_add(t, "\nWhat became of each model's vote:\n\n|");
    for (uint32_t i = 0; i < WALK_STATES; i++)
        text_add(t, " | %s", vote_state_text((enum vote_state)i));
    text_add(t, " |\n|---");
    for (uint32_t i = 0; i < WALK_STATES; i++) text_add(t, "|---");
    text_add(t, "|\n");
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        text_add(t, "| %s", model_kind_text((enum model_kind)k));
        for (uint32_t i = 0; i < WALK_STATES; i++)
            text_add(t, " | %" PRIu64, r->subjects[k].states[i]);
        text_add(t, " |\n");
    }
    text_add(t, "\nInterval of the expected return: ");
    figure(t, "%.2f %% held what came",
           r->coverage.given ? 100 * (double)r->coverage.inside / (double)r->coverage.given
                             : (double)NAN);
    text_add(t, " (nominal %.0f %%, %" PRIu64 " given, mean width ", 100 * (1 - r->alpha),
             r->coverage.given);
    figure(t, "%.2f %%", 100 * r->coverage.width);
    text_add(t, "). What came: at the barrier hit first, else at the horizon's end; of the plain "
                "return over the horizon it held ");
    figure(t, "%.2f %%",
           r->coverage.given ? 100 * (double)r->coverage.inside_horizon / (double)r->coverage.given
                             : (double)NAN);
    text_add(t, ".\n");
}

/* ---- models ---- */

static void write_seats(struct text *t, const struct walk_report *r) {
    text_add(t, "\n## Models\n\n| | trained | no skill | shadows | promoted | rejected | demoted | "
                "rolled back |\n|---|---|---|---|---|---|---|---|\n");
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        const struct walk_seat *s = &r->seats[k];
        text_add(t,
                 "| %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
                 " | %" PRIu64 " | %" PRIu64 " |\n",
                 model_kind_text((enum model_kind)k), s->trained, s->no_skill, s->shadows,
                 s->promoted, s->rejected, s->demoted, s->rolled_back);
    }
    if (r->change_count == 0) return;
    text_add(t, "\n| at | model | change | reason | figures |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->change_count && i < CHANGES_SHOWN; i++) {
        const struct walk_change *c = &r->changes[i];
        char at[TSTAMP_TEXT_SIZE];
        tstamp_format(at, c->ts_ns);
        text_add(t, "| %.16s | %s %04" PRIx64 " | %s | %s | %s |\n", at, model_kind_text(c->kind),
                 c->hash >> 48, c->event, c->reason, c->figures);
    }
    if (r->change_count > CHANGES_SHOWN)
        text_add(t, "\n%zu more are in the JSON.\n", r->change_count - CHANGES_SHOWN);
}

static void write_months(struct text *t, const struct walk_report *r) {
    text_add(t, "\n## By month\n\n| | net | coverage | IC ensemble | IC all | AUC side, all |");
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        text_add(t, " weight %s |", model_kind_text((enum model_kind)k));
    text_add(t, "\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint32_t m = 0; m < r->month_count; m++) {
        const struct walk_month *x = &r->months[m];
        char at[TSTAMP_TEXT_SIZE];
        double share = x->coverage.given
                           ? 100 * (double)x->coverage.inside / (double)x->coverage.given
                           : (double)NAN;
        text_add(t, "| %.7s", day(at, x->from_ns));
        cells(t, "%+.2f %%", (const double[]){100 * x->net}, 1);
        cells(t, "%.1f %%", &share, 1);
        cells(t, "%.4f",
              (const double[]){x->of[WALK_ENSEMBLE].ic, x->of[WALK_POOL_ALL].ic,
                               x->of[WALK_POOL_ALL].auc_side},
              3);
        cells(t, "%.3f", x->weights, MODEL_COUNT);
        text_add(t, " |\n");
    }
}

void walk_report_markdown(struct text *out, const struct walk_report *r) {
    write_head(out, r);
    write_variants(out, r);
    write_chance(out, r);
    write_answers(out, r);
    write_seats(out, r);
    write_months(out, r);
    text_add(out, "\nEvery figure is explained in [walk-forward](../walk-forward.md).\n");
}
