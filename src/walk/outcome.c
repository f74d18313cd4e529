#include "walk/outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"

/* Index of the bar that opens then; count if there is none. */
static size_t bar_find(const struct bar *bars, size_t count, int64_t open_ns) {
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (bars[mid].open_ts_ns < open_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < count && bars[lo].open_ts_ns == open_ns ? lo : count;
}

struct labels {
    float *atr, *move;
    int8_t *label;
    uint32_t *end;
    size_t capacity;
};

static enum status reserve(struct labels *l, size_t n, struct err *err) {
    if (n <= l->capacity) return ST_OK;
    free(l->atr);
    free(l->move);
    free(l->label);
    free(l->end);
    l->atr = calloc(n, sizeof *l->atr);
    l->move = calloc(n, sizeof *l->move);
    l->label = calloc(n, sizeof *l->label);
    l->end = calloc(n, sizeof *l->end);
    l->capacity = n;
    return l->atr && l->move && l->label && l->end
               ? ST_OK
               : err_set(err, ST_NO_MEMORY, "labels of %zu bars: out of memory", n);
}

/* Of the trade that the label is of. */
static double settled_return(const struct bar *bars, size_t bar, size_t end, enum label label,
                             double distance) {
    double entry = px_to_f64(bars[bar].close), open = px_to_f64(bars[end].open);
    if (label == LABEL_BUY) return fmax(open, entry * (1 + distance)) / entry - 1;
    if (label == LABEL_SELL) return fmin(open, entry * (1 - distance)) / entry - 1;
    return px_to_f64(bars[end].close) / entry - 1;
}

static enum status symbol_outcomes(struct walk_outcome *out, const struct walk_decisions *d,
                                   uint32_t symbol, const struct learn_series *s,
                                   const struct label_spec *spec, struct labels *l,
                                   struct err *err) {
    enum status st = reserve(l, s->count ? s->count : 1, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < s->count; i++) l->atr[i] = NAN;
    for (size_t c = 0; c < d->close_count; c++) {
        const struct walk_decision *w = walk_close_find(&d->closes[c], symbol);
        if (!w) continue;
        char at[TSTAMP_TEXT_SIZE];
        size_t bar = bar_find(s->bars, s->count, d->closes[c].close_ns - d->interval_ns);
        if (bar == s->count)
            return err_set(err, ST_INVALID, "%s has no bar that closes %.16s, but a decision",
                           s->symbol, tstamp_format(at, d->closes[c].close_ns));
        /* label_make makes distances of ranges: the range that makes this one. */
        l->atr[bar] = (float)((double)w->distance / spec->barrier_atr);
    }
    label_make(l->label, l->move, l->end, s->bars, l->atr, s->count, d->interval_ns, spec);
    for (size_t c = 0; c < d->close_count; c++) {
        const struct walk_decision *w = walk_close_find(&d->closes[c], symbol);
        if (!w) continue;
        size_t bar = bar_find(s->bars, s->count, d->closes[c].close_ns - d->interval_ns);
        struct walk_outcome *o = &out[d->closes[c].first + (size_t)(w - d->closes[c].decisions)];
        *o = (struct walk_outcome){l->label[bar], NAN, NAN};
        if (o->label < 0) continue;
        o->came = (float)(px_to_f64(s->bars[bar + spec->horizon_bars].close) /
                              px_to_f64(s->bars[bar].close) -
                          1);
        o->settled = (float)settled_return(s->bars, bar, l->end[bar], (enum label)o->label,
                                           label_barrier(spec, (double)l->atr[bar]));
    }
    return ST_OK;
}

enum status walk_outcomes(struct walk_outcome *out, const struct walk_decisions *d,
                          const struct learn_series *series, const struct label_spec *spec,
                          struct err *err) {
    struct labels l = {0};
    enum status st = ST_OK;
    for (size_t i = 0; i < d->count; i++) out[i] = (struct walk_outcome){-1, NAN, NAN};
    for (uint32_t i = 0; i < d->symbol_count && st == ST_OK; i++)
        st = symbol_outcomes(out, d, i, &series[i], spec, &l, err);
    free(l.atr);
    free(l.move);
    free(l.label);
    free(l.end);
    return st;
}

/* ---- answers ---- */

const char *walk_subject_text(enum walk_subject subject) {
    switch (subject) {
    case WALK_XGBOOST:
    case WALK_LIGHTGBM:
    case WALK_NHITS:
    case WALK_PATCHTST:
        return model_kind_text((enum model_kind)subject);
    case WALK_POOL_ALL:
        return "pool_all";
    case WALK_ENSEMBLE:
        return "ensemble";
    case WALK_SUBJECT_COUNT:
        break;
    }
    return "unknown";
}

static bool model_answer(double p[LABEL_COUNT], double *move, const struct walk_decision *d,
                         uint32_t kind) {
    for (uint32_t l = 0; l < LABEL_COUNT; l++) p[l] = (double)d->model_p[kind][l];
    *move = (double)d->model_move[kind];
    return ensemble_answer_is_usable(p, *move);
}

static bool pool_answer(double p[LABEL_COUNT], double *expected, const struct walk_decision *d) {
    struct ensemble_config config = ensemble_config_defaults();
    struct model_vote votes[MODEL_COUNT] = {0};
    struct ensemble_signal signal;
    config.confidence_min = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        config.weights[k] = 1;
        if (model_answer(votes[k].p, &votes[k].move, d, k)) votes[k].state = VOTE_PRESENT;
    }
    ensemble_step(&signal, &config, votes);
    memcpy(p, signal.p, sizeof signal.p);
    *expected = ensemble_expected_return(&signal);
    return signal.voters > 0;
}

bool walk_answer(float out_p[LABEL_COUNT], float *out_expected, const struct walk_decision *d,
                 enum walk_subject subject, bool voted_only) {
    double p[LABEL_COUNT], expected = 0, move = 0;
    ASSERT(subject < WALK_SUBJECT_COUNT);
    if (subject == WALK_ENSEMBLE) {
        if (voted_only && d->voters == 0) return false;
        if (!(d->p[0] + d->p[1] + d->p[2] > 0)) return false;
        memcpy(out_p, d->p, sizeof d->p);
        *out_expected = d->expected;
        return true;
    }
    if (subject == WALK_POOL_ALL) {
        if (!pool_answer(p, &expected, d)) return false;
    } else {
        if (voted_only && !(d->weights[subject] > 0)) return false;
        if (!model_answer(p, &move, d, subject)) return false;
        expected = move * (p[LABEL_BUY] - p[LABEL_SELL]);
    }
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out_p[l] = (float)p[l];
    *out_expected = (float)expected;
    return true;
}

size_t walk_samples(struct walk_sample *out, const struct walk_decisions *d,
                    const struct walk_outcome *outcomes, enum walk_subject subject,
                    bool voted_only) {
    size_t n = 0;
    for (size_t c = 0; c < d->close_count; c++)
        for (uint32_t i = 0; i < d->closes[c].count; i++) {
            const struct walk_outcome *o = &outcomes[d->closes[c].first + i];
            struct walk_sample *s = &out[n];
            if (o->label < 0 ||
                !walk_answer(s->p, &s->expected, &d->closes[c].decisions[i], subject, voted_only))
                continue;
            s->came = o->came;
            s->close = (uint32_t)c;
            s->label = (uint32_t)o->label;
            n++;
        }
    return n;
}

struct walk_coverage walk_coverage_of(const struct walk_decisions *d,
                                      const struct walk_outcome *outcomes, size_t close_first,
                                      size_t close_count) {
    struct walk_coverage out = {.width = NAN};
    double width = 0;
    for (size_t c = close_first; c < close_first + close_count; c++)
        for (uint32_t i = 0; i < d->closes[c].count; i++) {
            const struct walk_decision *w = &d->closes[c].decisions[i];
            const struct walk_outcome *o = &outcomes[d->closes[c].first + i];
            if (!w->has_interval || o->label < 0) continue;
            out.given++;
            out.inside += o->settled >= w->low && o->settled <= w->high;
            out.inside_horizon += o->came >= w->low && o->came <= w->high;
            width += (double)w->high - (double)w->low;
        }
    if (out.given) out.width = width / (double)out.given;
    return out;
}
