/* ASSERT is for our own mistakes and stays on in release builds: a trader that has lost its
 * invariants must stop, since restart and reconciliation are the one tested way back. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

_Noreturn void assert_failed(const char *file, int line, const char *condition);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(__FILE__, __LINE__, #condition))

#endif
