/* The loop on DLinear, whose best weights are known: windows are ramps plus noise from a formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ml/dlinear/dlinear.h"
#include "ml/trainer/trainer.h"

enum { LENGTH = 16, HORIZON = 4, BATCH = 8, WINDOWS = 61 };

/* Window k: a sine of its own phase; the future goes on with it. */
struct waves {
    nn_real x[BATCH * LENGTH], target[BATCH * HORIZON];
    uint32_t first; /* window number it begins with */
    uint32_t seen[256];
    bool poisoned;
};

static void waves_batch(void *context, struct nn_batch *out, const uint32_t *windows, size_t n) {
    struct waves *w = context;
    assert_true(n <= BATCH);
    for (size_t i = 0; i < n; i++) {
        uint32_t k = w->first + windows[i];
        if (k < 256) w->seen[k]++;
        for (int t = 0; t < LENGTH + HORIZON; t++) {
            double v = sin(0.4 * t + 1.7 * k) + 0.1 * sin(91.0 * k + 13.0 * t);
            if (w->poisoned && k == 40) v = NAN;
            if (t < LENGTH)
                w->x[i * LENGTH + (size_t)t] = (nn_real)v;
            else
                w->target[i * HORIZON + (size_t)(t - LENGTH)] = (nn_real)v;
        }
    }
    *out = (struct nn_batch){.n = n, .x = w->x, .target = w->target};
}

struct bed {
    struct network *net;
    struct workers *workers;
    struct waves train, valid;
    struct window_source train_source, valid_source;
    struct trainer_config config;
    struct trainer_report report;
    struct err err;
};

static void bed_begin(struct bed *b, uint32_t threads) {
    memset(b, 0, sizeof *b);
    struct dlinear_config c = dlinear_config_defaults();
    c.seq_len = LENGTH;
    c.pred_len = HORIZON;
    c.channels = 1;
    c.kernel_size = 5;
    assert_int_equal(workers_create(&b->workers, threads, &b->err), ST_OK);
    assert_int_equal(dlinear_create(&b->net, &c, BATCH, true, 3, b->workers, &b->err), ST_OK);
    b->valid.first = 100;
    b->train_source = (struct window_source){WINDOWS, waves_batch, &b->train};
    b->valid_source = (struct window_source){20, waves_batch, &b->valid};
    b->config = trainer_config_defaults();
    b->config.batch = BATCH;
    b->config.epochs = 6;
    b->config.schedule.lr = 5e-3;
    b->config.seed = 9;
}

static void bed_end(struct bed *b) {
    b->net->class_of->destroy(b->net);
    workers_destroy(b->workers);
    trainer_report_free(&b->report);
}

static enum status bed_run(struct bed *b, trainer_progress_fn progress, void *context) {
    return trainer_run(&b->report, b->net, NULL, &b->train_source, &b->valid_source, &b->config,
                       progress, context, &b->err);
}

static void temp_path(char path[64]) {
    snprintf(path, 64, "test_trainer_%ld.ckpt", (long)getpid());
    unlink(path);
}

static bool stop_at(void *context, const struct trainer_state *s) {
    return s->step != *(uint64_t *)context;
}

static void it_learns_and_sees_every_window(void **state) {
    (void)state;
    struct bed b;
    bed_begin(&b, 1);
    double before, after;
    assert_int_equal(
        trainer_evaluate(&before, b.net, &b.valid_source, &b.config.valid_loss, BATCH, &b.err),
        ST_OK);
    b.config.epochs = 40;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_OK);
    assert_int_equal(
        trainer_evaluate(&after, b.net, &b.valid_source, &b.config.valid_loss, BATCH, &b.err),
        ST_OK);
    assert_true(after < 0.05 * before);
    assert_true(after == b.report.best_valid_loss);
    assert_int_equal(b.report.look_count, 40);
    assert_int_equal(b.report.steps, 40 * 8);
    for (int k = 0; k < WINDOWS; k++) assert_int_equal(b.train.seen[k], 40);
    bed_end(&b);
}

/* Each window counts once, whatever the batches: 20 windows in batches of 8 and of 3. */
static void evaluation_does_not_depend_on_the_batches(void **state) {
    (void)state;
    struct bed b;
    bed_begin(&b, 1);
    double in8, in3;
    struct nn_loss_choice mae = {.kind = NN_MAE};
    assert_int_equal(trainer_evaluate(&in8, b.net, &b.valid_source, &mae, 8, &b.err), ST_OK);
    assert_int_equal(trainer_evaluate(&in3, b.net, &b.valid_source, &mae, 3, &b.err), ST_OK);
    assert_true(fabs(in8 - in3) < 1e-12);
    bed_end(&b);
}

static void same_bits(uint32_t threads, uint64_t cut, uint64_t valid_every) {
    char path[64];
    temp_path(path);
    struct bed whole, parts;
    bed_begin(&whole, 1);
    bed_begin(&parts, threads);
    whole.config.valid_every = parts.config.valid_every = valid_every;
    parts.config.checkpoint = path;
    parts.config.resume = true;
    assert_int_equal(bed_run(&whole, NULL, NULL), ST_OK);
    if (cut) {
        assert_int_equal(bed_run(&parts, stop_at, &cut), ST_INTERRUPTED);
        trainer_report_free(&parts.report);
        bed_end(&parts);
        bed_begin(&parts, threads);
        parts.config.valid_every = valid_every;
        parts.config.checkpoint = path;
        parts.config.resume = true;
    }
    assert_int_equal(bed_run(&parts, NULL, NULL), ST_OK);
    assert_true(parts.report.resumed == (cut != 0));
    const struct nn_params *p = &whole.net->params, *q = &parts.net->params;
    assert_memory_equal(p->value, q->value, p->size * sizeof *p->value);
    assert_int_equal(whole.report.look_count, parts.report.look_count);
    assert_memory_equal(whole.report.looks, parts.report.looks,
                        whole.report.look_count * sizeof *whole.report.looks);
    bed_end(&whole);
    bed_end(&parts);
    unlink(path);
}

static void cut_off_and_gone_on_has_the_same_bits(void **state) {
    (void)state;
    same_bits(2, 0, 0);
    same_bits(1, 1, 0);
    same_bits(1, 16, 0); /* exactly behind an epoch */
    same_bits(2, 21, 0);
    same_bits(2, 21, 5);
}

static void a_checkpoint_of_another_run_is_refused(void **state) {
    (void)state;
    char path[64];
    temp_path(path);
    struct bed b;
    bed_begin(&b, 1);
    b.config.checkpoint = path;
    uint64_t cut = 9;
    assert_int_equal(bed_run(&b, stop_at, &cut), ST_INTERRUPTED);
    trainer_report_free(&b.report);
    b.config.resume = true;
    b.config.seed++;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_MISMATCH);
    b.config.seed--;
    b.config.identity = 5;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_MISMATCH);
    bed_end(&b);
    unlink(path);
}

static void the_best_look_stays(void **state) {
    (void)state;
    struct bed b;
    bed_begin(&b, 1);
    b.config.schedule.lr = 0.6; /* too much: it jumps about */
    b.config.epochs = 30;
    b.config.patience = 3;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_OK);
    const struct trainer_report *r = &b.report;
    double least = INFINITY;
    for (uint32_t i = 0; i < r->look_count; i++)
        if (r->looks[i].valid_loss < least) least = r->looks[i].valid_loss;
    assert_true(r->best_valid_loss == least);
    assert_true(r->looks[r->best_look].valid_loss == least);
    assert_true(r->stopped_early);
    assert_int_equal(r->look_count, r->best_look + 1 + 3);
    double again;
    assert_int_equal(
        trainer_evaluate(&again, b.net, &b.valid_source, &b.config.valid_loss, BATCH, &b.err),
        ST_OK);
    assert_true(again == least);
    bed_end(&b);
}

static void last_batches_can_be_dropped(void **state) {
    (void)state;
    struct bed b;
    bed_begin(&b, 1);
    b.config.drop_last = true;
    b.config.epochs = 2;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_OK);
    assert_int_equal(b.report.steps, 2 * (WINDOWS / BATCH));
    bed_end(&b);
}

static void what_is_no_number_is_told(void **state) {
    (void)state;
    struct bed b;
    bed_begin(&b, 1);
    b.train.poisoned = true;
    assert_int_equal(bed_run(&b, NULL, NULL), ST_RANGE);
    assert_non_null(strstr(b.err.text, "diverged"));
    bed_end(&b);
}

/* ---- a head beside the network: y' = a y, trained by a loss of one's own ---- */

struct scale {
    struct nn_params params;
    struct nn_tensor *a;
};

static double scaled_loss(void *context, nn_real *dy, const nn_real *y,
                          const struct nn_batch *batch) {
    struct scale *s = context;
    size_t n = batch->n * HORIZON;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)(s->a->value[0] * y[i] - batch->target[i]);
        sum += d * d / (double)n;
        if (!dy) continue;
        dy[i] = (nn_real)(2 * d * (double)s->a->value[0] / (double)n);
        s->a->grad[0] += (nn_real)(2 * d * (double)y[i] / (double)n);
    }
    return sum;
}

static void a_head_learns_too(void **state) {
    (void)state;
    struct bed b;
    struct scale s = {0};
    bed_begin(&b, 1);
    assert_int_equal(nn_params_init(&s.params, 1, &b.err), ST_OK);
    assert_int_equal(nn_params_add(&s.params, "a", true, 1, (size_t[]){1}), ST_OK);
    assert_int_equal(nn_params_place(&s.params, true, &b.err), ST_OK);
    s.a = nn_params_find(&s.params, "a");
    s.a->value[0] = (nn_real)0.5;
    b.config.loss = b.config.valid_loss =
        (struct nn_loss_choice){.own = scaled_loss, .context = &s};
    b.config.epochs = 40;
    assert_int_equal(trainer_run(&b.report, b.net, &s.params, &b.train_source, &b.valid_source,
                                 &b.config, NULL, NULL, &b.err),
                     ST_OK);
    assert_true(b.report.best_valid_loss < 0.05);
    assert_true(s.a->value[0] > (nn_real)0.55);
    b.config.checkpoint = "nowhere";
    trainer_report_free(&b.report);
    assert_int_equal(trainer_run(&b.report, b.net, &s.params, &b.train_source, &b.valid_source,
                                 &b.config, NULL, NULL, &b.err),
                     ST_UNSUPPORTED);
    bed_end(&b);
    nn_params_free(&s.params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_and_sees_every_window),
        cmocka_unit_test(evaluation_does_not_depend_on_the_batches),
        cmocka_unit_test(cut_off_and_gone_on_has_the_same_bits),
        cmocka_unit_test(a_checkpoint_of_another_run_is_refused),
        cmocka_unit_test(the_best_look_stays),
        cmocka_unit_test(last_batches_can_be_dropped),
        cmocka_unit_test(what_is_no_number_is_told),
        cmocka_unit_test(a_head_learns_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
