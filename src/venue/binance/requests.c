#include "venue/binance/requests.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "venue/binance/codec.h"

enum { CODE_TOO_MANY = -1003, CODE_TOO_MANY_ORDERS = -1015, CODE_PATH = -5000 };

#define BACK_OFF_FIRST_NS (200 * NS_PER_MS)
#define BACK_OFF_LAST_NS  (2 * NS_PER_SECOND)
#define BLOCK_UNTOLD_NS   (10 * NS_PER_SECOND)  /* 429 without Retry-After */
#define BAN_UNTOLD_NS     (120 * NS_PER_SECOND) /* 418 without: the shortest ban there is */
#define FIREWALL_NS       (60 * NS_PER_SECOND)
#define QUIET_AFTER_NS    (1 * NS_PER_SECOND)
/* Between two requests while nobody answers, and so much more a weight. */
#define QUIET_EVERY_NS  (200 * NS_PER_MS)
#define QUIET_WEIGHT_NS (50 * NS_PER_MS)
enum { QUIET_LOST = 5 };
#define BLOCK_MAX_NS (3 * NS_PER_DAY) /* the longest ban there is */

/* How many may be on their way before a lane holds back: connections are left for the lanes before it. */
static const uint8_t flying_max[LANE_COUNT] = {REQUESTS_IN_FLIGHT_MAX, 20, 16, 12, 8};

void binance_requests_init(struct requests *q, const struct binance_limits *limits,
                           struct binance_clock *clock, uint64_t seed, int64_t answer_within_ns) {
    memset(q, 0, sizeof *q);
    binance_budget_init(&q->budget, limits);
    q->clock = clock;
    q->rng = rng_init(seed);
    q->answer_within_ns = answer_within_ns;
    q->id_next = 1;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) q->pool[i].next1 = i + 2;
    q->pool[REQUESTS_MAX - 1].next1 = 0;
    q->free1 = 1;
}

static void append(struct requests *q, uint32_t lane, uint32_t slot1) {
    q->pool[slot1 - 1].next1 = 0;
    if (q->tail1[lane])
        q->pool[q->tail1[lane] - 1].next1 = slot1;
    else
        q->head1[lane] = slot1;
    q->tail1[lane] = slot1;
    q->waiting_count++;
}

/* Behind nobody: what was first once is first again. */
static void put_back(struct requests *q, uint32_t lane, uint32_t slot1) {
    q->pool[slot1 - 1].next1 = q->head1[lane];
    q->head1[lane] = slot1;
    if (!q->tail1[lane]) q->tail1[lane] = slot1;
    q->waiting_count++;
}

static void unlink_waiting(struct requests *q, uint32_t lane, uint32_t slot1, uint32_t before1) {
    uint32_t after1 = q->pool[slot1 - 1].next1;
    if (before1)
        q->pool[before1 - 1].next1 = after1;
    else
        q->head1[lane] = after1;
    if (q->tail1[lane] == slot1) q->tail1[lane] = before1;
    q->waiting_count--;
}

static void release(struct requests *q, uint32_t slot) {
    q->pool[slot].taken = false;
    q->pool[slot].id = 0;
    q->pool[slot].next1 = q->free1;
    q->free1 = slot + 1;
}

struct request *binance_requests_add(struct requests *q, enum binance_lane lane, int64_t now_ns) {
    uint32_t slot1 = q->free1;
    if (!slot1) return NULL;
    struct request *r = &q->pool[slot1 - 1];
    q->free1 = r->next1;
    memset(r, 0, sizeof *r);
    r->taken = true;
    r->lane = (uint8_t)lane;
    r->queued_ns = now_ns;
    append(q, lane, slot1);
    return r;
}

bool binance_requests_waits(const struct requests *q, enum binance_lane lane, uint64_t ref) {
    for (uint32_t at1 = q->head1[lane]; at1; at1 = q->pool[at1 - 1].next1)
        if (q->pool[at1 - 1].orders && q->pool[at1 - 1].ref == ref) return true;
    return false;
}

uint32_t binance_requests_withdraw(struct requests *q, enum binance_lane lane, uint64_t ref) {
    uint32_t before1 = 0, count = 0;
    for (uint32_t at1 = q->head1[lane], after1; at1; at1 = after1) {
        after1 = q->pool[at1 - 1].next1;
        if (!q->pool[at1 - 1].orders || q->pool[at1 - 1].ref != ref) {
            before1 = at1;
            continue;
        }
        unlink_waiting(q, lane, at1, before1);
        release(q, at1 - 1);
        count++;
    }
    return count;
}

/* Whether the request may leave now; what it waits for closes the way for those behind. */
struct gate {
    bool weight, orders;
};

static bool may_leave(struct requests *q, struct request *r, struct gate *shut, int64_t now_ns) {
    if (r->not_before_ns > now_ns) return false;
    if (r->orders && q->may_order && !q->may_order(q->context, r, now_ns)) return false;
    if (r->auth == AUTH_SIGNED && !q->clock->trusted) return false;
    if ((shut->weight && r->weight) || (shut->orders && r->orders)) return false;
    switch (
        binance_budget_ask(&q->budget, (enum binance_lane)r->lane, r->weight, r->orders, now_ns)) {
    case BUDGET_GO:
        return true;
    case BUDGET_WAIT_WEIGHT:
        shut->weight = true;
        return false;
    case BUDGET_WAIT_ORDERS:
        shut->orders = true;
        return false;
    case BUDGET_WAIT_ALL:
        shut->weight = shut->orders = true;
        return false;
    }
    return false;
}

static void depart(struct requests *q, uint32_t slot, int64_t now_ns) {
    struct request *r = &q->pool[slot];
    binance_budget_charge(&q->budget, r->weight, r->orders, now_ns);
    r->id = q->id_next++;
    if (q->id_next == 0) q->id_next = 1;
    r->sent_ns = now_ns;
    if (r->tries < UINT8_MAX) r->tries++;
    if (r->auth == AUTH_SIGNED) r->timestamp_ms = binance_clock_now(q->clock, now_ns) / NS_PER_MS;
    q->flying[q->flying_count++] = slot;
    q->stats.sent++;
}

bool binance_requests_are_quiet(const struct requests *q, int64_t now_ns) {
    return q->lost_in_row >= QUIET_LOST && now_ns - q->answered_ns >= QUIET_AFTER_NS;
}

bool binance_requests_may_ask(const struct requests *q, uint32_t flying, int64_t now_ns) {
    return flying == 0 || (flying < REQUESTS_BESIDE_MAX && !binance_requests_are_quiet(q, now_ns));
}

/* They waited for nobody to answer, and somebody does. */
static void hurry_all(struct requests *q) {
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++)
        for (uint32_t at1 = q->head1[lane]; at1; at1 = q->pool[at1 - 1].next1)
            q->pool[at1 - 1].not_before_ns = 0;
}

static void note_answer(struct requests *q, bool answered, int64_t now_ns) {
    if (!answered) {
        q->lost_in_row++;
        return;
    }
    if (binance_requests_are_quiet(q, now_ns)) hurry_all(q);
    q->lost_in_row = 0;
    q->answered_ns = now_ns;
    q->quiet_next_ns = 0;
}

struct request *binance_requests_next(struct requests *q, int64_t now_ns) {
    struct gate shut = {false, false};
    bool quiet = binance_requests_are_quiet(q, now_ns);
    if (quiet && now_ns < q->quiet_next_ns) return NULL;
    bool was_throttling = q->throttling;
    q->throttling = false;
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++) {
        if (q->flying_count >= flying_max[lane]) break;
        uint32_t before1 = 0;
        for (uint32_t at1 = q->head1[lane]; at1; at1 = q->pool[at1 - 1].next1) {
            if (may_leave(q, &q->pool[at1 - 1], &shut, now_ns)) {
                unlink_waiting(q, lane, at1, before1);
                depart(q, at1 - 1, now_ns);
                if (quiet)
                    q->quiet_next_ns =
                        now_ns + QUIET_EVERY_NS + QUIET_WEIGHT_NS * q->pool[at1 - 1].weight;
                return &q->pool[at1 - 1];
            }
            before1 = at1;
            if (shut.weight && shut.orders) break;
        }
        if (shut.weight && shut.orders) break;
    }
    q->throttling = shut.weight || shut.orders;
    if (q->throttling && !was_throttling) q->stats.throttled++;
    return NULL;
}

/* ---- what replies mean ---- */

static enum reply_verdict verdict_of_code(int http, int32_t code, const char *message) {
    switch (code) {
    case CODE_TOO_MANY:
    case CODE_TOO_MANY_ORDERS:
        return VERDICT_LIMITED;
    case -1021:
    case -5028:
        return VERDICT_CLOCK;
    case -1000: /* "unknown error while processing": it was being processed */
    case -1006:
    case -1007:
        return VERDICT_UNKNOWN;
    case -1001:
    case -1008:
        return VERDICT_NOT_EXECUTED;
    default:
        break;
    }
    if (http == 418 || http == 429 || http == 403) return VERDICT_LIMITED;
    if (http == 408) return VERDICT_UNKNOWN;
    if (http == 503 && strncmp(message, "Service Unavailable", 19) == 0)
        return VERDICT_NOT_EXECUTED;
    if (http >= 400 && http < 500) return VERDICT_REFUSED;
    return VERDICT_UNKNOWN;
}

enum reply_verdict binance_reply_verdict(const struct reply *reply, int32_t *code,
                                         char message[ANSWER_MESSAGE_SIZE]) {
    *code = 0;
    message[0] = '\0';
    switch (reply->kind) {
    case REPLY_NOT_SENT:
        return VERDICT_NOT_EXECUTED;
    case REPLY_LOST:
        return VERDICT_UNKNOWN;
    case REPLY_HTTP:
        break;
    }
    if (reply->http >= 200 && reply->http < 300) return VERDICT_DONE;
    struct rest_error e;
    if (binance_rest_error(&e, reply->body, reply->size) == ST_OK) {
        *code = e.code;
        memcpy(message, e.message, sizeof e.message);
    } else if (reply->http == 404) {
        *code = CODE_PATH; /* live answers unknown paths with a page of HTML */
    } else if (reply->size >= 19 && memcmp(reply->body, "Service Unavailable", 19) == 0) {
        memcpy(message, "Service Unavailable", 20);
    }
    return verdict_of_code(reply->http, *code, message);
}

/* ---- replies ---- */

static void land(struct requests *q, uint32_t at) {
    q->flying[at] = q->flying[--q->flying_count];
}

static void finish(struct requests *q, uint32_t slot, const struct answer *a) {
    /* A copy, since done may queue another request into the same slot. */
    struct request r = q->pool[slot];
    if (a->outcome == OUTCOME_UNKNOWN) q->stats.unknown++;
    release(q, slot);
    r.done(r.context, &r, a);
}

static int64_t jitter(struct requests *q, int64_t ns) {
    return ns / 2 + (int64_t)rng_below(&q->rng, (uint64_t)ns);
}

static bool patience_over(const struct request *r, int64_t now_ns) {
    return r->patience_ns && now_ns >= r->patience_ns;
}

static void again(struct requests *q, uint32_t slot, int64_t not_before_ns) {
    struct request *r = &q->pool[slot];
    r->id = 0;
    r->not_before_ns = not_before_ns;
    q->stats.retries++;
    put_back(q, r->lane, slot + 1);
}

static int64_t back_off(struct requests *q, const struct request *r, int64_t now_ns) {
    int64_t ns = BACK_OFF_FIRST_NS;
    for (uint32_t i = 1; i < r->tries && ns < BACK_OFF_LAST_NS; i++) ns *= 2;
    return now_ns + jitter(q, ns < BACK_OFF_LAST_NS ? ns : BACK_OFF_LAST_NS);
}

/* "…IP banned until 1700000000000. …": the time, ms of the venue, or 0. */
static int64_t ban_end_ms(const char *message) {
    const char *at = strstr(message, "until ");
    int64_t ms = 0;
    if (!at) return 0;
    for (at += 6; *at >= '0' && *at <= '9' && ms < INT64_MAX / 10000000; at++)
        ms = ms * 10 + (*at - '0');
    return ms;
}

static void obey_limit(struct requests *q, const struct reply *reply, const struct answer *a,
                       int64_t now_ns) {
    bool orders_only = a->code == CODE_TOO_MANY_ORDERS;
    int64_t wait = reply->http == 418   ? BAN_UNTOLD_NS
                   : reply->http == 403 ? FIREWALL_NS
                                        : BLOCK_UNTOLD_NS;
    if (reply->retry_after_s >= 0 && reply->retry_after_s <= BLOCK_MAX_NS / NS_PER_SECOND)
        wait = reply->retry_after_s * NS_PER_SECOND;
    int64_t end_ms = ban_end_ms(a->message);
    if (end_ms > 0 && end_ms < INT64_MAX / NS_PER_MS && q->clock->known) {
        int64_t until = binance_clock_to_monotonic(q->clock, end_ms * NS_PER_MS) - now_ns;
        if (until > wait && until <= BLOCK_MAX_NS) wait = until;
    }
    if (reply->http == 418)
        q->stats.rejects_418++;
    else
        q->stats.rejects_429++;
    /* A tenth of a second more, so that we are not early by the venue's rounding. */
    binance_budget_block(&q->budget, orders_only, now_ns + wait + 100 * NS_PER_MS);
}

/* True if the request is done with; *a says how. Else it waits again. */
static bool settle(struct requests *q, uint32_t slot, const struct reply *reply,
                   enum reply_verdict verdict, struct answer *a, int64_t now_ns) {
    struct request *r = &q->pool[slot];
    switch (verdict) {
    case VERDICT_DONE:
        a->outcome = OUTCOME_DONE;
        return true;
    case VERDICT_REFUSED:
        a->outcome = OUTCOME_REFUSED;
        return true;
    case VERDICT_LIMITED:
        obey_limit(q, reply, a, now_ns);
        a->outcome = OUTCOME_NOT_EXECUTED;
        if (patience_over(r, now_ns)) return true;
        again(q, slot, 0);
        return false;
    case VERDICT_CLOCK:
        q->stats.clock_rejects++;
        a->outcome = OUTCOME_REFUSED;
        if (r->clock_refused || patience_over(r, now_ns)) return true;
        r->clock_refused = true;
        binance_clock_reset(q->clock);
        again(q, slot, 0);
        return false;
    case VERDICT_NOT_EXECUTED:
    case VERDICT_UNKNOWN:
        break;
    }
    bool certain = verdict == VERDICT_NOT_EXECUTED;
    a->outcome = certain ? OUTCOME_NOT_EXECUTED : OUTCOME_UNKNOWN;
    if (!certain && !r->repeatable) return true;
    if (patience_over(r, now_ns) || (r->tries_max && r->tries >= r->tries_max)) return true;
    again(q, slot, back_off(q, r, now_ns));
    return false;
}

static int64_t minute_start(const struct requests *q, int64_t now_ns) {
    if (!q->clock->known) return now_ns - NS_PER_MINUTE;
    int64_t venue = binance_clock_now(q->clock, now_ns);
    return now_ns - venue % NS_PER_MINUTE;
}

void binance_requests_reply(struct requests *q, uint32_t id, const struct reply *reply,
                            int64_t now_ns) {
    for (uint32_t at = 0; at < q->flying_count; at++) {
        uint32_t slot = q->flying[at];
        struct request *r = &q->pool[slot];
        if (r->id != id) continue;
        struct answer a = {.http = reply->kind == REPLY_HTTP ? reply->http : 0,
                           .body = reply->kind == REPLY_HTTP ? reply->body : "",
                           .size = reply->kind == REPLY_HTTP ? reply->size : 0,
                           .sent_ns = r->sent_ns,
                           .received_ns = now_ns,
                           .timestamp_ms = r->timestamp_ms,
                           .window_ms = r->window_ms};
        land(q, at);
        note_answer(q, reply->kind == REPLY_HTTP, now_ns);
        if (reply->kind == REPLY_HTTP) {
            q->stats.replies++;
            binance_budget_headers(&q->budget, reply->weight_1m, reply->orders_10s,
                                   reply->orders_1m, minute_start(q, now_ns), now_ns);
        }
        enum reply_verdict verdict = binance_reply_verdict(reply, &a.code, a.message);
        if (settle(q, slot, reply, verdict, &a, now_ns)) finish(q, slot, &a);
        return;
    }
}

static void end_impatient(struct requests *q, uint32_t lane, int64_t now_ns) {
    uint32_t before1 = 0;
    for (uint32_t at1 = q->head1[lane]; at1;) {
        struct request *r = &q->pool[at1 - 1];
        uint32_t after1 = r->next1;
        if (!patience_over(r, now_ns)) {
            before1 = at1;
            at1 = after1;
            continue;
        }
        unlink_waiting(q, lane, at1, before1);
        /* Whatever was sent before was certainly not executed, or it would not be waiting. */
        struct answer a = {.outcome =
                               r->repeatable && r->tries ? OUTCOME_UNKNOWN : OUTCOME_NOT_EXECUTED,
                           .code = r->end_code,
                           .body = "",
                           .sent_ns = r->sent_ns,
                           .received_ns = now_ns,
                           .timestamp_ms = r->timestamp_ms,
                           .window_ms = r->window_ms};
        finish(q, at1 - 1, &a);
        /* done may have changed the list: from the front again. */
        before1 = 0;
        at1 = q->head1[lane];
    }
}

void binance_requests_time(struct requests *q, int64_t now_ns,
                           void (*abort)(void *context, uint32_t id), void *context) {
    static const struct reply lost = {.kind = REPLY_LOST,
                                      .weight_1m = -1,
                                      .orders_10s = -1,
                                      .orders_1m = -1,
                                      .retry_after_s = -1};
    for (uint32_t at = 0; at < q->flying_count;) {
        const struct request *r = &q->pool[q->flying[at]];
        if (now_ns - r->sent_ns < q->answer_within_ns) {
            at++;
            continue;
        }
        abort(context, r->id);
        binance_requests_reply(q, r->id, &lost, now_ns);
        at = 0;
    }
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++) end_impatient(q, lane, now_ns);
}

int64_t binance_requests_deadline(const struct requests *q, int64_t now_ns) {
    int64_t deadline = INT64_MAX;
    for (uint32_t at = 0; at < q->flying_count; at++) {
        int64_t ts = q->pool[q->flying[at]].sent_ns + q->answer_within_ns;
        if (ts < deadline) deadline = ts;
    }
    for (uint32_t lane = 0; lane < LANE_COUNT && q->waiting_count; lane++) {
        for (uint32_t at1 = q->head1[lane]; at1; at1 = q->pool[at1 - 1].next1) {
            const struct request *r = &q->pool[at1 - 1];
            if (r->patience_ns && r->patience_ns < deadline) deadline = r->patience_ns;
            if (r->not_before_ns > now_ns && r->not_before_ns < deadline)
                deadline = r->not_before_ns;
        }
    }
    if (q->waiting_count && q->quiet_next_ns > now_ns && q->quiet_next_ns < deadline)
        deadline = q->quiet_next_ns;
    if (q->throttling) {
        int64_t ts = binance_budget_deadline(&q->budget, now_ns);
        if (ts < deadline) deadline = ts;
    }
    return deadline;
}
