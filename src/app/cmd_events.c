/* quantum events: docs/EVENTS.md from the catalogue. */
#include <stdio.h>

#include "app/command.h"
#include "kernel/events.h"

static void write_out(void *context, const char *text) {
    fputs(text, context);
}

int cmd_events(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        puts("usage: quantum events\nPrints the event catalogue as Markdown (docs/EVENTS.md is its "
             "output).");
        return EXIT_USAGE;
    }
    event_document(write_out, stdout);
    return EXIT_DONE;
}
