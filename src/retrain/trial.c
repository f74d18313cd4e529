/* Old and new on bars that neither was fitted to: the rows of service, made by the calls of service. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "feature/feature.h"
#include "retrain/retrain_internal.h"
#include "store/fs.h"

/* ---- the walk ---- */

struct said {
    int64_t decision_ns; /* INT64_MIN: empty */
    double close, old, new;
};

struct walk {
    const struct learn_series *series;
    size_t next;                  /* bar to step */
    struct feature_series *state; /* 64-aligned */
    struct net_history *history;
    const struct said *last; /* of its newest bar, NULL none yet */
    struct promotion_position positions[2];
    struct said *said; /* (horizon_bars), a ring */
};

struct trial {
    const struct retrain *r;
    struct served_model *old, *new;
    struct walk *walks; /* (count) in the order of symbols */
    size_t count;
    unsigned char *blocks; /* states and histories */
    struct said *said;     /* (count, horizon_bars) */
    float *rows;           /* (count, feature_count()) of one time */
    uint32_t *present;     /* (count) walks that have a bar at this time */
    const struct net_history **histories;
    struct model_vote *votes; /* (count) */
    int64_t from_ns;          /* first decision */
};

static int by_symbol(const void *a, const void *b) {
    const struct walk *x = a, *y = b;
    return strcmp(x->series->symbol, y->series->symbol);
}

/* First bar that opens at or after ts. */
static size_t bar_at(const struct learn_series *s, int64_t ts) {
    size_t lo = 0, hi = s->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->bars[mid].open_ts_ns < ts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Decisions behind everything that either was fitted to or calibrated on, the newest trial_rows_max of them. */
static int64_t first_decision(const struct retrain *r, struct served_model *old,
                              struct served_model *new, const struct learn_series *series,
                              size_t count, int64_t to_ns) {
    int64_t from = r->hooks->report(new)->test_from_ns, interval = r->config.interval_ns;
    size_t rows = 0;
    if (old && r->hooks->report(old)->valid_to_ns > from) from = r->hooks->report(old)->valid_to_ns;
    for (size_t i = 0; i < count; i++)
        rows += series[i].count - bar_at(&series[i], from - interval);
    if (r->config.trial_rows_max == 0 || rows <= r->config.trial_rows_max) return from;
    int64_t times = (to_ns - from) / interval + 1;
    int64_t kept = (int64_t)((double)times * r->config.trial_rows_max / (double)rows);
    return to_ns - kept * interval;
}

static void *block(size_t size) {
    size_t whole = (size + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, whole ? whole : 64);
    if (p) memset(p, 0, whole ? whole : 64);
    return p;
}

static void trial_free(struct trial *t) {
    free(t->walks);
    free(t->blocks);
    free(t->said);
    free(t->rows);
    free(t->present);
    free((void *)t->histories);
    free(t->votes);
}

static enum status trial_init(struct trial *t, const struct learn_series *series, size_t count,
                              struct err *err) {
    const struct retrain_config *c = &t->r->config;
    size_t state = (feature_series_size() + 63) & ~(size_t)63, history = net_history_size();
    size_t horizon = c->labels.horizon_bars;
    int64_t warm = (int64_t)(feature_warmup_bars() + net_history_bars()) * c->interval_ns;
    t->count = count;
    t->walks = calloc(count, sizeof *t->walks);
    t->blocks = block(count * (state + history));
    t->said = calloc(count * horizon, sizeof *t->said);
    t->rows = block(count * feature_count() * sizeof *t->rows);
    t->present = calloc(count, sizeof *t->present);
    t->histories = calloc(count, sizeof *t->histories);
    t->votes = calloc(count, sizeof *t->votes);
    if (!t->walks || !t->blocks || !t->said || !t->rows || !t->present || !t->histories ||
        !t->votes)
        return err_set(err, ST_NO_MEMORY, "trial of %zu symbols", count);
    for (size_t i = 0; i < count * horizon; i++) t->said[i].decision_ns = INT64_MIN;
    for (size_t i = 0; i < count; i++) t->walks[i].series = &series[i];
    qsort(t->walks, count, sizeof *t->walks, by_symbol);
    for (size_t i = 0; i < count; i++) {
        struct walk *w = &t->walks[i];
        w->state = (struct feature_series *)(void *)(t->blocks + i * (state + history));
        w->history = (struct net_history *)(void *)(t->blocks + i * (state + history) + state);
        w->said = t->said + i * horizon;
        w->next = bar_at(w->series, t->from_ns - c->interval_ns - warm);
        feature_series_init(w->state, c->interval_ns);
        net_history_init(w->history, c->interval_ns);
    }
    return ST_OK;
}

static int64_t next_open(const struct trial *t, int64_t to_ns) {
    int64_t next = INT64_MAX, last = to_ns - t->r->config.interval_ns;
    for (size_t i = 0; i < t->count; i++) {
        const struct walk *w = &t->walks[i];
        if (w->next < w->series->count && w->series->bars[w->next].open_ts_ns < next)
            next = w->series->bars[w->next].open_ts_ns;
    }
    return next <= last ? next : INT64_MAX;
}

/* Rows of every series that has a bar at open_ts, histories pushed; how many there are. */
static uint32_t step(struct trial *t, int64_t open_ts) {
    uint32_t count = 0, columns = feature_count();
    for (uint32_t i = 0; i < t->count; i++) {
        struct walk *w = &t->walks[i];
        if (w->next >= w->series->count || w->series->bars[w->next].open_ts_ns != open_ts) continue;
        feature_step(t->rows + (size_t)count * columns, w->state, &w->series->bars[w->next++]);
        t->present[count++] = i;
    }
    feature_cross(t->rows, count, columns);
    for (uint32_t j = 0; j < count; j++) {
        struct walk *w = &t->walks[t->present[j]];
        net_history_push(w->history, open_ts + t->r->config.interval_ns,
                         t->rows + (size_t)j * columns);
        t->histories[j] = w->history;
    }
    return count;
}

static double close_of(const struct walk *w) {
    return px_to_f64(w->series->bars[w->next - 1].close);
}

/* What came of the forecasts whose horizon ends now, and of the bar that does. */
static void learn(struct promotion_trial *out, struct trial *t, int64_t now_ns, uint32_t count) {
    const struct promotion_config *config = &t->r->config.promotion;
    int64_t decision_ns = now_ns - config->horizon_ns;
    uint64_t slot = (uint64_t)(now_ns / t->r->config.interval_ns) % config->horizon_bars;
    double net_old = 0, net_new = 0;
    uint32_t symbols = 0;
    bool tells = false;
    for (uint32_t j = 0; j < count; j++) {
        struct walk *w = &t->walks[t->present[j]];
        const struct said *s = &w->said[slot];
        double close = close_of(w);
        if (s->decision_ns == decision_ns)
            promotion_trial_forecast(out, config, decision_ns, s->old, s->new,
                                     close / s->close - 1);
        if (!w->last) continue;
        tells |= retrain_costed_bar(&net_old, &net_new, w->positions, config, w->last->old,
                                    w->last->new, close / w->last->close - 1);
        symbols++;
    }
    promotion_evidence_close(&out->evidence);
    if (tells) promotion_trial_bar(out, net_old / symbols, net_new / symbols);
}

static enum status ask(struct trial *t, int64_t now_ns, uint32_t count, struct err *err) {
    const struct retrain_hooks *h = t->r->hooks;
    uint32_t horizon = t->r->config.labels.horizon_bars;
    uint64_t slot = (uint64_t)(now_ns / t->r->config.interval_ns) % horizon;
    for (uint32_t j = 0; j < count; j++) {
        struct walk *w = &t->walks[t->present[j]];
        w->said[slot] = (struct said){.decision_ns = now_ns, .close = close_of(w)};
        w->last = &w->said[slot];
    }
    for (int is_new = 0; is_new < 2; is_new++) {
        struct served_model *m = is_new ? t->new : t->old;
        if (!m) continue; /* an empty seat is held by persistence: 0 */
        enum status st = h->vote(t->votes, m, t->rows, t->histories, count, feature_count(), err);
        if (st != ST_OK) return st;
        for (uint32_t j = 0; j < count; j++) {
            struct said *s = &t->walks[t->present[j]].said[slot];
            *(is_new ? &s->new : &s->old) = retrain_expected(&t->votes[j]);
        }
    }
    return ST_OK;
}

enum status trial_run(struct promotion_trial *out, const struct retrain *r,
                      struct served_model *old, struct served_model *new,
                      const struct learn_series *series, size_t count, int64_t to_ns,
                      const struct training_cancel *cancel, struct err *err) {
    struct trial t = {.r = r, .old = old, .new = new};
    promotion_trial_init(out);
    t.from_ns = first_decision(r, old, new, series, count, to_ns);
    enum status st = trial_init(&t, series, count, err);
    for (int64_t open; st == ST_OK && (open = next_open(&t, to_ns)) != INT64_MAX;) {
        int64_t now_ns = open + r->config.interval_ns;
        uint32_t present = step(&t, open);
        if (training_cancelled(cancel))
            st = err_set(err, ST_INTERRUPTED, "stopped while a model was tried");
        else if (now_ns >= t.from_ns) {
            learn(out, &t, now_ns, present);
            st = ask(&t, now_ns, present, err);
        }
    }
    trial_free(&t);
    return st;
}

/* ---- kept for a restart ---- */

#define TRIAL_MAGIC UINT64_C(0x4C41495254455451) /* "QTETRIAL" */

struct trial_file {
    uint64_t magic, size, checksum; /* checksum: of what is behind it */
    uint64_t hash, against;
    struct promotion_trial trial;
};

static uint64_t file_checksum(const struct trial_file *f) {
    size_t head = offsetof(struct trial_file, hash);
    return hash64((const unsigned char *)f + head, sizeof *f - head);
}

static enum status file_path(char out[REGISTRY_PATH_SIZE], const struct retrain *r, uint64_t hash,
                             struct err *err) {
    return fs_path(out, err, "%s/%016" PRIx64 ".trial", r->config.work_dir, hash);
}

enum status trial_file_write(const struct retrain *r, uint64_t hash, uint64_t against,
                             const struct promotion_trial *trial, struct err *err) {
    struct trial_file f;
    char path[REGISTRY_PATH_SIZE];
    memset(&f, 0, sizeof f);
    f.magic = TRIAL_MAGIC;
    f.size = sizeof f;
    f.hash = hash;
    f.against = against;
    f.trial = *trial;
    f.checksum = file_checksum(&f);
    const struct fs_part part = {&f, sizeof f, 0};
    enum status st = file_path(path, r, hash, err);
    return st == ST_OK ? fs_replace(path, &part, 1, err) : st;
}

enum status trial_file_read(struct promotion_trial *out, const struct retrain *r, uint64_t hash,
                            uint64_t against, struct err *err) {
    struct trial_file f;
    char path[REGISTRY_PATH_SIZE];
    void *bytes;
    size_t size;
    enum status st = file_path(path, r, hash, err);
    if (st == ST_OK) st = fs_map(&bytes, &size, path, err);
    if (st != ST_OK) return st;
    bool fits = size == sizeof f;
    if (fits) memcpy(&f, bytes, sizeof f);
    if (bytes) munmap(bytes, size);
    bool holds = fits && f.magic == TRIAL_MAGIC && f.size == sizeof f &&
                 f.checksum == file_checksum(&f) && f.hash == hash && f.against == against;
    if (!holds) return err_set(err, ST_CORRUPT, "%s is not what it should be", path);
    *out = f.trial;
    return ST_OK;
}

void trial_file_remove(const struct retrain *r, uint64_t hash) {
    char path[REGISTRY_PATH_SIZE];
    if (file_path(path, r, hash, NULL) == ST_OK) (void)unlink(path); /* may never have been there */
}
