/* The order of a close. */
#include <inttypes.h>

#include "feature/feature.h"
#include "retrain/retrain_internal.h"

static enum status input_check(const struct retrain *r, const struct retrain_close *in,
                               struct err *err) {
    const char *fault = NULL;
    if (in->close_ns <= 0 || in->close_ns <= r->state->close_ns)
        fault = "it is not later than the last one";
    else if (in->count > r->config.symbol_count)
        fault = "more symbols than there are";
    else if (in->stride < feature_count() && in->count > 0)
        fault = "its rows are too short";
    for (uint32_t j = 0; j < in->count && !fault; j++) {
        bool ascends = j == 0 || in->stepped[j] > in->stepped[j - 1];
        if (!ascends || in->stepped[j] >= r->config.symbol_count)
            fault = "symbols are not ascending indices";
        else if (!(in->closes[j] > 0 && in->closes[j] <= 1e300))
            fault = "a price is not one";
    }
    return fault ? err_set(err, ST_INVALID, "close at %" PRId64 ": %s", in->close_ns, fault)
                 : ST_OK;
}

static void schedules_start(struct retrain *r, int64_t close_ns) {
    const struct promotion_schedule_config *config = &r->config.schedule;
    int64_t start = r->config.at_once ? close_ns - config->period_ns : close_ns;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        promotion_schedule_init(&r->state->schedule[k], config, start);
}

enum status retrain_close(struct retrain *r, struct retrain_changes *out,
                          const struct retrain_close *in, struct err *err) {
    struct close c = {r, in, out, err};
    out->count = out->reserved = 0;
    enum status st = input_check(r, in, err);
    if (st != ST_OK) return st;
    if (r->state->close_ns == INT64_MIN) schedules_start(r, in->close_ns);
    retrain_learn(&c);
    st = retrain_ask(&c);
    if (st == ST_OK) st = retrain_installed(&c);
    if (st == ST_OK) st = retrain_results(&c);
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        st = retrain_settle(&c, (enum model_kind)k);
    if (st == ST_OK) st = retrain_begin(&c);
    if (st == ST_OK) st = retrain_sweep(&c);
    r->state->close_ns = in->close_ns;
    if (st != ST_OK) return err_wrap(err, st, "retraining, close at %" PRId64, in->close_ns);
    const struct model_changed *want = retrain_recorded(&c);
    if (!want) return ST_OK;
    return err_set(err, ST_CORRUPT,
                   "retraining, close at %" PRId64 ": on record %.31s %.31s %016" PRIx64
                   " (%.31s), the execution made no such change",
                   in->close_ns,
                   want->model < MODEL_COUNT ? model_kind_text((enum model_kind)want->model) : "?",
                   want->change, want->hash, want->reason);
}
