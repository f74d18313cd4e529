/* What goes wrong in a simulation besides the faults of the exchange: the network, the clock, the market, people, the
 * machine. Grammar, rates and draws as venue/server/faults.h has them: each kind has random numbers of its own. */
#ifndef SIM_SIM_FAULTS_H
#define SIM_SIM_FAULTS_H

#include "base/err.h"
#include "base/rng.h"
#include "venue/server/faults.h"

/* X(id, name, scope, rate under "all", about). Scopes: of a message on its way, or of a second. */
enum sim_fault_scope { SIM_PER_REQUEST = 0, SIM_PER_REPLY, SIM_PER_FRAME, SIM_PER_SECOND };
#define SIM_FAULT_TABLE(X)                                                                         \
    X(SIM_REQUEST_LOST, net_request_lost, SIM_PER_REQUEST, 0.002, "a request does not arrive")     \
    X(SIM_REQUEST_LATE, net_request_late, SIM_PER_REQUEST, 0.003, "a request is up to 8 s late")   \
    X(SIM_REPLY_LOST, net_reply_lost, SIM_PER_REPLY, 0.002, "a reply does not arrive")             \
    X(SIM_REPLY_LATE, net_reply_late, SIM_PER_REPLY, 0.003, "a reply is up to 8 s late")           \
    X(SIM_FRAME_LOST, net_frame_lost, SIM_PER_FRAME, 0.0005, "a stream message does not arrive")   \
    X(SIM_FRAME_LATE, net_frame_late, SIM_PER_FRAME, 0.0002,                                       \
      "a stream message and all behind it are up to 8 s late")                                     \
    X(SIM_FRAME_TWICE, net_frame_twice, SIM_PER_FRAME, 0.001, "a stream message arrives twice")    \
    X(SIM_FRAME_SWAP, net_frame_swap, SIM_PER_FRAME, 0.001, "a stream message is overtaken")       \
    X(SIM_CUT, net_cut, SIM_PER_SECOND, 0.002, "an open socket ends")                              \
    X(SIM_OUTAGE, net_outage, SIM_PER_SECOND, 0.0005, "nothing gets through for up to 60 s")       \
    X(SIM_CLOCK_STEP, clock_step, SIM_PER_SECOND, 0.001,                                           \
      "the trader's wall clock is set up to an hour wrong")                                        \
    X(SIM_CLOCK_DRIFT, clock_drift, SIM_PER_SECOND, 0.001,                                         \
      "the trader's clock runs up to 200 ppm fast or slow")                                        \
    X(SIM_CRASH, market_crash, SIM_PER_SECOND, 0.0002, "every contract falls 5 to 15 % at once")   \
    X(SIM_GAP, market_gap, SIM_PER_SECOND, 0.0005, "one contract jumps up to 6 % either way")      \
    X(SIM_HALT, market_halt, SIM_PER_SECOND, 0.0003,                                               \
      "one contract takes reducing orders alone for 60 s")                                         \
    X(SIM_HUMAN_CLOSE, human_close, SIM_PER_SECOND, 0.0005,                                        \
      "a position is closed by hand, in part or whole")                                            \
    X(SIM_HUMAN_CANCEL, human_cancel, SIM_PER_SECOND, 0.0003, "a stop is cancelled by hand")       \
    X(SIM_HUMAN_OPEN, human_open, SIM_PER_SECOND, 0.0003, "a position is opened by hand")          \
    X(SIM_HUMAN_LEVERAGE, human_leverage, SIM_PER_SECOND, 0.0003, "a leverage is set by hand")     \
    X(SIM_KILL, process_crash, SIM_PER_SECOND, 0.0007,                                             \
      "the trader's process dies: at a moment, a journal append, or a call of the port")           \
    X(SIM_POWER, power_loss, SIM_PER_SECOND, 0.0002,                                               \
      "the trader's machine dies: what was not synced is gone, or torn")                           \
    X(SIM_ROT, disk_rot, SIM_PER_SECOND, 0.0001,                                                   \
      "the trader's process dies, and a bit of its journal's last records has turned over")        \
    X(SIM_DISK_BAD, disk_bad, SIM_PER_SECOND, 0.0003,                                              \
      "for up to 20 s the disk fails: no space, short writes, syncs that fail")                    \
    X(SIM_RESTART, operator_restart, SIM_PER_SECOND, 0.0003,                                       \
      "the operator ends the trader, as Ctrl-C does, and starts it again")                         \
    X(SIM_STOP, operator_stop, SIM_PER_SECOND, 0.0003,                                             \
      "the operator stops entries, for up to 10 min")                                              \
    X(SIM_PANIC, operator_panic, SIM_PER_SECOND, 0.0001,                                           \
      "the operator has everything closed, and entries stopped for up to 10 min")                  \
    X(SIM_POLICY, operator_policy, SIM_PER_SECOND, 0.0003,                                         \
      "limits are set anew, every other time to nonsense that must be refused")                    \
    X(SIM_EXECUTOR, second_executor, SIM_PER_SECOND, 0.0002,                                       \
      "a second process starts on the same run directory")                                         \
    X(SIM_OTHER_RUN, other_executor, SIM_PER_SECOND, 0.00005,                                      \
      "another run of the program trades the account, for up to 20 min")

enum sim_fault {
#define SIM_FAULT_ID(id, name, scope, rate, about) id,
    SIM_FAULT_TABLE(SIM_FAULT_ID)
#undef SIM_FAULT_ID
        SIM_FAULT_COUNT
};

struct sim_faults {
    struct fault_row rows[SIM_FAULT_COUNT];
};

const char *sim_fault_name(enum sim_fault kind);
const char *sim_fault_about(enum sim_fault kind);
enum sim_fault_scope sim_fault_scope_of(enum sim_fault kind);
double sim_fault_rate(enum sim_fault kind); /* under "all" */

/* "none", or ITEM[,ITEM…] with ITEM `all`, NAME (its rate under all) or NAME=RATE, of either table; later ones win.
 * ST_INVALID names the item. */
enum status sim_faults_parse(struct sim_faults *own, struct faults *venue, const char *spec,
                             uint64_t seed, struct err *err);
bool sim_faults_are_on(const struct sim_faults *f);
bool sim_fault_ask(struct sim_faults *f, enum sim_fault kind);
uint64_t sim_fault_draw(struct sim_faults *f, enum sim_fault kind, uint64_t low, uint64_t high);

#endif
