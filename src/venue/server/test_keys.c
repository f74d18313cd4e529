/* The file of keys, the open account, looking keys up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "venue/server/keys.h"

/* Of RFC 8032, test 1. */
#define PUBLIC_KEY                                                                                 \
    "-----BEGIN PUBLIC "                                                                           \
    "KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n"                   \
    "-----END PUBLIC KEY-----\\n"
#define ROW(members) "[{" members "}]"

static enum status parse(struct keys *k, const char *text, struct err *err) {
    return keys_parse(k, text, strlen(text), "keys.json", err);
}

static void rows_are_read(void **state) {
    (void)state;
    static struct keys k;
    struct err err = {0};
    assert_int_equal(
        parse(&k,
              "[{\"name\":\"alice\",\"balance\":\"10000.5\",\"api_key\":\"ak\",\"api_secret\":"
              "\"as\"},\n{\"name\":\"bob\",\"balance\":500,\"api_key\":\"bk\","
              "\"ed25519_public_key\":\"" PUBLIC_KEY
              "\",\"permissions\":[\"read\",\"withdraw\"],\"maker_fee\":\"-0.0001\","
              "\"taker_fee\":\"0.0004\"},\n"
              "{\"name\":\"alice\",\"api_key\":\"ak2\",\"api_secret\":\"as2\"}]",
              &err),
        ST_OK);
    assert_int_equal(k.count, 3);
    assert_string_equal(k.rows[0].name, "alice");
    assert_int_equal(k.rows[0].account, 1);
    assert_true(k.rows[0].opens);
    assert_int_equal(k.rows[0].balance.e8, INT64_C(1000050000000));
    assert_int_equal(k.rows[0].permissions, KEY_READ | KEY_TRADE);
    assert_int_equal(wire_key_kind_of(k.rows[0].key), WIRE_KEY_HMAC);
    assert_int_equal(k.rows[1].account, 2);
    assert_int_equal(k.rows[1].permissions, KEY_READ | KEY_WITHDRAW);
    assert_int_equal(k.rows[1].fee_maker.e8, -10000);
    assert_int_equal(k.rows[1].fee_taker.e8, 40000);
    assert_int_equal(wire_key_kind_of(k.rows[1].key), WIRE_KEY_ED25519);
    assert_string_equal(k.rows[1].api_secret, "");
    assert_int_equal(k.rows[2].account, 1);
    assert_false(k.rows[2].opens);
    assert_ptr_equal(keys_find(&k, "ak2", 3), &k.rows[2]);
    assert_ptr_equal(keys_find(&k, "ak", 2), &k.rows[0]);
    assert_null(keys_find(&k, "a", 1));
    assert_null(keys_find(&k, "ak3", 3));
    assert_null(keys_find(&k, "", 0));
    char long_key[200];
    memset(long_key, 'a', sizeof long_key);
    assert_null(keys_find(&k, long_key, sizeof long_key));
    keys_free(&k);
    assert_int_equal(k.count, 0);
    assert_int_equal(k.rows[0].api_secret[0], 0);
}

static void faults_name_line_and_field(void **state) {
    (void)state;
    static struct keys k;
#define BASE "\"name\":\"a\",\"api_key\":\"k\",\"api_secret\":\"s\""
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "keys: a list of objects"},
        {"{}", "keys: a list of objects"},
        {"[]", "keys: none is there"},
        {"[1]", "keys: an object for each key"},
        {"[{" BASE "}", "keys.json: line 1: keys"},
        {"[{" BASE "}] x", "keys.json: line 1: keys"},
        {ROW("\"api_key\":\"k\",\"api_secret\":\"s\""), "name is missing"},
        {ROW("\"name\":\"a\",\"api_secret\":\"s\""), "api_key is missing"},
        {ROW("\"name\":\"a\",\"api_key\":\"k\""), "one of them"},
        {ROW(BASE ",\"ed25519_public_key\":\"" PUBLIC_KEY "\""), "one of them"},
        {ROW(BASE ",\"colour\":\"red\""), "colour: not known"},
        {ROW(BASE ",\"balance\":\"-1\""), "balance: an amount"},
        {ROW(BASE ",\"balance\":\"x\""), "balance: an amount"},
        {ROW(BASE ",\"maker_fee\":\"0.2\""), "maker_fee: a rate"},
        {ROW(BASE ",\"taker_fee\":true"), "taker_fee: a rate"},
        {ROW(BASE ",\"permissions\":[\"fly\"]"), "permissions: a list of"},
        {ROW(BASE ",\"permissions\":\"read\""), "permissions: a list of"},
        {ROW("\"name\":\"\",\"api_key\":\"k\",\"api_secret\":\"s\""), "name: a name"},
        {ROW("\"name\":5"), "name: a name"},
        {ROW("\"name\":\"a\",\"api_key\":\"k k\",\"api_secret\":\"s\""), "api_key: 1 to 71"},
        {ROW("\"name\":\"a\",\"api_key\":\"k\",\"api_secret\":\"s\\u0000\""), "api_secret: 1 to"},
        {ROW("\"name\":\"a\",\"api_key\":\"k\",\"ed25519_public_key\":\"nonsense\""), "key of a"},
        {"[{" BASE "},\n{\"name\":\"b\",\"api_key\":\"k\",\"api_secret\":\"t\"}]",
         "line 2: b: api_key is used twice"},
        {"[{" BASE "},\n{\"name\":\"a\",\"api_key\":\"l\",\"api_secret\":\"t\",\"balance\":\"1\"}]",
         "line 2: a: balance and fees are said by the first row"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        assert_int_equal(parse(&k, rows[i].text, &err), ST_INVALID);
        if (!strstr(err.text, rows[i].says)) fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(k.count, 0);
    }
}

static void too_many_are_refused(void **state) {
    (void)state;
    static struct keys k;
    struct err err = {0};
    static char text[1 << 16];
    size_t n = (size_t)snprintf(text, sizeof text, "[");
    for (int i = 0; i <= KEYS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s{\"name\":\"n%d\",\"api_key\":\"k%d\",\"api_secret\":\"s\"}",
                              i ? "," : "", i, i);
    snprintf(text + n, sizeof text - n, "]");
    assert_int_equal(parse(&k, text, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "at most 256"));
}

static void write_file(const char *path, const char *text, mode_t mode) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void file_that_others_can_read_warns(void **state) {
    (void)state;
    static struct keys k;
    char dir[] = "/tmp/test_keysXXXXXX", path[64];
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/k.json", dir);
    assert_int_equal(keys_load(&k, path, &err), ST_NOT_FOUND);
    write_file(path, "[{" BASE "}]", 0600);
    err = (struct err){0};
    assert_int_equal(keys_load(&k, path, &err), ST_OK);
    assert_string_equal(err.text, "");
    keys_free(&k);
    write_file(path, "[{" BASE "}]", 0644);
    assert_int_equal(keys_load(&k, path, &err), ST_OK);
    assert_int_equal(err.st, ST_REFUSED);
    assert_non_null(strstr(err.text, "0600"));
    keys_free(&k);
    unlink(path);
    rmdir(dir);
}

static void open_account_stays_the_same(void **state) {
    (void)state;
    static struct keys a, b, c;
    char dir[] = "/tmp/test_keysXXXXXX", path[64];
    struct err err = {0};
    struct stat about;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/open_account.json", dir);
    assert_int_equal(keys_open_account(&a, dir, money_e8(10000 * FX_ONE), &err), ST_OK);
    assert_int_equal(a.count, 1);
    assert_int_equal(strlen(a.rows[0].api_key), 64);
    assert_int_equal(strlen(a.rows[0].api_secret), 64);
    assert_int_equal(a.rows[0].balance.e8, 10000 * FX_ONE);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(keys_open_account(&b, dir, money_e8(5), &err), ST_OK);
    assert_string_equal(a.rows[0].api_key, b.rows[0].api_key);
    assert_string_equal(a.rows[0].api_secret, b.rows[0].api_secret);
    assert_int_equal(b.rows[0].balance.e8, 10000 * FX_ONE);
    assert_int_equal(keys_open_account(&c, NULL, money_e8(5), &err), ST_OK);
    assert_string_not_equal(a.rows[0].api_key, c.rows[0].api_key);
    assert_string_not_equal(c.rows[0].api_key, c.rows[0].api_secret);
    keys_free(&a);
    keys_free(&b);
    keys_free(&c);
    unlink(path);
    rmdir(dir);
    assert_int_equal(keys_open_account(&a, dir, money_e8(0), &err), ST_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(faults_name_line_and_field),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(file_that_others_can_read_warns),
        cmocka_unit_test(open_account_stays_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
