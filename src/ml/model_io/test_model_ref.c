/* Every case of the reference folder: models and predictions made by xgboost 1.7.4 and LightGBM 4.6.0.99
 * themselves (its README says how). Raw scores and leaves must be equal, predictions within 2e-7, and a
 * file written again must be the file. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/model_io/model_io.h"
#include "ml/table/unpack.h"

enum { PATH_SIZE = 1024, CASES_MAX = 256 };

static char folder[PATH_SIZE / 2];
static char names[CASES_MAX][96];
static size_t case_count;

static char *file_text(const char *name, const char *suffix, size_t *size) {
    char path[PATH_SIZE];
    struct unpack *u;
    struct err err = {0};
    char *text = NULL;
    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    if (unpack_open(&u, path, &err) != ST_OK) return NULL;
    if (unpack_all(&text, size, u, (size_t)1 << 30, &err) != ST_OK) fail_msg("%s", err.text);
    unpack_close(u);
    return text;
}

/* All numbers of a file, or NULL if there is none. */
static double *file_numbers(const char *name, const char *suffix, size_t *count) {
    size_t size;
    char *text = file_text(name, suffix, &size);
    *count = 0;
    if (!text) return NULL;
    double *out = malloc((size / 2 + 1) * sizeof *out);
    assert_non_null(out);
    for (char *p = text, *stop; *p; p = stop + (*stop != 0)) {
        out[*count] = strtod(p, &stop);
        if (stop != p) (*count)++;
    }
    free(text);
    return out;
}

static bool same_number(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

struct data {
    double *input, *predicted, *leaves;
    size_t rows;
};

static struct data data_read(const char *name, const struct tree_model *m) {
    struct data d;
    size_t inputs, predictions, leaves;
    d.input = file_numbers(name, ".input.csv.gz", &inputs);
    d.predicted = file_numbers(name, ".pred.csv.gz", &predictions);
    d.leaves = file_numbers(name, ".leaf.csv.gz", &leaves);
    assert_true(d.input && d.predicted);
    d.rows = inputs / m->columns;
    assert_int_equal(d.rows, 1000);
    assert_int_equal(predictions, d.rows * 2 * m->outputs);
    if (d.leaves) assert_int_equal(leaves, d.rows * m->tree_count);
    return d;
}

static void check_row(const char *name, const struct tree_model *m, const struct data *d,
                      size_t row) {
    const double *x = d->input + row * m->columns, *want = d->predicted + row * 2 * m->outputs;
    uint32_t iterations = m->tree_count / m->trees_per_iteration;
    double margin[8], prediction[8];
    assert_true(m->outputs <= 8);
    tree_margin_ref(margin, m, 0, iterations, x);
    tree_transform(prediction, m, iterations, margin);
    for (uint32_t k = 0; k < m->outputs; k++) {
        if (!same_number(margin[k], want[k]))
            fail_msg("%s row %zu: %.17g, not %.17g", name, row, margin[k], want[k]);
        double off = fabs(prediction[k] - want[m->outputs + k]);
        if (!(off <= 2e-7) && !same_number(prediction[k], want[m->outputs + k]))
            fail_msg("%s row %zu: prediction off by %g", name, row, off);
    }
    for (uint32_t i = 0; d->leaves && i < m->tree_count; i++) {
        uint32_t leaf = tree_walk_ref(m, &m->trees[i], x);
        int32_t id = m->trees[i].leaf_id ? m->trees[i].leaf_id[leaf] : (int32_t)leaf;
        if (id != (int32_t)d->leaves[row * m->tree_count + i])
            fail_msg("%s row %zu tree %u: leaf %d", name, row, i, id);
    }
}

static struct tree_model *read_case(const char *name, const char *suffix) {
    char path[PATH_SIZE];
    struct err err = {0};
    struct tree_model *m;
    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    if (model_read(&m, path, &err) != ST_OK) fail_msg("%s", err.text);
    assert_true(m->file_hash != 0);
    return m;
}

static const char *suffix_of(const char *name) {
    return strncmp(name, "xgb", 3) == 0 ? ".json.gz" : ".txt.gz";
}

static void test_predictions(void **state) {
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        struct tree_model *m = read_case(names[i], suffix_of(names[i]));
        struct data d = data_read(names[i], m);
        for (size_t row = 0; row < d.rows; row++) check_row(names[i], m, &d, row);
        free(d.input);
        free(d.predicted);
        free(d.leaves);
        tree_model_destroy(m);
    }
}

static void prints_as(const struct tree_model *m, const char *name, const char *suffix,
                      enum model_format format) {
    struct err err = {0};
    char *printed = NULL;
    size_t size = 0, want_size = 0;
    char *want = file_text(name, suffix, &want_size);
    assert_non_null(want);
    if (model_print(&printed, &size, m, format, &err) != ST_OK) fail_msg("%s", err.text);
    size_t same = 0;
    while (same < size && same < want_size && printed[same] == want[same]) same++;
    if (size != want_size || same != size)
        fail_msg("%s%s: differs at byte %zu of %zu", name, suffix, same, want_size);
    free(printed);
    free(want);
}

/* The whole file, not only up to "end of trees". */
static void test_written_again_is_the_file(void **state) {
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        struct tree_model *m = read_case(names[i], suffix_of(names[i]));
        prints_as(m, names[i], suffix_of(names[i]), MODEL_FORMAT_AUTO);
        /* From the one form of XGBoost's into the other, too: nothing is lost on the way. */
        if (m->dialect == TREES_XGBOOST) {
            prints_as(m, names[i], ".ubj.gz", MODEL_XGBOOST_UBJ);
            struct tree_model *u = read_case(names[i], ".ubj.gz");
            prints_as(u, names[i], ".ubj.gz", MODEL_XGBOOST_UBJ);
            prints_as(u, names[i], ".json.gz", MODEL_XGBOOST_JSON);
            tree_model_destroy(u);
        }
        tree_model_destroy(m);
    }
}

static int find_cases(void) {
    static const char suffix[] = ".input.csv.gz";
    const char *reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("QUANTUM_REFERENCE is not set: no reference cases to compare with");
        return 77;
    }
    snprintf(folder, sizeof folder, "%s/refdata", reference);
    DIR *d = opendir(folder);
    if (!d) {
        printf("no folder %s\n", folder);
        return 1;
    }
    for (struct dirent *e; (e = readdir(d)) && case_count < CASES_MAX;) {
        size_t length = strlen(e->d_name), tail = sizeof suffix - 1;
        if (length <= tail || strcmp(e->d_name + length - tail, suffix) != 0) continue;
        snprintf(names[case_count++], sizeof names[0], "%.*s", (int)(length - tail), e->d_name);
    }
    closedir(d);
    printf("%zu cases\n", case_count);
    return case_count > 0 ? 0 : 1;
}

int main(void) {
    int found = find_cases();
    if (found != 0) return found;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_written_again_is_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
