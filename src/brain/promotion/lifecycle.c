#include "brain/promotion/lifecycle.h"

#include <stddef.h>
#include <string.h>

static const char *const state_texts[PROMOTION_STATE_COUNT] = {
#define TEXT(name, text, about) text,
    PROMOTION_STATE_TABLE(TEXT)};

static const char *const event_texts[PROMOTION_EVENT_COUNT] = {PROMOTION_EVENT_TABLE(TEXT)
#undef TEXT
};

const char *promotion_state_text(enum promotion_state state) {
    return (unsigned)state < PROMOTION_STATE_COUNT ? state_texts[state] : "?";
}

const char *promotion_event_text(enum promotion_event event) {
    return (unsigned)event < PROMOTION_EVENT_COUNT ? event_texts[event] : "?";
}

/* Index of text, or count. */
static size_t find(const char *const *texts, size_t count, const char *text) {
    size_t i = 0;
    while (i < count && strcmp(texts[i], text) != 0) i++;
    return i;
}

bool promotion_state_parse(enum promotion_state *out, const char *text) {
    size_t i = find(state_texts, PROMOTION_STATE_COUNT, text);
    if (i < PROMOTION_STATE_COUNT) *out = (enum promotion_state)i;
    return i < PROMOTION_STATE_COUNT;
}

bool promotion_event_parse(enum promotion_event *out, const char *text) {
    size_t i = find(event_texts, PROMOTION_EVENT_COUNT, text);
    if (i < PROMOTION_EVENT_COUNT) *out = (enum promotion_event)i;
    return i < PROMOTION_EVENT_COUNT;
}

bool promotion_transition(enum promotion_state *out, enum promotion_state from,
                          enum promotion_event event) {
    static const struct {
        enum promotion_state from;
        enum promotion_event event;
        enum promotion_state to;
    } rows[] = {
#define ROW(from, event, to) {from, event, to},
        PROMOTION_TRANSITION_TABLE(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].from == from && rows[i].event == event) {
            *out = rows[i].to;
            return true;
        }
    return false;
}
