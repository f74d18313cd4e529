/* Requests waiting for their turn, on their way, and what their replies mean. Pure: time and replies come in, requests
 * to send go out; sockets are elsewhere.
 *
 * Lanes are served in order; what one lane cannot send for want of weight (or orders) no later lane may take. A reply
 * is one of five things, and only the last leaves doubt:
 *   done          the venue did it
 *   refused       the venue said no, for good
 *   not executed  the venue, or the way to it, failed, and it is certain that nothing was done: sent again after a while
 *   not now       429, 418, clock: certain that nothing was done; sent again when the venue says so
 *   unknown       nobody knows whether it was done: sent again only if doing it twice is doing it once
 *
 * Source   binance-usdm §7; RFC 6585 (429), RFC 9110 (Retry-After).
 * Tests    test_requests.c: every cell of the table, lanes and limits under random load. */
#ifndef VENUE_BINANCE_REQUESTS_H
#define VENUE_BINANCE_REQUESTS_H

#include <stddef.h>

#include "base/rng.h"
#include "venue/binance/budget.h"
#include "venue/binance/clock.h"

enum { REQUESTS_MAX = 4096, REQUESTS_IN_FLIGHT_MAX = 24, REQUEST_PARAMS_SIZE = 384 };

enum http_method { HTTP_GET = 1, HTTP_POST, HTTP_PUT, HTTP_DELETE };
enum request_auth { AUTH_NONE = 0, AUTH_KEY, AUTH_SIGNED };
enum request_host { HOST_REST = 0, HOST_RESTRICTIONS };

enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_REFUSED,
    OUTCOME_UNKNOWN,
    OUTCOME_NOT_EXECUTED, /* patience or tries ran out; certain that nothing was done */
};

enum { ANSWER_MESSAGE_SIZE = 160 };
struct answer {
    enum outcome outcome;
    int http; /* 0: no reply */
    int32_t code;
    char message[ANSWER_MESSAGE_SIZE];
    const char *body; /* borrowed; "" when there is none */
    size_t size;
    int64_t sent_ns, received_ns;    /* monotonic, of the last sending; sent 0: it never was */
    int64_t timestamp_ms, window_ms; /* of the last sending, if it was signed */
};

struct request;
typedef void request_done(void *context, const struct request *r, const struct answer *a);

struct request {
    uint32_t id; /* of this sending; 0 not on its way */
    uint32_t weight;
    uint8_t orders, lane, method, auth;
    uint8_t host, tries, tries_max; /* tries_max 0: for ever (definite failures only) */
    bool repeatable;                /* doing it twice is doing it once */
    bool clock_refused;
    bool is_held;     /* by may_order, until not_before_ns */
    const char *path; /* static text */
    char params[REQUEST_PARAMS_SIZE];
    int64_t window_ms; /* recvWindow */
    int64_t queued_ns, not_before_ns, sent_ns, patience_ns /* monotonic, 0 none */, timestamp_ms;
    int32_t end_code; /* of the answer, if its patience ends it */
    request_done *done;
    void *context;
    uint64_t ref;
    uint32_t next1; /* private: list */
    bool taken;
};

/* What came back, or did not. */
enum reply_kind {
    REPLY_HTTP = 0,
    REPLY_NOT_SENT, /* no connection: the venue has not seen it */
    REPLY_LOST,     /* sent, perhaps partly; then reset, closed or silent for too long */
};
struct reply {
    enum reply_kind kind;
    int http;
    const char *body;
    size_t size;
    int64_t weight_1m, orders_10s, orders_1m, retry_after_s; /* headers; -1 absent */
};

struct requests_stats {
    uint64_t sent, replies, retries, unknown, rejects_429, rejects_418, clock_rejects, throttled;
};

struct requests {
    struct request pool[REQUESTS_MAX];
    uint32_t free1, head1[LANE_COUNT], tail1[LANE_COUNT];
    uint32_t flying[REQUESTS_IN_FLIGHT_MAX]; /* slots */
    uint32_t flying_count, waiting_count, id_next;
    struct binance_budget budget;
    struct binance_clock *clock;
    struct rng rng;
    int64_t answer_within_ns;
    /* Asked before an order leaves, each time; NULL: all may. false: not now (not_before_ns says when to ask again), or
     * never (patience_ns and end_code are set: ended as not executed). */
    bool (*may_order)(void *context, struct request *r, int64_t now_ns);
    void *context;
    bool throttling; /* a request is waiting for the budget */
    /* Nothing is answered any more: one at a time, so that there is something left to send when it is again. */
    uint32_t lost_in_row;
    int64_t answered_ns, quiet_next_ns; /* monotonic: the last answer; the next may leave */
    struct requests_stats stats;
};

void binance_requests_init(struct requests *q, const struct binance_limits *limits,
                           struct binance_clock *clock, uint64_t seed, int64_t answer_within_ns);
/* A zeroed request of that lane, already in the queue: fill it before the next call. NULL: REQUESTS_MAX wait. */
struct request *binance_requests_add(struct requests *q, enum binance_lane lane, int64_t now_ns);
/* Whether an order's request of that lane waits for its turn, or for another try. ref: as given. */
bool binance_requests_waits(const struct requests *q, enum binance_lane lane, uint64_t ref);
/* Those are not sent any more; done is not called. Returns how many. */
uint32_t binance_requests_withdraw(struct requests *q, enum binance_lane lane, uint64_t ref);
/* Nobody has answered anything for a while: what waits for its turn need not be asked for again. */
bool binance_requests_are_quiet(const struct requests *q, int64_t now_ns);
/* A question whose answer is late may be lost: it goes out again beside itself, so long after the last, at most so many
 * at once. flying: of it are out. */
enum { REQUESTS_BESIDE_MAX = 4 };
#define REQUESTS_BESIDE_NS INT64_C(300000000)
bool binance_requests_may_ask(const struct requests *q, uint32_t flying, int64_t now_ns);
/* The next one to send, now on its way: id, sent_ns and, if signed, timestamp_ms are set. NULL: none may be sent now. */
struct request *binance_requests_next(struct requests *q, int64_t now_ns);
/* The reply to a sending. Calls done, or keeps it for another try. Ids of given-up sendings are ignored. */
void binance_requests_reply(struct requests *q, uint32_t id, const struct reply *reply,
                            int64_t now_ns);
/* Gives up sendings that are unanswered for too long, as REPLY_LOST; their ids go to abort. Ends waiting requests whose
 * patience is over. */
void binance_requests_time(struct requests *q, int64_t now_ns,
                           void (*abort)(void *context, uint32_t id), void *context);
int64_t binance_requests_deadline(const struct requests *q, int64_t now_ns);

/* What a reply means, without a queue: exported for the table of tests. code and message are read from the body. */
enum reply_verdict {
    VERDICT_DONE = 0,
    VERDICT_REFUSED,
    VERDICT_NOT_EXECUTED,
    VERDICT_LIMITED,
    VERDICT_CLOCK,
    VERDICT_UNKNOWN,
};
enum reply_verdict binance_reply_verdict(const struct reply *reply, int32_t *code,
                                         char message[ANSWER_MESSAGE_SIZE]);

#endif
