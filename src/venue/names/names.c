#include "venue/names/names.h"

#include <string.h>

#include "base/assert.h"
#include "base/fx.h"
#include "base/tstamp.h"

static int text_find(const char *const *texts, int count, const char *text) {
    for (int i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0) return i;
    return -1;
}

static const char *text_at(const char *const *texts, int count, int v) {
    return v >= 0 && v < count ? texts[v] : "?";
}

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static const char *const working_types[] = {"CONTRACT_PRICE", "MARK_PRICE"};
static const char *const position_sides[POSITION_SIDE_COUNT] = {"BOTH", "LONG", "SHORT"};
static const char *const stps[] = {"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"};
static const char *const price_matches[] = {"NONE",        "OPPONENT",    "OPPONENT_5",
                                            "OPPONENT_10", "OPPONENT_20", "QUEUE",
                                            "QUEUE_5",     "QUEUE_10",    "QUEUE_20"};

int venue_side_find(const char *text) {
    for (int v = SIDE_BUY; v <= SIDE_SELL; v++)
        if (strcmp(side_text((enum side)v), text) == 0) return v;
    return -1;
}

int venue_order_type_find(const char *text) {
    for (int v = ORDER_MARKET; v <= ORDER_TRAILING_STOP_MARKET; v++)
        if (strcmp(order_type_text((enum order_type)v), text) == 0) return v;
    return -1;
}

int venue_tif_find(const char *text) {
    for (int v = TIF_GTC; v <= TIF_GTE_GTC; v++)
        if (strcmp(time_in_force_text((enum time_in_force)v), text) == 0) return v;
    return -1;
}

int venue_working_type_find(const char *text) {
    return text_find(working_types, COUNT_OF(working_types), text);
}
int venue_position_side_find(const char *text) {
    return text_find(position_sides, COUNT_OF(position_sides), text);
}
int venue_stp_find(const char *text) {
    return text_find(stps, COUNT_OF(stps), text);
}
int venue_price_match_find(const char *text) {
    return text_find(price_matches, COUNT_OF(price_matches), text);
}
const char *venue_working_type_text(int v) {
    return text_at(working_types, COUNT_OF(working_types), v);
}
const char *venue_position_side_text(int v) {
    return text_at(position_sides, COUNT_OF(position_sides), v);
}
const char *venue_stp_text(int v) {
    return text_at(stps, COUNT_OF(stps), v);
}
const char *venue_price_match_text(int v) {
    return text_at(price_matches, COUNT_OF(price_matches), v);
}

/* ---- intervals ---- */

enum { INTERVAL_WEEK = 13, INTERVAL_MONTH = 14 };

static const char *const interval_texts[VENUE_INTERVALS] = {
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"};
static const int64_t interval_lengths[VENUE_INTERVALS] = {
    NS_PER_MINUTE,    3 * NS_PER_MINUTE, 5 * NS_PER_MINUTE, 15 * NS_PER_MINUTE, 30 * NS_PER_MINUTE,
    NS_PER_HOUR,      2 * NS_PER_HOUR,   4 * NS_PER_HOUR,   6 * NS_PER_HOUR,    8 * NS_PER_HOUR,
    12 * NS_PER_HOUR, NS_PER_DAY,        3 * NS_PER_DAY,    7 * NS_PER_DAY,     0};

int venue_interval_find(const char *text) {
    return text_find(interval_texts, VENUE_INTERVALS, text);
}
const char *venue_interval_text(int index) {
    return text_at(interval_texts, VENUE_INTERVALS, index);
}
int64_t venue_interval_ns(int index) {
    return index >= 0 && index < VENUE_INTERVALS ? interval_lengths[index] : 0;
}

/* How many days of its month lie before a day. Counted in years that start in March, so that the leap
 * day is the last one; 719468 days lie between 0000-03-01 and 1970-01-01, 146097 in 400 years. */
static int64_t days_into_month(int64_t days_since_1970) {
    int64_t days = days_since_1970 + 719468;
    int64_t of_era = days - fx_snap_down(days, 146097);
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* March is 0 */
    return of_year - (153 * month + 2) / 5;
}

int64_t venue_interval_open(int index, int64_t ts_ns) {
    ASSERT(index >= 0 && index < VENUE_INTERVALS);
    /* 1970-01-01 was a Thursday: the first Monday lies four days later. */
    const int64_t monday = 4 * NS_PER_DAY;
    if (index == INTERVAL_WEEK) return fx_snap_down(ts_ns - monday, 7 * NS_PER_DAY) + monday;
    if (index == INTERVAL_MONTH) {
        int64_t day = fx_snap_down(ts_ns, NS_PER_DAY);
        return day - days_into_month(day / NS_PER_DAY) * NS_PER_DAY;
    }
    return fx_snap_down(ts_ns, interval_lengths[index]);
}

bool venue_client_id_is_valid(const char *text, size_t size) {
    if (size < 1 || size > 36) return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != ':' && c != '/' && c != '_' &&
            c != '-')
            return false;
    }
    return true;
}
