/* What the files of this module share. */
#ifndef VENUE_WIRE_WIRE_INTERNAL_H
#define VENUE_WIRE_WIRE_INTERNAL_H

/* Value of a hexadecimal digit in either case, -1 for anything else. */
static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

#endif
