/* quantum events: docs/EVENTS.md from the catalogue. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "kernel/events.h"

static void write_out(void *context, const char *text) {
    fputs(text, context);
}

static const char usage[] =
    "usage: quantum events\n"
    "Prints the event catalogue as Markdown (docs/EVENTS.md is its output).\n"
    "example: quantum events | less\n";

int cmd_events(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (argc > 1) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    event_document(write_out, stdout);
    return EXIT_DONE;
}
