/* The exchange's requests without a socket: bytes in, JSON out. HTTP and the WebSocket API are two doors to
 * the same table of calls (rest_internal.h). Everything a request may cost, weigh or be refused for is
 * decided here. Nothing is allocated per request: replies live in rest's buffers, lent until the next call.
 *
 * The page docs/venue-api.md lists every call. Tests: test_rest*.c, test_wsapi.c; fuzz_rest.c, fuzz_wsapi.c. */
#ifndef VENUE_SERVER_REST_H
#define VENUE_SERVER_REST_H

#include "base/json.h"
#include "net/net.h"
#include "venue/server/keys.h"
#include "venue/server/world.h"
#include "venue/wire/wire.h"

struct limiter; /* limits.h */
struct streams; /* streams.h: listen keys live there */

struct rest_options {
    bool limits_enforced;     /* 429 and 418; the counters are kept in any case */
    bool ack_carries_average; /* avgPrice and cumQuote in acknowledgements, as before 2026-07-14 */
    /* Conditional types on the ordinary endpoint, as before 2025-12-09; set it together with
     * exchange_set_classic. False: -4120. */
    bool classic_conditional;
    int64_t recv_window_ms_max; /* 60000 */
    rate_t trigger_protect;     /* what exchangeInfo says; the exchange's own: 0.05 */
};
struct rest_options rest_options_defaults(void);

struct rest_private;
struct rest {
    /* The caller's, set before rest_init and kept until rest_free. */
    struct world *world;
    struct keys *keys;
    struct limiter *limiter;
    struct streams *streams;
    struct rest_options options; /* may be changed between calls */
    struct rest_private *p;      /* rest_init's */
};
/* ST_NO_MEMORY. Pages are taken as they are used; the largest replies set the size. */
enum status rest_init(struct rest *r, struct err *err);
void rest_free(struct rest *r);

struct rest_request {
    enum net_method method;
    struct net_text path, query, body, api_key; /* raw; api_key: X-MBX-APIKEY, size 0 if absent */
    const char *peer;                           /* address: the weight pool */
    int64_t now_ns;                             /* exchange time */
};
struct rest_answer {
    int status;
    int32_t code;      /* 0, or the venue's refusal */
    uint32_t account;  /* 0: none was recognised */
    char headers[256]; /* ready lines: X-MBX-…, Retry-After */
    char *body;        /* JSON; rest's buffer, borrowed until the next call */
    size_t body_size;
};
void rest_handle(struct rest *r, const struct rest_request *request, struct rest_answer *out);

/* What a call would be, before it is done: faults are aimed with it. */
enum rest_class { REST_UNKNOWN = 0, REST_PUBLIC, REST_READ, REST_TRADE };
enum rest_class rest_class_of(const struct rest *r, enum net_method method, struct net_text path);

/* One message of the WebSocket API. session is the connection's (zeroed at its opening, connected_ns set).
 * The answer is borrowed until the next call. */
struct wsapi_session {
    uint32_t account; /* after session.logon, else 0 */
    int64_t connected_ns, authorized_ns;
    bool rate_limits_off; /* returnRateLimits=false of the handshake's query */
    char api_key[KEYS_TEXT_SIZE];
};
void wsapi_handle(struct rest *r, struct wsapi_session *session, const char *peer,
                  struct net_text message, int64_t now_ns, struct net_text *answer);
enum rest_class wsapi_class_of(const struct rest *r, struct net_text message);
#endif
