#include "brain/supervisor/drift.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "num/elementary.h"

enum { INFLATION_WINDOWS_MIN = 8 };
/* Tilt of the sequential test: the likelihood ratio for a mean half a standard deviation off. */
static const double tilt = 0.5;

static const char *const level_texts[DRIFT_LEVEL_COUNT] = {"none", "watch", "warn", "severe"};

const char *drift_level_text(enum drift_level level) {
    return (uint32_t)level < DRIFT_LEVEL_COUNT ? level_texts[level] : "?";
}

struct drift_config drift_config_defaults(void) {
    return (struct drift_config){.psi_watch = 0.10,
                                 .psi_warn = 0.15,
                                 .psi_severe = 0.25,
                                 .ks_p = 0.0002,
                                 .rows_per_alarm = 20000};
}

static uint32_t cell_of(const struct drift_reference *r, double value) {
    if (!isfinite(value)) return 0;
    uint32_t cell = 1;
    while (cell <= r->edge_count && value >= r->edge[cell - 1]) cell++;
    return cell;
}

/* Standard normal quantile by bisection of erfc: ten values when a model is made. */
static double normal_quantile(double p) {
    double low = -8, high = 8;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (erfc(-middle / 1.4142135623730951) / 2 < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static void fit_scores(struct drift_reference *r) {
    double present = 1 - r->share[0], below = 0, mean = 0, square = 0;
    for (uint32_t c = 1; c <= r->edge_count + 1; c++) {
        double share = r->share[c] / present;
        r->score[c] = normal_quantile(below + share / 2);
        below += share;
        mean += share * r->score[c];
        square += share * r->score[c] * r->score[c];
    }
    double deviation = sqrt(fmax(square - mean * mean, 0));
    for (uint32_t c = 1; c <= r->edge_count + 1; c++)
        r->score[c] = deviation > 1e-9 ? (r->score[c] - mean) / deviation : 0;
}

/* Variance of window means times the window's length, over the variance of rows: 1 if rows are independent. */
static double measure_inflation(const struct drift_reference *r, const float *series, size_t rows) {
    size_t windows = rows / DRIFT_WINDOW;
    if (windows < INFLATION_WINDOWS_MIN) return 1;
    double sum = 0, square = 0, rows_square = 0;
    for (size_t w = 0; w < windows; w++) {
        double mean = 0;
        for (size_t i = 0; i < DRIFT_WINDOW; i++) {
            double score = r->score[cell_of(r, (double)series[w * DRIFT_WINDOW + i])];
            mean += score / DRIFT_WINDOW;
            rows_square += score * score;
        }
        sum += mean;
        square += mean * mean;
    }
    double n = (double)windows, variance = (square - sum * sum / n) / (n - 1);
    double rows_variance = rows_square / (n * DRIFT_WINDOW) - sum / n * (sum / n);
    if (!(rows_variance > 0)) return 1;
    return fmin(fmax(DRIFT_WINDOW * variance / rows_variance, 1), DRIFT_WINDOW);
}

bool drift_reference_fit(struct drift_reference *out, const double *sorted, size_t finite,
                         const float *series, size_t rows) {
    memset(out, 0, sizeof *out);
    if (finite == 0 || finite > rows) return false;
    for (size_t i = 0; i < finite; i++)
        if (!isfinite(sorted[i]) || (i > 0 && sorted[i] < sorted[i - 1])) return false;
    for (size_t b = 1; b < DRIFT_BINS; b++) {
        double edge = sorted[b * finite / DRIFT_BINS];
        /* A value that fills several bins makes one; an edge at the least value would leave a bin empty. */
        bool is_new =
            out->edge_count == 0 ? edge > sorted[0] : edge > out->edge[out->edge_count - 1];
        if (is_new) out->edge[out->edge_count++] = edge;
    }
    double counts[DRIFT_CELLS] = {(double)(rows - finite)};
    for (size_t i = 0; i < finite; i++) counts[cell_of(out, sorted[i])] += 1;
    for (uint32_t c = 0; c < DRIFT_CELLS; c++) out->share[c] = counts[c] / (double)rows;
    out->rows = rows;
    fit_scores(out);
    out->inflation = measure_inflation(out, series, rows);
    return true;
}

/* e^((t score - ln E e^(t score)) / inflation): expectation 1 over the training rows if inflation is 1,
 * and at most 1 by Jensen's inequality if it is more. */
static void fit_steps(double steps[DRIFT_CELLS], const struct drift_reference *r, double t) {
    double sum = 0;
    for (uint32_t c = 0; c < DRIFT_CELLS; c++) sum += r->share[c] * num_exp(t * r->score[c]);
    double log_sum = num_log(sum);
    for (uint32_t c = 0; c < DRIFT_CELLS; c++)
        steps[c] = num_exp((t * r->score[c] - log_sum) / r->inflation);
}

void drift_init(struct drift *d, const struct drift_config *config,
                const struct drift_reference *references, uint32_t features) {
    ASSERT(features <= DRIFT_FEATURES_MAX && config->rows_per_alarm >= 1);
    ASSERT(config->psi_watch <= config->psi_warn && config->psi_warn <= config->psi_severe);
    memset(d, 0, sizeof *d);
    d->config = *config;
    d->features = features;
    for (uint32_t i = 0; i < features; i++) {
        struct drift_feature *f = &d->f[i];
        f->alarm_row = -1;
        f->reference = references[i];
        if (f->reference.rows == 0) continue;
        d->watched++;
        fit_steps(f->up_step, &f->reference, tilt);
        fit_steps(f->down_step, &f->reference, -tilt);
    }
    /* The mean of all features' evidence, both ways, is evidence itself: it reaches N if one reaches this. */
    d->threshold = config->rows_per_alarm * 2 * (d->watched ? d->watched : 1);
}

static bool step_evidence(struct drift_feature *f, uint32_t cell, double threshold, int64_t row) {
    f->up = (f->up + 1) * f->up_step[cell];
    f->down = (f->down + 1) * f->down_step[cell];
    bool up = f->up >= threshold, down = f->down >= threshold;
    if (!up && !down) return false;
    f->alarm_side = (up ? 1u : 0) | (down ? 2u : 0);
    f->up = f->down = 0;
    f->alarm_row = row;
    return true;
}

uint32_t drift_row(struct drift *d, const float *row) {
    uint32_t alarms = 0;
    size_t slot = d->rows % DRIFT_WINDOW;
    for (uint32_t i = 0; i < d->features; i++) {
        struct drift_feature *f = &d->f[i];
        if (f->reference.rows == 0) continue;
        uint32_t cell = cell_of(&f->reference, (double)row[i]);
        if (d->rows >= DRIFT_WINDOW) f->counts[f->cells[slot]]--;
        f->cells[slot] = (uint8_t)cell;
        f->counts[cell]++;
        alarms += step_evidence(f, cell, d->threshold, (int64_t)d->rows);
    }
    d->rows++;
    d->alarms += alarms;
    return alarms;
}

double drift_ks_probability(double gap, double rows_a, double rows_b) {
    double root = sqrt(rows_a * rows_b / (rows_a + rows_b));
    double x = (root + 0.12 + 0.11 / root) * gap;
    if (!(x > 0.2)) return 1; /* the series needs many terms there, and is 1 to 12 digits */
    double sum = 0, sign = 1;
    for (int k = 1; k <= 20; k++, sign = -sign) {
        double term = 2 * num_exp(fmax(-2.0 * k * k * x * x, -600));
        if (term < sum * 0x1p-55)
            break; /* they fall: neither this one nor a later one moves a bit of the sum */
        sum += sign * term;
    }
    return fmin(fmax(sum, 0), 1);
}

void drift_figures(struct drift_figures *out, const struct drift *d, uint32_t feature) {
    ASSERT(feature < d->features);
    const struct drift_feature *f = &d->f[feature];
    const struct drift_reference *r = &f->reference;
    memset(out, 0, sizeof *out);
    out->ks_p = 1;
    uint64_t n = d->rows < DRIFT_WINDOW ? d->rows : DRIFT_WINDOW;
    if (r->rows == 0 || n == 0) return;
    /* Where no value is missing in either, missing is no cell. */
    uint32_t first = r->share[0] > 0 || f->counts[0] > 0 ? 0 : 1, cells = r->edge_count + 2;
    double rows = (double)n, trained = (double)r->rows, gap = 0, halves = 0.5 * (cells - first);
    for (uint32_t c = first; c < cells; c++) {
        double p = (r->share[c] * trained + 0.5) / (trained + halves);
        double q = ((double)f->counts[c] + 0.5) / (rows + halves);
        out->psi += (q - p) * num_log(q / p);
        gap += (double)f->counts[c] / rows - r->share[c];
        out->ks = fmax(out->ks, fabs(gap));
    }
    out->ks_p = drift_ks_probability(out->ks, rows / r->inflation, trained / r->inflation);
    int64_t age = (int64_t)d->rows - f->alarm_row;
    if (f->alarm_row >= 0 && age <= DRIFT_WINDOW) out->alarmed = f->alarm_side;
    if (n < DRIFT_WINDOW || !(out->ks_p < d->config.ks_p / d->watched)) return;
    out->level = out->psi >= d->config.psi_severe  ? DRIFT_SEVERE
                 : out->psi >= d->config.psi_warn  ? DRIFT_WARN
                 : out->psi >= d->config.psi_watch ? DRIFT_WATCH
                                                   : DRIFT_NONE;
}

void drift_summarise(struct drift_summary *out, const struct drift *d, const double *importance) {
    memset(out, 0, sizeof *out);
    out->watched = d->watched;
    out->worst = DRIFT_FEATURES_MAX;
    out->ks_p_worst = 1;
    double severe = 0, total = 0;
    uint32_t worst_level = 0;
    for (uint32_t i = 0; i < d->features; i++) {
        if (d->f[i].reference.rows == 0) continue;
        struct drift_figures f;
        drift_figures(&f, d, i);
        double weight = importance ? importance[i] : 1;
        total += weight;
        severe += f.level == DRIFT_SEVERE ? weight : 0;
        out->at_level[f.level]++;
        out->alarmed += f.alarmed != 0;
        if (out->worst < DRIFT_FEATURES_MAX &&
            (f.level < worst_level || (f.level == worst_level && f.psi <= out->psi_worst)))
            continue;
        worst_level = f.level;
        out->worst = i;
        out->psi_worst = f.psi;
        out->ks_p_worst = f.ks_p;
    }
    out->severe_share = total > 0 ? severe / total : 0;
}
