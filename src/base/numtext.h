/* Text of doubles: the shortest decimal that reads back as the same double. */
#ifndef BASE_NUMTEXT_H
#define BASE_NUMTEXT_H

#include <stddef.h>

enum { NUMTEXT_SIZE = 32 };
/* x finite (asserted); returns the length, NUL ended. Valid as a JSON number. */
size_t numtext_f64(char out[NUMTEXT_SIZE], double x);

/* Correctly rounded value of a JSON number text (grammar already checked), of any length; infinite if
 * it is beyond double's range. Assumes the "C" locale: nothing in the program calls setlocale. */
double numtext_parse_f64(const char *text, size_t size);

#endif
