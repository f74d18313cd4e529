#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

static void test_status_table(void **state) {
    (void)state;
    for (int st = 0; st < ST_COUNT; st++) {
        const char *name = status_name((enum status)st);
        assert_true(strncmp(name, "ST_", 3) == 0);
        assert_true(strlen(status_text((enum status)st)) > 1);
        for (int other = 0; other < st; other++) {
            assert_string_not_equal(name, status_name((enum status)other));
            assert_string_not_equal(status_text((enum status)st), status_text((enum status)other));
        }
    }
    assert_string_equal(status_name(ST_OK), "ST_OK");
    assert_string_equal(status_name(ST_EXTERNAL), "ST_EXTERNAL");
    assert_string_equal(status_text(ST_TIMEOUT), "timed out, outcome unknown");
    assert_string_equal(status_name((enum status)ST_COUNT), "ST_UNKNOWN");
    assert_string_equal(status_text((enum status)12345), "unknown status");
}

static void test_retryable_is_as_listed(void **state) {
    (void)state;
    for (int st = 0; st <= ST_COUNT; st++) {
        bool want = st == ST_AGAIN || st == ST_IO || st == ST_TIMEOUT || st == ST_DISCONNECTED;
        assert_int_equal(status_is_retryable((enum status)st), want);
    }
}

static void test_values_are_stable(void **state) {
    (void)state;
    assert_int_equal(ST_OK, 0);
    assert_int_equal(ST_INVALID, 2);
    assert_int_equal(ST_REFUSED, 13);
    assert_int_equal(ST_EXTERNAL, 19);
}

static enum status inner(struct err *err) {
    return err_set(err, ST_INVALID, "line %d: expected ':'", 3);
}
static enum status outer(struct err *err) {
    return err_wrap(err, inner(err), "model %s", "a.json");
}

static void test_wrap_puts_context_in_front(void **state) {
    (void)state;
    struct err err;
    assert_int_equal(outer(&err), ST_INVALID);
    assert_int_equal(err.st, ST_INVALID);
    assert_string_equal(err.text, "model a.json: line 3: expected ':'");
    assert_int_equal(err_wrap(&err, ST_CORRUPT, "start"), ST_CORRUPT);
    assert_int_equal(err.st, ST_CORRUPT);
    assert_string_equal(err.text, "start: model a.json: line 3: expected ':'");
}

static void test_null_err_is_allowed(void **state) {
    (void)state;
    assert_int_equal(outer(NULL), ST_INVALID);
    assert_int_equal(err_errno(NULL, ST_IO, "x"), ST_IO);
}

static void test_errno_is_named(void **state) {
    (void)state;
    struct err err;
    errno = ENOENT;
    assert_int_equal(err_errno(&err, ST_IO, "open %s", "f"), ST_IO);
    assert_string_equal(err.text, "open f: No such file or directory");
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    struct err err;
    char longer[2 * ERR_TEXT_SIZE];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    err_set(&err, ST_IO, "%s", longer);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    err_wrap(&err, ST_IO, "%s", "front");
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    assert_memory_equal(err.text, "front: xxx", 10);
    err_wrap(&err, ST_IO, "%s", longer);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    errno = ENOENT;
    err_errno(&err, ST_IO, "%s", longer);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
}

/* XXH3_64bits of the empty input, seed 0: the specification's test vector. */
static void test_hash(void **state) {
    (void)state;
    assert_true(hash64("", 0) == UINT64_C(0x2D06800538D394C2));
    assert_true(hash64("abc", 3) == hash64_seed("abc", 3, 0));
    assert_true(hash64_seed("abc", 3, 1) != hash64("abc", 3));
    uint64_t ab = hash_chain(hash_chain(0, "a", 1), "b", 1),
             ba = hash_chain(hash_chain(0, "b", 1), "a", 1);
    assert_true(ab != ba);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_table),
        cmocka_unit_test(test_retryable_is_as_listed),
        cmocka_unit_test(test_values_are_stable),
        cmocka_unit_test(test_wrap_puts_context_in_front),
        cmocka_unit_test(test_null_err_is_allowed),
        cmocka_unit_test(test_errno_is_named),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
