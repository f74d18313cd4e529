/* What a model may be, and how it becomes something else: one table, for the seat, the registry and people. */
#ifndef BRAIN_PROMOTION_LIFECYCLE_H
#define BRAIN_PROMOTION_LIFECYCLE_H

#include <stdbool.h>

/* X(name, text, about). Values are stable (the registry keeps the texts); add at the end. */
#define PROMOTION_STATE_TABLE(X)                                                                   \
    X(PROMOTION_CANDIDATE, "candidate", "trained, not yet measured on bars it has not seen")       \
    X(PROMOTION_SHADOW, "shadow", "forecasts are logged beside the served one's; never trades")    \
    X(PROMOTION_ACCEPTED, "accepted", "found better; takes the seat next")                         \
    X(PROMOTION_REJECTED, "rejected", "found no better; final")                                    \
    X(PROMOTION_SERVING, "serving", "holds its kind's seat")                                       \
    X(PROMOTION_RETIRED, "retired", "was served; a promoted one took its seat")                    \
    X(PROMOTION_DEMOTED, "demoted", "was served, and worse in service than what stood against it") \
    X(PROMOTION_ROLLED_BACK, "rolled_back", "was served, and taken back by hand")

enum promotion_state {
#define PROMOTION_STATE_ENUM(name, text, about) name,
    PROMOTION_STATE_TABLE(PROMOTION_STATE_ENUM)
#undef PROMOTION_STATE_ENUM
        PROMOTION_STATE_COUNT
};

#define PROMOTION_EVENT_TABLE(X)                                                                   \
    X(PROMOTION_SHADOW_BEGIN, "shadow_begin", "passed the rule on out-of-time bars")               \
    X(PROMOTION_ACCEPT, "accept", "passed rule and test")                                          \
    X(PROMOTION_REJECT, "reject", "failed, or was never shown better")                             \
    X(PROMOTION_PROMOTE, "promote", "takes the seat")                                              \
    X(PROMOTION_INSTALL, "install", "put into the seat by hand, without the validator")            \
    X(PROMOTION_RETIRE, "retire", "its seat went to another")                                      \
    X(PROMOTION_DEMOTE, "demote", "its seat is taken away by the watch")                           \
    X(PROMOTION_ROLL_BACK, "roll_back", "its seat is taken away by hand")                          \
    X(PROMOTION_RESTORE, "restore", "once served, it is served again")

enum promotion_event {
#define PROMOTION_EVENT_ENUM(name, text, about) name,
    PROMOTION_EVENT_TABLE(PROMOTION_EVENT_ENUM)
#undef PROMOTION_EVENT_ENUM
        PROMOTION_EVENT_COUNT
};

/* X(from, event, to): every legal transition. What is not here is refused. */
#define PROMOTION_TRANSITION_TABLE(X)                                                              \
    X(PROMOTION_CANDIDATE, PROMOTION_SHADOW_BEGIN, PROMOTION_SHADOW)                               \
    X(PROMOTION_CANDIDATE, PROMOTION_REJECT, PROMOTION_REJECTED)                                   \
    X(PROMOTION_CANDIDATE, PROMOTION_INSTALL, PROMOTION_SERVING)                                   \
    X(PROMOTION_SHADOW, PROMOTION_ACCEPT, PROMOTION_ACCEPTED)                                      \
    X(PROMOTION_SHADOW, PROMOTION_REJECT, PROMOTION_REJECTED)                                      \
    X(PROMOTION_SHADOW, PROMOTION_INSTALL, PROMOTION_SERVING)                                      \
    X(PROMOTION_ACCEPTED, PROMOTION_PROMOTE, PROMOTION_SERVING)                                    \
    X(PROMOTION_ACCEPTED, PROMOTION_REJECT, PROMOTION_REJECTED)                                    \
    X(PROMOTION_SERVING, PROMOTION_RETIRE, PROMOTION_RETIRED)                                      \
    X(PROMOTION_SERVING, PROMOTION_DEMOTE, PROMOTION_DEMOTED)                                      \
    X(PROMOTION_SERVING, PROMOTION_ROLL_BACK, PROMOTION_ROLLED_BACK)                               \
    X(PROMOTION_RETIRED, PROMOTION_RESTORE, PROMOTION_SERVING)                                     \
    X(PROMOTION_DEMOTED, PROMOTION_RESTORE, PROMOTION_SERVING)                                     \
    X(PROMOTION_ROLLED_BACK, PROMOTION_RESTORE, PROMOTION_SERVING)

/* "?" outside the table. */
const char *promotion_state_text(enum promotion_state state);
const char *promotion_event_text(enum promotion_event event);
/* False if there is no such text; out untouched. */
bool promotion_state_parse(enum promotion_state *out, const char *text);
bool promotion_event_parse(enum promotion_event *out, const char *text);

/* The state after the event; false and out untouched if the table does not have the pair. */
bool promotion_transition(enum promotion_state *out, enum promotion_state from,
                          enum promotion_event event);

#endif
