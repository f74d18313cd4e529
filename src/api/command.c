/* Requests that change something: their bodies, and whether they can be handed on now. */
#include "api/api_internal.h"

#include <stdio.h>
#include <string.h>

bool api_command_decode(struct operator_command *out, struct api_refusal *refusal,
                        enum command_body_kind kind, const char *body, size_t size) {
    struct command_fault fault;
    *refusal = (struct api_refusal){0};
    if (command_body_decode(out, &fault, kind, body, size)) return true;
    refusal->code = fault.is_syntax ? 400 : 422;
    refusal->line = fault.line;
    refusal->offset = fault.offset;
    snprintf(refusal->message, sizeof refusal->message, "%s", fault.message);
    return false;
}

static bool has_symbol(const struct view *v, const char *symbol) {
    for (uint32_t i = 0; i < v->symbol_count; i++)
        if (strcmp(v->symbols[i].symbol, symbol) == 0) return true;
    return false;
}

bool api_command_may(struct api_refusal *refusal, const struct operator_command *command,
                     const struct api_shot *shot) {
    *refusal = (struct api_refusal){0};
    if (!shot->can_command || (shot->published && !shot->view->running)) {
        refusal->code = 409;
        snprintf(refusal->message, sizeof refusal->message, "%s",
                 shot->can_command ? "the run has ended" : "nobody here obeys commands");
    } else if (!shot->published && !shot->recovering) {
        refusal->code = 503;
        refusal->retry_after_seconds = 1;
        snprintf(refusal->message, sizeof refusal->message, "warming up: nothing published yet");
    } else if (strcmp(command->target, "all") != 0 && !has_symbol(shot->view, command->target)) {
        refusal->code = 404;
        snprintf(refusal->message, sizeof refusal->message, "symbol %s is not of this run",
                 command->target);
    }
    return refusal->code == 0;
}
