/* Private to src/api: GET /ws/signals. Each signal that is new with a publication of the view goes out as one JSON text to
 * everybody who listens. HOLD goes to those who asked for all. In a run that is faster than publications are (ten a
 * second), closes in between are not seen: the newest signal of each symbol is. Loop thread only. */
#ifndef API_PUSH_H
#define API_PUSH_H

#include "api/api_internal.h"
#include "net/net.h"

enum { PUSH_CLIENTS_MAX = 32 };

struct push_client {
    struct net_conn *conn; /* NULL: free */
    bool wants_all;
};

struct push {
    uint32_t count;
    uint64_t sent, version; /* version: of the view that was looked at last */
    struct push_client clients[PUSH_CLIENTS_MAX];
    int64_t
        seen[INSTRUMENTS_MAX]; /* signal_ts_ns of the newest that went out, by place in the view */
};

/* False: as many listen as may. What is published already is not sent: v NULL before the first publication. */
bool push_open(struct push *p, struct net_conn *conn, bool wants_all, const struct view *v);
/* True if it listened. */
bool push_close(struct push *p, const struct net_conn *conn);
/* scratch (size): room for one text. */
void push_view(struct push *p, const struct view *v, char *scratch, size_t size);

#endif
