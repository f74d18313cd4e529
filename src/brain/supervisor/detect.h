/* A sequential test with a stated rate of false alarms: has the mean of something that cannot be negative
 * (a loss) risen above a limit?
 *
 * Each sample x multiplies evidence by 1 + bet (x / limit - 1), which has expectation at most 1 while the mean, given
 * the past, is at most the limit: no distribution is assumed, no variance known. Evidence is collected from every
 * possible starting point (Shiryaev-Roberts) for several bets at once and averaged; its expectation after n
 * samples is then at most n. An alarm at evidence >= N therefore comes, on average, at most once in N samples, and
 * within the first n with probability at most n / N. After an alarm it begins anew.
 * Source  Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New
 *         England J. Statistics in Data Science (2023), e-SR detectors and their mixtures; Waudby-Smith, Ramdas, "Estimating means of bounded random variables by
 *         betting", J. R. Stat. Soc. B 86 (2024); Shiryaev (1963), Roberts (1966). */
#ifndef BRAIN_SUPERVISOR_DETECT_H
#define BRAIN_SUPERVISOR_DETECT_H

#include <stdbool.h>
#include <stdint.h>

enum { DETECT_BETS = 6 };

/* 88 bytes. */
struct detect {
    double limit;     /* of the mean, > 0 */
    double threshold; /* samples per false alarm, N */
    double evidence[DETECT_BETS];
    uint64_t samples, refused; /* refused: not finite, or negative */
    uint64_t alarms;
};
_Static_assert(sizeof(struct detect) == 88, "documented size");

/* limit > 0, samples_per_alarm >= 1 (asserted). */
void detect_init(struct detect *d, double limit, double samples_per_alarm);
/* True: alarm. */
bool detect_push(struct detect *d, double x);
/* How far it is towards the next alarm, 0..1 (logarithm of evidence over that of the threshold). */
double detect_progress(const struct detect *d);

#endif
