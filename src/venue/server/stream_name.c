/* Names of streams: what they mean, on which route they live and how often they speak. */
#include <string.h>

#include "venue/server/stream_internal.h"

static const char *const slot_suffixes[SLOT_KLINE] = {
    [SLOT_TRADE] = "trade",
    [SLOT_AGG] = "aggTrade",
    [SLOT_BOOK] = "bookTicker",
    [SLOT_MARK_1S] = "markPrice@1s",
    [SLOT_MARK_3S] = "markPrice",
    [SLOT_MINI] = "miniTicker",
    [SLOT_TICKER] = "ticker",
    [SLOT_FORCE] = "forceOrder",
    [SLOT_DEPTH] = "depth",
    [SLOT_DEPTH + 1] = "depth@100ms",
    [SLOT_DEPTH + 2] = "depth@250ms",
    [SLOT_DEPTH + 3] = "depth@500ms",
    [SLOT_DEPTH + 4] = "rpiDepth@500ms",
    [SLOT_TOP] = "depth5",
    [SLOT_TOP + 1] = "depth5@100ms",
    [SLOT_TOP + 2] = "depth5@250ms",
    [SLOT_TOP + 3] = "depth5@500ms",
    [SLOT_TOP + 4] = "depth10",
    [SLOT_TOP + 5] = "depth10@100ms",
    [SLOT_TOP + 6] = "depth10@250ms",
    [SLOT_TOP + 7] = "depth10@500ms",
    [SLOT_TOP + 8] = "depth20",
    [SLOT_TOP + 9] = "depth20@100ms",
    [SLOT_TOP + 10] = "depth20@250ms",
    [SLOT_TOP + 11] = "depth20@500ms",
};
static const char kline[] = "kline_", continuous[] = "continuousKline_";

static const struct {
    const char *name;
    enum stream_route route;
    enum stream_cadence cadence;
} globals[GLOBAL_COUNT] = {
    [GLOBAL_BOOK] = {"!bookTicker", ROUTE_PUBLIC, CADENCE_EVENT},
    [GLOBAL_MARK_1S] = {"!markPrice@arr@1s", ROUTE_MARKET, CADENCE_1S},
    [GLOBAL_MARK_3S] = {"!markPrice@arr", ROUTE_MARKET, CADENCE_3S},
    [GLOBAL_MINI] = {"!miniTicker@arr", ROUTE_MARKET, CADENCE_1S},
    [GLOBAL_TICKER] = {"!ticker@arr", ROUTE_MARKET, CADENCE_1S},
    [GLOBAL_FORCE] = {"!forceOrder@arr", ROUTE_MARKET, CADENCE_1S},
    [GLOBAL_CONTRACT] = {"!contractInfo", ROUTE_MARKET, CADENCE_EVENT},
};

static bool is(const char *text, size_t size, const char *literal) {
    return strlen(literal) == size && memcmp(text, literal, size) == 0;
}

static int interval_find(const char *text, size_t size) {
    char copy[8];
    if (size >= sizeof copy) return -1;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return venue_interval_find(copy);
}

int stream_suffix_find(const char *suffix, size_t size) {
    for (int slot = 0; slot < SLOT_KLINE; slot++)
        if (is(suffix, size, slot_suffixes[slot])) return slot;
    const size_t k = sizeof kline - 1, c = sizeof continuous - 1;
    int interval = -1, from = SLOT_KLINE;
    if (size > k && memcmp(suffix, kline, k) == 0) interval = interval_find(suffix + k, size - k);
    if (size > c && memcmp(suffix, continuous, c) == 0) {
        interval = interval_find(suffix + c, size - c);
        from = SLOT_CONTINUOUS;
    }
    return interval < 0 ? -1 : from + interval;
}

size_t stream_suffix(char *out, int slot) {
    if (slot < SLOT_KLINE) {
        strcpy(out, slot_suffixes[slot]);
        return strlen(out);
    }
    bool plain = slot < SLOT_CONTINUOUS;
    strcpy(out, plain ? kline : continuous);
    strcat(out, venue_interval_text(slot - (plain ? SLOT_KLINE : SLOT_CONTINUOUS)));
    return strlen(out);
}

int stream_global_find(const char *name, size_t size) {
    for (int i = 0; i < GLOBAL_COUNT; i++)
        if (is(name, size, globals[i].name)) return i;
    return -1;
}

const char *stream_global_name(int global) {
    return globals[global].name;
}
enum stream_cadence stream_global_cadence(int global) {
    return globals[global].cadence;
}
enum stream_route stream_global_route(int global) {
    return globals[global].route;
}

static enum stream_cadence book_cadence(int speed) {
    static const enum stream_cadence speeds[DEPTH_COUNT] = {
        CADENCE_250MS, CADENCE_100MS, CADENCE_250MS, CADENCE_500MS, CADENCE_500MS};
    return speeds[speed];
}

enum stream_cadence stream_slot_cadence(int slot) {
    if (slot >= SLOT_KLINE) return CADENCE_250MS;
    if (slot >= SLOT_TOP) return book_cadence((slot - SLOT_TOP) % DEPTH_SPEEDS);
    if (slot >= SLOT_DEPTH) return book_cadence(slot - SLOT_DEPTH);
    static const enum stream_cadence others[SLOT_DEPTH] = {
        [SLOT_TRADE] = CADENCE_EVENT, [SLOT_AGG] = CADENCE_100MS,  [SLOT_BOOK] = CADENCE_EVENT,
        [SLOT_MARK_1S] = CADENCE_1S,  [SLOT_MARK_3S] = CADENCE_3S, [SLOT_MINI] = CADENCE_2S,
        [SLOT_TICKER] = CADENCE_2S,   [SLOT_FORCE] = CADENCE_1S};
    return others[slot];
}

enum stream_route stream_slot_route(int slot) {
    bool book = slot >= SLOT_DEPTH && slot < SLOT_KLINE;
    return book || slot == SLOT_TRADE || slot == SLOT_BOOK ? ROUTE_PUBLIC : ROUTE_MARKET;
}

uint64_t stream_cadence_slots(enum stream_cadence cadence) {
    uint64_t bits = 0;
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        if (stream_slot_cadence(slot) == cadence) bits |= SLOT_BIT(slot);
    return bits;
}

int64_t stream_cadence_ns(enum stream_cadence cadence) {
    static const int64_t ms[CADENCE_COUNT] = {0, 100, 250, 500, 1000, 2000, 3000};
    return ms[cadence] * NS_PER_MS;
}

bool stream_name_is_plain(const char *name, size_t size) {
    if (size == 0 || size >= STREAM_NAME_SIZE) return false;
    for (size_t i = 0; i < size; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\') return false;
    return true;
}

uint32_t stream_user_events(const char *list, size_t size) {
    static const struct {
        const char *name;
        uint32_t event;
    } names[] = {{"ORDER_TRADE_UPDATE", USER_ORDER}, {"ACCOUNT_UPDATE", USER_ACCOUNT},
                 {"TRADE_LITE", USER_TRADE_LITE},    {"ALGO_UPDATE", USER_ALGO},
                 {"MARGIN_CALL", USER_MARGIN_CALL},  {"ACCOUNT_CONFIG_UPDATE", USER_CONFIG}};
    uint32_t bits = USER_KEY;
    while (size > 0) {
        const char *slash = memchr(list, '/', size);
        size_t n = slash ? (size_t)(slash - list) : size;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (is(list, n, names[i].name)) bits |= names[i].event;
        n += slash != NULL;
        list += n;
        size -= n;
    }
    return bits;
}
