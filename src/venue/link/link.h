/* Joins the client of a venue (venue/binance) to a run (kernel/venue_port). */
#ifndef VENUE_LINK_LINK_H
#define VENUE_LINK_LINK_H

#include "kernel/venue_port.h"
#include "venue/binance/binance.h"

struct venue_link;

/* Creates the client and loads the venue: clock, rules, account. contracts (count) fixes numbers and order where a run has
 * begun already: one the venue no longer lists stays, closed. NULL, 0: whatever options->symbols names. */
enum status venue_link_open(struct venue_link **out, const struct binance_options *options,
                            const struct instrument *contracts, uint32_t count, struct err *err);
/* The same on ports of the caller's (a simulated network), which the client then owns. */
struct binance_ports;
enum status venue_link_open_on(struct venue_link **out, const struct binance_options *options,
                               const struct binance_ports *ports,
                               const struct instrument *contracts, uint32_t count, struct err *err);
void venue_link_close(struct venue_link *link); /* NULL is nothing */
const struct venue_port *venue_link_port(const struct venue_link *link);
struct binance *venue_link_client(const struct venue_link *link);
/* Contracts of the run, and how many. */
const struct instrument *venue_link_instruments(const struct venue_link *link, uint32_t *count);

#endif
