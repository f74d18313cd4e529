/* Commands as text: bodies of the requests that change something, and entries of the bus's stream policy.command.
 *
 * A JSON object of few fields, and none that we do not know: whoever misspells a limit must not believe that it holds.
 *     key      a policy, by its name           value   a number, or true and false
 *     symbol   a contract (default: all)       by      who, for the record; printable ASCII
 *     id       any text of at most 64 characters: whatever comes under it is obeyed once
 * What is decoded could be obeyed by some run (kernel_command_check); whether by this one, its target says.
 * Tests    test_command.c (api), test_session_policy.c (backtest), fuzz_command_body.c. */
#ifndef KERNEL_COMMAND_BODY_H
#define KERNEL_COMMAND_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/events.h"

enum command_body_kind {
    COMMAND_BODY_POLICY = 0, /* key, value */
    COMMAND_BODY_STOP,       /* value */
    COMMAND_BODY_CLOSE,
    COMMAND_BODY_RESET, /* symbol, or all */
    COMMAND_BODY_ANY,   /* key, and what it needs: commands of the bus */
    COMMAND_BODY_KINDS
};

enum { COMMAND_MESSAGE_SIZE = 160 };

struct command_fault {
    bool is_syntax; /* no JSON, at line and offset */
    uint32_t line;
    size_t offset;
    char message[COMMAND_MESSAGE_SIZE]; /* "" none */
};

/* An empty body is one without fields. Step and part stay 0. False: fault says why, *out is not to be used. */
bool command_body_decode(struct operator_command *out, struct command_fault *fault,
                         enum command_body_kind kind, const char *body, size_t size);
/* Never 0. */
uint64_t command_id_of(const char *text, size_t size);

#endif
