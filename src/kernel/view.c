#include "kernel/view.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"

/* READERS_MAX readers hold at most READERS_MAX buffers; one more is the newest, one more is free. */
enum { READERS_MAX = 4, BUFFERS = READERS_MAX + 2 };

const int64_t view_protected_edges_ns[VIEW_PROTECTED_EDGES] = {
    10 * NS_PER_MS,    20 * NS_PER_MS,     50 * NS_PER_MS,     100 * NS_PER_MS,   200 * NS_PER_MS,
    300 * NS_PER_MS,   500 * NS_PER_MS,    NS_PER_SECOND,      2 * NS_PER_SECOND, 3 * NS_PER_SECOND,
    5 * NS_PER_SECOND, 10 * NS_PER_SECOND, 30 * NS_PER_SECOND, 60 * NS_PER_SECOND};

struct view_box {
    atomic_int newest;           /* index of the newest publication, -1 none yet */
    _Atomic uint64_t published;  /* its version */
    atomic_int inside;           /* readers between reader_enter and reader_leave */
    atomic_int readers[BUFFERS]; /* readers that copy from the buffer now */
    int writing;                 /* the writer's: buffer handed out by view_begin, -1 none */
    uint64_t version;            /* the writer's */
    struct view buffers[BUFFERS];
};

const char *run_mode_text(enum run_mode mode) {
    switch (mode) {
    case MODE_REPLAY:
        return "replay";
    case MODE_PAPER:
        return "paper";
    case MODE_TESTNET:
        return "testnet";
    case MODE_LIVE:
        return "live";
    }
    return "unknown";
}

struct view_box *view_box_create(void) {
    struct view_box *box = calloc(1, sizeof *box);
    if (!box) return NULL;
    atomic_init(&box->newest, -1);
    atomic_init(&box->published, 0);
    atomic_init(&box->inside, 0);
    for (int i = 0; i < BUFFERS; i++) atomic_init(&box->readers[i], 0);
    box->writing = -1;
    return box;
}

void view_box_destroy(struct view_box *box) {
    free(box);
}

struct view *view_begin(struct view_box *box) {
    ASSERT(box->writing < 0);
    int newest = atomic_load(&box->newest);
    /* A reader counts itself in before it looks again at `newest`, and we moved `newest` on before
     * we look at the counts (both sequentially consistent): a buffer that is not the newest and
     * shows no reader has none that will go on to copy from it. */
    int i = 0;
    while (i < BUFFERS && (i == newest || atomic_load(&box->readers[i]) != 0)) i++;
    ASSERT(i < BUFFERS);
    box->writing = i;
    return &box->buffers[i];
}

static void counts_assert(const struct view *v) {
    ASSERT(v->symbol_count <= INSTRUMENTS_MAX);
    ASSERT(v->position_count <= VIEW_POSITIONS_MAX);
    ASSERT(v->order_count <= VIEW_ORDERS_MAX);
    ASSERT(v->trade_count <= VIEW_TRADES_MAX);
    ASSERT(v->equity_count <= VIEW_EQUITY_MAX);
    ASSERT(v->role_count <= VIEW_ROLES_MAX);
    ASSERT(v->reason_count <= VIEW_REASONS_MAX);
}

void view_publish(struct view_box *box) {
    ASSERT(box->writing >= 0);
    struct view *v = &box->buffers[box->writing];
    counts_assert(v);
    v->version = ++box->version;
    atomic_store(&box->newest, box->writing);
    atomic_store(&box->published, v->version);
    box->writing = -1;
}

static void reader_enter(struct view_box *box) {
    while (atomic_fetch_add(&box->inside, 1) >= READERS_MAX) {
        atomic_fetch_sub(&box->inside, 1);
        sched_yield();
    }
}

static void copy_used(struct view *out, const struct view *in) {
    memcpy(out, in, offsetof(struct view, reasons));
    memcpy(out->reasons, in->reasons, in->reason_count * sizeof in->reasons[0]);
    memcpy(out->positions, in->positions, in->position_count * sizeof in->positions[0]);
    memcpy(out->open_orders, in->open_orders, in->order_count * sizeof in->open_orders[0]);
    memcpy(out->recent, in->recent, in->trade_count * sizeof in->recent[0]);
    memcpy(out->equity_curve, in->equity_curve, in->equity_count * sizeof in->equity_curve[0]);
    memcpy(out->symbols, in->symbols, in->symbol_count * sizeof in->symbols[0]);
}

bool view_read(struct view_box *box, struct view *out) {
    bool read = false;
    reader_enter(box);
    for (;;) {
        int i = atomic_load(&box->newest);
        if (i < 0) break;
        atomic_fetch_add(&box->readers[i], 1);
        if (atomic_load(&box->newest) == i) {
            copy_used(out, &box->buffers[i]);
            read = true;
        }
        atomic_fetch_sub(&box->readers[i], 1);
        if (read) break;
    }
    atomic_fetch_sub(&box->inside, 1);
    return read;
}

uint64_t view_version(const struct view_box *box) {
    return atomic_load(&box->published);
}
