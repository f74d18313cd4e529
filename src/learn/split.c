#include <stdlib.h>

#include "learn/learn_internal.h"

static bool share_is_sane(double share) {
    return share > 0 && share < 0.5;
}

enum status learn_split_init(struct learn_split *out, int64_t first_ns, int64_t last_ns,
                             const struct learn_config *config, struct err *err) {
    if (!share_is_sane(config->valid_share) || !share_is_sane(config->test_share))
        return err_set(err, ST_INVALID, "valid_share %g and test_share %g must be in (0, 0.5)",
                       config->valid_share, config->test_share);
    int64_t interval = config->interval_ns;
    /* Borders stand on the interval's grid, counted from the first row. */
    int64_t total = (last_ns - first_ns) / interval + 1;
    int64_t test_steps = (int64_t)((double)total * config->test_share);
    int64_t valid_steps = (int64_t)((double)total * config->valid_share);
    int64_t valid_from = first_ns + (total - test_steps - valid_steps) * interval;
    int64_t test_from = first_ns + (total - test_steps) * interval;
    int64_t embargo = (int64_t)config->embargo_bars * interval;
    int64_t horizon = (int64_t)config->labels.horizon_bars * interval;
    *out = (struct learn_split){.horizon_ns = horizon};
    out->from_ns[PART_TRAIN] = first_ns;
    out->to_ns[PART_TRAIN] = valid_from;
    out->from_ns[PART_VALID] = valid_from + embargo;
    out->to_ns[PART_VALID] = test_from;
    out->from_ns[PART_TEST] = test_from + embargo;
    out->to_ns[PART_TEST] = last_ns + horizon;
    return ST_OK;
}

enum learn_part learn_split_part(const struct learn_split *split, int64_t decision_ns) {
    for (int part = PART_TRAIN; part < PART_COUNT; part++)
        if (decision_ns >= split->from_ns[part] &&
            decision_ns + split->horizon_ns <= split->to_ns[part])
            return (enum learn_part)part;
    return PART_NONE;
}

/* One series: how many labels cover each bar, then prefix sums of 1/that. */
static void series_uniqueness(float *weights, double *cover, const uint32_t *series,
                              const uint32_t *begin, const uint32_t *end, size_t count,
                              size_t bar_count, uint32_t which) {
    for (size_t j = 0; j <= bar_count; j++) cover[j] = 0;
    for (size_t i = 0; i < count; i++)
        if (series[i] == which) {
            cover[begin[i] + 1] += 1;
            if (end[i] + 1 <= bar_count) cover[end[i] + 1] -= 1;
        }
    double running = 0, sum = 0;
    for (size_t j = 0; j <= bar_count; j++) {
        running += cover[j];
        sum += running > 0 ? 1 / running : 0;
        cover[j] = sum; /* of bars 0 .. j */
    }
    for (size_t i = 0; i < count; i++)
        if (series[i] == which)
            weights[i] = (float)((cover[end[i]] - cover[begin[i]]) / (double)(end[i] - begin[i]));
}

enum status learn_uniqueness(float *weights, const uint32_t *series, const uint32_t *begin,
                             const uint32_t *end, size_t count, const size_t *bar_counts,
                             size_t series_count, struct err *err) {
    size_t longest = 0;
    for (size_t s = 0; s < series_count; s++)
        if (bar_counts[s] > longest) longest = bar_counts[s];
    double *cover = calloc(longest + 2, sizeof *cover);
    if (!cover) return err_set(err, ST_NO_MEMORY, "sample weights");
    for (size_t s = 0; s < series_count; s++)
        series_uniqueness(weights, cover, series, begin, end, count, bar_counts[s], (uint32_t)s);
    free(cover);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)weights[i];
    for (size_t i = 0; i < count; i++)
        weights[i] = (float)((double)weights[i] * (double)count / sum);
    return ST_OK;
}
