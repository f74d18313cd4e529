/* Contract rules out of the exchange's JSON: exchangeInfo, fundingInfo, leverageBracket. */
#ifndef STORE_CONTRACTS_H
#define STORE_CONTRACTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/rules.h"

struct rules_list {
    struct rules *rows;
    size_t count, capacity;
};
/* A new row for the symbol, all defaults; NULL if memory is out. */
struct rules *rules_list_add(struct rules_list *list, const char *symbol);
void rules_list_free(struct rules_list *list);

/* Brackets must begin at 0, join without holes and loosen nothing; NULL, or what is wrong. */
const char *contracts_brackets_fault(const struct instrument *in);

/* Adds a row per contract that text describes. A contract that makes no sense is told to problem and
 * left out. ST_INVALID with the line if text is not JSON of one of the three kinds. */
typedef void contracts_problem(void *context, uint64_t line, const char *text);
enum status contracts_parse(struct rules_list *inout, const char *text, size_t size,
                            contracts_problem *problem, void *context, struct err *err);

#endif
