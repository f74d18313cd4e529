/* The same kernels compiled for AVX2 and FMA (see CMakeLists.txt): called only where the processor has them. */
#if defined(__x86_64__)
#include "ml/patchtst/lanes_products.h"

#include "ml/patchtst/lanes_elementwise.h"

const struct lanes_kernels patchtst_kernels_avx2 = LANES_KERNELS;
#else
typedef int lanes_avx2_is_for_x86; /* an empty file is no C */
#endif
