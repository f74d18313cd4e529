#include "kernel/events.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "brain/ensemble/ensemble.h"
#include "brain/strategy/strategy.h"
#include "kernel/view.h"

/* X(KIND, size, JSON form, rule) */
#define KIND_TABLE(X)                                                                              \
    X(U8, 1, "integer", "0..255")                                                                  \
    X(SIDE8, 1, "text", "NONE, BUY, SELL")                                                         \
    X(TYPE8, 1, "text", "order type")                                                              \
    X(TIF8, 1, "text", "time in force")                                                            \
    X(COMMAND8, 1, "text", "submit, cancel, leverage")                                             \
    X(VENUE8, 1, "text", "kind of venue event")                                                    \
    X(EXIT8, 1, "text", "exit reason")                                                             \
    X(STRATEGY8, 1, "text", "strategy")                                                            \
    X(U32, 4, "integer", "0..2^32-1")                                                              \
    X(I32, 4, "integer", "signed")                                                                 \
    X(SIDE, 4, "text", "NONE, BUY, SELL")                                                          \
    X(ACTION, 4, "text", "SELL, HOLD, BUY")                                                        \
    X(STRATEGY, 4, "text", "strategy")                                                             \
    X(MODE, 4, "text", "mode")                                                                     \
    X(VOTE, 4, "text", "state of a voter")                                                         \
    X(MODEL, 4, "text", "model")                                                                   \
    X(ARM, 4, "text", "way to manage a trade, or none")                                            \
    X(U64, 8, "integer", "0..2^63-1")                                                              \
    X(HEX, 8, "text", "16 hexadecimal digits")                                                     \
    X(I64, 8, "integer", "signed")                                                                 \
    X(TS, 8, "integer", "ns since 1970 UTC")                                                       \
    X(PX, 8, "decimal text", ">= 0")                                                               \
    X(QTY, 8, "decimal text", "any")                                                               \
    X(MONEY, 8, "decimal text", "any")                                                             \
    X(RATE, 8, "decimal text", "any")                                                              \
    X(F64, 8, "number or null", "null is NaN; never infinite")                                     \
    X(PROB, 8, "number", "0..1")                                                                   \
    X(SYMBOL, SYMBOL_SIZE, "text", "A-Z 0-9 _, not empty")                                         \
    X(ORDER_ID, CLIENT_ORDER_ID_SIZE, "text", "printable ASCII")                                   \
    X(TEXT, TEXT_FIELD_SIZE, "text", "printable ASCII")

enum kind {
#define KIND_ENUM(kind, size, form, rule) KIND_##kind,
    KIND_TABLE(KIND_ENUM)
#undef KIND_ENUM
        KIND_COUNT
};

static const struct {
    uint32_t size;
    const char *name, *form, *rule;
} kinds[KIND_COUNT] = {
#define KIND_ROW(kind, size, form, rule) [KIND_##kind] = {size, #kind, form, rule},
    KIND_TABLE(KIND_ROW)
#undef KIND_ROW
};

struct field {
    enum kind kind;
    uint32_t offset;
    const char *name, *about;
};

#define FIELD_ROW(kind, name, about)                                                               \
    {KIND_##kind, (uint32_t)offsetof(struct FIELD_TAG, name), #name, about},
#define FIELD_TAG run_started
static const struct field run_started_fields[] = {RUN_STARTED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG tape_advanced
static const struct field tape_advanced_fields[] = {TAPE_ADVANCED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG model_answered
static const struct field model_answered_fields[] = {MODEL_ANSWERED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG signal
static const struct field signal_fields[] = {SIGNAL_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG trade_intent
static const struct field trade_intent_fields[] = {TRADE_INTENT_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG intent_delivered
static const struct field intent_delivered_fields[] = {INTENT_DELIVERED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG intent_denied
static const struct field intent_denied_fields[] = {INTENT_DENIED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG venue_command
static const struct field venue_command_fields[] = {VENUE_COMMAND_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG venue_event
static const struct field venue_event_fields[] = {VENUE_EVENT_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG trade_opened
static const struct field trade_opened_fields[] = {TRADE_OPENED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG position_protected
static const struct field position_protected_fields[] = {POSITION_PROTECTED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG position_alarm
static const struct field position_alarm_fields[] = {POSITION_ALARM_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG trade_closed
static const struct field trade_closed_fields[] = {TRADE_CLOSED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG policy_updated
static const struct field policy_updated_fields[] = {POLICY_UPDATED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG state_hash
static const struct field state_hash_fields[] = {STATE_HASH_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG kline
static const struct field kline_fields[] = {KLINE_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG tick
static const struct field tick_fields[] = {TICK_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG clock_advanced
static const struct field clock_advanced_fields[] = {CLOCK_ADVANCED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG instrument_changed
static const struct field instrument_changed_fields[] = {INSTRUMENT_CHANGED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG model_changed
static const struct field model_changed_fields[] = {MODEL_CHANGED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG engine_changed
static const struct field engine_changed_fields[] = {ENGINE_CHANGED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG strategy_changed
static const struct field strategy_changed_fields[] = {STRATEGY_CHANGED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG risk_changed
static const struct field risk_changed_fields[] = {RISK_CHANGED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG operator_command
static const struct field operator_command_fields[] = {OPERATOR_COMMAND_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG venue_link_changed
static const struct field venue_link_changed_fields[] = {VENUE_LINK_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG position_reduced
static const struct field position_reduced_fields[] = {POSITION_REDUCED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG report_written
static const struct field report_written_fields[] = {REPORT_WRITTEN_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG exit_chosen
static const struct field exit_chosen_fields[] = {EXIT_CHOSEN_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG exit_advised
static const struct field exit_advised_fields[] = {EXIT_ADVISED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG
#define FIELD_TAG executor_started
static const struct field executor_started_fields[] = {EXECUTOR_STARTED_FIELDS(FIELD_ROW)};
#undef FIELD_TAG

#define KIND_SIZE_U8                  1
#define KIND_SIZE_SIDE8               1
#define KIND_SIZE_TYPE8               1
#define KIND_SIZE_TIF8                1
#define KIND_SIZE_COMMAND8            1
#define KIND_SIZE_VENUE8              1
#define KIND_SIZE_EXIT8               1
#define KIND_SIZE_STRATEGY8           1
#define KIND_SIZE_U32                 4
#define KIND_SIZE_I32                 4
#define KIND_SIZE_SIDE                4
#define KIND_SIZE_ACTION              4
#define KIND_SIZE_STRATEGY            4
#define KIND_SIZE_MODE                4
#define KIND_SIZE_VOTE                4
#define KIND_SIZE_MODEL               4
#define KIND_SIZE_ARM                 4
#define KIND_SIZE_U64                 8
#define KIND_SIZE_HEX                 8
#define KIND_SIZE_I64                 8
#define KIND_SIZE_TS                  8
#define KIND_SIZE_PX                  8
#define KIND_SIZE_QTY                 8
#define KIND_SIZE_MONEY               8
#define KIND_SIZE_RATE                8
#define KIND_SIZE_F64                 8
#define KIND_SIZE_PROB                8
#define KIND_SIZE_SYMBOL              SYMBOL_SIZE
#define KIND_SIZE_ORDER_ID            CLIENT_ORDER_ID_SIZE
#define KIND_SIZE_TEXT                TEXT_FIELD_SIZE
#define FIELD_SIZE(kind, name, about) +KIND_SIZE_##kind

static_assert((int)ARM_NONE == (int)STRATEGY_NONE, "arms are numbered by brain/strategy");

/* No padding, no member outside the list: a journaled struct has no byte that nobody set. */
#define EVENT_PACKED(id, constant, tag, type, version, published, fields, about)                   \
    static_assert(sizeof(struct tag) == 0 fields(FIELD_SIZE),                                      \
                  "fields of " type " cover its struct");
EVENT_CATALOGUE(EVENT_PACKED)
#undef EVENT_PACKED

static const struct {
    struct event_info info;
    const struct field *fields;
    uint32_t field_count;
} rows[] = {
#define EVENT_ROW(id, constant, tag, name, version, published, fields, about)                      \
    {{constant, version, (uint32_t)sizeof(struct tag), published, name, about},                    \
     tag##_fields,                                                                                 \
     (uint32_t)(sizeof tag##_fields / sizeof *tag##_fields)},
    EVENT_CATALOGUE(EVENT_ROW)
#undef EVENT_ROW
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static int row_of(uint16_t type) {
    /* Ids are consecutive from 1; the lookup still checks, so a gap later is found by the tests. */
    int i = (int)type - 1;
    return i >= 0 && i < ROW_COUNT && rows[i].info.type == type ? i : -1;
}

const struct event_info *event_info(uint16_t type) {
    int i = row_of(type);
    return i < 0 ? NULL : &rows[i].info;
}

const struct event_info *event_info_by_name(const char *name) {
    for (int i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i].info.name, name) == 0) return &rows[i].info;
    return NULL;
}

void event_init(struct event *out, enum event_type type, int64_t ts_ns) {
    int i = row_of((uint16_t)type);
    ASSERT(i >= 0);
    out->type = (uint16_t)type;
    out->version = rows[i].info.version;
    out->size = rows[i].info.size;
    out->ts_ns = ts_ns;
    memset(&out->u, 0, rows[i].info.size);
}

static const char *command_text(uint32_t kind) {
    static const char *const texts[] = {"?", "submit", "cancel", "leverage"};
    return kind < 4 ? texts[kind] : "?";
}

static const char *venue_event_text(uint32_t kind) {
    static const char *const texts[] = {
        "?",           "accepted", "rejected",        "triggered",    "trade",
        "canceled",    "expired",  "cancel_rejected", "leverage_set", "funding",
        "liquidation", "position", "balance",         "order_found"};
    return kind < sizeof texts / sizeof *texts ? texts[kind] : "?";
}

/* Text of an enum field's value, "?" if there is none. */
static const char *enum_text(enum kind kind, uint32_t v) {
    switch (kind) {
    case KIND_SIDE8:
    case KIND_SIDE:
        return side_text((enum side)v);
    case KIND_TYPE8:
        return order_type_text((enum order_type)v);
    case KIND_TIF8:
        return time_in_force_text((enum time_in_force)v);
    case KIND_COMMAND8:
        return command_text(v);
    case KIND_VENUE8:
        return venue_event_text(v);
    case KIND_EXIT8:
        return v < EXIT_REASON_COUNT ? exit_reason_text((enum exit_reason)v) : "?";
    case KIND_STRATEGY8:
    case KIND_STRATEGY:
        return v < STRATEGY_COUNT ? strategy_text((enum strategy_kind)v) : "?";
    case KIND_ACTION:
        return v < LABEL_COUNT ? label_text((enum label)v) : "?";
    case KIND_MODE:
        return v <= MODE_LIVE ? run_mode_text((enum run_mode)v) : "?";
    case KIND_VOTE:
        return v <= VOTE_EXCLUDED ? vote_state_text((enum vote_state)v) : "?";
    case KIND_ARM:
        return v <= STRATEGY_NONE ? strategy_name((enum strategy_id)v) : "?";
    case KIND_MODEL:
        return v < MODEL_COUNT ? model_kind_text((enum model_kind)v) : "?";
    default:
        return NULL; /* not an enum */
    }
}

static uint64_t load(const void *base, const struct field *f) {
    const unsigned char *p = (const unsigned char *)base + f->offset;
    uint32_t v4;
    uint64_t v8;
    switch (kinds[f->kind].size) {
    case 1:
        return *p;
    case 4:
        memcpy(&v4, p, 4);
        return v4;
    default:
        memcpy(&v8, p, 8);
        return v8;
    }
}

static void save(void *base, const struct field *f, uint64_t v) {
    unsigned char *p = (unsigned char *)base + f->offset;
    uint32_t v4 = (uint32_t)v;
    switch (kinds[f->kind].size) {
    case 1:
        *p = (unsigned char)v;
        break;
    case 4:
        memcpy(p, &v4, 4);
        break;
    default:
        memcpy(p, &v, 8);
        break;
    }
}

static double as_f64(uint64_t bits) {
    double d;
    memcpy(&d, &bits, 8);
    return d;
}

static void encode_field(struct json_writer *w, const struct field *f, const void *base) {
    static const char hex[] = "0123456789abcdef";
    const char *text = (const char *)base + f->offset;
    switch (f->kind) {
    case KIND_SYMBOL:
    case KIND_ORDER_ID:
    case KIND_TEXT:
        json_write_string_n(w, text, strnlen(text, kinds[f->kind].size));
        return;
    default:
        break;
    }
    uint64_t v = load(base, f);
    const char *name = enum_text(f->kind, (uint32_t)v);
    if (name) {
        json_write_string(w, name);
        return;
    }
    char digits[17] = {0};
    switch (f->kind) {
    case KIND_PX:
    case KIND_QTY:
    case KIND_MONEY:
    case KIND_RATE:
        json_write_e8(w, (int64_t)v);
        break;
    case KIND_F64:
    case KIND_PROB:
        json_write_f64(w, as_f64(v));
        break;
    case KIND_HEX:
        for (int i = 0; i < 16; i++) digits[i] = hex[(v >> (60 - 4 * i)) & 15];
        json_write_string(w, digits);
        break;
    case KIND_I32:
        json_write_i64(w, (int32_t)(uint32_t)v);
        break;
    case KIND_I64:
    case KIND_TS:
        json_write_i64(w, (int64_t)v);
        break;
    default:
        json_write_u64(w, v);
        break;
    }
}

enum status event_encode(char *out, size_t capacity, size_t *out_size, const struct event *event) {
    int i = row_of(event->type);
    ASSERT(i >= 0);
    struct json_writer w;
    json_writer_init(&w, out, capacity);
    json_write_object_begin(&w);
    for (uint32_t k = 0; k < rows[i].field_count; k++) {
        json_write_key(&w, rows[i].fields[k].name);
        encode_field(&w, &rows[i].fields[k], &event->u);
    }
    json_write_object_end(&w);
    enum status st = json_writer_finish(&w);
    if (st == ST_OK && out_size) *out_size = w.size;
    return st;
}

static enum status decode_enum(uint64_t *out, enum kind kind, struct json_reader *r) {
    char text[TEXT_FIELD_SIZE];
    size_t size;
    struct json_text raw = json_string(r);
    if (r->error || json_text_copy(text, sizeof text, &size, &raw) != ST_OK || size != strlen(text))
        return ST_INVALID;
    for (uint32_t v = 0; v < 64; v++) {
        const char *name = enum_text(kind, v);
        if (strcmp(name, "?") != 0 && strcmp(name, text) == 0) {
            *out = v;
            return ST_OK;
        }
    }
    return ST_INVALID;
}

static enum status decode_hex(uint64_t *out, struct json_reader *r) {
    struct json_text t = json_string(r);
    if (r->error || t.size != 16) return ST_INVALID;
    uint64_t v = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = t.data[i];
        uint64_t d = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                                            : 16;
        if (d > 15) return ST_INVALID;
        v = v << 4 | d;
    }
    *out = v;
    return ST_OK;
}

static enum status decode_f64(uint64_t *out, struct json_reader *r) {
    double d = (double)NAN;
    if (json_peek(r) == JSON_NULL)
        json_skip(r);
    else if (json_peek(r) == JSON_NUMBER)
        d = json_f64(r);
    else
        return ST_INVALID;
    memcpy(out, &d, 8);
    return r->error ? ST_INVALID : ST_OK;
}

static enum status decode_integer(uint64_t *out, enum kind kind, struct json_reader *r) {
    if (json_peek(r) != JSON_NUMBER)
        return ST_INVALID; /* the reader would take text that looks like one */
    int64_t v = json_i64(r);
    if (r->error) return ST_INVALID;
    bool is_signed = kind == KIND_I32 || kind == KIND_I64 || kind == KIND_TS;
    if (!is_signed && v < 0) return ST_INVALID;
    if (kinds[kind].size == 1 && v > UINT8_MAX) return ST_INVALID;
    if (kind == KIND_U32 && v > UINT32_MAX) return ST_INVALID;
    if (kind == KIND_I32 && (v > INT32_MAX || v < INT32_MIN)) return ST_INVALID;
    *out = (uint64_t)v;
    return ST_OK;
}

static enum status decode_field(void *base, const struct field *f, struct json_reader *r) {
    uint64_t v = 0;
    enum status st;
    if (f->kind == KIND_SYMBOL || f->kind == KIND_ORDER_ID || f->kind == KIND_TEXT) {
        struct json_text t = json_string(r);
        char *to = (char *)base + f->offset;
        memset(to, 0, kinds[f->kind].size);
        return r->error ? ST_INVALID : json_text_copy(to, kinds[f->kind].size, NULL, &t);
    }
    if (enum_text(f->kind, 0))
        st = decode_enum(&v, f->kind, r);
    else if (f->kind == KIND_HEX)
        st = decode_hex(&v, r);
    else if (f->kind == KIND_F64 || f->kind == KIND_PROB)
        st = decode_f64(&v, r);
    else if (f->kind == KIND_PX || f->kind == KIND_QTY || f->kind == KIND_MONEY ||
             f->kind == KIND_RATE) {
        st = json_peek(r) == JSON_STRING ? ST_OK : ST_INVALID;
        if (st == ST_OK) v = (uint64_t)json_e8(r);
        if (r->error) st = ST_INVALID;
    } else
        st = decode_integer(&v, f->kind, r);
    if (st == ST_OK) save(base, f, v);
    return st;
}

enum status event_decode(struct event *out, const char *name, uint32_t version, int64_t ts_ns,
                         const char *json, size_t size, struct err *err) {
    const struct event_info *info = event_info_by_name(name);
    if (!info) return err_set(err, ST_INVALID, "event %.40s: not in the catalogue", name);
    if (version != info->version)
        return err_set(err, ST_VERSION, "event %s: schema version %u, this program has %u", name,
                       version, info->version);
    int row = row_of(info->type);
    event_init(out, (enum event_type)info->type, ts_ns);
    uint64_t seen = 0;
    struct json_reader r;
    struct json_text key;
    json_reader_init(&r, json, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        uint32_t k = 0;
        while (k < rows[row].field_count && !json_text_is(&key, rows[row].fields[k].name)) k++;
        if (k == rows[row].field_count)
            return err_set(err, ST_INVALID, "event %s: unknown field '%.*s'", name,
                           (int)(key.size < 40 ? key.size : 40), key.data);
        if (seen >> k & 1)
            return err_set(err, ST_INVALID, "event %s: field %s twice", name,
                           rows[row].fields[k].name);
        seen |= UINT64_C(1) << k;
        if (decode_field(&out->u, &rows[row].fields[k], &r) != ST_OK)
            return err_set(err, ST_INVALID, "event %s: field %s is not %s (%s)", name,
                           rows[row].fields[k].name, kinds[rows[row].fields[k].kind].form,
                           kinds[rows[row].fields[k].kind].rule);
    }
    if (json_finish(&r) != ST_OK)
        return err_set(err, ST_INVALID, "event %s: JSON, byte %zu: %s", name, r.error_offset,
                       r.error);
    for (uint32_t k = 0; k < rows[row].field_count; k++)
        if (!(seen >> k & 1))
            return err_set(err, ST_INVALID, "event %s: field %s missing", name,
                           rows[row].fields[k].name);
    return event_validate(out, err);
}

static bool text_is_plain(const char *text, size_t capacity, bool symbol) {
    size_t n = strnlen(text, capacity);
    if (n == capacity || (symbol && n == 0)) return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool in_symbol = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (symbol ? !in_symbol : (c < 0x20 || c > 0x7e)) return false;
    }
    for (size_t i = n; i < capacity; i++)
        if (text[i]) return false;
    return true;
}

static bool field_is_valid(const struct field *f, const void *base) {
    const char *text = (const char *)base + f->offset;
    if (f->kind == KIND_SYMBOL) return text_is_plain(text, SYMBOL_SIZE, true);
    if (f->kind == KIND_ORDER_ID || f->kind == KIND_TEXT)
        return text_is_plain(text, kinds[f->kind].size, false);
    uint64_t v = load(base, f);
    const char *name = enum_text(f->kind, (uint32_t)v);
    if (name) return strcmp(name, "?") != 0;
    switch (f->kind) {
    case KIND_F64:
        return !isinf(as_f64(v));
    case KIND_PROB:
        return as_f64(v) >= 0 && as_f64(v) <= 1;
    case KIND_PX:
        return (int64_t)v >= 0;
    case KIND_U64:
        return v <= INT64_MAX;
    default:
        return true;
    }
}

enum status event_validate(const struct event *event, struct err *err) {
    int i = row_of(event->type);
    if (i < 0)
        return err_set(err, ST_INVALID, "event type %u is not in the catalogue", event->type);
    for (uint32_t k = 0; k < rows[i].field_count; k++)
        if (!field_is_valid(&rows[i].fields[k], &event->u))
            return err_set(err, ST_INVALID, "event %s: field %s breaks its rule (%s)",
                           rows[i].info.name, rows[i].fields[k].name,
                           kinds[rows[i].fields[k].kind].rule);
    return ST_OK;
}

void event_document(void (*write_fn)(void *context, const char *text), void *context) {
    char line[512];
    write_fn(context, "# Events\n\nGenerated from `src/kernel/events.h` by `quantum events`; `make "
                      "test` compares the two. "
                      "On the bus an event travels on stream `quantum:stream:{type}` as JSON in "
                      "the field `payload`.\n");
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct event_info *info = &rows[i].info;
        snprintf(line, sizeof line,
                 "\n## %u · %s (version %u%s)\n%s. %u bytes in the journal.\n\n| field | kind | "
                 "JSON | rule | meaning |\n|---|---|---|---|---|\n",
                 info->type, info->name, info->version, info->published ? ", on the bus" : "",
                 info->about, info->size);
        write_fn(context, line);
        for (uint32_t k = 0; k < rows[i].field_count; k++) {
            const struct field *f = &rows[i].fields[k];
            snprintf(line, sizeof line, "| %s | %s | %s | %s | %s |\n", f->name,
                     kinds[f->kind].name, kinds[f->kind].form, kinds[f->kind].rule, f->about);
            write_fn(context, line);
        }
    }
}
