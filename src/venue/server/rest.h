/* The exchange's requests without a socket: bytes in, JSON out. HTTP and the WebSocket API are two doors to
 * the same table of calls (rest_table.h). Everything a request may cost, weigh or be refused for is decided here. */
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
    int64_t recv_window_ms_max; /* 60000 */
};

struct rest {
    struct world *world;
    struct keys *keys;
    struct limiter *limiter;
    struct streams *streams;
    struct rest_options options;
    char *scratch; /* rest_init's */
};
enum status rest_init(struct rest *r, struct err *err);
void rest_free(struct rest *r);

/* What one call works on. A handler writes its JSON to out and returns 0, or returns the venue's code; fail_text then
 * fills the %s of its text. */
struct rest_call {
    struct rest *rest;
    const struct wire_params *params;
    uint32_t account; /* 0: public call */
    int64_t now_ns;   /* exchange time */
    struct json_writer *out;
    char argument[96];
};

struct rest_request {
    enum net_method method;
    struct net_text path, query, body, api_key;
    const char *peer; /* address: the weight pool */
    int64_t now_ns;   /* exchange time */
};
struct rest_answer {
    int status;
    int32_t code;      /* 0, or the venue's refusal */
    uint32_t account;  /* 0: none was recognised */
    char headers[256]; /* ready lines: X-MBX-…, Retry-After */
    char *body;        /* rest's buffer, borrowed until the next call */
    size_t body_size;
};
void rest_handle(struct rest *r, const struct rest_request *request, struct rest_answer *out);

/* One message of the WebSocket API. session is the connection's (zeroed at its opening). The answer is
 * borrowed until the next call. */
struct wsapi_session {
    uint32_t account; /* after session.logon, else 0 */
    int64_t connected_ns, authorized_ns;
    bool rate_limits_off;
    char api_key[KEYS_TEXT_SIZE];
};
void wsapi_handle(struct rest *r, struct wsapi_session *session, const char *peer,
                  struct net_text message, int64_t now_ns, struct net_text *answer);
#endif
