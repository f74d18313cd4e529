/* The body of POST /api/ai/signal. A client's mistake gets the most exact answer there is: the place
 * for broken JSON, the field for a wrong value. */
#include "api/api_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first field error stands; the rest of the text is still read, since broken JSON outranks it. */
__attribute__((format(printf, 2, 3))) static void field_error(struct api_refusal *refusal,
                                                              const char *format, ...) {
    if (refusal->code) return;
    refusal->code = 422;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, args);
    va_end(args);
}

static const char *type_text(enum json_type type) {
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_NUMBER:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    case JSON_NONE:
        break;
    }
    return "nothing";
}

/* True if the next value has the type; else it is passed over and reported. */
static bool expect(struct json_reader *r, struct api_refusal *refusal, const char *field,
                   enum json_type type) {
    enum json_type found = json_peek(r);
    if (found == type) return true;
    if (found != JSON_NONE)
        field_error(refusal, "%s must be %s, not %s", field, type_text(type), type_text(found));
    json_skip(r);
    return false;
}

static void read_name(char out[SYMBOL_SIZE], struct json_reader *r, struct api_refusal *refusal,
                      const char *field) {
    if (!expect(r, refusal, field, JSON_STRING)) return;
    struct json_text text = json_string(r);
    char symbol[SYMBOL_SIZE];
    size_t length = 0;
    if (r->error) return;
    if (json_text_copy(symbol, sizeof symbol, &length, &text) != ST_OK) {
        field_error(refusal, "%s is longer than %d characters", field, SYMBOL_SIZE - 1);
        return;
    }
    if (length == 0) field_error(refusal, "%s is empty", field);
    for (size_t i = 0; i < length; i++) {
        char c = symbol[i];
        bool fine = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!fine) {
            field_error(refusal, "%s: character %zu is not one of A-Z 0-9 _ -", field, i + 1);
            return;
        }
    }
    memcpy(out, symbol, length);
    out[length] = '\0';
}

static void read_symbols(struct api_signal_request *out, struct json_reader *r,
                         struct api_refusal *refusal) {
    if (!expect(r, refusal, "symbols", JSON_ARRAY) || !json_array_begin(r)) return;
    out->is_batch = true;
    out->symbol_count = 0;
    while (json_array_next(r)) {
        char field[32];
        if (out->symbol_count == INSTRUMENTS_MAX) {
            field_error(refusal, "symbols has more than %d elements", INSTRUMENTS_MAX);
            json_skip(r);
            continue;
        }
        snprintf(field, sizeof field, "symbols[%u]", out->symbol_count);
        read_name(out->symbols[out->symbol_count++], r, refusal, field);
    }
    if (out->symbol_count == 0) field_error(refusal, "symbols is empty");
}

static bool read_amount(double *out, struct json_reader *r, struct api_refusal *refusal,
                        const char *field, bool zero_is_fine) {
    if (!expect(r, refusal, field, JSON_NUMBER)) return false;
    struct json_text text = json_number(r);
    if (r->error) return false;
    char digits[64];
    if (text.size >= sizeof digits) {
        field_error(refusal, "%s has too many digits", field);
        return false;
    }
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    double value = strtod(digits, NULL);
    if (!isfinite(value) || value < 0 || (value == 0 && !zero_is_fine)) {
        field_error(refusal, "%s must be %s", field, zero_is_fine ? ">= 0" : "> 0");
        return false;
    }
    *out = value;
    return true;
}

static bool read_timeframe(int64_t *out, struct json_reader *r, struct api_refusal *refusal) {
    if (!expect(r, refusal, "timeframe", JSON_STRING)) return false;
    struct json_text text = json_string(r);
    char interval[16];
    if (r->error) return false;
    if (json_text_copy(interval, sizeof interval, NULL, &text) != ST_OK ||
        tstamp_interval_parse(out, interval) != ST_OK) {
        field_error(refusal, "timeframe must be an interval such as \"1h\" or \"5m\"");
        return false;
    }
    return true;
}

static bool read_flag(struct json_reader *r, struct api_refusal *refusal, const char *field) {
    if (json_peek(r) == JSON_TRUE || json_peek(r) == JSON_FALSE) return json_bool(r);
    expect(r, refusal, field, JSON_TRUE);
    return false;
}

enum field {
    FIELD_SYMBOL = 0,
    FIELD_SYMBOLS,
    FIELD_PRICE,
    FIELD_VOLUME,
    FIELD_TIMEFRAME,
    FIELD_REASONING,
    FIELD_COUNT
};
static const char *const FIELD_NAMES[FIELD_COUNT] = {"symbol", "symbols",   "price",
                                                     "volume", "timeframe", "include_reasoning"};

static void read_field(struct api_signal_request *out, struct json_reader *r,
                       struct api_refusal *refusal, enum field field) {
    /* An optional field that is null is one that was left out: clients with typed requests send it. */
    if (field != FIELD_SYMBOL && field != FIELD_SYMBOLS && json_peek(r) == JSON_NULL) {
        json_skip(r);
        return;
    }
    switch (field) {
    case FIELD_SYMBOL:
        read_name(out->symbols[0], r, refusal, "symbol");
        break;
    case FIELD_SYMBOLS:
        read_symbols(out, r, refusal);
        break;
    case FIELD_PRICE:
        out->has_price = read_amount(&out->price, r, refusal, "price", false);
        break;
    case FIELD_VOLUME:
        out->has_volume = read_amount(&out->volume, r, refusal, "volume", true);
        break;
    case FIELD_TIMEFRAME:
        out->has_timeframe = read_timeframe(&out->timeframe_ns, r, refusal);
        break;
    case FIELD_REASONING:
        out->include_reasoning = read_flag(r, refusal, "include_reasoning");
        break;
    case FIELD_COUNT:
        break;
    }
}

bool api_signal_decode(struct api_signal_request *out, struct api_refusal *refusal,
                       const char *body, size_t size) {
    memset(out, 0, offsetof(struct api_signal_request, symbols));
    memset(out->symbols[0], 0, SYMBOL_SIZE);
    memset(refusal, 0, sizeof *refusal);
    out->symbol_count = 1;
    struct json_reader r;
    json_reader_init(&r, body, size);
    bool seen[FIELD_COUNT] = {false};
    if (expect(&r, refusal, "the body", JSON_OBJECT) && json_object_begin(&r)) {
        struct json_text key;
        while (json_object_next(&r, &key)) {
            int field = 0;
            while (field < FIELD_COUNT && !json_text_is(&key, FIELD_NAMES[field])) field++;
            if (field == FIELD_COUNT) {
                json_skip(&r); /* fields we do not know are a newer client's business */
                continue;
            }
            if (seen[field]) field_error(refusal, "%s is given twice", FIELD_NAMES[field]);
            seen[field] = true;
            read_field(out, &r, refusal, (enum field)field);
        }
    }
    if (json_finish(&r) != ST_OK) {
        refusal->code = 400;
        refusal->line = json_error_line(&r);
        refusal->offset = r.error_offset;
        snprintf(refusal->message, sizeof refusal->message, "body is not JSON: %s",
                 r.error ? r.error : "syntax error");
        return false;
    }
    if (!seen[FIELD_SYMBOL] && !seen[FIELD_SYMBOLS])
        field_error(refusal, "symbol is missing (or symbols, an array of them)");
    if (seen[FIELD_SYMBOL] && seen[FIELD_SYMBOLS])
        field_error(refusal, "symbol and symbols are given: one of them is meant");
    return refusal->code == 0;
}

void api_signal_all(struct api_signal_request *out, const struct api_shot *shot) {
    memset(out, 0, offsetof(struct api_signal_request, symbols));
    out->is_batch = true;
    for (uint32_t i = 0; shot->published && i < shot->view->symbol_count; i++)
        memcpy(out->symbols[out->symbol_count++], shot->view->symbols[i].symbol, SYMBOL_SIZE);
}
