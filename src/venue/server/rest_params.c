#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "venue/server/rest_internal.h"

int32_t rest_missing(struct rest_call *c, const char *name) {
    return rest_refuse(c, -1102, name);
}

int32_t rest_text(struct rest_call *c, const char *name, const char **out) {
    const struct wire_param *p = wire_param_find(c->params, name);
    *out = p ? p->value : NULL;
    return p && p->value_size == 0 ? rest_refuse(c, -1105, name) : 0;
}

int32_t rest_text_required(struct rest_call *c, const char *name, const char **out) {
    const struct wire_param *p = wire_param_find(c->params, name);
    *out = p ? p->value : NULL;
    return !p || p->value_size == 0 ? rest_missing(c, name) : 0;
}

int32_t rest_symbol_optional(struct rest_call *c, uint32_t *instrument) {
    *instrument = ALL_INSTRUMENTS;
    const struct wire_param *p = wire_param_find(c->params, "symbol");
    if (!p) return 0;
    if (p->value_size == 0) return rest_refuse(c, -1105, "symbol");
    int found = world_find(c->rest->world, p->value, p->value_size);
    if (found < 0) return rest_refuse(c, -1121, "");
    *instrument = (uint32_t)found;
    return 0;
}

int32_t rest_symbol(struct rest_call *c, uint32_t *instrument) {
    const char *text;
    int32_t code = rest_text_required(c, "symbol", &text);
    return code ? code : rest_symbol_optional(c, instrument);
}

void rest_symbol_range(const struct rest_call *c, uint32_t instrument, uint32_t *begin,
                       uint32_t *end) {
    bool all = instrument == ALL_INSTRUMENTS;
    *begin = all ? 0 : instrument;
    *end = all ? exchange_instrument_count(c->exchange) : instrument + 1;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* ^([0-9]{1,20})(\.[0-9]{1,20})?$ ; *decimals: digits behind the point that are not closing zeros. */
static bool decimal_grammar(const char *text, int *decimals) {
    int whole = 0, behind = 0;
    const char *p = text;
    *decimals = 0;
    for (; is_digit(*p); p++) whole++;
    if (*p == '.') {
        for (p++; is_digit(*p); p++) {
            behind++;
            if (*p != '0') *decimals = behind;
        }
        if (behind == 0) return false;
    }
    return *p == '\0' && whole >= 1 && whole <= 20 && behind <= 20;
}

int32_t rest_decimal(struct rest_call *c, const char *name, int decimals, int32_t range_code,
                     bool *present, int64_t *out_e8) {
    const char *text;
    int digits = 0;
    *present = false;
    *out_e8 = 0;
    int32_t code = rest_text(c, name, &text);
    if (code || !text) return code;
    bool plain = decimal_grammar(text, &digits);
    if (!plain && !c->json_numbers) return rest_refuse(c, -1100, name);
    if (plain && digits > decimals) return rest_refuse(c, -1111, name);
    int64_t e8 = 0;
    enum status st = fx_parse(&e8, text, strlen(text));
    if (st == ST_INVALID || e8 < 0) return rest_refuse(c, -1100, name);
    if (st != ST_OK) return rest_refuse(c, plain ? range_code : -1111, name);
    if (e8 != 0 && render_decimals(e8) > decimals) return rest_refuse(c, -1111, name);
    *present = true;
    *out_e8 = e8;
    return 0;
}

int32_t rest_integer(struct rest_call *c, const char *name, bool *present, int64_t *out) {
    const char *text;
    *present = false;
    *out = 0;
    int32_t code = rest_text(c, name, &text);
    if (code || !text) return code;
    int64_t value = 0;
    for (const char *p = text; *p; p++) {
        if (!is_digit(*p)) return rest_refuse(c, -1100, name);
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return rest_refuse(c, -1130, name);
    }
    *present = true;
    *out = value;
    return 0;
}

int32_t rest_integer_required(struct rest_call *c, const char *name, int64_t *out) {
    const char *text;
    bool present;
    int32_t code = rest_text_required(c, name, &text);
    return code ? code : rest_integer(c, name, &present, out);
}

int32_t rest_bool(struct rest_call *c, const char *name, bool *present, bool *out) {
    const char *text;
    *present = false;
    *out = false;
    int32_t code = rest_text(c, name, &text);
    if (code || !text) return code;
    *present = true;
    *out = strcasecmp(text, "true") == 0;
    return *out || strcasecmp(text, "false") == 0 ? 0 : rest_refuse(c, -1130, name);
}

int32_t rest_enum(struct rest_call *c, const char *name, int (*find)(const char *), int32_t code,
                  int absent, uint8_t *out) {
    const char *text;
    *out = (uint8_t)absent;
    int32_t refused = rest_text(c, name, &text);
    if (refused || !text) return refused;
    int found = find(text);
    if (found < 0) return rest_refuse(c, code, text);
    *out = (uint8_t)found;
    return 0;
}

int32_t rest_limit(struct rest_call *c, uint32_t absent, uint32_t max, uint32_t *out) {
    bool present;
    int64_t value;
    *out = absent;
    int32_t code = rest_integer(c, "limit", &present, &value);
    if (code || !present) return code;
    if (value < 1 || value > max) return rest_refuse(c, -1130, "limit");
    *out = (uint32_t)value;
    return 0;
}

/* A time in ms that no ns can hold lies beyond everything. */
static int64_t ns_of_ms(int64_t ms) {
    return ms > INT64_MAX / NS_PER_MS ? INT64_MAX : ms * NS_PER_MS;
}

int32_t rest_times(struct rest_call *c, int64_t *from_ns, int64_t *to_ns) {
    bool has_from, has_to;
    int64_t from, to;
    int32_t code = rest_integer(c, "startTime", &has_from, &from);
    if (!code) code = rest_integer(c, "endTime", &has_to, &to);
    if (code) return code;
    if (has_from && has_to && from > to) return rest_refuse(c, -1023, "");
    *from_ns = ns_of_ms(from);
    /* endTime takes in its whole millisecond; rows know nanoseconds. */
    *to_ns = has_to ? ns_of_ms(to) : 0;
    if (has_to && *to_ns < INT64_MAX) *to_ns += NS_PER_MS - 1;
    return 0;
}

int32_t rest_times_window(struct rest_call *c, int days, int64_t *from_ns, int64_t *to_ns) {
    int64_t window_ns = days * NS_PER_DAY;
    int32_t code = rest_times(c, from_ns, to_ns);
    if (code) return code;
    if (*from_ns && *to_ns && *to_ns - *from_ns > window_ns + NS_PER_MS) {
        char text[FX_TEXT_SIZE];
        fx_format(text, days * FX_ONE);
        return rest_refuse_alt(c, -4165, text);
    }
    if (!*from_ns && !*to_ns) *to_ns = c->now_ns;
    if (!*from_ns) *from_ns = *to_ns > window_ns ? *to_ns - window_ns : 1;
    if (!*to_ns) *to_ns = *from_ns < INT64_MAX - window_ns ? *from_ns + window_ns : INT64_MAX;
    return 0;
}

int32_t rest_history_query(struct rest_call *c, const char *id_name, struct history_query *q) {
    bool has_id;
    int64_t id;
    *q = (struct history_query){.account = c->account, .now_ns = c->now_ns};
    int32_t code = rest_symbol(c, &q->instrument);
    if (!code) code = rest_integer(c, id_name, &has_id, &id);
    if (!code) code = rest_limit(c, 500, 1000, &q->limit);
    if (!code)
        code = has_id ? rest_times(c, &q->from_ns, &q->to_ns)
                      : rest_times_window(c, 7, &q->from_ns, &q->to_ns);
    if (code) return code;
    q->from_id = (uint64_t)id;
    return 0;
}

int32_t rest_order_id(struct rest_call *c, const char *id_name, const char *client_name,
                      uint64_t *id, char client_id[CLIENT_ORDER_ID_SIZE]) {
    bool has_id = false;
    int64_t number = 0;
    const struct wire_param *p = wire_param_find(c->params, id_name);
    *id = 0;
    client_id[0] = '\0';
    if (p && p->value_size) {
        int32_t code = rest_integer(c, id_name, &has_id, &number);
        if (code) return code;
        *id = (uint64_t)number;
        return number ? 0 : rest_refuse(c, -1130, id_name);
    }
    p = wire_param_find(c->params, client_name);
    if (!p || p->value_size == 0) {
        char both[80];
        snprintf(both, sizeof both, "%s' or '%s", client_name, id_name);
        return rest_refuse_alt(c, -1102, both);
    }
    if (!venue_client_id_is_valid(p->value, p->value_size)) {
        if (p->value_size > 36) return rest_refuse_alt(c, -4015, "");
        return rest_refuse(c, -4015, "");
    }
    memcpy(client_id, p->value, p->value_size + 1);
    return 0;
}
