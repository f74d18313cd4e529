#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/names/names.h"

static void check_names(int (*find)(const char *), const char *(*text)(int),
                        const char *const *want, int count) {
    for (int i = 0; i < count; i++) {
        assert_string_equal(text(i), want[i]);
        assert_int_equal(find(want[i]), i);
    }
    assert_string_equal(text(count), "?");
    assert_string_equal(text(-1), "?");
    assert_int_equal(find("?"), -1);
    assert_int_equal(find(""), -1);
}

#define CHECK_NAMES(find, text, ...)                                                               \
    do {                                                                                           \
        static const char *const want[] = {__VA_ARGS__};                                           \
        check_names(find, text, want, (int)(sizeof want / sizeof *want));                          \
    } while (0)

static const char *type_text(int v) {
    return order_type_text((enum order_type)v);
}
static const char *tif_text(int v) {
    return time_in_force_text((enum time_in_force)v);
}

static void test_round_trips(void **state) {
    (void)state;
    CHECK_NAMES(venue_order_type_find, type_text, "MARKET", "LIMIT", "STOP_MARKET",
                "TAKE_PROFIT_MARKET", "STOP", "TAKE_PROFIT", "TRAILING_STOP_MARKET");
    CHECK_NAMES(venue_tif_find, tif_text, "GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC");
    CHECK_NAMES(venue_working_type_find, venue_working_type_text, "CONTRACT_PRICE", "MARK_PRICE");
    CHECK_NAMES(venue_position_side_find, venue_position_side_text, "BOTH", "LONG", "SHORT");
    CHECK_NAMES(venue_stp_find, venue_stp_text, "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER",
                "EXPIRE_BOTH");
    CHECK_NAMES(venue_price_match_find, venue_price_match_text, "NONE", "OPPONENT", "OPPONENT_5",
                "OPPONENT_10", "OPPONENT_20", "QUEUE", "QUEUE_5", "QUEUE_10", "QUEUE_20");
    CHECK_NAMES(venue_interval_find, venue_interval_text, "1m", "3m", "5m", "15m", "30m", "1h",
                "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M");
    assert_int_equal(venue_side_find("BUY"), SIDE_BUY);
    assert_int_equal(venue_side_find("SELL"), SIDE_SELL);
    /* NONE is ours, not the venue's; spellings are exact. */
    static const char *const not_sides[] = {"NONE", "buy", "BUY ", "", "?"};
    for (size_t i = 0; i < sizeof not_sides / sizeof *not_sides; i++)
        assert_int_equal(venue_side_find(not_sides[i]), -1);
    assert_int_equal(venue_tif_find("RPI"), -1);
    assert_int_equal(PRICE_MATCH_QUEUE_20, venue_price_match_find("QUEUE_20"));
    assert_int_equal(STP_EXPIRE_BOTH, venue_stp_find("EXPIRE_BOTH"));
    assert_int_equal(POSITION_SHORT, venue_position_side_find("SHORT"));
    assert_int_equal(WORKING_MARK_PRICE, venue_working_type_find("MARK_PRICE"));
    assert_int_equal(ORDER_TRAILING_STOP_MARKET, venue_order_type_find("TRAILING_STOP_MARKET"));
    assert_int_equal(TIF_GTE_GTC, venue_tif_find("GTE_GTC"));
}

static int64_t ns_of(const char *text) {
    int64_t ns;
    assert_int_equal(tstamp_parse(&ns, text), ST_OK);
    return ns;
}

static void test_interval_examples(void **state) {
    (void)state;
    static const struct {
        const char *interval, *ts, *open;
    } rows[] = {
        {"1m", "2026-11-22T13:37:59.999", "2026-11-22T13:37"},
        {"15m", "2026-11-22T13:37:59.999", "2026-11-22T13:30"},
        {"8h", "2026-11-22T16:00:00", "2026-11-22T16:00"},
        {"8h", "2026-11-22T15:59:59.999999999", "2026-11-22T08:00"},
        /* 2026-11-22 is a Sunday. */
        {"1w", "2026-11-22T23:59:59.999999999", "2026-11-16"},
        {"1w", "2026-11-23T00:00", "2026-11-23"},
        /* 20773 days since 1970-01-01, 20772 = 3 * 6924 */
        {"3d", "2026-11-16T12:00", "2026-11-15"},
        {"1M", "2024-02-29T23:59:59", "2024-02-01"},
        {"1M", "2024-03-01T00:00:00", "2024-03-01"},
        {"1M", "2100-03-01T00:00:00", "2100-03-01"},
        {"1M", "2100-02-28T23:59:59", "2100-02-01"},
        {"1M", "2026-12-31T23:59:59.999999999", "2026-12-01"},
        {"1M", "1970-01-01T00:00:00", "1970-01-01"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(
            venue_interval_open(venue_interval_find(rows[i].interval), ns_of(rows[i].ts)),
            ns_of(rows[i].open));
    assert_int_equal(venue_interval_ns(venue_interval_find("12h")), 12 * NS_PER_HOUR);
    assert_int_equal(venue_interval_ns(venue_interval_find("1w")), 7 * NS_PER_DAY);
    assert_int_equal(venue_interval_ns(venue_interval_find("1M")), 0);
    assert_int_equal(venue_interval_ns(-1), 0);
    assert_int_equal(venue_interval_ns(VENUE_INTERVALS), 0);
}

/* The C library's calendar names the same starts, before 1970 too. */
static void check_calendar(int64_t ts) {
    int64_t seconds = ts / NS_PER_SECOND;
    if (seconds * NS_PER_SECOND > ts) seconds--;
    time_t t = (time_t)seconds;
    struct tm broken;
    assert_non_null(gmtime_r(&t, &broken));
    struct tm month = {.tm_year = broken.tm_year, .tm_mon = broken.tm_mon, .tm_mday = 1};
    assert_int_equal(venue_interval_open(14, ts), (int64_t)timegm(&month) * NS_PER_SECOND);
    struct tm week = {.tm_year = broken.tm_year,
                      .tm_mon = broken.tm_mon,
                      .tm_mday = broken.tm_mday - (broken.tm_wday + 6) % 7};
    assert_int_equal(venue_interval_open(13, ts), (int64_t)timegm(&week) * NS_PER_SECOND);
    struct tm hour = {.tm_year = broken.tm_year,
                      .tm_mon = broken.tm_mon,
                      .tm_mday = broken.tm_mday,
                      .tm_hour = broken.tm_hour - broken.tm_hour % 4};
    assert_int_equal(venue_interval_open(venue_interval_find("4h"), ts),
                     (int64_t)timegm(&hour) * NS_PER_SECOND);
}

static void test_calendar(void **state) {
    (void)state;
    for (int64_t day = -40000; day < 84000; day++) {
        check_calendar(day * NS_PER_DAY);
        check_calendar(day * NS_PER_DAY - 1);
    }
    struct rng r = rng_init(7);
    for (int i = 0; i < 100000; i++)
        check_calendar((int64_t)rng_below(&r, (uint64_t)84000 * NS_PER_DAY));
}

static void test_intervals_tile_time(void **state) {
    (void)state;
    struct rng r = rng_init(8);
    for (int index = 0; index < VENUE_INTERVALS; index++)
        for (int i = 0; i < 20000; i++) {
            int64_t ts = (int64_t)rng_below(&r, (uint64_t)60000 * NS_PER_DAY);
            int64_t open = venue_interval_open(index, ts), length = venue_interval_ns(index);
            assert_true(open <= ts);
            assert_int_equal(venue_interval_open(index, open), open);
            assert_true(venue_interval_open(index, open - 1) < open);
            if (length > 0) {
                assert_true(ts < open + length);
                assert_int_equal(venue_interval_open(index, open + length), open + length);
            }
        }
}

static void test_client_ids(void **state) {
    (void)state;
    const char *longest = "abcdefghijklmnopqrstuvwxyz0123456789";
    assert_int_equal(strlen(longest), 36);
    assert_true(venue_client_id_is_valid(longest, 36));
    assert_true(venue_client_id_is_valid(".A-Z:/a-z0-9_-", 14));
    assert_false(venue_client_id_is_valid("", 0));
    char text[38];
    memset(text, 'x', sizeof text);
    assert_true(venue_client_id_is_valid(text, 1));
    assert_false(venue_client_id_is_valid(text, 37));
    int legal = 0;
    for (int c = 0; c < 256; c++) {
        text[3] = (char)c;
        legal += venue_client_id_is_valid(text, 36);
    }
    assert_int_equal(legal, 26 + 26 + 10 + 5);
    text[3] = '\\'; /* only escapes the point and the colon in the venue's pattern */
    assert_false(venue_client_id_is_valid(text, 36));
}

/* Every code of the venue's error page that has to do with this product, written down apart from the table. */
static const int codes[] = {
    1000, 1001, 1002, 1003, 1006, 1007, 1008, 1010, 1011, 1013, 1014, 1015, 1016, 1020, 1021,
    1022, 1023, 1099, 1100, 1101, 1102, 1103, 1104, 1105, 1106, 1108, 1109, 1110, 1111, 1112,
    1114, 1115, 1116, 1117, 1118, 1119, 1120, 1121, 1122, 1125, 1126, 1127, 1128, 1130, 1136,
    2010, 2011, 2012, 2013, 2014, 2015, 2016, 2017, 2018, 2019, 2020, 2021, 2022, 2023, 2024,
    2025, 2026, 2027, 2028, 4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4013, 4014, 4015,
    4016, 4020, 4021, 4023, 4024, 4028, 4031, 4032, 4044, 4045, 4046, 4047, 4048, 4049, 4050,
    4051, 4052, 4053, 4054, 4055, 4056, 4057, 4059, 4060, 4061, 4062, 4067, 4068, 4082, 4083,
    4087, 4088, 4104, 4109, 4114, 4115, 4116, 4117, 4118, 4120, 4130, 4131, 4135, 4137, 4138,
    4139, 4140, 4141, 4142, 4144, 4161, 4164, 4165, 4167, 4168, 4169, 4170, 4171, 4172, 4183,
    4184, 4192, 4202, 4203, 4205, 4206, 4208, 4209, 4210, 4211, 4400, 4401, 4531, 5000, 5021,
    5022, 5024, 5025, 5026, 5027, 5028, 5029, 5037, 5038, 5039, 5040, 5041, 5043, 5047};
enum { CODES = sizeof codes / sizeof *codes };

/* Zero or one %s, no other conversion: the text is used as a format. */
static void check_text(int code, const char *text) {
    const char *percent = strchr(text, '%');
    assert_true(text[0] != '\0');
    if (!percent) return;
    if (percent[1] != 's' || strchr(percent + 1, '%'))
        fail_msg("%d: \"%s\" is no text with one %%s", code, text);
}

static void test_every_code(void **state) {
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        const char *text = venue_error_text(-codes[i]);
        if (!text) {
            fail_msg("-%d has no text", codes[i]);
            return;
        }
        check_text(-codes[i], text);
        const char *alt = venue_error_text_alt(-codes[i]);
        if (alt) {
            check_text(-codes[i], alt);
            assert_string_not_equal(alt, text);
        }
        int http = venue_error_http(-codes[i]);
        assert_true(http == 400 || http == 401 || http == 404 || http == 408 || http == 429 ||
                    http == 503);
        assert_int_equal(venue_error_code(i), -codes[i]); /* none more, in this order */
    }
    assert_int_equal(venue_error_code(CODES), 0);
    for (int code = -6000; code <= 10; code++) {
        bool known = false;
        for (size_t i = 0; i < CODES; i++) known |= code == -codes[i];
        assert_int_equal(venue_error_text(code) != NULL, known);
        if (!known) assert_null(venue_error_text_alt(code));
        if (!known) assert_int_equal(venue_error_http(code), 400);
    }
}

static void test_error_examples(void **state) {
    (void)state;
    assert_string_equal(venue_error_text(-2019), "Margin is insufficient.");
    assert_string_equal(venue_error_text(-1102),
                        "Mandatory parameter '%s' was not sent, was empty/null, or malformed.");
    assert_string_equal(venue_error_text(-2011), "Unknown order sent.");
    assert_string_equal(venue_error_text_alt(-1021),
                        "Timestamp for this request was 1000ms ahead of the server's time.");
    assert_non_null(strstr(venue_error_text_alt(-1003), "banned until %s"));
    assert_null(venue_error_text_alt(-2013));
    assert_int_equal(venue_error_http(-1003), 429);
    assert_int_equal(venue_error_http(-1015), 429);
    assert_int_equal(venue_error_http(-1007), 408);
    assert_int_equal(venue_error_http(-1008), 503);
    assert_int_equal(venue_error_http(-2014), 401);
    assert_int_equal(venue_error_http(-2015), 401);
    assert_int_equal(venue_error_http(-5000), 404);
    assert_int_equal(venue_error_http(-2013), 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),    cmocka_unit_test(test_interval_examples),
        cmocka_unit_test(test_calendar),       cmocka_unit_test(test_intervals_tile_time),
        cmocka_unit_test(test_client_ids),     cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_error_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
