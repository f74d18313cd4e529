/* The authors' own numbers, and that the check can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "forecast/golden.h"

enum { PATH = 1024 };
static const char *reference;

static const char *const cases[] = {"patchtst/tiny_a",          "patchtst/tiny_d_individual",
                                    "patchtst/paper_etth_b",    "nhits/tiny_a",
                                    "nhits/tiny_c_avg_nearest", "nhits/tiny_c_avg_cubic",
                                    "nhits/default_b"};

static void case_path(char out[PATH], const char *name) {
    snprintf(out, PATH, "%s/golden-nn/%s", reference, name);
}

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[PATH];
        struct golden_report r;
        struct err err = {0};
        case_path(path, cases[i]);
        if (golden_check(&r, path, NULL, &err) != ST_OK) fail_msg("%s", err.text);
        for (int p = 0; p < GOLDEN_PARTS; p++)
            if (r.parts[p].present)
                printf("%-28s %-13s %.1e %s\n", cases[i], golden_part_name((enum golden_part)p),
                       r.parts[p].value, r.parts[p].tensor);
        assert_true(golden_within(&r));
        assert_true(r.parts[GOLDEN_OUTPUT].present && r.parts[GOLDEN_GRADIENT].present &&
                    r.parts[GOLDEN_ADAM_LOSSES].present);
    }
}

/* A copy of a case by links, with its config.json changed. */
static void altered_case(char dir[PATH], const char *name, const char *from, const char *to) {
    static const char *const files[] = {"weights.safetensors", "io.safetensors",
                                        "train.safetensors", "curve.safetensors"};
    static char text[1 << 20];
    char path[PATH], source[2 * PATH], target[2 * PATH];
    case_path(path, name);
    snprintf(dir, PATH, "/tmp/golden-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(source, sizeof source, "%s/%s", path, files[i]);
        snprintf(target, sizeof target, "%s/%s", dir, files[i]);
        assert_int_equal(symlink(source, target), 0);
    }
    snprintf(source, sizeof source, "%s/config.json", path);
    snprintf(target, sizeof target, "%s/config.json", dir);
    FILE *in = fopen(source, "rb"), *out = fopen(target, "wb");
    assert_true(in && out);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    char *at = strstr(text, from);
    assert_non_null(at);
    fwrite(text, 1, (size_t)(at - text), out);
    fputs(to, out);
    fputs(at + strlen(from), out);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void remove_case(const char *dir) {
    static const char *const files[] = {"weights.safetensors", "io.safetensors", "config.json",
                                        "train.safetensors", "curve.safetensors"};
    char path[2 * PATH];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void test_another_network_is_outside(void **state) {
    (void)state;
    char dir[PATH];
    struct golden_report r;
    struct err err = {0};
    altered_case(dir, cases[0], "\"res_attention\": true", "\"res_attention\": false");
    assert_int_equal(golden_check(&r, dir, NULL, &err), ST_OK);
    remove_case(dir);
    assert_false(golden_within(&r));
    assert_true(r.parts[GOLDEN_OUTPUT].value > 1e-3 && r.parts[GOLDEN_GRADIENT].value > 1e-3);
    assert_true(r.parts[GOLDEN_ADAM_LOSSES].value > 1e-3 && r.parts[GOLDEN_CURVE].value > 1e-3);
}

static void check_unreadable(const char *from, const char *to, const char *word) {
    char dir[PATH];
    struct golden_report r;
    struct err err = {0};
    altered_case(dir, cases[0], from, to);
    assert_int_not_equal(golden_check(&r, dir, NULL, &err), ST_OK);
    remove_case(dir);
    if (!strstr(err.text, word)) fail_msg("'%s' does not speak of %s", err.text, word);
}

static void test_what_cannot_be_read(void **state) {
    (void)state;
    struct golden_report r;
    struct err err = {0};
    assert_int_not_equal(golden_check(&r, "/nowhere", NULL, &err), ST_OK);
    check_unreadable("\"model\": \"PatchTST\"", "\"model\": \"Prophet\"", "Prophet");
    check_unreadable("\"d_ff\": 32", "\"d_ff\": 48", "ff.0.weight");
    check_unreadable("\"norm\": \"BatchNorm\"", "\"norm\": \"GroupNorm\"", "norm");
    check_unreadable("\"stride\": 4", "\"stride\": -4", "stride");
    check_unreadable("\"case\": ", "\"case\" ", "line");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_another_network_is_outside),
        cmocka_unit_test(test_what_cannot_be_read),
    };
    reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("QUANTUM_REFERENCE is not set: nothing to compare with");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
