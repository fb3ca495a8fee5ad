/* See `_mixed_avx2.c`. */
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi,bmi2")
#define VECTOR_BYTES 64
#define KERNEL skmeta_mixed_avx512
#include "_mixed_sums.h"
#else
typedef int nothing_to_compile;
#endif
