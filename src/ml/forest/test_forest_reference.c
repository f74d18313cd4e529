/* Every kernel on every case of the reference folder: raw scores and leaves that xgboost 1.7.4 and
 * LightGBM 4.6.0.99 gave themselves, equal bit for bit; predictions within 2e-7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <glob.h>
#include <math.h>
#include <string.h>

#include "ml/forest/forest.h"
#include "ml/model_io/model_io.h"
#include "ml/table/unpack.h"

static glob_t cases; /* paths of *.pred.csv.gz */

static double *numbers_read(const char *prefix, const char *suffix, size_t *count) {
    char path[1024], *text;
    struct unpack *u;
    struct err err = {0};
    size_t size;
    snprintf(path, sizeof path, "%s%s", prefix, suffix);
    *count = 0;
    if (unpack_open(&u, path, &err) != ST_OK) return NULL;
    if (unpack_all(&text, &size, u, (size_t)1 << 30, &err) != ST_OK) fail_msg("%s", err.text);
    unpack_close(u);
    double *out = malloc((size / 2 + 1) * sizeof *out);
    assert_non_null(out);
    for (char *p = text, *stop; *p; p = stop + (*stop != 0)) {
        out[*count] = strtod(p, &stop);
        if (stop != p) (*count)++;
    }
    free(text);
    return out;
}

struct reference {
    double *input, *predicted, *leaves; /* leaves may be NULL */
    size_t rows;
};

static bool equal(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

/* One kernel, `part` rows at a time. */
static void kernel_check(const char *name, const struct tree_model *m, const struct reference *r,
                         enum forest_kernel kernel, size_t part) {
    struct forest_options o = {.kernel = kernel};
    struct forest *f;
    size_t size = forest_size(m, &o), k = m->outputs, trees = m->tree_count;
    void *block = aligned_alloc(64, size);
    double *margin = malloc((r->rows * k + 1) * sizeof *margin);
    int32_t *leaf = malloc((r->rows * trees + 1) * sizeof *leaf);
    assert_true(block && margin && leaf);
    assert_int_equal(forest_build(&f, block, size, m, &o), ST_OK);
    for (size_t i = 0; i < r->rows; i += part) {
        size_t n = r->rows - i < part ? r->rows - i : part;
        forest_margin_f64(margin + i * k, f, r->input + i * m->columns, n, m->columns);
        forest_leaf_f64(leaf + i * trees, f, r->input + i * m->columns, n, m->columns);
    }
    for (size_t i = 0; i < r->rows; i++)
        for (size_t c = 0; c < k; c++)
            if (!equal(margin[i * k + c], r->predicted[i * 2 * k + c]))
                fail_msg("%s, %s, row %zu: %.17g, not %.17g", name, forest_kernel_text(kernel), i,
                         margin[i * k + c], r->predicted[i * 2 * k + c]);
    for (size_t i = 0; r->leaves && i < r->rows * trees; i++)
        if (leaf[i] != (int32_t)r->leaves[i])
            fail_msg("%s, %s, row %zu: leaf %d", name, forest_kernel_text(kernel), i / trees,
                     leaf[i]);
    forest_transform(margin, f, margin, r->rows);
    for (size_t i = 0; i < r->rows; i++)
        for (size_t c = 0; c < k; c++) {
            double want = r->predicted[i * 2 * k + k + c], got = margin[i * k + c];
            if (!(fabs(got - want) <= 2e-7) && !equal(got, want))
                fail_msg("%s, %s, row %zu: %.17g, not %.17g", name, forest_kernel_text(kernel), i,
                         got, want);
        }
    free(block);
    free(margin);
    free(leaf);
}

static void test_every_kernel_on_every_case(void **state) {
    (void)state;
    for (size_t i = 0; i < cases.gl_pathc; i++) {
        char prefix[1000], path[1024];
        size_t inputs, predictions, leaves;
        struct reference r;
        struct tree_model *m;
        struct err err = {0};
        snprintf(prefix, sizeof prefix, "%s", cases.gl_pathv[i]);
        *strstr(prefix, ".pred.csv.gz") = 0;
        snprintf(path, sizeof path, "%s%s", prefix,
                 strstr(prefix, "/xgb_") ? ".json.gz" : ".txt.gz");
        if (model_read(&m, path, &err) != ST_OK) fail_msg("%s", err.text);
        r.input = numbers_read(prefix, ".input.csv.gz", &inputs);
        r.predicted = numbers_read(prefix, ".pred.csv.gz", &predictions);
        r.leaves = numbers_read(prefix, ".leaf.csv.gz", &leaves);
        r.rows = inputs / m->columns;
        assert_true(r.rows > 0 && predictions == r.rows * 2 * m->outputs);
        assert_true(!r.leaves || leaves == r.rows * m->tree_count);
        for (enum forest_kernel k = FOREST_KERNEL_REF; k < FOREST_KERNEL_COUNT; k++) {
            if (!forest_kernel_available(k)) continue;
            kernel_check(prefix, m, &r, k, r.rows);
            kernel_check(prefix, m, &r, k, 1);
        }
        free(r.input);
        free(r.predicted);
        free(r.leaves);
        tree_model_destroy(m);
    }
}

int main(void) {
    char pattern[1024];
    const char *reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("QUANTUM_REFERENCE is not set: no reference cases to compare with");
        return 77;
    }
    snprintf(pattern, sizeof pattern, "%s/refdata/*.pred.csv.gz", reference);
    if (glob(pattern, 0, NULL, &cases) != 0) {
        printf("no cases as %s\n", pattern);
        return 1;
    }
    printf("%zu cases\n", cases.gl_pathc);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kernel_on_every_case)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    globfree(&cases);
    return failed;
}
