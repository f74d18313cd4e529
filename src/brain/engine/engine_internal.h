#ifndef BRAIN_ENGINE_INTERNAL_H
#define BRAIN_ENGINE_INTERNAL_H

#include "brain/engine/engine.h"

/* engine.c: the arrays behind the head of the block. */
struct engine_symbol *engine_symbols(struct engine *e);
struct portfolio_series *engine_series(struct engine *e);
const struct portfolio_series *engine_series_get(const struct engine *e);

double engine_trust(const struct engine *e); /* supervisor_trust of the seated models */
/* trades.c */
uint32_t engine_open_count(const struct engine *e);

#endif
