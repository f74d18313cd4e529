/* What the commands' lines of options have in common. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/command.h"

int command_usage_error(const char *command, const char *help, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", command);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n%s", help);
    return EXIT_USAGE;
}

int command_options_read(void *options, const struct command_options *c, int argc, char **argv) {
    int option, index = 0;
    optind = 0;
    opterr = 1;
    while ((option = getopt_long(argc, argv, "", c->table, &index)) != -1) {
        if (option == COMMAND_HELP) {
            fputs(c->help, stdout);
            return EXIT_DONE;
        }
        if (option == '?') {
            fputs(c->help, stderr); /* getopt has said what is wrong */
            return EXIT_USAGE;
        }
        if (!c->apply(options, option))
            return command_usage_error(c->command, c->help, "'%s' is not a value for --%s", optarg,
                                       c->table[index].name);
    }
    return -1;
}

bool command_u64_parse(uint64_t *out, const char *text, uint64_t lo, uint64_t hi) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == 0 && *out >= lo && *out <= hi;
}

bool command_u32_parse(uint32_t *out, const char *text, uint32_t lo, uint32_t hi) {
    uint64_t value;
    bool good = command_u64_parse(&value, text, lo, hi);
    *out = (uint32_t)value;
    return good;
}
