/* Timers of all connections in one hashed wheel (Varghese, Lauck, "Hashed and Hierarchical Timing
 * Wheels", 1987): a ring of lists, one uv_timer for all of them.
 *
 * Deadlines mostly move later (every request pushes the idle limit out), and those moves cost one
 * store: a connection stays filed where it was and is filed again when its old place comes round. */
#include "net/net_internal.h"

void wheel_init(struct net *n) {
    for (int i = 0; i < WHEEL_SLOTS; i++) link_init(&n->wheel[i]);
}

static void file(struct net_conn *c) {
    struct net *n = c->net;
    int64_t tick = n->wheel_ms / WHEEL_TICK_MS, due = (c->deadline_ms - 1) / WHEEL_TICK_MS + 1;
    if (due <= tick) due = tick + 1;
    if (due >= tick + WHEEL_SLOTS) due = tick + WHEEL_SLOTS - 1;
    link_last(&n->wheel[due % WHEEL_SLOTS], &c->wheel);
    c->wheel_ms = due * WHEEL_TICK_MS;
}

void wheel_arm(struct net_conn *c, int64_t deadline_ms) {
    c->deadline_ms = deadline_ms;
    if (link_is_in(&c->wheel)) {
        if (c->wheel_ms <= deadline_ms) return;
        link_out(&c->wheel);
    }
    file(c);
}

void wheel_turn(struct net *n, int64_t now_ms) {
    while (n->wheel_ms + WHEEL_TICK_MS <= now_ms) {
        n->wheel_ms += WHEEL_TICK_MS;
        struct link due, *slot = &n->wheel[n->wheel_ms / WHEEL_TICK_MS % WHEEL_SLOTS];
        if (!link_is_in(slot)) continue;
        due = *slot; /* taken out as a whole: what is filed meanwhile waits for the next turn */
        due.next->prev = due.prev->next = &due;
        link_init(slot);
        while (link_is_in(&due)) {
            struct net_conn *c =
                (struct net_conn *)((char *)due.next - offsetof(struct net_conn, wheel));
            link_out(&c->wheel);
            if (c->deadline_ms > n->wheel_ms)
                file(c);
            else
                conn_due(c, now_ms);
        }
    }
}
