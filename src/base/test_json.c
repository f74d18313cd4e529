#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "base/fx.h"
#include "base/json.h"
#include "base/json_internal.h"
#include "base/numtext.h"
#include "base/rng.h"

static uint64_t seed;

static struct json_reader reader(const char *text) {
    struct json_reader r;
    json_reader_init(&r, text, strlen(text));
    return r;
}

static bool accepts_n(const char *text, size_t size) {
    struct json_reader r;
    json_reader_init(&r, text, size);
    json_skip(&r);
    return json_finish(&r) == ST_OK;
}

static bool accepts(const char *text) {
    return accepts_n(text, strlen(text));
}

static void test_walks_a_frame(void **state) {
    (void)state;
    struct json_reader r =
        reader(" {\"e\":\"trade\",\"E\" : 1700000000123,\"p\":\"67890.10\",\n"
               "\"m\":false, \"x\":{\"deep\":[1,{\"y\":null}]},\"b\":[[\"1\",\"2\"],[]]} ");
    struct json_text key, event = {0};
    int64_t ts = 0, px = 0;
    bool maker = true;
    unsigned rows = 0, cells = 0;
    assert_true(json_object_begin(&r));
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "e"))
            event = json_string(&r);
        else if (json_text_is(&key, "E"))
            ts = json_i64(&r);
        else if (json_text_is(&key, "p"))
            px = json_e8(&r);
        else if (json_text_is(&key, "m"))
            maker = json_bool(&r);
        else if (json_text_is(&key, "b")) {
            json_array_begin(&r);
            for (; json_array_next(&r); rows++) {
                json_array_begin(&r);
                for (; json_array_next(&r); cells++) json_e8(&r);
            }
        } else
            json_skip(&r);
    }
    assert_int_equal(json_finish(&r), ST_OK);
    assert_true(json_text_is(&event, "trade"));
    assert_int_equal(ts, 1700000000123);
    assert_int_equal(px, 6789010000000);
    assert_false(maker);
    assert_int_equal(rows, 2);
    assert_int_equal(cells, 2);
}

static const char *const grammar_good[] = {"0",
                                           "-0",
                                           "1",
                                           "-1.5e+10",
                                           "1E-2",
                                           "0.0",
                                           "true",
                                           " false\t",
                                           "\r\nnull",
                                           "\"\"",
                                           "[]",
                                           "{}",
                                           "[1,2,[3]]",
                                           "{\"a\":{\"b\":[]}}",
                                           "\"\\u0000\\ud83d\\ude00\\/\\b\"",
                                           "\"\x7f\"",
                                           "\"\xc2\x80\"",
                                           "\"\xf4\x8f\xbf\xbf\"",
                                           "\"\xed\x9f\xbf\"",
                                           "[ ]",
                                           "{ }",
                                           "{\"\":0}",
                                           "{\"a\":1,\"a\":2}"};
static const char *const grammar_bad[] = {"",
                                          " ",
                                          "01",
                                          "-",
                                          "+1",
                                          "1.",
                                          ".5",
                                          "1e",
                                          "1e+",
                                          "0x1",
                                          "- 1",
                                          "--1",
                                          "1 2",
                                          "truex",
                                          "tru",
                                          "nul",
                                          "nulL",
                                          "True",
                                          "NaN",
                                          "Infinity",
                                          "-Infinity",
                                          "[",
                                          "]",
                                          "[1",
                                          "[1,",
                                          "[1,]",
                                          "[,1]",
                                          "[,]",
                                          "[1 2]",
                                          "{",
                                          "}",
                                          "{\"a\"",
                                          "{\"a\":",
                                          "{\"a\":1",
                                          "{\"a\":1,",
                                          "{\"a\":1,}",
                                          "{,}",
                                          "{\"a\" 1}",
                                          "{a:1}",
                                          "{1:1}",
                                          "{\"a\":}",
                                          "{\"a\":1 \"b\":2}",
                                          "[1}",
                                          "{\"a\":1]",
                                          "\"",
                                          "\"abc",
                                          "\"\\",
                                          "\"\\\"",
                                          "\"\\x\"",
                                          "\"\\u12\"",
                                          "\"\\u12g4\"",
                                          "\"\\ud800\"",
                                          "\"\\udc00\"",
                                          "\"\\ud800\\u0041\"",
                                          "\"\\ud800x\"",
                                          "\"\\ud800\\ud800\"",
                                          "\"\n\"",
                                          "\"\x1f\"",
                                          "\"\x80\"",
                                          "\"\xc0\x80\"",
                                          "\"\xc1\xbf\"",
                                          "\"\xe0\x80\x80\"",
                                          "\"\xed\xa0\x80\"",
                                          "\"\xf0\x80\x80\x80\"",
                                          "\"\xf4\x90\x80\x80\"",
                                          "\"\xf5\x80\x80\x80\"",
                                          "\"\xc2\"",
                                          "\"\xe2\x82\"",
                                          "\"\xff\"",
                                          "'a'",
                                          "[1,2]]",
                                          "\xef\xbb\xbf[]",
                                          "/**/1",
                                          "[1]\f",
                                          "\v1"};

static void test_accepts_exactly_the_grammar(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof grammar_good / sizeof *grammar_good; i++)
        if (!accepts(grammar_good[i])) fail_msg("refused: %s", grammar_good[i]);
    for (size_t i = 0; i < sizeof grammar_bad / sizeof *grammar_bad; i++)
        if (accepts(grammar_bad[i])) fail_msg("accepted: %s", grammar_bad[i]);
    assert_false(accepts_n("1\0", 2));
    assert_false(accepts_n("\"a\0b\"", 5));
}

/* Every prefix of a document, in a block of exactly its size: no read behind the end (the sanitizer
 * build sees it), and only the whole is a document. */
static void test_prefixes_are_refused(void **state) {
    (void)state;
    const char *text =
        "{\"key\":[1.5e3,\"str\\u00e9 \xc3\xa9 0123456789abcdef\",true,false,null,{\"k\":{}}]}";
    for (size_t n = 0; n <= strlen(text); n++) {
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(accepts_n(copy, n), n == strlen(text));
        free(copy);
    }
}

static void test_depth_is_limited(void **state) {
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_true(accepts_n(text + 1, 2 * JSON_DEPTH_MAX));
    assert_false(accepts_n(text, sizeof text));
}

static void test_first_error_sticks(void **state) {
    (void)state;
    struct json_reader r = reader("[1,\n\n  tru, \"x\"]");
    json_array_begin(&r);
    assert_true(json_array_next(&r));
    assert_int_equal(json_i64(&r), 1);
    assert_true(json_array_next(&r));
    json_skip(&r);
    const char *first = r.error;
    assert_non_null(first);
    assert_int_equal(r.error_offset, 7);
    assert_int_equal(json_error_line(&r), 3);
    struct json_text key;
    assert_false(json_array_next(&r));
    assert_false(json_object_next(&r, &key));
    assert_false(json_object_begin(&r));
    assert_int_equal(json_i64(&r), 0);
    assert_int_equal(json_e8(&r), 0);
    assert_true(json_f64(&r) == 0);
    assert_false(json_bool(&r));
    assert_null(json_string(&r).data);
    assert_null(json_number(&r).data);
    assert_null(json_raw(&r).data);
    assert_int_equal(json_peek(&r), JSON_NONE);
    assert_int_equal(json_finish(&r), ST_INVALID);
    assert_ptr_equal(r.error, first);
}

static void test_wrong_types_are_errors(void **state) {
    (void)state;
    struct json_reader r = reader("1");
    assert_null(json_string(&r).data);
    assert_non_null(r.error);
    r = reader("\"1\"");
    assert_null(json_number(&r).data);
    assert_non_null(r.error);
    r = reader("null");
    json_bool(&r);
    assert_non_null(r.error);
    r = reader("[]");
    assert_false(json_object_begin(&r));
    assert_non_null(r.error);
    r = reader("true");
    json_i64(&r);
    assert_non_null(r.error);
    r = reader("");
    json_i64(&r);
    assert_string_equal(r.error, "unexpected end of text");
}

static void test_unread_values_are_noticed(void **state) {
    (void)state;
    struct json_reader r = reader("{\"a\":1,\"b\":2}");
    struct json_text key;
    json_object_begin(&r);
    assert_true(json_object_next(&r, &key));
    assert_false(json_object_next(&r, &key));
    assert_non_null(r.error);
    r = reader("[1,2]");
    json_array_begin(&r);
    json_array_next(&r);
    json_i64(&r);
    assert_int_equal(json_finish(&r), ST_INVALID);
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {{"0", true, 0},
                {"-0", true, 0},
                {"\"0\"", true, 0},
                {"42", true, 42},
                {"\"-42\"", true, -42},
                {"9223372036854775807", true, INT64_MAX},
                {"-9223372036854775808", true, INT64_MIN},
                {"\"-9223372036854775808\"", true, INT64_MIN},
                {"9223372036854775808", false, 0},
                {"-9223372036854775809", false, 0},
                {"92233720368547758070", false, 0},
                {"1.0", false, 0},
                {"1e2", false, 0},
                {"\"\"", false, 0},
                {"\"+1\"", false, 0},
                {"\"01\"", false, 0},
                {"\" 1\"", false, 0},
                {"\"1 \"", false, 0},
                {"\"-\"", false, 0},
                {"\"\\u0031\"", false, 0},
                {"\"x\"", false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_reader r = reader(rows[i].text);
        int64_t value = json_i64(&r);
        bool ok = json_finish(&r) == ST_OK;
        if (ok != rows[i].ok || value != rows[i].value)
            fail_msg("%s gave %lld", rows[i].text, (long long)value);
    }
}

static void check_e8(const char *body) {
    int64_t want = 0, got;
    char text[96];
    enum status st = fx_parse(&want, body, strlen(body));
    if (st != ST_OK) want = 0;
    snprintf(text, sizeof text, "\"%s\"", body);
    struct json_reader r = reader(text);
    got = json_e8(&r);
    if ((json_finish(&r) == ST_OK) != (st == ST_OK) || got != want)
        fail_msg("%s: %lld, fx_parse %lld, seed %llu", text, (long long)got, (long long)want,
                 (unsigned long long)seed);
    if (!accepts(body) || strchr(body, ' ')) return; /* bare, a space is only white space */
    r = reader(body);
    got = json_e8(&r);
    if ((json_finish(&r) == ST_OK) != (st == ST_OK) || got != want)
        fail_msg("%s: %lld, fx_parse %lld, seed %llu", body, (long long)got, (long long)want,
                 (unsigned long long)seed);
}

static void test_e8_is_fx_parse(void **state) {
    (void)state;
    static const char *const rows[] = {"0",
                                       "-0",
                                       "1",
                                       "67890.10",
                                       "0.00000001",
                                       "-0.00000001",
                                       "0.000000001",
                                       "1.000000000",
                                       "1e-05",
                                       "1E3",
                                       "92233720368.54775807",
                                       "-92233720368.54775808",
                                       "92233720368.54775808",
                                       "99999999999",
                                       "1.",
                                       ".5",
                                       "+5",
                                       "",
                                       "-",
                                       ".",
                                       "1.2.3",
                                       "12a",
                                       " 1",
                                       "1 ",
                                       "123456789012345678",
                                       "0.123456789012345678",
                                       "000000000000000000001",
                                       "1e",
                                       "1e400",
                                       "1e-400",
                                       "0e400"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_e8(rows[i]);
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 200000; i++) {
        static const char alphabet[] = "0123456789012345678900000.-e";
        char body[32];
        size_t n = 0, length = 1 + rng_below(&rng, 24);
        if (rng_below(&rng, 4) == 0) body[n++] = '-';
        bool digits_only = rng_below(&rng, 2);
        size_t point = rng_below(&rng, length + 1);
        while (n < length) {
            size_t choices = digits_only ? 10 : sizeof alphabet - 1;
            body[n] = n == point ? '.' : alphabet[rng_below(&rng, choices)];
            n++;
        }
        body[n] = '\0';
        check_e8(body);
    }
}

static void check_f64(const char *text) {
    struct json_reader r = reader(text);
    double got = json_f64(&r), want = strtod(text, NULL);
    bool ok = json_finish(&r) == ST_OK;
    if (ok != (isfinite(want) != 0)) fail_msg("%s: accepted %d", text, ok);
    if (ok && memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %.17g, strtod %.17g", text, got, want);
}

/* glibc's strtod rounds correctly, so it is the independent source. */
static void test_f64_is_correctly_rounded(void **state) {
    (void)state;
    static const char *const rows[] = {"0",
                                       "-0",
                                       "-0.0e5",
                                       "1",
                                       "0.1",
                                       "1e22",
                                       "1e23",
                                       "1e-22",
                                       "9007199254740993",
                                       "9007199254740993e22",
                                       "1.7976931348623157e308",
                                       "1.7976931348623158e308",
                                       "1.7976931348623159e308",
                                       "1e309",
                                       "-1e309",
                                       "5e-324",
                                       "2e-324",
                                       "2.4703282292062327e-324",
                                       "2.4703282292062328e-324",
                                       "2.2250738585072011e-308",
                                       "123456789012345678901234567890",
                                       "0."
                                       "00000000000000000000000000000000000000000000000000000000000"
                                       "0000000000000000000000000000000000000001",
                                       "1e99999999999999999999",
                                       "1e-99999999999999999999",
                                       "0e99999999999999999999"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_f64(rows[i]);
    struct rng rng = rng_init(seed + 1);
    for (int i = 0; i < 100000; i++) {
        char text[96];
        uint64_t bits = rng_u64(&rng);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) continue;
        snprintf(text, sizeof text, "%.*e", (int)rng_below(&rng, 25), x);
        check_f64(text);
        snprintf(text, sizeof text, "%lld.%llue%d",
                 (long long)(rng_u64(&rng) >> rng_below(&rng, 64)),
                 (unsigned long long)rng_below(&rng, 1000000), (int)rng_below(&rng, 60) - 30);
        check_f64(text);
    }
}

/* Halfway between two doubles, exactly and a last digit more or less, beyond the digits kept. */
static void test_f64_of_long_texts(void **state) {
    (void)state;
    char text[4000];
    for (int scale = -1074; scale <= 900; scale += 141) {
        double x = ldexp(1.0, scale), up = nextafter(x, HUGE_VAL);
        int n = snprintf(text, sizeof text, "%.1200f", x);
        check_f64(text);
        (void)up;
        strcpy(text + n, "0000000000001");
        check_f64(text);
    }
    /* 1 + 2^-53 is the tie between 1 and the next double; printed exactly it has 53 decimals. */
    snprintf(text, sizeof text, "1.%s", "00000000000000011102230246251565404236316680908203125");
    struct json_reader r = reader(text);
    assert_true(json_f64(&r) == 1.0);
    size_t n = strlen(text);
    memset(text + n, '0', 1500);
    strcpy(text + n + 1500, "1");
    r = reader(text);
    assert_true(json_f64(&r) == nextafter(1.0, 2.0));
    check_f64(text);
}

static void test_f64_of_strings(void **state) {
    (void)state;
    struct json_reader r = reader("\"5E-1\"");
    assert_true(json_f64(&r) == 0.5);
    assert_int_equal(json_finish(&r), ST_OK);
    static const char *const bad[] = {"\"\"",   "\"NaN\"", "\"inf\"",     "\"0x1\"",
                                      "\" 1\"", "\"1,5\"", "\"1\\u0031\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = reader(bad[i]);
        json_f64(&r);
        assert_non_null(r.error);
    }
}

static void test_escapes_are_decoded(void **state) {
    (void)state;
    struct json_reader r = reader("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\\u00e9\\u20ac\\ud83d\\ude00z\"");
    struct json_text text = json_string(&r);
    const char *want = "a\n\t\"\\/\b\f\r\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    char out[64];
    size_t length;
    assert_true(text.escaped);
    assert_int_equal(json_text_copy(out, sizeof out, &length, &text), ST_OK);
    assert_string_equal(out, want);
    assert_int_equal(length, strlen(want));
    assert_true(json_text_is(&text, want));
    assert_false(json_text_is(&text, "a\n"));
    assert_false(json_text_is(&text, "a\n\t\"\\/\b\f\r\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80zz"));
    for (size_t size = 1; size <= strlen(want); size++) {
        assert_int_equal(json_text_copy(out, size, &length, &text), ST_RANGE);
        assert_string_equal(out, "");
        assert_int_equal(length, 0);
    }
    r = reader("{\"\\u0070\":1}");
    json_object_begin(&r);
    assert_true(json_object_next(&r, &text));
    assert_true(json_text_is(&text, "p"));
    r = reader("\"plain\"");
    text = json_string(&r);
    assert_int_equal(json_text_copy(out, 5, NULL, &text), ST_RANGE);
    assert_int_equal(json_text_copy(out, 6, NULL, &text), ST_OK);
    assert_string_equal(out, "plain");
    struct json_text made = {.data = "\\ud800", .size = 6, .escaped = true};
    assert_int_equal(json_text_copy(out, sizeof out, NULL, &made), ST_INVALID);
}

static void test_raw_is_the_value_s_text(void **state) {
    (void)state;
    struct json_reader r = reader("{ \"a\" : [1, {\"b\":\"]\"} ] , \"c\":\"x\" }");
    struct json_text key, raw;
    json_object_begin(&r);
    json_object_next(&r, &key);
    raw = json_raw(&r);
    assert_int_equal(raw.size, strlen("[1, {\"b\":\"]\"} ]"));
    assert_memory_equal(raw.data, "[1, {\"b\":\"]\"} ]", raw.size);
    json_object_next(&r, &key);
    raw = json_raw(&r);
    assert_memory_equal(raw.data, "\"x\"", raw.size);
    assert_false(json_object_next(&r, &key));
    assert_int_equal(json_finish(&r), ST_OK);
}

static void test_scan_twins_agree(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 2);
    for (int i = 0; i < 200000; i++) {
        char text[80];
        size_t n = rng_below(&rng, sizeof text + 1);
        uint64_t rare = 1 + rng_below(&rng, 64);
        for (size_t k = 0; k < n; k++)
            text[k] = rng_below(&rng, rare) ? (char)(' ' + (int)rng_below(&rng, 95))
                                            : (char)rng_u64(&rng);
        char *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, text, n);
        size_t want = 0;
        while (want < n && !json_byte_is_special((unsigned char)exact[want])) want++;
        assert_int_equal(json_scan_ref(exact, exact + n) - exact, want);
        assert_int_equal(json_scan(exact, exact + n) - exact, want);
        free(exact);
    }
}

/* ---- writer ---- */

static void test_writes_a_document(void **state) {
    (void)state;
    char out[512];
    struct json_writer w;
    json_writer_init(&w, out, sizeof out);
    json_write_object_begin(&w);
    json_write_key(&w, "s");
    json_write_string(&w, "a\"\\\n\t\x01\x7f\xc3\xa9\xff");
    json_write_key(&w, "i");
    json_write_i64(&w, INT64_MIN);
    json_write_key(&w, "u");
    json_write_u64(&w, UINT64_MAX);
    json_write_key(&w, "f");
    json_write_array_begin(&w);
    json_write_f64(&w, 0.1);
    json_write_f64(&w, -3);
    json_write_f64(&w, (double)NAN);
    json_write_f64(&w, HUGE_VAL);
    json_write_array_end(&w);
    json_write_key(&w, "e");
    json_write_array_begin(&w);
    json_write_e8(&w, 1250000000);
    json_write_e8_number(&w, -1);
    json_write_array_end(&w);
    json_write_key(&w, "o");
    json_write_object_begin(&w);
    json_write_object_end(&w);
    json_write_key(&w, "r");
    json_write_raw(&w, "[1]", 3);
    json_write_key(&w, "z");
    json_write_null(&w);
    json_write_key(&w, "b");
    json_write_bool(&w, true);
    json_write_object_end(&w);
    assert_int_equal(json_writer_finish(&w), ST_OK);
    assert_string_equal(
        out, "{\"s\":\"a\\\"\\\\\\n\\t\\u0001\x7f\xc3\xa9\xef\xbf\xbd\",\"i\":-9223372036854775808,"
             "\"u\":18446744073709551615,\"f\":[0.1,-3,null,null],\"e\":[\"12.5\",-0.00000001],"
             "\"o\":{},\"r\":[1],\"z\":null,\"b\":true}");
    assert_int_equal(strlen(out), w.size);
    assert_true(accepts(out));
}

static void write_sample(struct json_writer *w) {
    json_write_array_begin(w);
    json_write_string(w, "abc");
    json_write_object_begin(w);
    json_write_key(w, "k");
    json_write_f64(w, 1.5);
    json_write_object_end(w);
    json_write_array_end(w);
}

static void test_overflow_sticks(void **state) {
    (void)state;
    char whole[64], out[64];
    struct json_writer w;
    json_writer_init(&w, whole, sizeof whole);
    write_sample(&w);
    assert_int_equal(json_writer_finish(&w), ST_OK);
    size_t length = w.size;
    for (size_t capacity = 0; capacity <= length + 1; capacity++) {
        memset(out, '#', sizeof out);
        json_writer_init(&w, out, capacity);
        write_sample(&w);
        assert_int_equal(json_writer_finish(&w), capacity == length + 1 ? ST_OK : ST_FULL);
        for (size_t i = capacity; i < sizeof out; i++) assert_int_equal(out[i], '#');
        if (capacity > 0) assert_memory_equal(out, whole, w.size);
    }
}

static void test_f64_round_trips(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 3);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = rng_u64(&rng);
        double x, back;
        memcpy(&x, &bits, sizeof x);
        if (i % 4 == 1) x = (double)(int64_t)(bits >> rng_below(&rng, 64));
        if (i % 4 == 2) x = (double)(int64_t)rng_below(&rng, 100000000) / 1e4;
        if (!isfinite(x)) continue;
        char text[NUMTEXT_SIZE];
        size_t n = numtext_f64(text, x);
        assert_int_equal(n, strlen(text));
        assert_true(accepts(text));
        back = strtod(text, NULL);
        if (memcmp(&x, &back, sizeof x) != 0)
            fail_msg("%.17g printed as %s, seed %llu", x, text, (unsigned long long)seed);
    }
    char text[NUMTEXT_SIZE];
    numtext_f64(text, -0.0);
    assert_string_equal(text, "-0");
    numtext_f64(text, DBL_MAX);
    assert_string_equal(text, "1.7976931348623157e+308");
    numtext_f64(text, 0.3);
    assert_string_equal(text, "0.3");
}

/* Whatever bytes a string has, the text is JSON, and valid UTF-8 comes back as it was. */
static void test_strings_round_trip(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 4);
    for (int i = 0; i < 50000; i++) {
        char bytes[40], out[300], back[130];
        size_t n = rng_below(&rng, sizeof bytes + 1), length;
        bool ascii = rng_below(&rng, 2);
        for (size_t k = 0; k < n; k++) bytes[k] = (char)(rng_u64(&rng) & (ascii ? 0x7F : 0xFF));
        struct json_writer w;
        json_writer_init(&w, out, sizeof out);
        json_write_string_n(&w, bytes, n);
        assert_int_equal(json_writer_finish(&w), ST_OK);
        struct json_reader r;
        json_reader_init(&r, out, w.size);
        struct json_text text = json_string(&r);
        assert_int_equal(json_finish(&r), ST_OK);
        assert_int_equal(json_text_copy(back, sizeof back, &length, &text), ST_OK);
        if (!ascii) continue;
        assert_int_equal(length, n);
        assert_memory_equal(back, bytes, n);
    }
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20260401;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks_a_frame),
        cmocka_unit_test(test_accepts_exactly_the_grammar),
        cmocka_unit_test(test_prefixes_are_refused),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_first_error_sticks),
        cmocka_unit_test(test_wrong_types_are_errors),
        cmocka_unit_test(test_unread_values_are_noticed),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_e8_is_fx_parse),
        cmocka_unit_test(test_f64_is_correctly_rounded),
        cmocka_unit_test(test_f64_of_long_texts),
        cmocka_unit_test(test_f64_of_strings),
        cmocka_unit_test(test_escapes_are_decoded),
        cmocka_unit_test(test_raw_is_the_value_s_text),
        cmocka_unit_test(test_scan_twins_agree),
        cmocka_unit_test(test_writes_a_document),
        cmocka_unit_test(test_overflow_sticks),
        cmocka_unit_test(test_f64_round_trips),
        cmocka_unit_test(test_strings_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
