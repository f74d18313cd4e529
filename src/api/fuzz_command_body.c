/* Any bytes, as the body of any request that changes something: no crash, and what is accepted the kernel can take. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "kernel/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int kind = 0; kind < API_COMMAND_KINDS; kind++) {
        struct operator_command c;
        struct api_refusal refusal;
        if (!api_command_decode(&c, &refusal, (enum api_command_kind)kind, (const char *)data,
                                size)) {
            if (refusal.code != 400 && refusal.code != 422) abort();
            if (refusal.message[0] == '\0') abort();
            continue;
        }
        struct event e;
        struct err err = {0};
        if (refusal.code != 0 || kernel_command_check(c.key, c.value) != ST_OK) abort();
        event_init(&e, EVENT_OPERATOR_COMMAND, 1);
        e.u.operator_command = c;
        if (event_validate(&e, &err) != ST_OK) abort();
    }
    return 0;
}
