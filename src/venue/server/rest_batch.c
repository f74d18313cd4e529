/* Several orders in one request: each is answered in its place, an order or a refusal. */
#include <stdio.h>
#include <string.h>

#include "venue/server/rest_internal.h"

enum { BATCH_MAX = 5, CANCEL_MAX = 10 };

/* What the handler wrote is taken back if it refuses, and the refusal stands there instead. */
static void element(struct rest_call *c, rest_handler *handler) {
    struct json_writer before = *c->out;
    int32_t code = handler(c);
    if (code == 0) return;
    *c->out = before;
    rest_write_error(c, code, c->out);
}

static int32_t elements(struct rest_call *c, struct json_reader *reader, rest_handler *handler) {
    struct wire_params params;
    json_array_begin(reader);
    json_write_array_begin(c->out);
    while (json_array_next(reader)) {
        struct json_text object = json_raw(reader);
        struct rest_call one = *c;
        one.params = &params;
        one.json_numbers = true;
        one.argument[0] = '\0';
        one.alt = false;
        enum status st = wire_params_json(&params, c->rest->p->params2, REST_BATCH_BYTES,
                                          object.data, object.size);
        if (st == ST_OK)
            element(&one, handler);
        else
            rest_write_error(&one, rest_refuse(&one, -1130, "batchOrders"), c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

/* Counts the elements first: none of too many may be executed. */
static int32_t batch(struct rest_call *c, rest_handler *handler) {
    const char *text;
    int32_t code = rest_text_required(c, "batchOrders", &text);
    if (code) return code;
    struct json_reader reader;
    unsigned count = 0;
    json_reader_init(&reader, text, strlen(text));
    if (json_peek(&reader) != JSON_ARRAY) return rest_missing(c, "batchOrders");
    json_array_begin(&reader);
    for (; json_array_next(&reader); count++) json_skip(&reader);
    if (json_finish(&reader) != ST_OK) return rest_missing(c, "batchOrders");
    if (count < 1 || count > BATCH_MAX) {
        char number[16];
        snprintf(number, sizeof number, "%u", count);
        return rest_refuse(c, -4082, number);
    }
    json_reader_init(&reader, text, strlen(text));
    return elements(c, &reader, handler);
}

int32_t rest_batch_place(struct rest_call *c) {
    return batch(c, rest_order_place);
}
int32_t rest_batch_amend(struct rest_call *c) {
    return batch(c, rest_order_amend);
}

/* The list under either of its names, one client writes it in lower case. */
static int32_t list_of(struct rest_call *c, const char *name, const char *lower, const char **out) {
    int32_t code = rest_text(c, name, out);
    return code || *out ? code : rest_text(c, lower, out);
}

struct cancel_list {
    uint32_t count;
    uint64_t ids[CANCEL_MAX];
    char client_ids[CANCEL_MAX][CLIENT_ORDER_ID_SIZE];
};

/* [1,2], ["1","2"], or client ids ["a","b"]. */
static int32_t list_read(struct rest_call *c, struct cancel_list *list, const char *text,
                         const char *name, bool by_id) {
    struct json_reader r;
    json_reader_init(&r, text, strlen(text));
    if (json_peek(&r) != JSON_ARRAY) return rest_refuse(c, -1130, name);
    json_array_begin(&r);
    while (json_array_next(&r)) {
        if (list->count == CANCEL_MAX) return rest_refuse(c, -4032, "");
        if (by_id) {
            int64_t id = json_i64(&r);
            if (id < 1) return rest_refuse(c, -1130, name);
            list->ids[list->count++] = (uint64_t)id;
            continue;
        }
        struct json_text id = json_string(&r);
        size_t size = 0;
        char *out = list->client_ids[list->count];
        if (r.error || json_text_copy(out, CLIENT_ORDER_ID_SIZE, &size, &id) != ST_OK ||
            !venue_client_id_is_valid(out, size))
            return rest_refuse(c, -1130, name);
        list->count++;
    }
    if (json_finish(&r) != ST_OK || list->count == 0) return rest_refuse(c, -1130, name);
    return 0;
}

int32_t rest_batch_cancel(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_ORDER_CANCEL, .account = c->account};
    struct cancel_list list = {0};
    const char *ids, *client_ids;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = list_of(c, "orderIdList", "orderidlist", &ids);
    if (!code) code = list_of(c, "origClientOrderIdList", "origclientorderidlist", &client_ids);
    if (code) return code;
    if (!ids && !client_ids)
        return rest_refuse_alt(c, -1102, "orderIdList' or 'origClientOrderIdList");
    code = ids ? list_read(c, &list, ids, "orderIdList", true)
               : list_read(c, &list, client_ids, "origClientOrderIdList", false);
    if (code) return code;
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < list.count; i++) {
        struct exchange_reply reply;
        in.order_id = list.ids[i];
        memcpy(in.client_id, list.client_ids[i], sizeof in.client_id);
        code = rest_do(c, &in, &reply);
        if (code)
            rest_write_error(c, code, c->out);
        else
            rest_write_canceled(c, &reply);
    }
    json_write_array_end(c->out);
    return 0;
}
