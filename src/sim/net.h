/* The network between one client of the venue and the exchange: requests, replies, sockets, each message late by a drawn
 * time. In memory, in the order of due times; what the network does wrong is asked of its owner. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "sim/clock.h"
#include "venue/binance/binance_internal.h"
#include "venue/server/streams.h"

struct sim_net;

/* What happens to a message on its way. */
enum sim_fate { SIM_ARRIVES = 0, SIM_LOST, SIM_LATE, SIM_TWICE, SIM_OVERTAKEN };
enum sim_way { SIM_WAY_REQUEST = 0, SIM_WAY_REPLY, SIM_WAY_FRAME };

struct sim_request {
    enum http_method method;
    const char *target; /* path?query */
    size_t size;
    bool with_key;
    uint32_t ticket; /* to answer with */
    int64_t left_ns; /* when the client sent it, true time */
};

/* The other end. All of it is called from sim_net_deliver. */
struct sim_peer {
    void *context;
    void (*request)(void *context, const struct sim_request *r);
    /* NULL: refused. */
    struct stream_client *(*open)(void *context, const char *path, size_t size,
                                  const struct streams_sink *sink);
    void (*message)(void *context, struct stream_client *c, const char *text, size_t size);
    void (*close)(void *context, struct stream_client *c);
    enum sim_fate (*fate)(void *context, enum sim_way way); /* NULL: everything arrives */
    /* Lets time pass until something reached the client, or until then (true time). */
    void (*wait)(void *context, int64_t until_ns);
};

struct sim_answer {
    int status; /* HTTP; 0 could not be sent, -1 the connection ended without an answer */
    const char *body;
    size_t size;
    const char *headers; /* lines; NULL none */
};

enum status sim_net_create(struct sim_net **out, struct sim_clock *clock, uint64_t seed,
                           const struct sim_peer *peer, struct err *err);
void sim_net_destroy(struct sim_net *n);
/* For binance_create_on. The client may be destroyed and another one made on the same network. */
struct binance_ports sim_net_ports(struct sim_net *n);
/* The client that hears; NULL: whoever was there is dead, nobody hears and nothing it still says leaves. What is on its
 * way arrives at the exchange all the same, and its sockets end. */
void sim_net_client(struct sim_net *n, struct binance *client);
/* A dead process is ending: its waiting ends at once, and nothing goes out. */
void sim_net_mute(struct sim_net *n, bool muted);
/* When the next message is due, true time; INT64_MAX none. */
int64_t sim_net_deadline(const struct sim_net *n);
/* The next due message reaches its end. True if that end is the client. */
bool sim_net_deliver(struct sim_net *n);
/* Answers a request after so long, besides the network's own time. Returns when that arrives; INT64_MAX: it never does. */
int64_t sim_net_answer(struct sim_net *n, uint32_t ticket, const struct sim_answer *a,
                       int64_t delay_ns);
/* Ends an open socket (0 … SOCKETS_MAX - 1) as a broken line does. False: it is not open. */
bool sim_net_cut(struct sim_net *n, uint32_t socket);
/* Until then nothing gets through, either way: what is under way arrives, what is sent is lost, and every open socket
 * ends, which the client notices once the network is back. */
void sim_net_outage(struct sim_net *n, int64_t until_ns);
/* Whether something reached the client since this was asked last. */
bool sim_net_heard(struct sim_net *n);

#endif
