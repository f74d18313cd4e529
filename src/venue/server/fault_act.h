/* Faults at work: what stands between whoever carries calls and messages (sockets, or a simulation's network) and the
 * exchange. Needs no socket itself; who owns one asks before a call is executed, tells what was answered, and calls
 * fault_second once a second. The exchange is asked to do nothing that its operator could not ask. */
#ifndef VENUE_SERVER_FAULT_ACT_H
#define VENUE_SERVER_FAULT_ACT_H

#include "venue/server/faults.h"
#include "venue/server/listing.h"
#include "venue/server/rest.h"
#include "venue/server/streams.h"

/* What was drawn for a call, before it is executed. */
enum call_verdict {
    CALL_NONE = 0,
    /* not executed */
    CALL_UNAVAILABLE,
    CALL_RESET_BEFORE,
    CALL_LIMIT,
    CALL_BAN,
    CALL_CLOCK,
    CALL_UNKNOWN_NOT_DONE,
    CALL_LAST_BEFORE = CALL_UNKNOWN_NOT_DONE,
    /* executed */
    CALL_UNKNOWN_DONE,
    CALL_LOST,
    CALL_RESET_AFTER,
    CALL_LATE,
    CALL_DOUBLED
};

struct fault_call {
    enum net_method method;
    /* The WebSocket API: body is the message, the rest is empty. */
    struct net_text path, query, body, api_key;
    enum rest_class kind;
    enum call_verdict verdict;
    bool algo; /* places a conditional order */
};

struct fault_reply {
    int status;
    const char *type, *headers;
    struct net_text body;
};

enum { HIDDEN_MAX = 64 };
struct hidden {
    uint64_t algo_id;
    int64_t until_ns;
};

/* Faults that last: until when, in exchange time; 0 not now. */
struct fault_state {
    int64_t limited_ns, maintenance_ns, silent_ns, conditional_ns;
    int limited_status;
    bool doubling;      /* user events of the call being executed go out twice */
    uint64_t disobeyed; /* calls in spite of Retry-After */
    uint32_t hidden_next;
    struct hidden hidden[HIDDEN_MAX];
    int64_t *stale_ns, *filters_ns, *closing_ns; /* (contracts) */
};

struct fault_act {
    struct faults faults;
    struct fault_state state;
    /* The owner's, set before fault_act_init and kept until fault_act_free. */
    struct world *world;
    struct streams *streams;
    struct rest *rest;
    const struct listing *listing; /* the rules there are without faults */
    bool classic_conditional;      /* likewise */
    int64_t now_ns;                /* exchange time; the owner's to keep, never back */
};

/* faults are there (faults_init); the rest of the state begins here. */
enum status fault_act_init(struct fault_act *a, struct err *err);
void fault_act_free(struct fault_act *a);
/* The rates have changed. */
void fault_rates_changed(struct fault_act *a);
enum call_verdict fault_verdict(struct fault_act *a, const struct fault_call *call);
/* The answer of a call that is not executed, or whose outcome is not told; lent until the next. wsapi: as the WebSocket
 * API says it. False: there is none, the connection ends. */
bool fault_answer(struct fault_act *a, bool wsapi, const struct fault_call *call,
                  struct fault_reply *out);
/* What an executed call's answer may show. */
void fault_after(struct fault_act *a, const struct fault_call *call, struct fault_reply *answer);
/* Around the execution of a call: while it is CALL_DOUBLED, user events go out twice. */
void fault_begin(struct fault_act *a, const struct fault_call *call);
void fault_end(struct fault_act *a);
/* How much later a CALL_LATE is answered. */
int64_t fault_late_ns(struct fault_act *a);
/* What is over ends, and what happens by the second is drawn. */
void fault_second(struct fault_act *a);
/* Now, whatever the rate; for calls and messages: the next one. */
void fault_fire(struct fault_act *a, enum fault kind);

#endif
