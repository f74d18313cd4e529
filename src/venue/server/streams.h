/* Market and user-data streams without a socket: subscriptions, framing, fan-out, listen keys.
 *
 * A stream's message is rendered once and handed to every subscriber as the same bytes, already framed (one form
 * bare, one combined). A subscriber's sink says whether it could take them. */
#ifndef VENUE_SERVER_STREAMS_H
#define VENUE_SERVER_STREAMS_H

#include "net/net.h"
#include "venue/server/world.h"

struct streams;
struct stream_client;

enum stream_route { ROUTE_ALL = 0, ROUTE_PUBLIC, ROUTE_MARKET, ROUTE_PRIVATE };

struct streams_options {
    bool wrong_route_delivers; /* default false: acknowledged, and nothing comes, as on the venue */
    uint32_t streams_max;      /* 1024 a connection */
    int64_t listen_key_life_ns; /* 60 min */
    uint64_t seed;              /* of listen keys; real ones come from the system's randomness */
};
struct streams_sink {
    void *context; /* of one connection */
    /* One whole WebSocket frame. False: gone. */
    bool (*send_framed)(void *context, const void *frame, size_t size);
    bool (*send)(void *context, const char *text, size_t size);
    void (*shut)(void *context, int code);
};

enum status streams_create(struct streams **out, struct world *world,
                           const struct streams_options *options, struct err *err);
void streams_destroy(struct streams *s);

/* A handshake's path and query: /public/ws/…, /market/stream?streams=…, /private/ws/KEY, /ws, /stream, numeric tails
 * ignored. NULL: not a stream path (the caller answers 404) or a bad listen key. */
struct stream_client *streams_open(struct streams *s, struct net_text path, struct net_text query,
                                   const struct streams_sink *sink, int64_t now_ns);
void streams_message(struct streams *s, struct stream_client *c, struct net_text text,
                     int64_t now_ns);
void streams_close(struct streams *s, struct stream_client *c);

/* Every event of the exchange, and time (timed streams, listen keys that expire). */
void streams_event(struct streams *s, const struct exchange_event *event);
void streams_time(struct streams *s, int64_t now_ns);
int64_t streams_deadline(const struct streams *s);

/* Listen keys: one an account. start gives the present one and renews it. ping/stop: 0 or -1125. */
enum { LISTEN_KEY_SIZE = 65 };
void streams_key_start(struct streams *s, uint32_t account, int64_t now_ns,
                       char out[LISTEN_KEY_SIZE]);
int streams_key_ping(struct streams *s, uint32_t account, int64_t now_ns,
                     char out[LISTEN_KEY_SIZE]);
int streams_key_stop(struct streams *s, uint32_t account);
/* Faults: expire now; deliver no user data of any account while silent; and what happens to the next message. */
void streams_keys_expire(struct streams *s, int64_t now_ns);
void streams_user_silent(struct streams *s, bool silent);
enum stream_fault { STREAM_DELIVER = 0, STREAM_DROP, STREAM_SWAP, STREAM_TWICE };
void streams_fault_set(struct streams *s, enum stream_fault (*ask)(void *context, bool user_data),
                       void *context);

struct streams_stats {
    uint64_t clients, subscriptions, messages, bytes, rendered;
};
void streams_stats_get(const struct streams *s, struct streams_stats *out);
#endif
