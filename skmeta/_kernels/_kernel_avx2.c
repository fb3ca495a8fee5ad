/* The loops for processors with AVX2. */
#include "_instruction_sets.h"
#ifdef SEVERAL_INSTRUCTION_SETS
#pragma GCC target("avx2,fma,bmi,bmi2")
#define KERNEL skmeta_kernel_avx2
#include "_tasks.h"
#else
typedef int nothing_to_compile;
#endif
