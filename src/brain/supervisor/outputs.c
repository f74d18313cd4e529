#include "brain/supervisor/outputs.h"

#include <math.h>
#include <string.h>

#include "num/elementary.h"

void outputs_step(struct outputs *o, const double (*p)[LABEL_COUNT], size_t n) {
    size_t takes = n < OUTPUTS_PER_STEP ? n : OUTPUTS_PER_STEP;
    for (size_t i = 0; i < takes; i++) {
        const double *answer = p[(size_t)((o->steps * OUTPUTS_PER_STEP + i) % n)];
        if (!ensemble_answer_is_usable(answer, 0)) {
            o->refused++;
            continue;
        }
        size_t slot = (size_t)(o->pushed++ % OUTPUTS_WINDOW);
        for (uint32_t l = 0; l < LABEL_COUNT; l++) o->p[slot][l] = (float)answer[l];
        o->best[slot] = (uint8_t)ensemble_best_label(answer);
    }
    o->steps += n > 0;
}

static double deviation(double sum, double square, double n) {
    double mean = sum / n;
    return sqrt(fmax(square / n - mean * mean, 0));
}

static double entropy_of(const float *p) {
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        if (p[l] > 1e-30f) sum -= (double)p[l] * num_log((double)p[l]);
    return sum / 1.0986122886681098; /* ln 3 */
}

void outputs_figures(struct outputs_figures *out, const struct outputs *o,
                     const double reference[LABEL_COUNT]) {
    memset(out, 0, sizeof *out);
    uint32_t count = (uint32_t)(o->pushed < OUTPUTS_WINDOW ? o->pushed : OUTPUTS_WINDOW);
    out->count = count;
    if (count == 0) return;
    double n = count, sum[LABEL_COUNT] = {0}, square[LABEL_COUNT] = {0};
    double sure = 0, sure_square = 0;
    for (uint32_t i = 0; i < count; i++) {
        double c = (double)o->p[i][o->best[i]];
        sure += c;
        sure_square += c * c;
        out->entropy += entropy_of(o->p[i]) / n;
        out->share[o->best[i]] += 1 / n;
        for (uint32_t l = 0; l < LABEL_COUNT; l++) {
            sum[l] += (double)o->p[i][l];
            square[l] += (double)o->p[i][l] * (double)o->p[i][l];
        }
    }
    out->confidence = sure / n;
    out->confidence_std = deviation(sure, sure_square, n);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        out->spread = fmax(out->spread, deviation(sum[l], square[l], n));
        if (out->share[l] > out->share[out->top_label]) out->top_label = l;
        double p = (reference[l] * n + 0.5) / (n + 0.5 * LABEL_COUNT);
        double q = (out->share[l] * n + 0.5) / (n + 0.5 * LABEL_COUNT);
        out->psi += (q - p) * num_log(q / p);
    }
}
