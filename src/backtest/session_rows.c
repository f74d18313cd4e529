/* The feature rows of a step, and what the networks remember of earlier ones. */
#include <stdlib.h>
#include <string.h>

#include "backtest/session_internal.h"
#include "base/assert.h"
#include "feature/feature.h"

void *session_block(size_t size) {
    size_t whole = (size + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, whole ? whole : 64);
    if (p) memset(p, 0, whole);
    return p;
}

static bool reads_histories(const struct session_options *o) {
    if (o->retrain) return true; /* whoever may come to serve */
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (o->models[k] && served_model_reads_history(o->models[k])) return true;
    return false;
}

static struct net_history *history_of(const struct session *s, uint32_t instrument) {
    return (struct net_history *)(void *)(s->histories + instrument * net_history_size());
}

static bool sorted_create(struct session *s, size_t n) {
    s->sorted = session_block(sizeof *s->sorted);
    s->retrain_size = retrain_state_size(s->o.retrain);
    s->retrain_block = session_block(s->retrain_size);
    if (!s->sorted || !s->retrain_block) return false;
    s->sorted->rows = session_block(sizeof *s->sorted->rows * n * feature_count());
    s->sorted->votes = session_block(sizeof *s->sorted->votes * n * MODEL_COUNT);
    return s->sorted->rows && s->sorted->votes;
}

enum status session_rows_create(struct session *s, struct err *err) {
    if (!s->kernel_config.features) return ST_OK;
    size_t n = feed_symbol_count(s->o.feed);
    s->rows = session_block(sizeof *s->rows * n * feature_count());
    s->atr = session_block(sizeof *s->atr * n);
    s->closes_ns = session_block(sizeof *s->closes_ns * n);
    s->close_px = session_block(sizeof *s->close_px * n);
    s->votes = session_block(sizeof *s->votes * n * MODEL_COUNT);
    s->answers = session_block(sizeof *s->answers * n);
    s->asked = session_block(sizeof(const struct net_history *) * n);
    bool ok =
        s->rows && s->atr && s->closes_ns && s->close_px && s->votes && s->answers && s->asked;
    if (ok && s->o.strategy == STRATEGY_ENSEMBLE && reads_histories(&s->o)) {
        s->histories_size = n * net_history_size();
        s->histories = session_block(s->histories_size);
        ok = s->histories != NULL;
    }
    if (ok && s->o.retrain) ok = sorted_create(s, n);
    return ok ? ST_OK : err_set(err, ST_NO_MEMORY, "session of %zu symbols: out of memory", n);
}

void session_rows_destroy(struct session *s) {
    free(s->rows);
    free(s->atr);
    free(s->closes_ns);
    free(s->close_px);
    if (s->sorted) {
        free(s->sorted->rows);
        free(s->sorted->votes);
    }
    free(s->sorted);
    free(s->retrain_block);
    free(s->votes);
    free(s->answers);
    free((void *)s->asked);
    free(s->histories);
}

void session_rows_start(struct session *s) {
    if (!s->histories) return;
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed); i++)
        net_history_init(history_of(s, i), feed_interval_ns(s->o.feed));
}

enum kernel_ingest session_bar(struct session *s, uint32_t instrument, const struct bar *bar) {
    if (!s->rows) return kernel_bar(s->kernel, instrument, bar, NULL);
    uint32_t stepped;
    (void)kernel_stepped(s->kernel, &stepped);
    ASSERT(stepped < feed_symbol_count(s->o.feed));
    s->closes_ns[stepped] = bar->open_ts_ns + feed_interval_ns(s->o.feed);
    s->close_px[stepped] = px_to_f64(bar->close);
    return kernel_bar(s->kernel, instrument, bar, s->rows + (size_t)stepped * feature_count());
}

/* A live step may hold a bar that came late, so each row has its own close. */
void session_rows_complete(struct session *s, const uint32_t *stepped, uint32_t count) {
    feature_cross(s->rows, count, feature_count());
    for (uint32_t j = 0; j < count; j++) {
        const float *row = s->rows + (size_t)j * feature_count();
        s->atr[j] = feature_atr_fraction(row);
        if (!s->histories) continue;
        struct net_history *history = history_of(s, stepped[j]);
        net_history_push(history, s->closes_ns[j], row);
        s->asked[j] = history;
    }
}
