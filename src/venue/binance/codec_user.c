/* Frames of the user data stream: what became of orders, conditional orders and the account. */
#include <string.h>

#include "venue/binance/codec_internal.h"

static uint8_t read_exec(struct json_reader *r) {
    static const struct {
        const char *text;
        uint8_t value;
    } table[] = {{"NEW", EXEC_TYPE_NEW},
                 {"CANCELED", EXEC_TYPE_CANCELED},
                 {"TRADE", EXEC_TYPE_TRADE},
                 {"EXPIRED", EXEC_TYPE_EXPIRED},
                 {"CALCULATED", EXEC_TYPE_CALCULATED},
                 {"AMENDMENT", EXEC_TYPE_AMENDMENT}};
    struct json_text t = json_string(r);
    if (!r->error)
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            if (json_text_is(&t, table[i].text)) return table[i].value;
    return EXEC_TYPE_NONE;
}

static void read_order_pair(struct decode *d, const struct json_text *key) {
    struct stream_order *o = &d->out->u.order;
    if (json_text_is(key, "ap"))
        o->avg_px.e8 = binance_read_decimal(d->r);
    else if (json_text_is(key, "rp"))
        o->realized_pnl.e8 = binance_read_decimal(d->r);
    else if (json_text_is(key, "ot"))
        o->orig_type = binance_read_order_type(d->r);
    else if (json_text_is(key, "er"))
        o->expiry = (int32_t)(binance_read_id(d->r) & 0xffff);
    else if (json_text_is(key, "cp"))
        o->close_position = binance_read_bool(d->r);
    else
        json_skip(d->r);
}

static void read_order_field(struct decode *d, const struct json_text *key) {
    struct stream_order *o = &d->out->u.order;
    switch (binance_letter(key)) {
    case 's':
        binance_read_symbol(d->r, d->out->symbol);
        d->has |= HAS_SYMBOL;
        break;
    case 'c':
        binance_read_text(d->r, o->client_id, sizeof o->client_id);
        break;
    case 'S':
        o->side = binance_read_side(d->r);
        d->has |= HAS_SIDE;
        break;
    case 'o':
        o->type = binance_read_order_type(d->r);
        break;
    case 'q':
        o->order_qty.e8 = json_e8(d->r);
        break;
    case 'x':
        o->exec = read_exec(d->r);
        break;
    case 'X':
        o->status = binance_read_status(d->r);
        break;
    case 'i':
        o->order_id = binance_read_id(d->r);
        d->has |= HAS_ID;
        break;
    case 'l':
        o->last_qty.e8 = json_e8(d->r);
        break;
    case 'z':
        o->cum_qty.e8 = json_e8(d->r);
        d->has |= HAS_QTY;
        break;
    case 'L':
        o->last_px.e8 = json_e8(d->r);
        break;
    case 'n':
        o->commission.e8 = binance_read_decimal(d->r);
        break;
    case 'T':
        o->trade_ns = binance_read_ms(d->r);
        break;
    case 't':
        o->trade_id = binance_read_id(d->r);
        break;
    case 'm':
        o->is_maker = json_bool(d->r);
        break;
    case 'R':
        o->reduce_only = binance_read_bool(d->r);
        break;
    default:
        read_order_pair(d, key);
    }
}

/* What cannot have happened is not evidence of anything. */
static bool order_is_possible(const struct stream_order *o) {
    if (o->order_qty.e8 < 0 || o->cum_qty.e8 < 0 || o->last_qty.e8 < 0) return false;
    if (o->exec != EXEC_TYPE_TRADE && o->exec != EXEC_TYPE_CALCULATED) return true;
    return o->cum_qty.e8 >= o->last_qty.e8 && o->trade_id > 0 &&
           binance_fill_is_possible(o->last_px, o->last_qty, o->commission, o->realized_pnl);
}

void binance_decode_order(struct decode *d, const struct json_text *key) {
    struct json_text inner;
    if (binance_letter(key) != 'o') {
        json_skip(d->r);
        return;
    }
    memset(&d->out->u.order, 0, sizeof d->out->u.order);
    json_object_begin(d->r);
    while (json_object_next(d->r, &inner)) read_order_field(d, &inner);
    if (!order_is_possible(&d->out->u.order)) binance_reader_fail(d->r, "not an execution report");
    d->has |= HAS_BODY;
}

static void read_algo_field(struct decode *d, const struct json_text *key) {
    struct stream_algo *a = &d->out->u.algo;
    if (json_text_is(key, "caid")) {
        binance_read_text(d->r, a->client_id, sizeof a->client_id);
    } else if (json_text_is(key, "aid")) {
        a->algo_id = binance_read_id(d->r);
        d->has |= HAS_ID;
    } else if (json_text_is(key, "ai")) {
        a->child_id = binance_read_id(d->r);
    } else if (json_text_is(key, "s")) {
        binance_read_symbol(d->r, d->out->symbol);
        d->has |= HAS_SYMBOL;
    } else if (json_text_is(key, "S")) {
        a->side = binance_read_side(d->r);
        d->has |= HAS_SIDE;
    } else if (json_text_is(key, "o")) {
        a->type = binance_read_order_type(d->r);
    } else if (json_text_is(key, "X")) {
        a->status = binance_read_algo_status(d->r);
    } else if (json_text_is(key, "q")) {
        a->order_qty.e8 = binance_read_decimal(d->r);
    } else if (json_text_is(key, "aq")) {
        a->filled_qty.e8 = binance_read_decimal(d->r);
    } else if (json_text_is(key, "ap")) {
        a->avg_px.e8 = binance_read_decimal(d->r);
    } else if (json_text_is(key, "cp")) {
        a->close_position = binance_read_bool(d->r);
    } else if (json_text_is(key, "rm")) {
        struct json_text t = json_string(d->r);
        /* For people: one that does not fit is left out. */
        (void)json_text_copy(a->reason, sizeof a->reason, NULL, &t);
    } else {
        json_skip(d->r);
    }
}

void binance_decode_algo(struct decode *d, const struct json_text *key) {
    struct json_text inner;
    if (binance_letter(key) != 'o') {
        json_skip(d->r);
        return;
    }
    memset(&d->out->u.algo, 0, sizeof d->out->u.algo);
    json_object_begin(d->r);
    while (json_object_next(d->r, &inner)) read_algo_field(d, &inner);
    d->has |= HAS_BODY;
}

static void read_balance(struct decode *d) {
    struct json_text key;
    struct stream_account *a = &d->out->u.account;
    int64_t wallet = 0, change = 0;
    bool usdt = false;
    json_object_begin(d->r);
    while (json_object_next(d->r, &key)) {
        if (json_text_is(&key, "a")) {
            struct json_text t = json_string(d->r);
            usdt = json_text_is(&t, "USDT");
        } else if (json_text_is(&key, "wb")) {
            wallet = binance_read_decimal(d->r);
        } else if (json_text_is(&key, "bc")) {
            change = binance_read_decimal(d->r);
        } else {
            json_skip(d->r);
        }
    }
    if (!usdt) return;
    a->has_wallet = true;
    a->wallet.e8 = wallet;
    a->change.e8 = change;
}

static void read_account_position(struct decode *d) {
    struct json_text key;
    struct stream_account *a = &d->out->u.account;
    if (a->count == STREAM_POSITIONS_MAX) {
        a->cut = true;
        json_skip(d->r);
        return;
    }
    uint32_t i = a->count++;
    json_object_begin(d->r);
    while (json_object_next(d->r, &key)) {
        if (json_text_is(&key, "s")) {
            binance_read_symbol(d->r, a->positions[i].symbol);
        } else if (json_text_is(&key, "pa")) {
            a->positions[i].qty.e8 = binance_read_decimal(d->r);
        } else if (json_text_is(&key, "ep")) {
            a->positions[i].entry_px.e8 = binance_read_decimal(d->r);
        } else if (json_text_is(&key, "iw")) {
            a->positions[i].isolated_wallet.e8 = binance_read_decimal(d->r);
        } else if (json_text_is(&key, "ps")) {
            struct json_text t = json_string(d->r);
            a->positions[i].one_way = json_text_is(&t, "BOTH");
        } else {
            json_skip(d->r);
        }
    }
}

void binance_decode_account(struct decode *d, const struct json_text *key) {
    struct json_text inner;
    if (binance_letter(key) != 'a') {
        json_skip(d->r);
        return;
    }
    memset(&d->out->u.account, 0, sizeof d->out->u.account);
    json_object_begin(d->r);
    while (json_object_next(d->r, &inner)) {
        if (json_text_is(&inner, "m")) {
            binance_read_text(d->r, d->out->u.account.reason, sizeof d->out->u.account.reason);
        } else if (json_text_is(&inner, "B")) {
            json_array_begin(d->r);
            while (json_array_next(d->r)) read_balance(d);
        } else if (json_text_is(&inner, "P")) {
            json_array_begin(d->r);
            while (json_array_next(d->r)) read_account_position(d);
        } else {
            json_skip(d->r);
        }
    }
    d->has |= HAS_BODY;
}
