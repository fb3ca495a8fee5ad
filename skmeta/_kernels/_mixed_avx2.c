/* Wheels are built for any processor, so the better instructions are asked for here. */
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#pragma GCC target("avx2,fma,bmi,bmi2")
#define VECTOR_BYTES 32
#define KERNEL skmeta_mixed_avx2
#include "_mixed_sums.h"
#else
typedef int nothing_to_compile;
#endif
