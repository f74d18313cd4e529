/* Field lists: one macro per record, read several times: as a struct, as a JSON codec, as a table of
 * the documentation. F(KIND, name, "what it is"); the kind fixes the C type, the JSON form and what
 * counts as valid. Records have no padding: kinds of 4 bytes come in pairs. */
#ifndef DOMAIN_FIELDS_H
#define DOMAIN_FIELDS_H

#include <stdint.h>

#include "base/fx.h"
#include "domain/instrument.h"
#include "domain/order.h"

enum { TEXT_FIELD_SIZE = 32 };

/* K(KIND, C declaration of a member `n`, JSON form and rule) */
#define FIELD_DECLARE_U32(n)            uint32_t n;
#define FIELD_DECLARE_SIDE(n)           uint32_t n;
#define FIELD_DECLARE_ACTION(n)         uint32_t n;
#define FIELD_DECLARE_STRATEGY(n)       uint32_t n;
#define FIELD_DECLARE_MODE(n)           uint32_t n;
#define FIELD_DECLARE_VOTE(n)           uint32_t n;
#define FIELD_DECLARE_MODEL(n)          uint32_t n;
#define FIELD_DECLARE_ARM(n)            uint32_t n;
#define FIELD_DECLARE_U64(n)            uint64_t n;
#define FIELD_DECLARE_HEX(n)            uint64_t n;
#define FIELD_DECLARE_I64(n)            int64_t n;
#define FIELD_DECLARE_TS(n)             int64_t n;
#define FIELD_DECLARE_PX(n)             px_t n;
#define FIELD_DECLARE_QTY(n)            qty_t n;
#define FIELD_DECLARE_MONEY(n)          money_t n;
#define FIELD_DECLARE_RATE(n)           rate_t n;
#define FIELD_DECLARE_F64(n)            double n;
#define FIELD_DECLARE_PROB(n)           double n;
#define FIELD_DECLARE_SYMBOL(n)         char n[SYMBOL_SIZE];
#define FIELD_DECLARE_ORDER_ID(n)       char n[CLIENT_ORDER_ID_SIZE];
#define FIELD_DECLARE_TEXT(n)           char n[TEXT_FIELD_SIZE];

#define FIELD_MEMBER(kind, name, about) FIELD_DECLARE_##kind(name)

#endif
