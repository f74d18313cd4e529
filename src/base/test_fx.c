#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fx.h"
#include "base/rng.h"

__extension__ typedef __int128 i128;

static uint64_t seed;

/* ---- rounding ---- */

static void test_roundings_by_hand(void **state) {
    (void)state;
    static const struct {
        int64_t a, b, c, floor, ceil, half_even;
    } rows[] = {{7, 1, 2, 3, 4, 4},
                {5, 1, 2, 2, 3, 2},
                {-5, 1, 2, -3, -2, -2},
                {-7, 1, 2, -4, -3, -4},
                {1, 1, 3, 0, 1, 0},
                {-1, 1, 3, -1, 0, 0},
                {2, 1, 3, 0, 1, 1},
                {-2, 1, 3, -1, 0, -1},
                {6, 1, 3, 2, 2, 2},
                {-6, 1, 3, -2, -2, -2},
                {0, 5, 7, 0, 0, 0},
                {1, 1, 2, 0, 1, 0},
                {-1, 1, 2, -1, 0, 0},
                {3, -1, 2, -2, -1, -2},
                {-3, -1, 2, 1, 2, 2},
                {INT64_MAX, 2, 2, INT64_MAX, INT64_MAX, INT64_MAX},
                {INT64_MIN, 3, 3, INT64_MIN, INT64_MIN, INT64_MIN},
                {INT64_MIN, INT64_MAX, INT64_MAX, INT64_MIN, INT64_MIN, INT64_MIN},
                {INT64_MAX, 1, INT64_MAX, 1, 1, 1},
                {INT64_MIN, 1, INT64_MAX, -2, -1, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fx_muldiv_floor(rows[i].a, rows[i].b, rows[i].c), rows[i].floor);
        assert_int_equal(fx_muldiv_ceil(rows[i].a, rows[i].b, rows[i].c), rows[i].ceil);
        assert_int_equal(fx_muldiv_half_even(rows[i].a, rows[i].b, rows[i].c), rows[i].half_even);
    }
    assert_int_equal(fx_mul_floor(FX_ONE / 3, FX_ONE / 3), 11111110);
    assert_int_equal(fx_mul_ceil(FX_ONE / 3, FX_ONE / 3), 11111111);
    assert_int_equal(fx_mul_floor(-FX_ONE / 3, FX_ONE / 3), -11111111);
    assert_int_equal(money_mul_floor(px_e8(6789010000000), qty_e8(150000)).e8, 10183515000);
    assert_int_equal(money_rate_ceil(money_e8(1), rate_e8(50000)).e8, 1);
    assert_int_equal(money_rate_half_even(money_e8(1000), rate_e8(50000)).e8, 0);
    assert_int_equal(money_rate_half_even(money_e8(3000), rate_e8(50000)).e8, 2);
}

static int64_t any_i64(struct rng *rng) {
    return (int64_t)rng_u64(rng) >> rng_below(rng, 64);
}

/* Defined by inequalities, not by another division: floor*c <= a*b < (floor+1)*c and so on. */
static void test_roundings_by_definition(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    int tested = 0;
    for (int i = 0; i < 300000; i++) {
        int64_t a = any_i64(&rng), b = any_i64(&rng);
        int64_t c = (int64_t)(rng_u64(&rng) >> (1 + rng_below(&rng, 63)));
        if (i % 3 == 0) c = FX_ONE;
        if (i % 7 == 0 && c > 0) a = c / 2, b = i % 14 ? 1 : -1; /* ties */
        if (c == 0) continue;
        i128 product = (i128)a * b, limit = (i128)INT64_MAX * c;
        if (product > limit - c || product < -limit + c) continue;
        tested++;
        i128 lo = fx_muldiv_floor(a, b, c), hi = fx_muldiv_ceil(a, b, c),
             near = fx_muldiv_half_even(a, b, c);
        assert_true(lo * c <= product && product < (lo + 1) * c);
        assert_true(hi * c >= product && product > (hi - 1) * c);
        assert_true(near == lo || near == hi);
        i128 error = near * c > product ? near * c - product : product - near * c;
        assert_true(2 * error <= c);
        if (2 * error == c) assert_true(near % 2 == 0);
    }
    assert_true(tested > 100000);
}

static void test_snaps(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 1);
    for (int i = 0; i < 200000; i++) {
        int64_t grid = 1 + (int64_t)(rng_u64(&rng) >> (2 + rng_below(&rng, 61)));
        int64_t x = any_i64(&rng) / 2;
        if (INT64_MAX / 2 - grid < 0) continue;
        int64_t lo = fx_snap_down(x, grid), hi = fx_snap_up(x, grid),
                near = fx_snap_nearest(x, grid);
        assert_true(lo % grid == 0 && hi % grid == 0);
        assert_true(lo <= x && (i128)x - lo < grid);
        assert_true(hi >= x && (i128)hi - x < grid);
        assert_int_equal(near, x - lo >= hi - x && lo != hi ? hi : lo); /* ties go up */
    }
    assert_int_equal(fx_snap_nearest(15, 10), 20);
    assert_int_equal(fx_snap_nearest(-15, 10), -10);
    assert_int_equal(fx_snap_nearest(-16, 10), -20);
    assert_int_equal(fx_snap_up(INT64_MAX, 1), INT64_MAX);
    assert_int_equal(fx_snap_up(INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(fx_snap_nearest(INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(fx_snap_nearest(1, INT64_MAX), 0);
    assert_int_equal(fx_snap_down(INT64_MIN, 2), INT64_MIN);
    assert_int_equal(fx_snap_up(INT64_MIN, INT64_MAX), -INT64_MAX);
}

/* ---- text ---- */

static const struct {
    const char *text;
    enum status st, st_truncate;
    int64_t e8;
} parse_rows[] = {{"0", ST_OK, ST_OK, 0},
                  {"-0", ST_OK, ST_OK, 0},
                  {"1", ST_OK, ST_OK, FX_ONE},
                  {"-12.345", ST_OK, ST_OK, -1234500000},
                  {"1e-05", ST_OK, ST_OK, 1000},
                  {"1E-5", ST_OK, ST_OK, 1000},
                  {"2.5e+3", ST_OK, ST_OK, 2500 * FX_ONE},
                  {"0.00000001", ST_OK, ST_OK, 1},
                  {"1e-8", ST_OK, ST_OK, 1},
                  {"1e-9", ST_RANGE, ST_OK, 0},
                  {"0.000000010", ST_OK, ST_OK, 1},
                  {"0.000000019", ST_RANGE, ST_OK, 1},
                  {"-0.000000019", ST_RANGE, ST_OK, -1},
                  {"1.123456789", ST_RANGE, ST_OK, 112345678},
                  {"1.12345678000000000000000000000000000000000000", ST_OK, ST_OK, 112345678},
                  {"1.12345678000000000000000000000000000000000001", ST_RANGE, ST_OK, 112345678},
                  {"92233720368.54775807", ST_OK, ST_OK, INT64_MAX},
                  {"-92233720368.54775807", ST_OK, ST_OK, -INT64_MAX},
                  {"-92233720368.54775808", ST_OK, ST_OK, INT64_MIN},
                  {"92233720368.54775808", ST_RANGE, ST_RANGE, 0},
                  {"-92233720368.54775809", ST_RANGE, ST_RANGE, 0},
                  {"92233720369", ST_RANGE, ST_RANGE, 0},
                  {"92233720368.547758079", ST_RANGE, ST_OK, INT64_MAX},
                  {"1e11", ST_RANGE, ST_RANGE, 0},
                  {"1e10", ST_OK, ST_OK, FX_ONE * 10000000000},
                  {"1e999999999999", ST_RANGE, ST_RANGE, 0},
                  {"0e999999999999", ST_OK, ST_OK, 0},
                  {"1e-999999999999", ST_RANGE, ST_OK, 0},
                  {"0e-999999999999", ST_OK, ST_OK, 0},
                  {"99999999999999999999999999999999999999999999", ST_RANGE, ST_RANGE, 0},
                  {"00000000000000000000000000000000000000001.5", ST_OK, ST_OK, 150000000},
                  {"+3", ST_OK, ST_OK, 3 * FX_ONE},
                  {"3.", ST_OK, ST_OK, 3 * FX_ONE},
                  {".5", ST_OK, ST_OK, FX_ONE / 2},
                  {"", ST_INVALID, ST_INVALID, 0},
                  {"-", ST_INVALID, ST_INVALID, 0},
                  {".", ST_INVALID, ST_INVALID, 0},
                  {"e5", ST_INVALID, ST_INVALID, 0},
                  {"1e", ST_INVALID, ST_INVALID, 0},
                  {"1e+", ST_INVALID, ST_INVALID, 0},
                  {"1.2.3", ST_INVALID, ST_INVALID, 0},
                  {"1 ", ST_INVALID, ST_INVALID, 0},
                  {" 1", ST_INVALID, ST_INVALID, 0},
                  {"--1", ST_INVALID, ST_INVALID, 0},
                  {"1x", ST_INVALID, ST_INVALID, 0},
                  {"0x10", ST_INVALID, ST_INVALID, 0},
                  {"nan", ST_INVALID, ST_INVALID, 0},
                  {"1,5", ST_INVALID, ST_INVALID, 0},
                  {"111111111111111111111111111111.11x", ST_INVALID, ST_INVALID, 0},
                  {"1000000000000000000000000000000000e-33", ST_OK, ST_OK, FX_ONE},
                  {"1234567890123456789012345678901234e-33", ST_RANGE, ST_OK, 123456789},
                  {"0.000000000000000000000000000000000000000001e42", ST_OK, ST_OK, FX_ONE}};

static void test_parse_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parse_rows / sizeof *parse_rows; i++) {
        int64_t out = 77;
        enum status st = fx_parse(&out, parse_rows[i].text, strlen(parse_rows[i].text));
        if (st != parse_rows[i].st || out != (st == ST_OK ? parse_rows[i].e8 : 77))
            fail_msg("fx_parse %s: %s %lld", parse_rows[i].text, status_name(st), (long long)out);
        out = 77;
        st = fx_parse_truncate(&out, parse_rows[i].text, strlen(parse_rows[i].text));
        if (st != parse_rows[i].st_truncate || out != (st == ST_OK ? parse_rows[i].e8 : 77))
            fail_msg("fx_parse_truncate %s: %s %lld", parse_rows[i].text, status_name(st),
                     (long long)out);
    }
    int64_t out;
    assert_int_equal(fx_parse(&out, "1.5garbage", 3), ST_OK); /* the length rules */
    assert_int_equal(out, FX_ONE * 3 / 2);
}

static void test_text_round_trips(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 2);
    for (int i = 0; i < 300000; i++) {
        int64_t x = any_i64(&rng), back;
        if (i == 0) x = INT64_MIN;
        if (i == 1) x = INT64_MAX;
        if (i % 3 == 0) x = x / FX_ONE * FX_ONE;
        char text[FX_TEXT_SIZE];
        size_t n = fx_format(text, x);
        assert_int_equal(n, strlen(text));
        assert_true(n < FX_TEXT_SIZE);
        assert_int_equal(fx_parse(&back, text, n), ST_OK);
        assert_true(back == x);
        if (strchr(text, '.')) assert_true(text[n - 1] != '0' && text[n - 1] != '.');
        n = fx_format_fixed(text, x, 8);
        assert_int_equal(fx_parse(&back, text, n), ST_OK);
        assert_true(back == x);
        assert_true(text[n - 9] == '.');
    }
    char text[FX_TEXT_SIZE];
    fx_format(text, INT64_MIN);
    assert_string_equal(text, "-92233720368.54775808");
    fx_format(text, -1);
    assert_string_equal(text, "-0.00000001");
    fx_format(text, 0);
    assert_string_equal(text, "0");
    fx_format_fixed(text, 0, 2);
    assert_string_equal(text, "0.00");
    fx_format_fixed(text, -1250000000, 1);
    assert_string_equal(text, "-12.5");
    fx_format_fixed(text, 300000000, 0);
    assert_string_equal(text, "3");
}

/* Exponent form against plain form: d.dddde-k is the same number as its digits shifted. */
static void test_exponents_shift(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 3);
    for (int i = 0; i < 50000; i++) {
        int64_t mantissa = (int64_t)rng_below(&rng, 1000000000), plain, shifted, want = mantissa;
        int exponent = (int)rng_below(&rng, 9);
        char text[64];
        for (int k = 0; k < 8 - exponent; k++) want *= 10;
        int n = snprintf(text, sizeof text, "%lldE-%02d", (long long)mantissa, exponent);
        assert_int_equal(fx_parse(&shifted, text, (size_t)n), ST_OK);
        assert_int_equal(shifted, want);
        n = snprintf(text, sizeof text, "%lld.%02llde0", (long long)mantissa / 100,
                     (long long)mantissa % 100);
        assert_int_equal(fx_parse(&plain, text, (size_t)n), ST_OK);
        assert_int_equal(plain, mantissa * 1000000);
    }
}

static void test_float_gates(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 4);
    for (int i = 0; i < 100000; i++) {
        int64_t x = (int64_t)(rng_u64(&rng) >> 12) - (INT64_C(1) << 51); /* 53 bits hold it */
        assert_int_equal(fx_from_f64(fx_to_f64(x)), x);
    }
    assert_int_equal(fx_from_f64(0.1), 10000000);
    assert_int_equal(fx_from_f64(-0.1), -10000000);
    assert_int_equal(fx_from_f64(1.000000004), 100000000);
    assert_int_equal(fx_from_f64(1.000000006), 100000001);
}

/* ---- what must stop the process ---- */

static void call(int which) {
    switch (which) {
    case 0:
        fx_mul_floor(INT64_MAX, 2 * FX_ONE);
        break;
    case 1:
        fx_muldiv_ceil(1, 1, 0);
        break;
    case 2:
        fx_muldiv_half_even(1, 1, -3);
        break;
    case 3:
        fx_snap_down(INT64_MIN, 3);
        break;
    case 4:
        fx_snap_up(INT64_MAX, 2);
        break;
    case 5:
        fx_snap_nearest(5, 0);
        break;
    case 6:
        fx_from_f64((double)NAN);
        break;
    case 7:
        fx_from_f64(1e12);
        break;
    case 8: {
        char out[FX_TEXT_SIZE];
        fx_format_fixed(out, 1, 7);
        break;
    }
    default:
        fail();
    }
}

static void test_our_mistakes_abort(void **state) {
    (void)state;
    for (int which = 0; which <= 8; which++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr)) _exit(3);
            signal(SIGABRT, SIG_DFL);
            call(which);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("mistake %d went through", which);
    }
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20260403;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roundings_by_hand),
        cmocka_unit_test(test_roundings_by_definition),
        cmocka_unit_test(test_snaps),
        cmocka_unit_test(test_parse_rows),
        cmocka_unit_test(test_text_round_trips),
        cmocka_unit_test(test_exponents_shift),
        cmocka_unit_test(test_float_gates),
        cmocka_unit_test(test_our_mistakes_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
