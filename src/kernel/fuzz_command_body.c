/* Any bytes, as the body of any request that changes something: no crash, and what is accepted the kernel can take. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/command_body.h"
#include "kernel/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int kind = 0; kind < COMMAND_BODY_KINDS; kind++) {
        struct operator_command c;
        struct command_fault fault;
        if (!command_body_decode(&c, &fault, (enum command_body_kind)kind, (const char *)data,
                                 size)) {
            if (fault.message[0] == '\0') abort();
            continue;
        }
        struct event e;
        struct err err = {0};
        if (fault.message[0] || kernel_command_check(c.key, c.value) != ST_OK) abort();
        event_init(&e, EVENT_OPERATOR_COMMAND, 1);
        e.u.operator_command = c;
        if (event_validate(&e, &err) != ST_OK) abort();
    }
    return 0;
}
