/* The loops for processors with AVX-512. */
#include "_instruction_sets.h"
#ifdef SEVERAL_INSTRUCTION_SETS
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi,bmi2")
#define KERNEL skmeta_kernel_avx512
#include "_tasks.h"
#else
typedef int nothing_to_compile;
#endif
