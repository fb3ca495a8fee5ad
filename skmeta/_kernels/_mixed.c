/* The sums over tasks for any processor, and the choice among the instruction sets. */
#define VECTOR_BYTES 16
#define KERNEL skmeta_mixed_any
#include "_mixed_sums.h"

#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
extern const MixedKernel skmeta_mixed_avx2, skmeta_mixed_avx512;

const MixedKernel *skmeta_mixed_kernel(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return &skmeta_mixed_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &skmeta_mixed_avx2;
    return &skmeta_mixed_any;
}
#else
const MixedKernel *skmeta_mixed_kernel(void) { return &skmeta_mixed_any; }
#endif
