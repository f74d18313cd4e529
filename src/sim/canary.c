#include "sim/canary.h"

#include <string.h>

#include "base/fx.h"
#include "sim/check.h"
#include "trade/oms/oms.h"

static const char *const names[] = {
#define NAME(id, name, text, number) name,
    CANARY_TABLE(NAME)
#undef NAME
};
static const char *const texts[] = {
#define TEXT(id, name, text, number) text,
    CANARY_TABLE(TEXT)
#undef TEXT
};
static const int numbers[] = {
#define NUMBER(id, name, text, number) number,
    CANARY_TABLE(NUMBER)
#undef NUMBER
};

int canary_find(const char *name) {
    for (int i = 0; i < CANARY_COUNT; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

const char *canary_name(enum canary_kind kind) {
    return (unsigned)kind < CANARY_COUNT ? names[kind] : "?";
}

const char *canary_text(enum canary_kind kind) {
    return (unsigned)kind < CANARY_COUNT ? texts[kind] : "?";
}

int canary_invariant(enum canary_kind kind) {
    return (unsigned)kind < CANARY_COUNT ? numbers[kind] : CHECK_NONE;
}

void canary_init(struct canary *c, enum canary_kind kind, uint64_t seed) {
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->rng = rng_init(seed ^ 0x63616e617279u); /* "canary" */
    c->every = 4;
    c->venue_order_id = UINT64_C(1) << 62; /* of no order of any venue */
}

static bool strikes(struct canary *c) {
    if (rng_below(&c->rng, c->every) != 0) return false;
    c->struck++;
    return true;
}

/* ---- which orders ---- */

enum { ID_LEG = 15, ID_ATTEMPT = 16 };

static bool is_leg(const char *id, enum oms_leg leg) {
    char made[CLIENT_ORDER_ID_SIZE];
    oms_client_order_id(made, 0, leg, 0);
    return oms_is_ours(id) && id[ID_LEG] == made[ID_LEG];
}

/* Digits of an attempt: behind them nothing, or the run that asked. */
static size_t attempt_size(const char *id) {
    return strcspn(id + ID_ATTEMPT, "-");
}

/* The first stop of a trade: nothing else stands yet. */
static bool is_first_stop(const char *id) {
    char made[CLIENT_ORDER_ID_SIZE];
    oms_client_order_id(made, 0, LEG_STOP, 0);
    size_t size = attempt_size(id);
    return is_leg(id, LEG_STOP) && size == strlen(made + ID_ATTEMPT) &&
           memcmp(id + ID_ATTEMPT, made + ID_ATTEMPT, size) == 0;
}

/* The same order's id with an attempt that nobody makes. */
static void other_id(char id[CLIENT_ORDER_ID_SIZE]) {
    char made[CLIENT_ORDER_ID_SIZE], rest[CLIENT_ORDER_ID_SIZE] = "";
    const char *run = id + ID_ATTEMPT + attempt_size(id);
    oms_client_order_id(made, 0, LEG_ENTRY, 30);
    memcpy(rest, run, strlen(run));
    id[ID_ATTEMPT] = made[ID_ATTEMPT];
    memset(id + ID_ATTEMPT + 1, 0, CLIENT_ORDER_ID_SIZE - ID_ATTEMPT - 1);
    memcpy(id + ID_ATTEMPT + 1, rest, strlen(rest));
}

static bool is_hit(const struct canary *c, const char *id) {
    for (uint32_t i = 0; i < CANARY_HIT; i++)
        if (id[0] && strncmp(c->hit[i], id, CLIENT_ORDER_ID_SIZE) == 0) return true;
    return false;
}

static void hit(struct canary *c, const char *id) {
    memcpy(c->hit[c->hit_next++ % CANARY_HIT], id, CLIENT_ORDER_ID_SIZE);
}

/* ---- what the trader says ---- */

static enum status pass(struct canary *c, const struct venue_command *m, enum venue_lane lane,
                        struct err *err) {
    return c->inner.submit(c->inner.context, m, lane, err);
}

static void tell_later(struct canary *c, const struct venue_command *m, uint8_t kind) {
    if (c->pending_count == CANARY_PENDING) return;
    struct venue_event *e = &c->pending[c->pending_count++];
    *e = (struct venue_event){.kind = kind,
                              .side = m->side,
                              .order_type = m->order_type,
                              .instrument_index = m->instrument_index,
                              .ts_event_ns = c->inner.now_ns(c->inner.context),
                              .venue_order_id = c->venue_order_id++};
    memcpy(e->client_order_id, m->client_order_id, CLIENT_ORDER_ID_SIZE);
}

static enum status submit_naked(struct canary *c, const struct venue_command *m,
                                enum venue_lane lane, struct err *err) {
    bool stop = is_first_stop(m->client_order_id);
    if (stop && m->kind == COMMAND_ORDER_CANCEL && is_hit(c, m->client_order_id)) {
        tell_later(c, m, VENUE_ORDER_CANCELED);
        return ST_OK;
    }
    if (!stop || m->kind != COMMAND_ORDER_SUBMIT || !strikes(c)) return pass(c, m, lane, err);
    hit(c, m->client_order_id);
    tell_later(c, m, VENUE_ORDER_ACCEPTED);
    return ST_OK;
}

static enum status submit(void *context, const struct venue_command *m, enum venue_lane lane,
                          struct err *err) {
    struct canary *c = context;
    bool places = m->kind == COMMAND_ORDER_SUBMIT;
    if (c->kind == CANARY_NAKED) return submit_naked(c, m, lane, err);
    enum status st = pass(c, m, lane, err);
    if (st != ST_OK || !places) return st;
    if (is_leg(m->client_order_id, LEG_ENTRY)) {
        if (c->kind == CANARY_DOUBLE_ORDER && strikes(c)) {
            struct venue_command twin = *m;
            other_id(twin.client_order_id);
            return pass(c, &twin, lane, err);
        }
        if (c->kind == CANARY_LOST_FILL && strikes(c)) hit(c, m->client_order_id);
    }
    if (c->kind == CANARY_LOOSENED_STOP && is_leg(m->client_order_id, LEG_STOP) &&
        m->instrument_index < INSTRUMENTS_MAX) {
        c->stop[m->instrument_index] = *m;
        c->loosen[m->instrument_index] = strikes(c) ? LOOSEN_STANDING : LOOSEN_NOT;
    }
    return ST_OK;
}

/* ---- what it is told ---- */

static void note_fill(struct canary *c, const struct venue_event *e) {
    if (e->instrument_index >= INSTRUMENTS_MAX) return;
    if (e->kind == VENUE_ORDER_TRADE || e->kind == VENUE_LIQUIDATION)
        c->held[e->instrument_index] += side_sign((enum side)e->side) * e->last_qty.e8;
}

/* Whole ticks stay whole ticks: by steps of the greatest power of ten in the price. */
static int64_t farther(int64_t px, enum side side) {
    int64_t unit = 1;
    while (px % (unit * 10) == 0 && unit < 100 * FX_ONE) unit *= 10;
    int64_t away = px / 50 / unit * unit;
    return side == SIDE_SELL ? px - away : px + away;
}

/* The stop stands: a reduce-only one two per cent farther; and when that stands, away with the near one. */
static void loosen(struct canary *c, const struct venue_event *e) {
    uint32_t i = e->instrument_index;
    int64_t held = c->held[i];
    struct venue_command m = c->stop[i];
    struct err err = {0};
    if (c->loosen[i] == LOOSEN_FAR_ASKED) other_id(m.client_order_id);
    if (c->loosen[i] == LOOSEN_NOT || held == 0 ||
        strncmp(m.client_order_id, e->client_order_id, CLIENT_ORDER_ID_SIZE) != 0)
        return;
    m = c->stop[i];
    if (c->loosen[i] == LOOSEN_FAR_ASKED) {
        m.kind = COMMAND_ORDER_CANCEL;
        c->loosen[i] = LOOSEN_NOT;
        (void)pass(c, &m, VENUE_EXIT, &err);
        return;
    }
    m.stop_px.e8 = farther(m.stop_px.e8, (enum side)m.side);
    m.close_position = 0;
    m.reduce_only = 1;
    m.order_qty.e8 = held < 0 ? -held : held;
    other_id(m.client_order_id);
    c->loosen[i] = pass(c, &m, VENUE_PROTECTION, &err) == ST_OK ? LOOSEN_FAR_ASKED : LOOSEN_NOT;
}

static void told(void *context, const struct venue_event *e) {
    struct canary *c = context;
    bool trade = e->kind == VENUE_ORDER_TRADE;
    if (c->kind == CANARY_LOST_FILL && trade && is_hit(c, e->client_order_id)) return;
    note_fill(c, e);
    c->sink.venue(c->sink.context, e);
    bool stands = e->kind == VENUE_ORDER_ACCEPTED && e->instrument_index < INSTRUMENTS_MAX;
    if (c->kind == CANARY_LOOSENED_STOP && stands) loosen(c, e);
}

static void bar(void *context, uint32_t instrument_index, const struct bar *b) {
    struct canary *c = context;
    c->sink.bar(c->sink.context, instrument_index, b);
}

static void tick(void *context, uint32_t instrument_index, const struct tick *t) {
    struct canary *c = context;
    c->sink.tick(c->sink.context, instrument_index, t);
}

static void instrument(void *context, const struct instrument_changed *change) {
    struct canary *c = context;
    c->sink.instrument(c->sink.context, change);
}

/* ---- the port ---- */

static enum kernel_owner whose(void *context, const char *client_order_id) {
    const struct canary *c = context;
    return c->sink.whose ? c->sink.whose(c->sink.context, client_order_id) : KERNEL_OWNER_NOBODY;
}

static void attach(void *context, const struct venue_sink *sink) {
    struct canary *c = context;
    c->sink = *sink;
    c->pending_count = 0; /* another life of the trader */
    const struct venue_sink own = {c, told, bar, tick, instrument, whose};
    c->inner.attach(c->inner.context, &own);
}

static enum status bars(void *context, uint32_t instrument_index, int64_t from_ns, int64_t to_ns,
                        struct bar *out, size_t max, size_t *count, struct err *err) {
    struct canary *c = context;
    return c->inner.bars(c->inner.context, instrument_index, from_ns, to_ns, out, max, count, err);
}

static enum status start(void *context, const struct kernel_live_order *live, uint32_t live_count,
                         const struct kernel_held *held, uint32_t held_count, struct err *err) {
    struct canary *c = context;
    return c->inner.start(c->inner.context, live, live_count, held, held_count, err);
}

static enum status poll(void *context, int64_t until_ns, struct err *err) {
    struct canary *c = context;
    uint32_t count = c->pending_count;
    struct venue_event pending[CANARY_PENDING];
    memcpy(pending, c->pending, count * sizeof *pending);
    c->pending_count = 0;
    for (uint32_t i = 0; i < count; i++) c->sink.venue(c->sink.context, &pending[i]);
    /* What came of that is waiting to be said. */
    return c->inner.poll(c->inner.context, count ? 0 : until_ns, err);
}

static int64_t now_ns(void *context) {
    const struct canary *c = context;
    return c->inner.now_ns(c->inner.context);
}

static bool is_up(void *context) {
    const struct canary *c = context;
    return !c->inner.is_up || c->inner.is_up(c->inner.context);
}

struct venue_port canary_port(struct canary *c, const struct venue_port *inner) {
    c->inner = *inner;
    return (struct venue_port){.context = c,
                               .attach = attach,
                               .bars = bars,
                               .start = start,
                               .submit = submit,
                               .poll = poll,
                               .now_ns = now_ns,
                               .is_up = is_up};
}
