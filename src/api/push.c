#include "api/push.h"

#include <string.h>

#include "base/assert.h"

static void look(struct push *p, const struct view *v) {
    for (uint32_t i = 0; i < v->symbol_count; i++) p->seen[i] = v->symbols[i].signal_ts_ns;
    p->version = v->version;
}

bool push_open(struct push *p, struct net_conn *conn, bool wants_all, const struct view *v) {
    if (p->count == PUSH_CLIENTS_MAX) return false;
    if (p->count == 0) { /* nobody listened, so nobody looked */
        memset(p->seen, 0, sizeof p->seen);
        p->version = 0;
        if (v) look(p, v);
    }
    for (int i = 0; i < PUSH_CLIENTS_MAX; i++) {
        if (p->clients[i].conn) continue;
        p->clients[i] = (struct push_client){.conn = conn, .wants_all = wants_all};
        p->count++;
        return true;
    }
    return false;
}

bool push_close(struct push *p, const struct net_conn *conn) {
    for (int i = 0; i < PUSH_CLIENTS_MAX; i++) {
        if (p->clients[i].conn != conn) continue;
        p->clients[i].conn = NULL;
        p->count--;
        return true;
    }
    return false;
}

static void send_all(struct push *p, const char *text, size_t size, bool is_hold) {
    for (int i = 0; i < PUSH_CLIENTS_MAX; i++) {
        const struct push_client *c = &p->clients[i];
        if (!c->conn || (is_hold && !c->wants_all)) continue;
        p->sent += net_send(c->conn, text, size); /* false: cut for being slow; its close comes */
    }
}

void push_view(struct push *p, const struct view *v, char *scratch, size_t size) {
    if (p->count == 0 || v->version == p->version) return;
    for (uint32_t i = 0; i < v->symbol_count; i++) {
        const struct view_symbol *s = &v->symbols[i];
        if (s->signal_ts_ns == 0 || s->signal_ts_ns == p->seen[i]) continue;
        struct json_writer w;
        json_writer_init(&w, scratch, size);
        api_signal_push(&w, s, v);
        ASSERT(json_writer_finish(&w) == ST_OK); /* a few KB in megabytes */
        send_all(p, scratch, w.size, api_signal_action(s, v) == LABEL_HOLD);
    }
    look(p, v);
}
