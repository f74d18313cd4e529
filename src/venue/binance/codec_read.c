#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/codec_internal.h"
#include "venue/names/names.h"

void binance_reader_fail(struct json_reader *r, const char *error) {
    if (r->error) return;
    r->error = error;
    r->error_offset = (size_t)(r->cursor - r->begin);
}

bool binance_fill_is_possible(px_t px, qty_t qty, money_t commission, money_t realized_pnl) {
    const int64_t most = INT64_C(10000000000) * FX_ONE;
    if (px.e8 <= 0 || qty.e8 <= 0 || qty.e8 > INT64_MAX / 16) return false;
    if ((__int128)px.e8 * qty.e8 > (__int128)most * FX_ONE) return false;
    return commission.e8 > -most && commission.e8 < most && realized_pnl.e8 > -most &&
           realized_pnl.e8 < most;
}

int64_t binance_read_ms(struct json_reader *r) {
    int64_t ms = json_i64(r);
    if (ms < 0 || ms > INT64_MAX / NS_PER_MS) {
        binance_reader_fail(r, "not a time in milliseconds");
        return 0;
    }
    return ms * NS_PER_MS;
}

/* A string or number as it stands; empty for "" and null. */
static struct json_text scalar(struct json_reader *r) {
    switch (json_peek(r)) {
    case JSON_STRING:
        return json_string(r);
    case JSON_NULL:
        json_skip(r);
        return (struct json_text){"", 0, false};
    case JSON_NONE:
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        break;
    }
    return json_number(r);
}

int64_t binance_read_decimal(struct json_reader *r) {
    int64_t value = 0;
    struct json_text t = scalar(r);
    if (r->error || t.size == 0) return 0;
    if (fx_parse_truncate(&value, t.data, t.size) != ST_OK)
        binance_reader_fail(r, "not a decimal in range");
    return value;
}

uint64_t binance_read_id(struct json_reader *r) {
    struct json_text t = scalar(r);
    uint64_t id = 0;
    if (r->error) return 0;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] < '0' || t.data[i] > '9' || id > (UINT64_MAX - 9) / 10) {
            binance_reader_fail(r, "not an id");
            return 0;
        }
        id = id * 10 + (uint64_t)(t.data[i] - '0');
    }
    return id;
}

void binance_read_symbol(struct json_reader *r, char out[SYMBOL_SIZE]) {
    struct json_text t = json_string(r);
    memset(out, 0, SYMBOL_SIZE);
    if (!t.escaped && t.size < SYMBOL_SIZE) {
        if (t.size) memcpy(out, t.data, t.size);
    } else if (json_text_copy(out, SYMBOL_SIZE, NULL, &t) != ST_OK) {
        out[0] = '\0';
    }
}

void binance_read_text(struct json_reader *r, char *out, size_t out_size) {
    struct json_text t = json_string(r);
    size_t length = 0;
    memset(out, 0, out_size);
    if (r->error) return;
    if (json_text_copy(out, out_size, &length, &t) != ST_OK || strlen(out) != length)
        binance_reader_fail(r, "text too long, or with a NUL");
}

static int read_name(struct json_reader *r, int (*find)(const char *text)) {
    char text[24];
    struct json_text t = json_string(r);
    if (r->error || json_text_copy(text, sizeof text, NULL, &t) != ST_OK) return -1;
    return find(text);
}

uint8_t binance_read_side(struct json_reader *r) {
    int side = read_name(r, venue_side_find);
    if (side != SIDE_BUY && side != SIDE_SELL) {
        binance_reader_fail(r, "not a side");
        return SIDE_NONE;
    }
    return (uint8_t)side;
}

/* Kinds that only the venue itself places. */
static int find_order_type(const char *text) {
    int type = venue_order_type_find(text);
    if (type < 0 && strcmp(text, "LIQUIDATION") == 0) return ORDER_LIMIT;
    return type;
}

uint8_t binance_read_order_type(struct json_reader *r) {
    int type = read_name(r, find_order_type);
    if (type < 0) {
        binance_reader_fail(r, "not an order type");
        return 0;
    }
    return (uint8_t)type;
}

struct spelling {
    const char *text;
    uint8_t value;
};

static uint8_t find_spelling(struct json_reader *r, const struct spelling *table, size_t count) {
    struct json_text t = json_string(r);
    if (r->error) return 0;
    for (size_t i = 0; i < count; i++)
        if (json_text_is(&t, table[i].text)) return table[i].value;
    return 0;
}

uint8_t binance_read_status(struct json_reader *r) {
    static const struct spelling table[] = {
        {"NEW", STATUS_NEW},           {"PARTIALLY_FILLED", STATUS_PARTIALLY_FILLED},
        {"FILLED", STATUS_FILLED},     {"CANCELED", STATUS_CANCELED},
        {"EXPIRED", STATUS_EXPIRED},   {"EXPIRED_IN_MATCH", STATUS_EXPIRED},
        {"REJECTED", STATUS_REJECTED}, {"NEW_INSURANCE", STATUS_NEW},
        {"NEW_ADL", STATUS_NEW}};
    return find_spelling(r, table, sizeof table / sizeof *table);
}

uint8_t binance_read_algo_status(struct json_reader *r) {
    static const struct spelling table[] = {
        {"NEW", ALGO_NEW},           {"TRIGGERING", ALGO_TRIGGERING}, {"TRIGGERED", ALGO_TRIGGERED},
        {"FINISHED", ALGO_FINISHED}, {"CANCELED", ALGO_CANCELED},     {"EXPIRED", ALGO_EXPIRED},
        {"REJECTED", ALGO_REJECTED}};
    return find_spelling(r, table, sizeof table / sizeof *table);
}

bool binance_read_bool(struct json_reader *r) {
    if (json_peek(r) != JSON_STRING) return json_bool(r);
    struct json_text t = json_string(r);
    if (json_text_is(&t, "true")) return true;
    if (!json_text_is(&t, "false")) binance_reader_fail(r, "neither true nor false");
    return false;
}
