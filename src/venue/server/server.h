/* `quantum exchange` without its command line: sockets, clock, timers, latency and faults around the exchange.
 *
 * One libuv loop, one thread. HTTP requests and WebSocket API messages go through rest.h, stream connections through
 * streams.h; time moves the world at its deadlines and at least each 10 ms. Wherever a fault is due it acts here, between
 * the sockets and the exchange. Tests: test_server.c; test/e2e/exchange.sh. */
#ifndef VENUE_SERVER_SERVER_H
#define VENUE_SERVER_SERVER_H

#include "net/net.h"
#include "venue/server/faults.h"
#include "venue/server/keys.h"
#include "venue/server/listing.h"

struct server;
struct uv_loop_s;

struct server_options {
    const char *host; /* NULL: 127.0.0.1 */
    uint16_t port;    /* 0: any */
    const char *tls_cert_file, *tls_key_file;
    bool admin; /* a second port, on 127.0.0.1 alone, without keys */
    uint16_t admin_port;
    const char *state_dir; /* NULL: nothing survives the process */
    /* Both outlive the server. */
    const struct listing *listing;
    struct keys *keys;
    enum market_source source;
    double volatility_day; /* of a made-up market: standard deviation of a day's log return */
    uint64_t seed;
    uint32_t history_days; /* of candles before the start */
    /* Exchange time is the wall clock plus this, and never goes back: a state that is ahead of it moves it. */
    int64_t clock_offset_ns;
    /* Signed calls are executed so much later, and up to jitter_ns more. */
    int64_t latency_ns, jitter_ns;
    int64_t busy_poll_ns; /* of net_options; 100 us of the command */
    bool limits_off, classic_conditional, ack_carries_average;
    const char *faults; /* faults_parse; NULL: none */
};
/* As world_open, net_open and faults_parse fail; nothing is left behind then, once the loop has run. */
enum status server_open(struct server **out, struct uv_loop_s *loop,
                        const struct server_options *options, struct err *err);
uint16_t server_port(const struct server *s);
uint16_t server_admin_port(const struct server *s); /* 0: none */
/* Stops serving. The loop then ends by itself, within seconds; after it server_free keeps the state (a snapshot). */
void server_stop(struct server *s);
enum status server_free(struct server *s, struct err *err);

#endif
