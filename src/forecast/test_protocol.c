/* Whole runs on small made-up series: bits, folders, interruptions, what comes next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "forecast/model_file.h"
#include "forecast/protocol.h"
#include "forecast/use.h"

enum { ROWS = 260, INPUT = 24, HORIZON = 6, PATH = 256 };

static char work[64], csv[PATH];

static const char *const files[] = {"model.safetensors", "history.json", "report.json",
                                    "report.txt",        "losses.svg",   "windows.svg",
                                    "checkpoint",        "running.json"};
enum { FILES_KEPT = 6 };

static void path_in(char out[PATH], const char *dir, const char *name) {
    snprintf(out, PATH, "%s/%s", dir, name);
}

static void dir_of(char out[PATH], const char *name) {
    snprintf(out, PATH, "%s/%s", work, name);
}

static bool has(const char *dir, const char *name) {
    char path[PATH];
    path_in(path, dir, name);
    return access(path, F_OK) == 0;
}

static char *contents(size_t *size, const char *dir, const char *name) {
    char path[PATH];
    path_in(path, dir, name);
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("no %s", path);
    char *bytes = malloc(1 << 22);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 22, f);
    assert_true(*size > 0 && *size < 1 << 22);
    fclose(f);
    return bytes;
}

static void same_file(const char *a, const char *b, const char *name) {
    size_t sizes[2];
    char *bytes[2] = {contents(&sizes[0], a, name), contents(&sizes[1], b, name)};
    if (sizes[0] != sizes[1] || memcmp(bytes[0], bytes[1], sizes[0]) != 0)
        fail_msg("%s of %s and %s differ", name, a, b);
    free(bytes[0]);
    free(bytes[1]);
}

/* Two waves with noise, the second channel larger. change: the last value of channel b as text, or NULL. */
static void write_csv(const char *path, const char *change) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    struct rng rng = rng_init(7);
    fprintf(f, "date,a,b\n");
    for (int i = 0; i < ROWS; i++) {
        double a = sin(i * 0.26) + 0.2 * rng_f64(&rng), b = 50 + 9 * cos(i * 0.5) + rng_f64(&rng);
        fprintf(f, "2020-01-%02d %02d:00:00,%.9g,", i / 24 + 1, i % 24, a);
        if (change && i == ROWS - 1)
            fprintf(f, "%s\n", change);
        else
            fprintf(f, "%.9g\n", b);
    }
    assert_int_equal(fclose(f), 0);
}

static struct forecast_options options_for(enum forecast_kind kind, const char *dir) {
    static const char *const params[] = {
        "patch_len=8,stride=4,d_model=8,n_heads=2,d_ff=16,e_layers=2,dropout=0.2",
        "n_pool_kernel_size=4:1,n_freq_downsample=3:1,n_theta_hidden=16x16:16x16,dropout_prob_"
        "theta="
        "0.1",
        "kernel_size=5"};
    struct forecast_options o = forecast_options_defaults(kind);
    struct err err = {0};
    o.csv = csv;
    o.dir = dir;
    o.input = INPUT;
    o.horizon = HORIZON;
    assert_true(forecast_split_parse(&o.split, "0.6,0.2,0.2"));
    assert_int_equal(forecast_config_set(&o.config, params[kind], &err), ST_OK);
    o.trainer.epochs = 3;
    o.trainer.steps_max = 0;
    o.trainer.valid_every = 5;
    o.trainer.batch = 16;
    o.trainer.schedule.lr = 1e-2;
    o.trainer.seed = 3;
    o.baseline = false;
    return o;
}

/* Interrupts behind a step; 0: never. */
struct cut {
    uint64_t at, last;
};

static bool cut_at(void *context, const struct forecast_progress *p) {
    struct cut *c = context;
    if (!p->state) return true;
    c->last = p->state->step;
    return p->state->step != c->at;
}

static void run(const struct forecast_options *o, struct forecast_report *report) {
    struct err err = {0};
    if (forecast_run(report, o, NULL, NULL, &err) != ST_OK) fail_msg("%s: %s", o->dir, err.text);
}

/* ---- bits ---- */

/* Cut off at several places and gone on with, and with two threads: the same weights, looks and scores. */
static void test_resume(void **state) {
    (void)state;
    for (int kind = 0; kind < FORECAST_KINDS; kind++) {
        char whole[PATH], parts[PATH], name[32];
        snprintf(name, sizeof name, "whole%d", kind);
        dir_of(whole, name);
        snprintf(name, sizeof name, "parts%d", kind);
        dir_of(parts, name);
        struct forecast_options o = options_for((enum forecast_kind)kind, whole);
        struct forecast_report a, b;
        run(&o, &a);
        assert_int_equal(a.training.epochs, 3);
        assert_true(a.training.look_count >= 3);
        for (int i = 0; i < FILES_KEPT; i++) assert_true(has(whole, files[i]));
        assert_false(has(whole, "checkpoint"));
        assert_false(has(whole, "running.json"));

        o.dir = parts;
        o.resume = true;
        o.threads = 2;
        static const uint64_t cuts[] = {3, 5, 11}; /* within an interval, at a look, later */
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            struct cut c = {cuts[i], 0};
            struct err err = {0};
            assert_int_equal(forecast_run(&b, &o, cut_at, &c, &err), ST_INTERRUPTED);
            assert_int_equal(c.last, cuts[i]);
            assert_true(has(parts, "checkpoint"));
            assert_true(has(parts, "running.json"));
            assert_false(has(parts, "report.json"));
        }
        run(&o, &b);
        assert_true(b.training.resumed && !a.training.resumed);
        same_file(whole, parts, "model.safetensors");
        same_file(whole, parts, "history.json");
        same_file(whole, parts, "losses.svg");
        same_file(whole, parts, "windows.svg");
        assert_memory_equal(a.scores, b.scores, sizeof a.scores);
        assert_false(has(parts, "checkpoint"));
        forecast_report_free(&a);
        forecast_report_free(&b);
    }
}

/* Another seed, another part of the data or other options: another outcome. */
static void test_what_matters(void **state) {
    (void)state;
    char dir[PATH];
    dir_of(dir, "matters");
    double mse[3];
    for (int i = 0; i < 3; i++) {
        struct forecast_options o = options_for(FORECAST_DLINEAR, dir);
        struct forecast_report r;
        o.restart = true;
        if (i == 1) o.trainer.seed = 4;
        if (i == 2) o.trainer.loss.kind = NN_MAE;
        run(&o, &r);
        mse[i] = r.scores[FORECAST_MODEL][FORECAST_TEST].mse;
        forecast_report_free(&r);
    }
    assert_true(mse[0] != mse[1] && mse[0] != mse[2]);
}

/* ---- the folder ---- */

static void test_folder(void **state) {
    (void)state;
    char dir[PATH];
    dir_of(dir, "folder/below");
    struct forecast_options o = options_for(FORECAST_DLINEAR, dir);
    struct forecast_report r;
    struct err err = {0};
    struct cut c = {4, 0};
    assert_int_equal(forecast_run(&r, &o, cut_at, &c, &err), ST_INTERRUPTED);
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_EXISTS);
    assert_non_null(strstr(err.text, "holds a run that is not finished; --resume goes on"));
    o.resume = true;
    o.trainer.seed = 9;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_MISMATCH);
    o.trainer.seed = 3;
    run(&o, &r);
    forecast_report_free(&r);

    /* Finished: shown again, not done again. */
    c.at = c.last = 0;
    assert_int_equal(forecast_run(&r, &o, cut_at, &c, &err), ST_OK);
    assert_int_equal(c.last, 0);
    size_t size;
    char *text = contents(&size, dir, "report.json");
    assert_int_equal(strlen(r.finished_json), size);
    assert_memory_equal(text, r.finished_json, size);
    assert_non_null(strstr(r.finished, "last value"));
    free(text);
    forecast_report_free(&r);
    o.trainer.schedule.lr = 2e-2;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_MISMATCH);
    o.resume = false;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_EXISTS);
    assert_non_null(strstr(err.text, "holds a run that is finished; --resume shows it"));
    o.restart = true;
    run(&o, &r);
    forecast_report_free(&r);
}

static void test_refused(void **state) {
    (void)state;
    char dir[PATH];
    dir_of(dir, "refused");
    struct forecast_options o = options_for(FORECAST_PATCHTST, dir);
    struct forecast_report r;
    struct err err = {0};
    o.input = 7; /* shorter than a patch */
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_RANGE);
    o = options_for(FORECAST_PATCHTST, dir);
    o.horizon = 60;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "the part 'valid'"));
    o = options_for(FORECAST_PATCHTST, dir);
    o.trainer.batch = 4096;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "less than a batch of 4096"));
    o = options_for(FORECAST_DLINEAR, dir);
    o.trainer.valid_every = 1;
    o.trainer.epochs = 5000;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "looks"));
    o = options_for(FORECAST_DLINEAR, dir);
    o.target = "c";
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_NOT_FOUND);
    char broken[PATH];
    dir_of(broken, "broken.csv");
    write_csv(broken, "");
    o = options_for(FORECAST_DLINEAR, dir);
    o.csv = broken;
    assert_int_equal(forecast_run(&r, &o, NULL, NULL, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "line 261 (row 259), column 'b': no value"));
}

/* ---- using it ---- */

/* What the run reports is what the file gives, for each part and network; every window counts, whatever the batches. */
static void test_evaluate(void **state) {
    (void)state;
    for (int kind = 0; kind < FORECAST_KINDS; kind++) {
        char dir[PATH], model[PATH];
        dir_of(dir, "evaluate");
        path_in(model, dir, "model.safetensors");
        struct forecast_options o = options_for((enum forecast_kind)kind, dir);
        struct forecast_report r;
        struct err err = {0};
        o.restart = true;
        o.baseline = kind == FORECAST_NHITS;
        run(&o, &r);
        assert_true(r.scored[FORECAST_LINEAR] == o.baseline);
        for (int part = FORECAST_VALID; part < FORECAST_PARTS; part++) {
            struct forecast_evaluation e;
            if (forecast_evaluate(&e, model, csv, NULL, (enum forecast_part)part, 2, NULL, NULL,
                                  &err) != ST_OK)
                fail_msg("%s", err.text);
            assert_true(e.same_data);
            assert_memory_equal(&e.network, &r.scores[FORECAST_MODEL][part], sizeof e.network);
            assert_memory_equal(&e.repeat, &r.scores[FORECAST_REPEAT][part], sizeof e.repeat);
            assert_int_equal(e.network.windows, ROWS / 5 - HORIZON + 1);
        }
        assert_true(r.scores[FORECAST_MODEL][FORECAST_TEST].mse <
                    r.scores[FORECAST_REPEAT][FORECAST_TEST].mse);
        forecast_report_free(&r);
    }
}

/* The forecast behind the last row is that of the window there, in the data's units; a hole in the window makes none. */
static void test_predict(void **state) {
    (void)state;
    char holed[PATH];
    dir_of(holed, "holed.csv");
    for (int kind = 0; kind < FORECAST_KINDS; kind++) {
        char dir[PATH], model[PATH];
        dir_of(dir, "predict");
        path_in(model, dir, "model.safetensors");
        struct forecast_options o = options_for((enum forecast_kind)kind, dir);
        struct forecast_report r;
        struct forecast_outlook f;
        struct err err = {0};
        o.restart = true;
        run(&o, &r);
        forecast_report_free(&r);
        if (forecast_predict(&f, model, csv, &err) != ST_OK) fail_msg("%s", err.text);
        assert_int_equal(f.horizon, HORIZON);
        assert_int_equal(f.channels, 2);
        assert_string_equal(f.names[1], "b");
        for (size_t i = 0; i < HORIZON; i++) {
            assert_true(fabs(f.values[2 * i]) < 4);
            assert_true(f.values[2 * i + 1] > 30 && f.values[2 * i + 1] < 70);
        }
        assert_non_null(f.dates);
        assert_true(f.dates[0] == 1577836800.0 + 3600.0 * ROWS);
        assert_true(f.dates[1] - f.dates[0] == 3600);
        forecast_outlook_free(&f);

        static const char *const holes[][2] = {
            {"nan", "no value"}, {"inf", "an infinite value"}, {"", "no value"}};
        for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
            char expected[ERR_TEXT_SIZE];
            write_csv(holed, holes[i][0]);
            assert_int_equal(forecast_predict(&f, model, holed, &err), ST_INVALID);
            snprintf(expected, sizeof expected,
                     "no forecast: %s: line 261 (row 259), column 'b': %s", holed, holes[i][1]);
            assert_string_equal(err.text, expected);
        }
        write_csv(holed, "1e300"); /* a number, but what comes of it is none */
        assert_int_equal(forecast_predict(&f, model, holed, &err), ST_RANGE);
        assert_non_null(strstr(err.text, "no forecast: "));
    }
}

/* One column of several: the others are not read, so they may hold anything. */
static void test_target(void **state) {
    (void)state;
    char dir[PATH], holed[PATH], model[PATH];
    dir_of(dir, "target");
    dir_of(holed, "holed.csv");
    path_in(model, dir, "model.safetensors");
    write_csv(holed, "nan");
    struct forecast_options o = options_for(FORECAST_PATCHTST, dir);
    struct forecast_report r;
    struct forecast_outlook f;
    struct err err = {0};
    o.csv = holed;
    o.target = "a";
    run(&o, &r);
    assert_int_equal(r.channels, 1);
    forecast_report_free(&r);
    if (forecast_predict(&f, model, holed, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(f.channels, 1);
    assert_string_equal(f.names[0], "a");
    forecast_outlook_free(&f);
}

/* ---- the model's file ---- */

static void spoil(const char *from, const char *to, const char *text, const char *with) {
    size_t size;
    char *bytes = contents(&size, from, "model.safetensors");
    char *at = memmem(bytes, size, text, strlen(text));
    if (!at) {
        fail_msg("no '%s' in the file", text);
        return;
    }
    assert_int_equal(strlen(text), strlen(with));
    memcpy(at, with, strlen(with));
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
    free(bytes);
}

static void test_model_file(void **state) {
    (void)state;
    char dir[PATH], model[PATH], spoiled[PATH];
    dir_of(dir, "model");
    dir_of(spoiled, "spoiled.safetensors");
    path_in(model, dir, "model.safetensors");
    struct forecast_options o = options_for(FORECAST_DLINEAR, dir);
    struct forecast_report r;
    struct forecast_model m;
    struct network *net;
    struct err err = {0};
    run(&o, &r);
    forecast_report_free(&r);
    assert_int_equal(forecast_model_load(&m, &net, 4, NULL, model, &err), ST_OK);
    assert_int_equal(m.config.kind, FORECAST_DLINEAR);
    assert_true(m.input == INPUT && m.horizon == HORIZON && m.channels == 2 && m.seed == 3);
    assert_int_equal(m.config.dlinear.kernel_size, 5);
    assert_string_equal(m.names[0], "a");
    assert_true(m.mean[1] > 40 && m.mean[1] < 60 && m.deviation[1] > 3);
    forecast_model_free(&m);
    net->class_of->destroy(net);
    static const char *const damages[][2] = {
        {"\\\"model\\\":\\\"dlinear", "\\\"model\\\":\\\"dlinera"},
        {"kernel_size=5", "kernel_size=x"},
        {"kernel_size=5", "kernel_size=4"},
        {"\\\"input\\\":24", "\\\"input\\\":25"},
        {"\\\"horizon\\\":6", "\\\"horizon\\\":0"},
        {"0.6,0.2,0.2", "0.6,0.2,0.3"},
        {"\\\"seed\\\":\\\"0", "\\\"seed\\\":\\\"x"},
        {"\\\"channels\\\"", "\\\"channelz\\\""},
        {"\\\"std\\\"", "\\\"stt\\\""},
        {"\"forecast\"", "\"forecasd\""},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        spoil(dir, spoiled, damages[i][0], damages[i][1]);
        err.text[0] = 0;
        if (forecast_model_load(&m, &net, 4, NULL, spoiled, &err) == ST_OK)
            fail_msg("read in spite of %s", damages[i][1]);
        assert_non_null(strstr(err.text, spoiled));
    }
    assert_int_equal(forecast_model_load(&m, NULL, 0, NULL, "/nonexistent/m", &err), ST_NOT_FOUND);
}

/* ---- around ---- */

static int setup(void **state) {
    (void)state;
    snprintf(work, sizeof work, "/tmp/test_protocol_XXXXXX");
    if (getenv("TMPDIR")) snprintf(work, sizeof work, "%.40s/protocol_XXXXXX", getenv("TMPDIR"));
    if (!mkdtemp(work)) return -1;
    dir_of(csv, "waves.csv");
    write_csv(csv, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[PATH];
    snprintf(command, sizeof command, "rm -rf '%s'", work);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),   cmocka_unit_test(test_what_matters),
        cmocka_unit_test(test_folder),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_evaluate), cmocka_unit_test(test_predict),
        cmocka_unit_test(test_target),   cmocka_unit_test(test_model_file)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
