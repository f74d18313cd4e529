/* What the market of an exchange is fed with: the past it starts with, and the bars or trades it replays.
 *
 * A replay is shifted in time so that it begins when the exchange does; the shift is kept in the state folder, so a
 * restart goes on where the replay was. What was missed meanwhile is passed over. A contract at the end of its
 * data stands still. */
#ifndef VENUE_SERVER_SOURCE_H
#define VENUE_SERVER_SOURCE_H

#include "venue/server/listing.h"
#include "venue/server/world.h"

struct source;
/* state_dir NULL: nothing is kept. The listing outlives the source. seed, volatility_day: of a made-up past. */
enum status source_open(struct source **out, const struct listing *listing,
                        const struct market_config *market, uint32_t history_days,
                        const char *state_dir, struct err *err);
void source_close(struct source *s);
/* For a fresh world: remembers when it began, and seeds candles and settled fundings. */
enum status source_prepare(struct source *s, struct world *w, struct err *err);
/* world_options.feed. */
void source_feed(struct source *s, struct world *w, int64_t until_ns);

#endif
