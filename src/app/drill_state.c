/* The running system as its API shows it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/ask.h"
#include "app/drill.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/tstamp.h"

enum { REPLY_SIZE = 1 << 20 };

void drill_nap(void) {
    const struct timespec ts = {.tv_nsec = 20 * NS_PER_MS};
    nanosleep(&ts, NULL);
}

typedef void (*field_fn)(struct drill_state *s, struct json_reader *r, const struct json_text *key);

static void text_of(char out[DRILL_TEXT_SIZE], struct json_reader *r) {
    out[0] = '\0';
    if (json_peek(r) != JSON_STRING) {
        json_skip(r);
        return;
    }
    struct json_text text = json_string(r);
    (void)json_text_copy(out, DRILL_TEXT_SIZE, NULL, &text); /* too long: "" */
}

/* null: 0. */
static int64_t whole_of(struct json_reader *r) {
    if (json_peek(r) == JSON_NUMBER || json_peek(r) == JSON_STRING) return json_i64(r);
    json_skip(r);
    return 0;
}

static void risk_field(struct drill_state *s, struct json_reader *r, const struct json_text *key) {
    if (json_text_is(key, "mode"))
        text_of(s->mode, r);
    else if (json_text_is(key, "running"))
        s->running = json_bool(r);
    else if (json_text_is(key, "emergency_stop"))
        s->emergency_stop = json_bool(r);
    else if (json_text_is(key, "started"))
        s->started_ms = whole_of(r);
    else if (json_text_is(key, "market_time"))
        s->market_ms = whole_of(r);
    else if (json_text_is(key, "live_orders"))
        s->live_orders = whole_of(r);
    else
        json_skip(r);
}

static void health_field(struct drill_state *s, struct json_reader *r,
                         const struct json_text *key) {
    if (json_text_is(key, "pid"))
        s->pid = (pid_t)whole_of(r);
    else
        json_skip(r);
}

static void position_read(struct drill_position *p, struct json_reader *r) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol"))
            text_of(p->symbol, r);
        else if (json_text_is(&key, "side"))
            text_of(p->side, r);
        else if (json_text_is(&key, "stop_px"))
            text_of(p->stop_px, r);
        else if (json_text_is(&key, "qty"))
            p->qty_e8 = json_e8(r);
        else if (json_text_is(&key, "protected"))
            p->is_protected = json_bool(r);
        else if (json_text_is(&key, "entry_time"))
            p->entry_ms = whole_of(r);
        else
            json_skip(r);
    }
}

static void positions_field(struct drill_state *s, struct json_reader *r,
                            const struct json_text *key) {
    if (!json_text_is(key, "data")) {
        json_skip(r);
        return;
    }
    json_array_begin(r);
    while (json_array_next(r)) {
        struct drill_position p = {0};
        position_read(&p, r);
        if (s->position_count < DRILL_POSITIONS_MAX) s->positions[s->position_count] = p;
        s->position_count++;
    }
}

static void trade_read(struct drill_trade *t, struct json_text row) {
    struct json_reader r;
    struct json_text key;
    char id[DRILL_TEXT_SIZE];
    *t = (struct drill_trade){.row_hash = hash64(row.data, row.size)};
    json_reader_init(&r, row.data, row.size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "trade_id")) {
            text_of(id, &r);
            t->trade_id = hash64(id, strlen(id));
        } else if (json_text_is(&key, "symbol")) {
            text_of(t->symbol, &r);
        } else if (json_text_is(&key, "entry_time")) {
            t->entry_ms = whole_of(&r);
        } else {
            json_skip(&r);
        }
    }
}

static void trades_field(struct drill_state *s, struct json_reader *r,
                         const struct json_text *key) {
    if (!json_text_is(key, "data")) {
        json_skip(r);
        return;
    }
    json_array_begin(r);
    while (json_array_next(r)) {
        struct json_text row = json_raw(r);
        if (s->trade_count < DRILL_TRADES_MAX) trade_read(&s->trades[s->trade_count], row);
        s->trade_count++;
    }
}

static enum status read_object(struct drill_state *s, char *reply, uint16_t port, const char *path,
                               field_fn field, struct err *err) {
    struct json_reader r;
    struct json_text key;
    char *body, why[256];
    int code = ask_quietly(reply, REPLY_SIZE, &body, err, port, path, NULL);
    if (code == 0) return err->st;
    if (code != 200) {
        ask_error(why, sizeof why, body);
        return err_set(err, code == 503 ? ST_AGAIN : ST_EXTERNAL, "%s: %d: %s%s", path, code, why,
                       code == 401 ? " (set $QUANTUM_API_TOKEN)" : "");
    }
    json_reader_init(&r, body, strlen(body));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) field(s, &r, &key);
    if (json_finish(&r) != ST_OK)
        return err_set(err, ST_EXTERNAL, "%s: %s", path, r.error ? r.error : "no object");
    return ST_OK;
}

enum status drill_look(struct drill_state *out, uint16_t port, struct err *err) {
    static const struct {
        const char *path;
        field_fn field;
    } parts[] = {{"/api/risk", risk_field},
                 {"/health", health_field},
                 {"/api/positions", positions_field},
                 {"/api/trades?limit=1000", trades_field}};
    char *reply = malloc(REPLY_SIZE);
    enum status st = reply ? ST_OK : err_set(err, ST_NO_MEMORY, "out of memory");
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && st == ST_OK; i++)
        st = read_object(out, reply, port, parts[i].path, parts[i].field, err);
    free(reply);
    if (st == ST_OK && out->mode[0] == '\0')
        st = err_set(err, ST_AGAIN, "nothing is published yet");
    if (st == ST_OK &&
        (out->position_count > DRILL_POSITIONS_MAX || out->trade_count > DRILL_TRADES_MAX))
        st = err_set(err, ST_FULL, "more than %d positions", DRILL_POSITIONS_MAX);
    return st;
}
