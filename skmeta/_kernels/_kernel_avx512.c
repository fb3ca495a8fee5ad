/* See `_kernel_avx2.c`. */
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi,bmi2")
#define KERNEL skmeta_kernel_avx512
#include "_tasks.h"
#else
typedef int nothing_to_compile;
#endif
